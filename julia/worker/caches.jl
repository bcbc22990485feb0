# Caches of packages, made before packages are loaded.
#
# A process that generates an image makes none. What has no cache it evaluates itself, and then it is not the package that was traced: names
# that lowering makes up count on. So an ordinary Julia on the base makes the missing caches first. What comes of a package is then the same
# whether it had a cache or not. A process started by this process's own means would leave traces in the heap.

# The builder may have started such a Julia beside this process. The descriptor ends with that Julia.
const CACHING_FD = Cint(6)

"Make the caches that are missing of the request's packages. Returns the names of those that allow none, as a `Vector{Any}`."
function make_caches(request::Dict{String,Any})
    list = joinpath(value_of(request, "scratch"), "refused.txt")
    refused = Any[]
    if value_of(request, "caching") == "yes"
        read_byte(CACHING_FD) # comes back at the end
        read_refused!(refused, list)
    end
    command = ""
    for word in values_of(request, "caches")
        command = string(command, shell_word(word::String), " ")
    end
    command = string(command, "missing ")
    missing_some = false
    for kind in ("package", "interactive", "recorded", "module")
        for name in values_of(request, kind)
            id = Base.identify_package(name::String)
            (id === nothing || name in refused || haskey(Base.loaded_modules, id) || Base.locate_package(id) === nothing || is_cached(id)) && continue
            command = string(command, shell_word(name::String), " ")
            missing_some = true
        end
    end
    if missing_some
        ccall(:system, Cint, (Cstring,), command) # what fails there, fails here again and is told then
        read_refused!(refused, list)
    end
    return refused
end

"Add the names in the file `list`, if there is one."
read_refused!(refused::Vector{Any}, list::String) = isfile(list) && append!(refused, split(read(list, String)))

"`text` as one word of the shell."
shell_word(text::String) = string("'", replace(text, "'" => "'\\''"), "'")
