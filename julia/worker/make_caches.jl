# Makes the caches of packages, for caches.jl: an ordinary Julia runs `make_caches.jl REFUSED WHY NAME...`.
#
# The names of packages that allow no cache (`__precompile__(false)`), or use one that does, are the lines of the file REFUSED. WHY is `missing`, or
# `edited` for few packages, whose dependencies have caches.
let refused = open(ARGS[1], "w")
    if ARGS[2] == "edited" && isdefined(Base, :disable_parallel_precompile)
        # From Julia 1.12 on, it takes longer to plan for several packages at a time than to make one cache.
        Core.eval(Base, :(disable_parallel_precompile = true))
        # The process that makes a cache collects garbage twice before it writes (jl_write_compiler_output in src/precompile.c), and each time goes through
        # the whole image. It ends then, so it need not. A hook of its exit turns that off: in a process that ends well, GC.enable(0 != 0). Package images
        # are linked by what lies beside Sys.BINDIR (base/linking.jl), which stays as it is for them.
        if Base.JLOptions().use_pkgimages != 1
            folder = dirname(ARGS[1])
            load = joinpath(folder, "without_collections.jl")
            write(load, "atexit(GC.enable ∘ !=(Cint(0)))\n")
            program = joinpath(folder, Base.julia_exename())
            write(program, string("#!/bin/sh\nexec ", Base.shell_escape_posixly(joinpath(Sys.BINDIR, Base.julia_exename()), "-L", load), " \"\$@\"\n"))
            chmod(program, 0o700)
            Core.eval(Sys, :(BINDIR = $folder))
        end
    end
    for name in ARGS[3:end]
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
