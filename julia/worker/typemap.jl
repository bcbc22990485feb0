# Type maps, in which method tables keep their methods (src/typemap.c).

"""
    typemap_entries!(funcs, tables, map)

Append to `funcs` what the entries of the typemap `map` hold, methods or method instances, and to `tables` the hash tables that the entries hang from.
Returns `funcs`.
"""
function typemap_entries!(funcs::Vector{Any}, tables::Vector{Any}, @nospecialize(map))
    stack = Any[map]
    while !isempty(stack)
        node = pop!(stack)
        if node isa Core.TypeMapEntry
            while node isa Core.TypeMapEntry
                push!(funcs, node.func)
                node = node.next
            end
        elseif node isa Core.TypeMapLevel
            for i in 1:nfields(node)
                isdefined(node, i) && push!(stack, getfield(node, i))
            end
        elseif node isa HASH_TABLE
            push!(tables, node)
            # Keys and values take turns.
            for i in length(node) & ~1:-2:2
                isassigned(node, i) && push!(stack, node[i])
            end
        end
    end
    return funcs
end

# A hash table is a Memory since Julia 1.11.
const HASH_TABLE = isdefined(Core, :Memory) ? getfield(Core, :Memory){Any} : Vector{Any}
