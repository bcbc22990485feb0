# The process, as Julia 1.5 has it.

function begin_session()
    initialize_modules()
    Base.__init__()
    return nothing
end

cache_options() = ""
caches_have_code() = false

# As _require_search_from_serialized (base/loading.jl) looks for a cache. A cache lists all modules that it needs.
function is_cached(id::Base.PkgId)
    source = Base.locate_package(id)::String
    for file in Base.find_all_in_cache_path(id)
        needed = Base.stale_cachefile(source, file::String)
        needed === true && continue
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
    for file in Base.find_all_in_cache_path(id)
        Base.stale_cachefile(source, file::String) === true && continue
        for (name, has) in first(Base.parse_cache_header(file::String))
            name == id && has == build && return true
        end
    end
    return false
end

end_session() = reset_modules()

reset_random(@nospecialize(random)) = random === nothing || empty!(getfield(random, :THREAD_RNGs))

# jl_binding_t (src/julia.h): the value is the second word.
unset_global(m::Module, name::Symbol) = unsafe_store!(ccall(:jl_get_binding, Ptr{Ptr{Cvoid}}, (Any, Any), m, name), C_NULL, 2)
