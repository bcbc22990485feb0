# Resolve recorded statements: `julia --startup-file=no trace.jl FILE`, where FILE has lines `LINE<TAB>SOURCE`.
#
# Prints a line `unresolved<TAB>REASON<TAB>SOURCE` for each statement that cannot be resolved, `different<TAB>SOURCE` for each
# that denotes another type than Julia makes of its source, if Julia can evaluate it at all and to the same value (a value
# in bits, as in `Float16(0x3e00)`, is a number to Julia), and at last `resolved<TAB>N<TAB>TOTAL<TAB>MILLISECONDS`, the
# time including the resolver's own compilation but not the types'.

push!(LOAD_PATH, joinpath(@__DIR__, "packages"))

module Evaluated
using Sample
end

function evaluated(source)
    occursin("(0x", source) && return nothing
    try
        return Core.eval(Evaluated, Meta.parse(source))
    catch
        return nothing
    end
end

function main(path)
    sources = [String(split(line, '\t'; limit=2)[2]) for line in eachline(path)]
    expected = map(evaluated, sources)
    start = time_ns()
    Core.eval(Main, :(module ChainFront
        include(joinpath(@__DIR__, "../reader.jl"))
        include(joinpath(@__DIR__, "../statements.jl"))
    end))
    resolved = Base.invokelatest(map, ChainFront.resolve, sources)
    milliseconds = (time_ns() - start) ÷ 1000000
    n = 0
    for i in 1:length(sources)
        type, reason = resolved[i]
        if reason != ""
            println("unresolved\t", reason, "\t", sources[i])
            continue
        end
        n += 1
        expected[i] === nothing || type == expected[i] || println("different\t", sources[i])
    end
    println("resolved\t", n, "\t", length(sources), "\t", milliseconds)
end

# What the traces use, so that it is loaded here as it was there.
using Dates, DelimitedFiles, LinearAlgebra, Printf, Random, SparseArrays, Statistics, Test, UUIDs

main(ARGS[1])
