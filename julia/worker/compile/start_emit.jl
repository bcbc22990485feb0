# What a compile worker on a worker image runs: see self.jl.
let roots = current_task().storage
    current_task().storage = nothing
    Core.eval(roots[length(roots)], :(serve()))
end
