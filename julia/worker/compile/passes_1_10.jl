# Julia 1.10's way from bitcode to an object for an image: jl_dump_native (src/aotcompile.cpp), the runtime's own.
#
# It compiles what a handle of emitted code holds, and writes an archive. A handle around a module that is there already comes from
# jl_create_native, asked to emit nothing into it. The process generates no image, so no tables and no variants for other processors are
# added: the builder merges the tables, and what is new has one variant. The processor is that of the process (julia's -C).

Base.include(@__MODULE__, joinpath(@__DIR__, "archive.jl"))

const OPT_LEVEL_OFFSET = fieldoffset(Base.JLOptions, findfirst(isequal(:opt_level), fieldnames(Base.JLOptions)))

"Have `ccall` find libLLVM, which is there for libjulia-codegen alone."
function prepare_compiler()
    ccall(:dlopen, Ref_, (Cstring, Cint), string(Base.libllvm_path()), 0x102) # RTLD_NOW | RTLD_GLOBAL
    return
end

"""
    emit_object(bitcode, object, level, cpu, features)

Compile the module in file `bitcode` to the relocatable file `object`. Returns the nanoseconds spent in passes, 0 since
`jl_dump_native` does not tell them from the rest, and in code generation.
"""
function emit_object(bitcode::String, object::String, level::Int, cpu::String, features::String)
    start = time_ns()
    unsafe_store!(Ptr{Int8}(cglobal(:jl_options)) + OPT_LEVEL_OFFSET, level % Int8)
    shared = ccall(:LLVMOrcCreateNewThreadSafeContext, Ref_, ())
    context = ccall(:LLVMOrcThreadSafeContextGetContext, Ref_, (Ref_,), shared)
    ccall(:LLVMContextSetOpaquePointers, Cvoid, (Ref_, Cint), context, 0) # Julia's passes look at what pointers point to
    mod = read_bitcode(bitcode, context)
    place_roots(mod)
    safe = ccall(:LLVMOrcCreateNewThreadSafeModule, Ref_, (Ref_, Ref_), mod, shared)
    # Policy Extern leaves the linkage of what the module defines as it is.
    native = ccall(:jl_create_native, Ref_, (Any, Ref_, Ref_, Cint, Cint, Cint, UInt),
                   Any[], safe, C_NULL, 1, 1, 0, ccall(:jl_get_world_counter, UInt, ()))
    ccall(:LLVMOrcDisposeThreadSafeModule, Cvoid, (Ref_,), safe) # emptied by jl_create_native
    archive = string(object, ".a")
    ccall(:jl_dump_native, Cvoid, (Ref_, Cstring, Cstring, Cstring, Cstring, Ref_, Ref_), native, C_NULL, C_NULL, archive, C_NULL, C_NULL, C_NULL)
    ccall(:LLVMOrcDisposeThreadSafeContext, Cvoid, (Ref_,), shared)
    write(object, archive_member(read(archive), "text#0.o/"))
    rm(archive)
    return 0, time_ns() - start
end

# One reference has no place in ArrayAllocas.
places_single_roots() = false
