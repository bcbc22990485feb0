# Method tables: every method that a loaded module can reach.
# The same walk as jl_foreach_reachable_mtable (src/gf.c), but in an order that is the same in every process: a module's names lie
# in a hash table by their addresses, and in which order methods are inferred again decides about what is inlined where.

"All method tables reachable from the loaded modules, as a `Vector{Any}`."
function reachable_tables()
    tables = Any[getfield(typeof(Type), :name).mt]
    hashes = UInt64[0]
    visited = IdDict{Any,Any}()
    stack = Any[]
    loaded = Base.loaded_modules_array()
    for i in length(loaded):-1:1
        push!(stack, loaded[i])
    end
    while !isempty(stack)
        m = pop!(stack)::Module
        haskey(visited, m) && continue
        visited[m] = true
        names = ccall(:jl_module_names, Array{Symbol,1}, (Any, Cint, Cint), m, 1, 0)
        for name in names
            (isdefined(m, name) && isconst(m, name)) || continue
            value = Base.unwrap_unionall(getfield(m, name))
            if value isa DataType
                tn = value.name
                if tn.module === m && tn.name === name && isdefined(tn, :mt) && tn.mt !== tables[1]
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

"Append the methods (or cached method instances) of typemap `map` to `out`."
function typemap_entries!(out::Vector{Any}, @nospecialize(map))
    stack = Any[map]
    while !isempty(stack)
        node = pop!(stack)
        if node isa Core.TypeMapEntry
            while node isa Core.TypeMapEntry
                push!(out, node.func)
                node = node.next
            end
        elseif node isa Core.TypeMapLevel
            node.any === nothing || push!(stack, node.any)
            node.list === nothing || push!(stack, node.list)
            push_level!(stack, node.arg1)
            push_level!(stack, node.targ)
        end
    end
    return out
end

function push_level!(stack::Vector{Any}, @nospecialize(level))
    level === nothing && return
    entries = level::Vector{Any}
    for i in length(entries) & ~1:-2:2
        isassigned(entries, i) && push!(stack, entries[i])
    end
    return
end
