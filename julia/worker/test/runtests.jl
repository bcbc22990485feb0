# The tests of the worker's Julia code that need no image: `julia --startup-file=no runtests.jl`. Fails with exit code 1.

using Test

push!(LOAD_PATH, joinpath(@__DIR__, "packages"))

module ChainFront
include("../reader.jl")
include("../statements.jl")
end

@testset "worker" begin
    include("reader.jl")
    include("statements.jl")
    include("partitions.jl")
    include("files.jl")
    include("index.jl")
    include("roots.jl")
end
