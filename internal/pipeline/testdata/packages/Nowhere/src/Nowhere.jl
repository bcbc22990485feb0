# As Where, but making a cache of it fails. Julia evaluates it in each process.
module Nowhere

Base.JLOptions().incremental == 0 || error("there is to be no cache of this package")

include("../../Where/src/process.jl")
# Later, Distributed is a package like others, which is not initialised when it is loaded for an image.
VERSION < v"1.9" && @eval const PROCESSES = nprocs(), workers(), myid()

end
