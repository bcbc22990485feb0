# What Julia 1.12 has otherwise than others on the way from bitcode to an object (dump_native.jl).

Base.include(@__MODULE__, joinpath(@__DIR__, "dump_native.jl"))

prepare_compiler() = find_llvm()

function emit_object(bitcode::String, object::String, level::Int, cpu::String, features::String)
    return dump_object(bitcode, object, level, prepare_context, handle_around, dump_native)
end

prepare_context(context::Ref_) = nothing

"""
A handle with the module `safe`: from jl_emit_native, asked to emit nothing into it. Tables are always added, which are empty here and hidden; the
builder merges those of the base. With one target there are no variants for other processors.
"""
handle_around(safe::Ref_) = ccall(:jl_emit_native, Ref_, (Any, Ref_, Ref_, Cint), Any[], safe, C_NULL, 0)

dump_native(native::Ref_, archive::String) = ccall(:jl_dump_native, Cvoid, (Ref_, Cstring, Cstring, Cstring, Cstring, Ref_, Ref_, Ref_),
                                                   native, C_NULL, C_NULL, archive, C_NULL, C_NULL, C_NULL, C_NULL)

# An allocation of one reference is in ArrayAllocas too (src/llvm-late-gc-lowering.cpp).
places_single_roots() = true
