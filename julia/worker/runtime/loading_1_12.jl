# What loading packages needs, as Julia 1.12 has it.

const NATIVE_CODE_OFFSET = fieldoffset(Base.JLOptions, findfirst(isequal(:use_sysimage_native_code), fieldnames(Base.JLOptions)))

# Package images are loaded with their code, or without it (jl_restore_system_image_from_stream_ in src/staticdata.c).
function begin_loading(code::Bool)
    code || unsafe_store!(Ptr{Int8}(cglobal(:jl_options)) + NATIVE_CODE_OFFSET, Int8(0))
    return nothing
end

caches_have_code() = true

# A root is its own parent (is_root_module in base/runtime_internals.jl).
make_root(m::Module) = ccall(:jl_set_module_parent, Cvoid, (Any, Any), m, m)

is_cached(id::Base.PkgId) = Base.isprecompiled(id)

# The generator's state is the task's.
reset_random(@nospecialize(random)) = nothing

# Bindings have partitions, which cannot be without a value again. Sys.__init__ sets these at each start.
unset_global(m::Module, name::Symbol) = nothing
