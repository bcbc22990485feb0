# The process, as Julia 1.12 has it.

# As the stock build of a system image does. Base.__init__ would start a task, which cannot be in the heap.
function begin_session()
    initialize_modules()
    Base.reinit_stdio()
    Base.init_depot_path()
    Base.init_load_path()
    Base.init_active_project()
    # Package images are loaded without their code, to which the new image could not refer (jl_restore_system_image_from_stream_ in
    # src/staticdata.c).
    unsafe_store!(Ptr{Int8}(cglobal(:jl_options)) + NATIVE_CODE_OFFSET, Int8(0))
    # libLLVM is there for libjulia-codegen alone; now `ccall` finds it too.
    ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), string(Base.libllvm_path()), 0x102) # RTLD_NOW | RTLD_GLOBAL
    return nothing
end

const NATIVE_CODE_OFFSET = fieldoffset(Base.JLOptions, findfirst(isequal(:use_sysimage_native_code), fieldnames(Base.JLOptions)))

cache_options() = ""
caches_have_code() = true

is_cached(id::Base.PkgId) = Base.isprecompiled(id)

# The projects that were read.
function end_session()
    reset_modules()
    empty!(Base.TOML_CACHE.d)
    Base.TOML.reinit!(Base.TOML_CACHE.p, "")
    return nothing
end

# The generator's state is the task's.
reset_random(@nospecialize(random)) = nothing

# Bindings have partitions, which cannot be without a value again. Sys.__init__ sets these at each start.
unset_global(m::Module, name::Symbol) = nothing
