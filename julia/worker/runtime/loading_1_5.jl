# What loading packages needs, as Julia 1.5 has it.

begin_loading(code::Bool) = nothing

caches_have_code() = false

# Roots are those that are registered.
make_root(m::Module) = nothing

# As _require_search_from_serialized (base/loading.jl) looks for a cache. A cache lists all modules that it needs.
function is_cached(id::Base.PkgId)
    caches = fresh_caches(Base.locate_package(id)::String, id)
    for i in 2:2:length(caches)
        needed = caches[i]::Vector{Any}
        found = true
        for module_ in needed
            module_ isa Module && continue
            source, other, build = module_::Tuple{String,Base.PkgId,UInt64}
            found &= has_cache(source, other, build)
        end
        found && return true
    end
    return false
end

"Whether a cache that can be used has build `build` of the package `id`, whose source is at `source`."
function has_cache(source::String, id::Base.PkgId, build::UInt64)
    caches = fresh_caches(source, id)
    for i in 1:2:length(caches)
        for (name, has) in caches[i]::Vector{Pair{Base.PkgId,UInt64}}
            name == id && has == build && return true
        end
    end
    return false
end

# What fresh_caches has found, by package: many packages need the same ones, and to look at a cache is to read all of it.
const FRESH_CACHES = Dict{Base.PkgId,Vector{Any}}()

"""
The caches of the package `id`, whose source is at `source`, that fit it and the loaded modules. Two elements for each: the modules that it
has, with their builds, and those that are needed for it, loaded ones or their source, package and build. What is read of them is
asserted: a call whose types are not known here would be compiled in this process, and get into the image.
"""
function fresh_caches(source::String, id::Base.PkgId)
    haskey(FRESH_CACHES, id) && return FRESH_CACHES[id]
    found = Any[]
    for file in Base.find_all_in_cache_path(id)
        needed = Base.stale_cachefile(source, file::String)
        needed === true || push!(found, first(Base.parse_cache_header(file::String)), needed)
    end
    FRESH_CACHES[id] = found
    return found
end

reset_random(@nospecialize(random)) = random === nothing || empty!(getfield(random, :THREAD_RNGs))

# jl_binding_t (src/julia.h): the value is the second word.
unset_global(m::Module, name::Symbol) = unsafe_store!(ccall(:jl_get_binding, Ptr{Ptr{Cvoid}}, (Any, Any), m, name), C_NULL, 2)
