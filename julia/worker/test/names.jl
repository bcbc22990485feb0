# Names and values of all kinds, on their way through a trace. `julia --trace-compile=TRACE names.jl` calls what package Odd has;
# `julia names.jl FILE` compares what the sources in FILE, a line each, denote with what was called.
#
# It prints `wrong<TAB>SOURCE` for what denotes a type of Odd that was not called, `missing<TAB>value or function<TAB>TYPE` for one that was called and
# is not there, `unresolved<TAB>REASON<TAB>SOURCE`, and at last `checked<TAB>N`, the number of types that were called.

push!(LOAD_PATH, joinpath(@__DIR__, "packages"))
using Odd

"Something that tells which type of package Odd it is. Julia cannot print names that are no UTF-8."
name_of(type) = escape_string(string(nameof(type), ' ', [x isa Symbol ? String(x) : typeof(x) for x in type.parameters]))

function check(file)
    called = Dict{Any,Bool}(Tuple{typeof(call[1]), typeof(call[2])} => false for call in Odd.CALLS)
    functions = Set(type.parameters[1] for type in keys(called))
    for source in eachline(file)
        type, reason = Base.invokelatest(ChainFront.resolve, source)
        if reason != ""
            println("unresolved\t", reason, '\t', source)
            continue
        end
        if haskey(called, type)
            called[type] = true
        elseif isdispatchtuple(type) && type.parameters[1] in functions && !(type.parameters[2] <: Odd.Tag) # which others call
            println("wrong\t", source)
        end
    end
    for (type, found) in called
        found || println("missing\t", type.parameters[1] === typeof(Odd.valued) ? "value" : "function", '\t', name_of(type.parameters[2]))
    end
    println("checked\t", length(called))
end

if isempty(ARGS)
    for i in eachindex(Odd.CALLS)
        Odd.CALLS[i][1](Odd.CALLS[i][2])
    end
else
    @eval module ChainFront
        include(joinpath(@__DIR__, "../reader.jl"))
        include(joinpath(@__DIR__, "../statements.jl"))
    end
    Base.invokelatest(check, ARGS[1]) # which is older than ChainFront (world ages of Julia 1.12)
end
