# What is stored in code instances, as Julia has it from 1.10 on.

is_constant(@nospecialize(code)) = invoke_pointer(code) == unsafe_load(cglobal(:jl_fptr_const_return_addr, Ptr{Cvoid}))

const PRECOMPILE_OFFSET = fieldoffset(Core.CodeInstance, findfirst(isequal(:precompile), fieldnames(Core.CodeInstance)))

# What was asked for is marked.
was_used(code::Core.CodeInstance) =
    invoke_pointer(code) != C_NULL || unsafe_load(Ptr{UInt8}(pointer_from_objref(code) + PRECOMPILE_OFFSET)) != 0x00

set_first_code(instance::Core.MethodInstance, @nospecialize(code)) = setfield!(instance, :cache, code, :release)
set_next_code(before::Core.CodeInstance, @nospecialize(code)) = setfield!(before, :next, code, :release)

# Called isspecsig in Julia 1.10; the byte before `precompile` in all versions.
const SPECSIG_OFFSET = PRECOMPILE_OFFSET - 1

# Bit 2 of specsigflags marks code that lies in an image. New code would call it there (emit_invoke in src/codegen.cpp), and the new image is
# not built on the worker image.
function disown_workers_code(index::Vector{Any}, methods::Vector{Any})
    is_on_worker_image(index) || return nothing
    for code in code_of(methods)
        is_settled(index, code) || continue
        flags = Ptr{UInt8}(pointer_from_objref(code) + SPECSIG_OFFSET)
        unsafe_store!(flags, unsafe_load(flags) & ~0x04)
    end
    return nothing
end
