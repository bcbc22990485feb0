# What is inferred of a method instance, as Julia 1.10 has it.

# The world that the base's own inference runs in.
const INFERENCE_WORLD = UInt[0]

function infer_in_current_world()
    world = cglobal(:jl_typeinf_world, UInt)
    INFERENCE_WORLD[1] = unsafe_load(world)
    unsafe_store!(world, ccall(:jl_get_world_counter, UInt, ()))
    return nothing
end

function end_inference()
    unsafe_store!(cglobal(:jl_typeinf_world, UInt), INFERENCE_WORLD[1])
    return nothing
end

current_code(instance::Core.MethodInstance, world::UInt) = ccall(:jl_rettype_inferred, Any, (Any, UInt, UInt), instance, world, world)

cache_dispatch(@nospecialize(type)) = ccall(:jl_compile_hint, Int32, (Any,), type)

infer(@nospecialize(instance), world::UInt) = ccall(:jl_type_infer, Any, (Any, UInt, Cint), instance, world, 0)

# Sources that are kept are compressed (jl_compress_ir in src/ircode.c). The last byte is not of the source: it says whether all that
# the source refers to had been compiled by the same process.
function have_same_source(a::Core.CodeInstance, b::Core.CodeInstance)
    isdefined(a, :inferred) && isdefined(b, :inferred) || return false
    first, second = a.inferred, b.inferred
    return first isa String && second isa String && sizeof(first) == sizeof(second) &&
        ccall(:memcmp, Cint, (Ptr{UInt8}, Ptr{UInt8}, Csize_t), first, second, sizeof(first) - 1) == 0
end

# Method instances are what code names.
replace_code(replaced::IdDict{Any,Any}, methods::Vector{Any}) = nothing

# As precompile_enq_specialization_ (src/precompile_utils.c) decides.
function is_kept(code::Core.CodeInstance)
    is_constant(code) && return false
    if isdefined(code, :inferred)
        source = code.inferred
        if source !== nothing && ccall(:jl_ir_flag_inferred, UInt8, (Any,), source) != 0 &&
           ccall(:jl_ir_inlining_cost, UInt16, (Any,), source) == typemax(UInt16)
            return true
        end
    end
    return was_used(code)
end

# Packages' caches keep the source only of what can be inlined, and what has none is not emitted with its callers.
function add_called!(instances::Vector{Any}, seen::IdDict{Any,Any}, index::Vector{Any}, world::UInt)
    work = Any[]
    for instance in instances
        instance isa Core.MethodInstance && push!(work, instance)
    end
    visited = IdDict{Any,Any}()
    for instance in work
        visited[instance] = true
    end
    while !isempty(work)
        collect_garbage()
        instance = pop!(work)::Core.MethodInstance
        code = current_code(instance, world)
        (code isa Core.CodeInstance && !has_base_code(index, code)) || continue
        is_constant(code) && continue
        source = isdefined(code, :inferred) ? code.inferred : nothing
        if source === nothing
            if !haskey(seen, instance)
                seen[instance] = true
                push!(instances, instance)
            end
            source = infer(instance, world)
        elseif source isa String
            source = uncompressed(code)
        end
        source isa Core.CodeInfo || continue
        for statement in source.code
            push_invoked!(work, visited, statement)
        end
    end
    return nothing
end

code_to_emit(instances::Vector{Any}, index::Vector{Any}) = instances
