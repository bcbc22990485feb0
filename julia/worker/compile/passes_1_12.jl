# Julia 1.12's way from bitcode to an object for an image: jl_dump_native (src/aotcompile.cpp), the runtime's own.
#
# It compiles what a handle of emitted code holds, and writes an archive. A handle around a module that is there already comes from
# jl_emit_native, asked to emit nothing into it. It always adds tables, which are empty here and hidden; the builder merges those of the
# base. With one target there are no variants for other processors. The processor is that of the process (julia's -C).

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
    buffer = Ref{Ref_}(C_NULL)
    message = Ref{Cstring}(C_NULL)
    ccall(:LLVMCreateMemoryBufferWithContentsOfFile, Cint, (Cstring, Ptr{Ref_}, Ptr{Cstring}), bitcode, buffer, message) == 0 || error(unsafe_string(message[]))
    parsed = Ref{Ref_}(C_NULL)
    failed = ccall(:LLVMParseBitcodeInContext2, Cint, (Ref_, Ref_, Ptr{Ref_}), context, buffer[], parsed) != 0
    ccall(:LLVMDisposeMemoryBuffer, Cvoid, (Ref_,), buffer[])
    failed && error("cannot parse ", bitcode)
    place_roots(parsed[])
    safe = ccall(:LLVMOrcCreateNewThreadSafeModule, Ref_, (Ref_, Ref_), parsed[], shared)
    native = ccall(:jl_emit_native, Ref_, (Any, Ref_, Ref_, Cint), Any[], safe, C_NULL, 0)
    ccall(:LLVMOrcDisposeThreadSafeModule, Cvoid, (Ref_,), safe) # emptied by jl_emit_native
    archive = string(object, ".a")
    ccall(:jl_dump_native, Cvoid, (Ref_, Cstring, Cstring, Cstring, Cstring, Ref_, Ref_, Ref_), native, C_NULL, C_NULL, archive, C_NULL, C_NULL, C_NULL, C_NULL)
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

# An allocation of one reference is in ArrayAllocas too (src/llvm-late-gc-lowering.cpp).
places_single_roots() = true
