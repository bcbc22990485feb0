# Modules and the method table, as Julia 1.12 has them: one table for all functions.

names_of(m::Module) = ccall(:jl_module_names, Array{Symbol,1}, (Any, Cint, Cint, Cint), m, 1, 0, 0)

reachable_tables() = Any[Core.methodtable]

# Without our own. In the table they lie by addresses, and in which order methods are inferred again decides about what is inlined where: so
# they are sorted by the world that they came with and, those that came together from a cache, by module, name and signature.
function methods_in!(methods::Vector{Any}, @nospecialize(table))
    found = Any[]
    keys = UInt64[]
    order = Int[]
    for method in typemap_entries!(Any[], Any[], table.defs)
        method = method::Method
        is_ours(method) && continue
        push!(found, method)
        push!(keys, method.primary_world)
        push!(order, length(order) + 1)
    end
    sort_by_hash(order, keys, 1, length(order))
    first = 1
    while first <= length(order)
        last = first
        world = keys[order[first]]
        while last < length(order) && keys[order[last+1]] == world
            last += 1
        end
        if last > first
            for i in first:last
                method = found[order[i]]::Method
                keys[order[i]] = scramble(hash_type(hash_text(hash_module(FNV_START, method.module), string(method.name)), method.sig))
            end
            sort_by_hash(order, keys, first, last)
        end
        first = last + 1
    end
    for i in order
        push!(methods, found[i])
    end
    return methods
end

function methods_of!(methods::Vector{Any}, @nospecialize(f))
    matches = Base._methods_by_ftype(Tuple{typeof(f),Vararg{Any}}, -1, ccall(:jl_get_world_counter, UInt, ()))
    for match in matches
        push!(methods, (match::Core.MethodMatch).method)
    end
    return methods
end

function_name(@nospecialize(type)) = type.name.singletonname

# All methods hang from the one table, and ours with them. Backedges and caches of types are weak or pruned when the heap is written.
function purge_tables()
    table = Core.methodtable
    purge_typemap(table.defs)
    purge_keys(table.cache.leafcache)
    purge_typemap(table.cache.cache)
    purge_keys(table.backedges)
    for m in (Core, Base)
        users = ccall(:jl_get_module_usings_backedges, Any, (Any,), m)
        users isa Vector{Any} || continue
        kept = 0
        for user in users
            is_ours(user) && continue
            kept += 1
            users[kept] = user
        end
        kept == length(users) || ccall(:jl_array_del_end, Cvoid, (Any, UInt), users, length(users) - kept)
    end
    return nothing
end

"Drop from a hash table, a Memory{Any} of keys and values in turns, the keys that are or mention something of ours."
function purge_keys(table::Memory{Any})
    ours = Any[]
    for i in 1:2:length(table)
        isassigned(table, i) && isassigned(table, i + 1) || continue
        key = table[i]
        (key isa Core.TypeName ? is_ours(key.module) : mentions_us(key)) && push!(ours, key)
    end
    for key in ours
        ccall(:jl_eqtable_pop, Any, (Any, Any, Any, Ptr{Cvoid}), table, key, nothing, C_NULL)
    end
    return nothing
end

"Drop from a typemap what is ours: methods on our types lie in hash tables by the names of these."
function purge_typemap(@nospecialize(map))
    tables = Any[]
    typemap_entries!(Any[], tables, map)
    for table in tables
        purge_keys(table::Memory{Any})
    end
    for func in typemap_entries!(Any[], Any[], map)
        is_ours(func isa Core.MethodInstance ? func.def : func) &&
            fail(string("a method of the worker lies where it cannot be removed: ", func))
    end
    return nothing
end
