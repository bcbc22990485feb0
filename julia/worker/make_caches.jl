# Makes the caches of packages, for caches.jl: an ordinary Julia runs `make_caches.jl REFUSED NAME...`.
#
# The names of packages that allow no cache (`__precompile__(false)`), or use one that does, are the lines of the file REFUSED.
let refused = open(ARGS[1], "w")
    for name in ARGS[2:end]
        id = Base.identify_package(name)
        try
            Base.require(id)
        catch
            continue # the same happens when it is loaded for the image, and is told then
        end
        isempty(Base.find_all_in_cache_path(id)) || continue
        result = Base.compilecache(id)
        result isa Exception && Base.precompilableerror(result) && println(refused, name)
    end
    close(refused)
end
