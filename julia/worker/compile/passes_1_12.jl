# What Julia 1.12 has otherwise than others on the way from bitcode to an object (dump_native.jl).

Base.include(@__MODULE__, joinpath(@__DIR__, "dump_native.jl"))

prepare_compiler() = find_llvm()

function emit_object(bitcode::String, object::String, level::Int, cpu::String, features::String)
    return dump_object(bitcode, object, level, "", "", prepare_context, set_target, handle_around, dump_native)
end

function emit_variant(bitcode::String, object::String, level::Int, cpu::String, features::String)
    return dump_object(bitcode, object, level, cpu, features, prepare_context, set_target, handle_around, dump_native)
end

prepare_context(context::Ref_) = nothing

"""
A handle with the module `safe`: from jl_emit_native, asked to emit nothing into it. Tables are always added, which are empty here and hidden; the
builder merges those of the base. With one target there are no variants for other processors.
"""
handle_around(safe::Ref_) = ccall(:jl_emit_native, Ref_, (Any, Ref_, Ref_, Cint), Any[], safe, C_NULL, 0)

dump_native(native::Ref_, archive::String) = ccall(:jl_dump_native, Cvoid, (Ref_, Cstring, Cstring, Cstring, Cstring, Ref_, Ref_, Ref_),
                                                   native, C_NULL, C_NULL, archive, C_NULL, C_NULL, C_NULL, C_NULL)

"""
Have the functions of a module compiled for a processor. The pass that makes variants for several targets (src/llvm-multiversioning.cpp) takes the list
from the module if it has one: names, features, and numbers of which those of a single target are 0.
"""
function set_target(mod::Ref_, cpu::String, features::String)
    context = ccall(:LLVMGetModuleContext, Ref_, (Ref_,), mod)
    zero32 = ccall(:LLVMConstInt, Ref_, (Ref_, Culonglong, Cint), ccall(:LLVMInt32TypeInContext, Ref_, (Ref_,), context), 0, 0)
    number = ccall(:LLVMValueAsMetadata, Ref_, (Ref_,), zero32)
    target = metadata_list(context, Ref_[metadata_text(context, cpu), metadata_text(context, features), number, number])
    name = "julia.mv.specs"
    ccall(:LLVMAddModuleFlag, Cvoid, (Ref_, Cint, Cstring, Csize_t, Ref_), mod, 0, name, sizeof(name), metadata_list(context, Ref_[target]))
    return
end

metadata_text(context::Ref_, s::String) = ccall(:LLVMMDStringInContext2, Ref_, (Ref_, Cstring, Csize_t), context, s, sizeof(s))
metadata_list(context::Ref_, list::Vector{Ref_}) = ccall(:LLVMMDNodeInContext2, Ref_, (Ref_, Ptr{Ref_}, Csize_t), context, list, length(list))

# An allocation of one reference is in ArrayAllocas too (src/llvm-late-gc-lowering.cpp).
places_single_roots() = true
