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

"Remove every reference to this module from the method tables and type caches."
function purge()
    methods = Any[]
    for table in reachable_tables()
        purge_table(table)
        methods_in!(methods, table)
    end
    for instance in instances_of(methods)
        isdefined(instance, :backedges) && purge_backedges(instance.backedges)
    end
    purge_type_cache(Tuple.name)
    purge_type_cache(Type.body.name)
    return nothing
end

"A method instance's backedges: callers, from Julia 1.9 on some with the signature of their `invoke` before them."
function purge_backedges(edges::Vector{Any})
    kept = 0
    i = 1
    while i <= length(edges)
        width = edges[i] isa Core.MethodInstance ? 1 : 2
        caller = edges[i + width - 1]
        if !(caller isa Core.MethodInstance && is_ours(caller.def))
            for k in i:i + width - 1
                kept += 1
                kept == k || (edges[kept] = edges[k])
            end
        end
        i += width
    end
    kept == length(edges) || ccall(:jl_array_del_end, Cvoid, (Any, UInt), edges, length(edges) - kept)
    return nothing
end

"""
    purge_type_cache(name)

Drop the cached instances of type `name` that mention this module. The cache is a hash set with linear probing
(lookup_type_set in src/jltypes.c), so a dropped entry is replaced by one that is there anyway, not by a hole.
"""
function purge_type_cache(name::Core.TypeName)
    for cache in (name.cache, name.linearcache)
        stand_in = nothing
        for i in 1:length(cache)
            isassigned(cache, i) || continue
            if !mentions_us(cache[i])
                stand_in = cache[i]
                break
            end
        end
        stand_in === nothing && continue
        for i in 1:length(cache)
            isassigned(cache, i) && mentions_us(cache[i]) || continue
            # No write barrier: the stand-in is as old as its other place in the same vector.
            data = ccall(:jl_value_ptr, Ptr{Any}, (Any,), cache) + sizeof(Int)
            unsafe_store!(Ptr{Any}(data), stand_in, i)
        end
    end
    return nothing
end
