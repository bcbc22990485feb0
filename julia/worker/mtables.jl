# Method tables: every method that a loaded module can reach.
# The same walk as jl_foreach_reachable_mtable (src/gf.c), but in an order that is the same in every process: a module's names lie
# in a hash table by their addresses, and in which order methods are inferred again decides about what is inlined where.

"All method tables reachable from the loaded modules, as a `Vector{Any}`."
function reachable_tables()
    tables = shared_tables()
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
        names = ccall(:jl_module_names, Array{Symbol,1}, (Any, Cint, Cint), m, 1, 0)
        for name in names
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
            for i in 1:nfields(node)
                isdefined(node, i) && push!(stack, getfield(node, i))
            end
        elseif node isa Vector{Any}
            # A hash table: keys and values take turns.
            for i in length(node) & ~1:-2:2
                isassigned(node, i) && push!(stack, node[i])
            end
        end
    end
    return out
end

"The method instances of `methods`, in their order."
function instances_of(methods::Vector{Any})
    out = Any[]
    for method in methods
        specializations = specializations_of(method::Method)
        for i in 1:length(specializations)
            isassigned(specializations, i) || continue
            specializations[i] isa Core.MethodInstance && push!(out, specializations[i])
        end
    end
    return out
end

"The code instances of `methods`, in their order; of one method instance the newest comes first."
function code_of(methods::Vector{Any})
    out = Any[]
    for instance in instances_of(methods)
        isdefined(instance, :cache) || continue
        code = instance.cache
        while true
            push!(out, code)
            isdefined(code, :next) || break
            code = code.next
        end
    end
    return out
end
