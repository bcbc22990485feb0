# What loading packages needs, as Julia 1.5 has it.

begin_loading() = nothing

cache_options() = ""
caches_have_code() = false

# As _require_search_from_serialized (base/loading.jl) looks for a cache. A cache lists all modules that it needs.
function is_cached(id::Base.PkgId)
    for (modules, needed) in fresh_caches(Base.locate_package(id)::String, id)
        found = true
        for i in 1:length(needed)
            found &= needed[i] isa Module || has_cache(needed[i]...)
        end
        found && return true
    end
    return false
end

"Whether a cache that can be used has build `build` of the package `id`, whose source is at `source`."
function has_cache(source::String, id::Base.PkgId, build::UInt64)
    for (modules, needed) in fresh_caches(source, id)
        for (name, has) in modules
            name == id && has == build && return true
        end
    end
    return false
end

# What fresh_caches has found, by package: many packages need the same ones, and to look at a cache is to read all of it.
const FRESH_CACHES = Dict{Any,Any}()

"""
The caches of the package `id`, whose source is at `source`, that fit it and the loaded modules: for each the modules that it has, with
their builds, and what base/loading.jl has to load for it before.
"""
function fresh_caches(source::String, id::Base.PkgId)
    known = get(FRESH_CACHES, id, nothing)
    known === nothing || return known::Vector{Any}
    found = Any[]
    for file in Base.find_all_in_cache_path(id)
        needed = Base.stale_cachefile(source, file::String)
        needed === true || push!(found, (first(Base.parse_cache_header(file::String)), needed))
    end
    FRESH_CACHES[id] = found
    return found
end

reset_random(@nospecialize(random)) = random === nothing || empty!(getfield(random, :THREAD_RNGs))

# jl_binding_t (src/julia.h): the value is the second word.
unset_global(m::Module, name::Symbol) = unsafe_store!(ccall(:jl_get_binding, Ptr{Ptr{Cvoid}}, (Any, Any), m, name), C_NULL, 2)
