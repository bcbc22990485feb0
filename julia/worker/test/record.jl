# What the tests trace: `julia --startup-file=no --trace-compile=FILE record.jl`. Some of it works on the session's own
# functions and types on purpose, which no other session has.

push!(LOAD_PATH, joinpath(@__DIR__, "packages"))

using Dates, DelimitedFiles, LinearAlgebra, Printf, Random, SparseArrays, Statistics, Sample, UUIDs

Sample.exercise()

const out = IOBuffer()

println(out, Dates.format(DateTime(2020, 2, 29), "yyyy-mm-dd HH:MM:SS"), Date(2020, 2, 29) - Day(1))
println(out, [2.0 1; 1 3] \ [1.0, 2], eigen([2.0 1; 1 3]).values, svd(ones(2, 2)).S, [1, 2]' * [3, 4])
println(out, mean([1, 2, 3]), std(1:4), sprand(3, 3, 0.5), uuid4())
@printf(out, "%5.2f %s\n", 3.2, "text")
writedlm(out, [1 2; 3 4], ',')
println(out, readdlm(IOBuffer("1 2\n3 4")), parse.(Int, split("1,2", ",")), shuffle(MersenneTwister(1), 1:5))
println(out, sort([3, 1]; by=abs, rev=true), sum(x -> 2x, 1:3), [x^2 for x in 1.0:3.0], map(x -> "$x", (1, :a)))
show(out, MIME("text/plain"), Dict("a" => [1], "b" => [2]))
try
    sqrt(-1)
catch e
    showerror(out, e)
end
