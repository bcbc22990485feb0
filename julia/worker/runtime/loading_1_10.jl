# What loading packages needs, as Julia 1.10 has it.

begin_loading(code::Bool) = nothing

caches_have_code() = true

# Roots are those that are registered.
make_root(m::Module) = nothing

is_cached(id::Base.PkgId) = Base.isprecompiled(id)

# The generator's state is the task's; the module has the last seed alone.
reset_random(@nospecialize(random)) = random === nothing || ccall(:jl_set_global, Cvoid, (Any, Any, Any), random, :GLOBAL_SEED, 0)

# jl_binding_t (src/julia.h): the value is the first word.
unset_global(m::Module, name::Symbol) = unsafe_store!(ccall(:jl_get_binding, Ptr{Ptr{Cvoid}}, (Any, Any), m, name), C_NULL, 1)
