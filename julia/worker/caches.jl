# Caches of packages, made before packages are loaded.
#
# A process that generates an image makes none. What has no cache it evaluates itself, and then it is not the package that was traced: names
# that lowering makes up count on. So an ordinary Julia on the base makes the missing caches first. What comes of a package is then the same
# whether it had a cache or not. A process started by this process's own means would leave traces in the heap.

"Make the caches that are missing of the request's packages. Returns the names of those that allow none, as a `Vector{Any}`."
function make_caches(request::Dict{String,Any})
    refused = Any[]
    names = ""
    for kind in ("package", "interactive", "recorded", "module")
        for name in values_of(request, kind)
            id = Base.identify_package(name::String)
            (id === nothing || haskey(Base.loaded_modules, id) || Base.locate_package(id) === nothing || is_cached(id)) && continue
            names = string(names, " ", shell_word(name::String))
        end
    end
    isempty(names) && return refused
    project = Base.active_project()
    list = joinpath(value_of(request, "scratch"), "refused.txt")
    command = string(shell_word(joinpath(Sys.BINDIR, Base.julia_exename())), " --startup-file=no ", cache_options(value_of(request, "images") == "use"),
                     " -J ", shell_word(value_of(request, "base")), project === nothing ? "" : string(" --project=", shell_word(project)), " ",
                     shell_word(joinpath(value_of(request, "scratch"), "worker", "make_caches.jl")), " ", shell_word(list), names)
    ccall(:system, Cint, (Cstring,), command) # what fails there, fails here again and is told then
    isfile(list) && append!(refused, split(read(list, String)))
    return refused
end

"`text` as one word of the shell."
shell_word(text::String) = string("'", replace(text, "'" => "'\\''"), "'")
