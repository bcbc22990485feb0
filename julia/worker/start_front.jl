# What a front worker on a worker image runs: see self.jl.
let roots = current_task().storage
    current_task().storage = nothing
    Core.eval(roots[length(roots) - 1], :(main(ARGS[1], $roots)))
end
