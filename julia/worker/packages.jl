# Loading the packages that the image is about.

# The world that the base was in when it was made, or a later one without anything of the request.
const BASE_WORLD = UInt[0]

"""
Load the packages of the request: those it names, those that the files of statements list, the modules that the statements name. What can
be missing is told.
"""
function load_packages(request::Dict{String,Any})
    BASE_WORLD[1] = ccall(:jl_get_world_counter, UInt, ())
    refused = make_caches(request)
    for name in values_of(request, "package")
        load_package(name::String, true, refused)
    end
    load_interactive(request, refused) # before statements that name them have them loaded like others
    for name in values_of(request, "recorded")
        load_package(name::String, false, refused) && continue
        warn(string("package ", name, ", which the statements list, is not in the project and is left out"))
    end
    for name in values_of(request, "module")
        load_package(name::String, false, refused)
    end
    value_of(request, "project") == "yes" && tell_left_out()
    return nothing
end

"""
Load what is for interactive sessions. Its caches have native code for thousands of methods, of which a session uses few: the image gets the
code of those that statements name, and that a session at the prompt has compiled (julia/sessions).
"""
function load_interactive(request::Dict{String,Any}, refused::Vector{Any})
    names = values_of(request, "interactive")
    isempty(names) && return nothing
    before = IdDict{Any,Any}()
    for instance in instances_of(all_methods())
        before[instance] = true
    end
    for name in names
        load_package(name::String, true, refused)
    end
    for instance in instances_of(all_methods())
        haskey(before, instance) || (OF_INTERACTIVE[instance] = true)
    end
    return nothing
end

"The method instances that came with what is for interactive sessions, as keys."
const OF_INTERACTIVE = IdDict{Any,Any}()

"Load the package `name`, if it is not in `refused`. Returns whether there is one. One that is required and that cannot be loaded is an error."
function load_package(name::String, required::Bool, refused::Vector{Any})
    loaded_root(Symbol(name)) === nothing || return true
    id = Base.identify_package(name)
    if id === nothing
        required && fail(string("package ", name, " is not in the project: add it there, or name the project with --project"))
        return false
    end
    if name in refused
        # Evaluating it would throw halfway, and what it had defined until then would stay.
        reason = ": it, or a package that it uses, calls __precompile__(false), and Julia loads such a package into no image"
        required && fail(string("package ", name, " cannot be in an image", reason))
        warn(string("package ", name, " is left out", reason))
        return true
    end
    event(string("{\"event\":\"loading\",\"package\":", json(name), "}"))
    try
        Base.require(id)
    catch e
        fail_for(string("package ", name, " cannot be loaded"), e)
    end
    return true
end

"Say which packages of the project stay outside of the image: a trace has no word of a package whose code came from its cache."
function tell_left_out()
    names = ""
    for name in project_packages(Base.active_project())
        loaded_root(Symbol(name::String)) === nothing && (names = string(names, isempty(names) ? "" : ", ", name::String))
    end
    isempty(names) || warn(string("these packages of the project are not in the image, since no statement names them: ", names,
                                  "; --package adds one"))
    return nothing
end

"The names in section `[deps]` of a project file, which Pkg writes a line each."
function project_packages(file)
    names = Any[]
    file isa String && isfile(file) || return names
    section = ""
    for line in split(read(file, String), '\n')
        parts = split(line, '=')
        words = split(parts[1])
        length(words) == 1 || continue
        if length(parts) == 1
            section = words[1]
        elseif section == "[deps]"
            push!(names, replace(String(words[1]), "\"" => ""))
        end
    end
    return names
end
