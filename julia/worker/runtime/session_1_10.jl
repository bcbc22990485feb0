# The process, as Julia 1.10 has it.

# As the stock build of a system image does. Base.__init__ would start tasks, which would come to lie in the heap.
function begin_session()
    initialize_modules()
    Base.reinit_stdio()
    Base.init_depot_path()
    Base.init_load_path()
    Base.init_active_project()
    # libLLVM is there for libjulia-codegen alone; now `ccall` finds it too.
    ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), string(Base.libllvm_path()), 0x102) # RTLD_NOW | RTLD_GLOBAL
    return nothing
end

# Other sessions make package images, which this process cannot load.
cache_options() = "--pkgimages=no"
caches_have_code() = true

is_cached(id::Base.PkgId) = Base.isprecompiled(id)

# The projects that were read.
function end_session()
    reset_modules()
    empty!(Base.TOML_CACHE.d)
    Base.TOML.reinit!(Base.TOML_CACHE.p, "")
    return nothing
end

# The generator's state is the task's; the module has the last seed alone.
reset_random(@nospecialize(random)) = random === nothing || ccall(:jl_set_global, Cvoid, (Any, Any, Any), random, :GLOBAL_SEED, 0)

# jl_binding_t (src/julia.h): the value is the first word.
unset_global(m::Module, name::Symbol) = unsafe_store!(ccall(:jl_get_binding, Ptr{Ptr{Cvoid}}, (Any, Any), m, name), C_NULL, 1)
