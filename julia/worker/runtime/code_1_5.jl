# What is inferred of a method instance, as Julia 1.5 has it.

infer_in_current_world() = ccall(:jl_set_typeinf_func, Cvoid, (Any,), Core.Compiler.typeinf_ext)

end_inference() = nothing

current_code(instance::Core.MethodInstance, world::UInt) = ccall(:jl_rettype_inferred, Any, (Any, UInt, UInt), instance, world, world)

cache_dispatch(@nospecialize(type)) = ccall(:jl_compile_hint, Int32, (Any,), type)

# As jl_type_infer (src/gf.c) does.
function infer(@nospecialize(instance), world::UInt)
    call = Any[Core.Compiler.typeinf_ext, instance, world]
    return ccall(:jl_call_in_typeinf_world, Any, (Ptr{Any}, Cint), call, 3)
end

# Sources that are kept are compressed (jl_compress_ir in src/dump.c).
function have_same_source(a::Core.CodeInstance, b::Core.CodeInstance)
    isdefined(a, :inferred) && isdefined(b, :inferred) || return false
    first, second = a.inferred, b.inferred
    return first isa Vector{UInt8} && second isa Vector{UInt8} && first == second
end

# Method instances are what code names.
replace_code(replaced::IdDict{Any,Any}, methods::Vector{Any}) = nothing

# As precompile_enq_specialization_ (src/precompile.c) decides.
function is_kept(code::Core.CodeInstance)
    is_constant(code) && return false
    if isdefined(code, :inferred)
        source = code.inferred
        if source isa Vector{UInt8} &&
           ccall(:jl_ir_flag_inferred, UInt8, (Any,), source) != 0 && ccall(:jl_ir_flag_inlineable, UInt8, (Any,), source) == 0
            return true
        end
    end
    return was_used(code)
end

# Inference keeps the source of all that it has compiled, so what is called is emitted with its callers.
add_called!(instances::Vector{Any}, seen::IdDict{Any,Any}, index::Vector{Any}, world::UInt) = nothing

code_to_emit(instances::Vector{Any}, index::Vector{Any}) = instances
