# Constants that say in what process the package was evaluated.
module Where

include("process.jl")
const PROCESSES = nprocs(), workers(), myid()

end
