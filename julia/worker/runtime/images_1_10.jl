# Package images that were loaded, as Julia has them since 1.9.

function loaded_package_images()
    out = Any[]
    for (id, loaded) in Base.loaded_modules
        origin = get(Base.pkgorigins, id, nothing)
        origin === nothing && continue
        cache = origin.cachepath
        cache isa String || continue
        path = Base.ocachefile_from_cachefile(cache)
        handle = ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), path, 6) # RTLD_NOLOAD | RTLD_NOW
        handle == C_NULL && continue
        lies_in(heap_range(path), loaded) && push!(out, path)
    end
    return out
end
