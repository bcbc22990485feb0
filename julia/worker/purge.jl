# Removing the worker from the heap.
#
# Nothing of the base refers to this module but what the runtime noted down when it compiled the worker's functions:
# backedges of methods that they call, cached tuple types that name their types, and specialisations on those types.

"The modules to remove: this one and, in a process on a worker image, the compile worker's."
const OURS = Any[@__MODULE__]

function is_ours(@nospecialize(def))
    m = def isa Method ? def.module : def
    for own in OURS
        m === own && return true
    end
    return false
end

"Whether type `t` mentions one of our types."
function mentions_us(@nospecialize(t))
    stack = Any[t]
    while !isempty(stack)
        x = pop!(stack)
        if x isa DataType
            is_ours(x.name.module) && return true
            for p in x.parameters
                push!(stack, p)
            end
        elseif x isa UnionAll
            push!(stack, x.body)
            push!(stack, x.var.ub)
        elseif x isa Union
            push!(stack, x.a)
            push!(stack, x.b)
        elseif x isa Core.MethodInstance || x isa Method
            is_ours(x) && return true
        end
    end
    return false
end
