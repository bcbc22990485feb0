# Code of the base that was invalidated for nothing.
#
# A method that a package brings along ends the validity of all that was compiled on the assumption that there is no such method (invalidate_backedges in
# src/gf.c). That is decided by types alone, and most of what it hits comes out of inference as before. Where the source is the same to the byte,
# what the base has for it is what would be compiled, but for one thing: a call of another method instance is a jump to the code that this had when
# the base was made. So the base's code is valid again where the source is the same and all such calls still lead to valid code.
# Inference has noted down by then what may invalidate it next.

"""
    revive!(invalidated, request, index, methods, world)

Make the base's code instances of `invalidated` valid again where that is right; the other instances remain in `invalidated`.
"""
function revive!(invalidated::Vector{Any}, request::Dict{String,Any}, index::Vector{Any}, methods::Vector{Any}, world::UInt)
    range = heap_range(value_of(request, "image"))
    codes = IdDict{Any,Any}()
    called = IdDict{Any,Any}()
    for instance in invalidated
        instance = instance::Core.MethodInstance
        collect_garbage()
        old = code_of_image(instance, range)
        new = current_code(instance, world)
        (old isa Core.CodeInstance && has_base_code(index, old) && new isa Core.CodeInstance && is_same_result(old, new)) || continue
        calls = invoked_by(old)
        calls === nothing && continue
        codes[instance] = old
        called[instance] = calls
    end
    again = true
    while again
        again = false
        for instance in invalidated
            haskey(codes, instance) || continue
            for other in called[instance]::Vector{Any}
                leads_to_valid_code(other, codes, range, index, world) && continue
                delete!(codes, instance)
                again = true
                break
            end
        end
    end
    replaced = IdDict{Any,Any}()
    kept = 0
    for instance in invalidated
        if haskey(codes, instance)
            revive_code(replaced, instance::Core.MethodInstance, codes[instance]::Core.CodeInstance, world)
        else
            kept += 1
            invalidated[kept] = instance
        end
    end
    resize!(invalidated, kept)
    isempty(replaced) || replace_code(replaced, methods)
    return nothing
end

"The code instance of `instance` that was valid in the image whose heap lies in `range`, or `nothing`."
function code_of_image(instance::Core.MethodInstance, range::Vector{Any})
    isdefined(instance, :cache) || return nothing
    code = instance.cache
    while true
        lies_in(range, code) && code.min_world <= BASE_WORLD[1] <= code.max_world && return code
        isdefined(code, :next) || return nothing
        code = code.next
    end
end

function is_same_result(old::Core.CodeInstance, new::Core.CodeInstance)
    old !== new && old.rettype === new.rettype && isdefined(old, :rettype_const) == isdefined(new, :rettype_const) || return false
    isdefined(old, :rettype_const) && old.rettype_const !== new.rettype_const && return false
    return have_same_source(old, new)
end

"The method instances that the source of `code` calls by name, or `nothing` if more than these are compiled into it."
function invoked_by(code::Core.CodeInstance)
    out = Any[]
    visited = IdDict{Any,Any}()
    for statement in uncompressed(code).code
        statement isa Expr && statement.head === :new_opaque_closure && return nothing
        push_invoked!(out, visited, statement)
    end
    return out
end

function push_invoked!(out::Vector{Any}, visited::IdDict{Any,Any}, @nospecialize(statement))
    call = named_call(statement)
    call === nothing && return nothing
    called = call.args[1]
    called isa Core.CodeInstance && (called = instance_of(called)) # since Julia 1.12
    if called isa Core.MethodInstance && called.def isa Method && !haskey(visited, called)
        visited[called] = true
        push!(out, called)
    end
    return nothing
end

"Whether code of the image that calls `instance` gets to code, or to a constant, that is valid, given those of `codes`."
function leads_to_valid_code(@nospecialize(instance), codes::IdDict{Any,Any}, range::Vector{Any}, index::Vector{Any}, world::UInt)
    code = code_of_image(instance::Core.MethodInstance, range)
    (code === nothing || code.max_world == typemax(UInt)) && return true
    has_base_code(index, code) && return get(codes, instance, nothing) === code
    # Without code and not constant, it is called through the runtime, which finds what is valid then.
    is_constant(code) || return true
    new = current_code(instance, world)
    return new isa Core.CodeInstance && is_constant(new) && isdefined(new, :rettype_const) && new.rettype_const === code.rettype_const
end

"Make `old` valid for good, and take out of the list of `instance` what comes before it and is valid in `world`: `old` takes its place."
function revive_code(replaced::IdDict{Any,Any}, instance::Core.MethodInstance, old::Core.CodeInstance, world::UInt)
    unsafe_store!(Ptr{UInt}(pointer_from_objref(old) + MAX_WORLD_OFFSET), typemax(UInt))
    before = nothing
    code = instance.cache
    while code !== old
        if code.min_world <= world <= code.max_world
            replaced[code] = old
            before === nothing ? set_first_code(instance, code.next) : set_next_code(before, code.next)
        else
            before = code
        end
        code = code.next
    end
    return nothing
end

const MAX_WORLD_OFFSET = fieldoffset(Core.CodeInstance, findfirst(isequal(:max_world), fieldnames(Core.CodeInstance)))
