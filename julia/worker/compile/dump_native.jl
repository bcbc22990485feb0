# The way from bitcode to an object for an image from Julia 1.10 on: jl_dump_native (src/aotcompile.cpp), the runtime's own.
#
# It compiles what a handle of emitted code holds, and writes an archive. passes_1_10.jl and passes_1_12.jl have what differs: how a handle is made
# around a module that is there already. The processor is that of the process (julia's -C), unless the module says another one.

const OPT_LEVEL_OFFSET = fieldoffset(Base.JLOptions, findfirst(isequal(:opt_level), fieldnames(Base.JLOptions)))

"Have `ccall` find libLLVM, which is there for libjulia-codegen alone."
function find_llvm()
    ccall(:dlopen, Ref_, (Cstring, Cint), string(Base.libllvm_path()), 0x102) # RTLD_NOW | RTLD_GLOBAL
    return
end

"""
    dump_object(bitcode, object, level, cpu, features, prepare, target, handle, dump)

Compile the module in file `bitcode` to the relocatable file `object`, for the process's processor if `cpu` is empty, else for that one.
`prepare(context)` makes a context ready, `target(module, cpu, features)` says in the module for which processor it is, `handle(module)` makes a handle with the module, `dump(handle, archive)` has the runtime write the archive. Returns the nanoseconds spent in passes, 0 since
`jl_dump_native` does not tell them from the rest, and in code generation.
"""
function dump_object(bitcode::String, object::String, level::Int, cpu::String, features::String, prepare, target, handle, dump)
    start = time_ns()
    unsafe_store!(Ptr{Int8}(cglobal(:jl_options)) + OPT_LEVEL_OFFSET, level % Int8)
    shared = ccall(:LLVMOrcCreateNewThreadSafeContext, Ref_, ())
    context = ccall(:LLVMOrcThreadSafeContextGetContext, Ref_, (Ref_,), shared)
    prepare(context)
    mod = read_bitcode(bitcode, context)
    place_roots(mod)
    isempty(cpu) || target(mod, cpu, features)
    safe = ccall(:LLVMOrcCreateNewThreadSafeModule, Ref_, (Ref_, Ref_), mod, shared)
    native = handle(safe)
    ccall(:LLVMOrcDisposeThreadSafeModule, Cvoid, (Ref_,), safe) # the handle has what was in it
    archive = string(object, ".a")
    dump(native, archive)
    ccall(:LLVMOrcDisposeThreadSafeContext, Cvoid, (Ref_,), shared)
    write(object, archive_member(read(archive), "text#0.o/"))
    rm(archive)
    return 0, time_ns() - start
end

"""
The member `name` of an archive. Each lies at an even offset behind a header of 60 bytes: the name in 16, ended by a slash and filled with spaces, …,
its size as 10 decimal digits at offset 48.
"""
function archive_member(archive::Vector{UInt8}, name::String)
    at = 8 # after "!<arch>\n"
    while at + 60 <= length(archive)
        size = parse(Int, rstrip(String(archive[at + 49:at + 58])))
        if String(archive[at + 1:at + sizeof(name)]) == name
            return archive[at + 61:at + 60 + size]
        end
        at += 60 + size + size % 2
    end
    error("the archive of compiled code holds no ", name)
end
