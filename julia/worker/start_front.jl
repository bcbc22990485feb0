# What a front worker on a worker image runs: see self.jl.
let roots = current_task().storage
    current_task().storage = nothing
    Base.__init__()
    Core.eval(roots[4], :(main(ARGS[1], $roots)))
end
