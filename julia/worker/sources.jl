# The files that an image is made from besides its statements, for a builder that wants to know when to build again.
#
# Each is an event {"event":"source","path":…}: a file, which need not be there, or a folder of which all files count.
# Julia keeps no list of what a package has included. It is the folder of the package's main file, and wherever its methods come from.

source_event(path::String) = event(string("{\"event\":\"source\",\"path\":", json(path), "}"))

"""
    report_environment(request)

Report the projects in which packages are looked up, and the folders of the packages of the request, before any is loaded: one that
cannot be loaded is to be mended. Returns the modules that are loaded already, which came with the base.
"""
function report_environment(request::Dict{String,Any})
    for entry in Base.load_path()
        project = entry::String
        isdir(project) && continue
        folder = dirname(project)
        for name in ("JuliaProject.toml", "Project.toml", "JuliaManifest.toml", "Manifest.toml")
            source_event(joinpath(folder, name))
        end
        manifest = isfile(project) ? Base.project_file_manifest_path(project) : nothing
        manifest === nothing || source_event(manifest::String)
    end
    base = IdDict{Any,Any}()
    for key in keys(Base.loaded_modules)
        base[Base.loaded_modules[key]] = true
    end
    for kind in ("package", "module")
        for name in values_of(request, kind)
            id = Base.identify_package(name::String)
            id === nothing || haskey(Base.loaded_modules, id) || report_package(id)
        end
    end
    return base
end

function report_package(id::Base.PkgId)
    path = Base.locate_package(id)
    path === nothing && return nothing
    folder = dirname(path::String)
    source_event(folder)
    source_event(joinpath(dirname(folder), "Project.toml"))
    return nothing
end

"Report the packages that are loaded and were not in `base`, and the files of their methods, which are among `methods`."
function report_packages(base::IdDict{Any,Any}, methods::Vector{Any})
    for key in keys(Base.loaded_modules)
        haskey(base, Base.loaded_modules[key]) || report_package(key)
    end
    seen = IdDict{Any,Any}()
    for method in methods
        method = method::Method
        haskey(seen, method.file) && continue
        seen[method.file] = true
        root = Base.moduleroot(method.module)
        haskey(base, root) && continue
        path = string(method.file)
        isabspath(path) && source_event(path)
    end
    return nothing
end
