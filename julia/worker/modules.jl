# What the `__init__` functions of the base's modules do, which Julia does not call in a process that generates an image. A package that
# allows no cache is evaluated in this process, and has to find it as an ordinary one.

# The globals that Sys.__init__ sets, and what they were: `nothing` where they had no value. An image has those of the base's build.
const SYS_GLOBALS = (:CPU_THREADS, :SC_CLK_TCK, :CPU_NAME, :JIT, :BINDIR, :STDLIB)
const SYS_VALUES = Any[]

"Initialise what packages may ask for while they are loaded: the machine, random numbers, big floats, processes. It leaves no task."
function initialize_modules()
    for name in SYS_GLOBALS
        push!(SYS_VALUES, isdefined(Sys, name) ? getfield(Sys, name) : nothing)
    end
    Sys.__init__()
    Base.MPFR.__init__()
    random = loaded_root(:Random)
    random === nothing || getfield(random, :__init__)()
    distributed = loaded_root(:Distributed)
    if distributed !== nothing
        local_process = getfield(distributed, :LPROC)
        local_process.id = 1
        getfield(distributed, :register_worker)(local_process)
    end
    return nothing
end

"Take back what initialize_modules has left in the heap."
function reset_modules()
    for i in 1:length(SYS_GLOBALS)
        if SYS_VALUES[i] === nothing
            unset_global(Sys, SYS_GLOBALS[i])
        else
            ccall(:jl_set_global, Cvoid, (Any, Any, Any), Sys, SYS_GLOBALS[i], SYS_VALUES[i])
        end
    end
    empty!(SYS_VALUES)
    reset_random(loaded_root(:Random))
    distributed = loaded_root(:Distributed)
    if distributed !== nothing
        empty!(getfield(distributed, :PGRP).workers)
        empty!(getfield(distributed, :map_pid_wrkr))
    end
    return nothing
end
