# What Julia 1.10 has otherwise than others on the way from bitcode to an object (dump_native.jl).

Base.include(@__MODULE__, joinpath(@__DIR__, "dump_native.jl"))

prepare_compiler() = find_llvm()

function emit_object(bitcode::String, object::String, level::Int, cpu::String, features::String)
    return dump_object(bitcode, object, level, "", "", prepare_context, set_target, handle_around, dump_native)
end

function emit_variant(bitcode::String, object::String, level::Int, cpu::String, features::String)
    return dump_object(bitcode, object, level, cpu, features, prepare_context, set_target, handle_around, dump_native)
end

"Have the context be one for Julia's passes, which look at what pointers point to."
prepare_context(context::Ref_) = ccall(:LLVMContextSetOpaquePointers, Cvoid, (Ref_, Cint), context, 0)

"""
A handle with the module `safe`: from jl_create_native, asked to emit nothing into it. Policy Extern leaves the linkage of what it defines as it is.
The process generates no image, so no tables and no variants for other processors are added: the builder merges the tables, and what is new has
one variant.
"""
handle_around(safe::Ref_) = ccall(:jl_create_native, Ref_, (Any, Ref_, Ref_, Cint, Cint, Cint, UInt),
                                  Any[], safe, C_NULL, 1, 1, 0, ccall(:jl_get_world_counter, UInt, ()))

dump_native(native::Ref_, archive::String) = ccall(:jl_dump_native, Cvoid, (Ref_, Cstring, Cstring, Cstring, Cstring, Ref_, Ref_),
                                                   native, C_NULL, C_NULL, archive, C_NULL, C_NULL, C_NULL)

"Have the functions of a module compiled for a processor: LLVM goes by the attributes of functions, where they have any."
function set_target(mod::Ref_, cpu::String, features::String)
    f = ccall(:LLVMGetFirstFunction, Ref_, (Ref_,), mod)
    while f != C_NULL
        if ccall(:LLVMIsDeclaration, Cint, (Ref_,), f) == 0
            ccall(:LLVMAddTargetDependentFunctionAttr, Cvoid, (Ref_, Cstring, Cstring), f, "target-cpu", cpu)
            ccall(:LLVMAddTargetDependentFunctionAttr, Cvoid, (Ref_, Cstring, Cstring), f, "target-features", features)
        end
        f = ccall(:LLVMGetNextFunction, Ref_, (Ref_,), f)
    end
end

# One reference has no place in ArrayAllocas.
places_single_roots() = false
