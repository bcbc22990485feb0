# Tests of ../reader.jl.

"What `f` makes of `source`, or that it throws."
function outcome(f, source)
    try
        x = f(source)
        return x isa Expr && x.head in (:incomplete, :error) ? "an error" : x
    catch
        return "an error"
    end
end

"The sources of the statements in a trace."
function sources(path)
    lines = [line for line in eachline(path) if startswith(line, "precompile(") && endswith(line, ')')]
    return unique!([String(chop(line; head = 11, tail = 1)) for line in lines])
end

@testset "reader" begin
    root = joinpath(@__DIR__, "..", "..", "..")
    traces = [joinpath(root, "examples", "stdlib", "trace.jl"), joinpath(root, "examples", "Orbits", "trace.jl"),
              joinpath(root, "statements", "testdata", "trace-1.5.txt"), joinpath(root, "statements", "testdata", "tests-1.5.txt")]
    read, others = 0, 0
    for source in vcat(map(sources, traces)...)
        @test isequal(outcome(ChainFront.parsed, source), outcome(Meta.parse, source))
        ChainFront.UNKNOWN[1] ? (others += 1) : (read += 1)
    end
    @test read > 10 * others
    @test others > 0

    # Any beginning and any small change of a statement is the same to both.
    examples = ["Tuple{typeof(Base.push!), Array{T, 1} where T<:Real, Base.Val{-12}, Base.Val{(:a, true)}}", "Tuple{Base.var\"#1#2\", typeof(A.b)}",
                "Tuple{typeof(Base.:(<=)), A{Symbol(\"a b\")}}"]
    for example in examples, at in 1:length(example), change in ("", " ", "(", ")", "{", "}", ",", ".", ":", "\"", "<", "1", "x", "-", "!", "=", "\$", "where ", "π")
        for source in (example[1:at] * change, example[1:at-1] * change * example[at+1:end])
            result = outcome(ChainFront.parsed, source)
            isequal(result, outcome(Meta.parse, source)) || @test (source, result) == (source, outcome(Meta.parse, source))
        end
    end
end
