# Prints the frames of errors that pass through code of packages and of Base: function, file, line, and the method instance that runs there.
using Kinds, Orbits

broken(x) = Kinds.thrower(x)

function frames(what, f, arguments...; keywords...)
    println(what)
    try
        f(arguments...; keywords...)
    catch
        for frame in stacktrace(catch_backtrace())
            # Since Julia 1.12 it may be a code instance.
            instance = hasproperty(frame.linfo, :def) && frame.linfo.def isa Core.MethodInstance ? frame.linfo.def : frame.linfo
            occursin("frames", string(frame.func)) && break
            println("  ", frame.func, ' ', basename(string(frame.file)), ':', frame.line, frame.inlined ? " inlined " : " ",
                    instance isa Core.MethodInstance ? instance.specTypes : "")
        end
    end
end

for _ in 1:2 # the second time nothing is compiled on the way
    frames("a package", Kinds.thrower, 1.0)
    frames("Base", parse, Int, "x")
    frames("Base on its own objects", getindex, Dict(:a => 1), :b)
    frames("Base between", map, broken, [1])
    frames("Base around a package", foreach, Kinds.thrower, (1.0,))
    frames("another package", Orbits.body, :vulcan)
    frames("keywords", Orbits.solve_kepler, 1.0, 0.99; iterations = 2)
    frames("of a workload", Orbits.read_catalogue, "probe earth 7000 low 0 0 0 0")
    frames("sorting", sort, [3, 1, 2]; by = broken)
end
