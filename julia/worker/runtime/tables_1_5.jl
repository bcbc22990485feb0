# Modules and method tables, as Julia has them from 1.5 on: each type name has a table, but for a few that share one.

names_of(m::Module) = ccall(:jl_module_names, Array{Symbol,1}, (Any, Cint, Cint), m, 1, 0)

# The same walk as jl_foreach_reachable_mtable (src/gf.c), but in an order that is the same in every process: a module's names lie in a hash
# table by their addresses, and in which order methods are inferred again decides about what is inlined where.
function reachable_tables()
    # No module need lead to these by the name of a type: jl_type_type_mt and jl_nonfunction_mt.
    tables = Any[getfield(typeof(Type), :name).mt, Symbol.name.mt]
    hashes = zeros(UInt64, length(tables))
    visited = IdDict{Any,Any}()
    for table in tables
        visited[table] = true
    end
    stack = Any[]
    loaded = Base.loaded_modules_array()
    for i in length(loaded):-1:1
        push!(stack, loaded[i])
    end
    while !isempty(stack)
        m = pop!(stack)::Module
        haskey(visited, m) && continue
        visited[m] = true
        for name in names_of(m)
            (isdefined(m, name) && isconst(m, name)) || continue
            value = Base.unwrap_unionall(getfield(m, name))
            if value isa DataType
                tn = value.name
                if tn.module === m && tn.name === name && isdefined(tn, :mt) && tn.mt isa Core.MethodTable && !haskey(visited, tn.mt)
                    visited[tn.mt] = true
                    push!(tables, tn.mt)
                    push!(hashes, hash_text(hash_module(FNV_START, m), string(name)))
                end
            elseif value isa Module
                if value !== m && parentmodule(value) === m && nameof(value) === name
                    push!(stack, value)
                end
            end
        end
    end
    order = Vector{Int}(undef, length(tables))
    for i in 1:length(tables)
        order[i] = i
    end
    sort_by_hash(order, hashes, 1, length(tables))
    sorted = Vector{Any}(undef, length(tables))
    for i in 1:length(tables)
        sorted[i] = tables[order[i]]
    end
    return sorted
end

methods_in!(methods::Vector{Any}, @nospecialize(table)) = typemap_entries!(methods, Any[], table.defs)
methods_of!(methods::Vector{Any}, @nospecialize(f)) = methods_in!(methods, typeof(f).name.mt)
function_name(@nospecialize(type)) = type.name.mt.name

# A method table's backedges are pairs of a signature that found no method and the caller.
function purge_table(@nospecialize(table))
    isdefined(table, :backedges) || return nothing
    edges = table.backedges::Vector{Any}
    kept = 0
    for i in 2:2:length(edges)
        caller = edges[i]
        caller isa Core.MethodInstance && is_ours(caller.def) && continue
        kept += 2
        if kept != i
            edges[kept - 1] = edges[i - 1]
            edges[kept] = caller
        end
    end
    kept == length(edges) || ccall(:jl_array_del_end, Cvoid, (Any, UInt), edges, length(edges) - kept)
    return nothing
end

function purge_tables()
    for table in reachable_tables()
        purge_table(table)
    end
    for instance in instances_of(all_methods())
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
