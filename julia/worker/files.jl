# Names of files in debug information, the same wherever packages lie.
#
# Julia has the whole path of each file in debug information, as a DIFile in the folder "." (src/codegen.cpp). In the bitcode of partitions, a
# file has its stable name instead:
#   @package/NAME-UUID/…    in the folder of a package, NAME alone if that has no UUID
#   @chainbuild/…           of the workers' own code
# What lies elsewhere, and what has no absolute path, as Julia's own files, keeps its name. `files.txt` has a line `stable name<TAB>path` for each
# folder of a package that has methods; the link puts the paths back.

"""
    name_files(request, mod, methods)

Give files in the debug information of `mod` their stable names, and write `files.txt`. They are those of `methods`, which are all: a line of code
comes from a file that defines a method.
"""
function name_files(request::Dict{String,Any}, mod::Value, methods::Vector{Any})
    context = ccall(:LLVMGetModuleContext, Value, (Value,), mod)
    builder = ccall(:LLVMCreateDIBuilder, Value, (Value,), mod)
    folders = known_folders(request)
    seen = IdDict{Any,Any}()
    met = Dict{String,Any}()
    out = IOBuffer()
    for method in methods
        file = (method::Method).file
        haskey(seen, file) && continue
        seen[file] = true
        path = string(file)
        found = known_folder(folders, path)
        found == 0 && continue
        folder = folders[found]::String
        stable = folders[found + 1]::String
        if !haskey(met, stable)
            met[stable] = true
            # The worker image need not know where its sources were.
            stable == OWN_FILES || write(out, stable, "\t", folder, "\n")
        end
        name_file(context, builder, path, string(stable, SubString(path, ncodeunits(folder) + 1)))
    end
    ccall(:LLVMDisposeDIBuilder, Cvoid, (Value,), builder)
    write_file(joinpath(value_of(request, "scratch"), "files.txt"), take!(out))
    return nothing
end

"Have the node for the file `path` say `name`. There is one in a context, which is made if there is none. Operand 0 is the name."
function name_file(context::Value, builder::Value, path::String, name::String)
    file = ccall(:LLVMDIBuilderCreateFile, Value, (Value, Cstring, Csize_t, Cstring, Csize_t), builder, path, sizeof(path), ".", 1)
    text = ccall(:LLVMMDStringInContext2, Value, (Value, Cstring, Csize_t), context, name, sizeof(name))
    ccall(:_ZN4llvm6MDNode18replaceOperandWithEjPNS_8MetadataE, Cvoid, (Value, Cuint, Value), file, 0, text)
    return nothing
end

const OWN_FILES = "@chainbuild"

"""
    known_folders(request)

The folders whose files have stable names: for each its path, what stands for it, and the name of the one file that this is about, or \"\" for
all of them.
"""
function known_folders(request::Dict{String,Any})
    folders = Any[joinpath(value_of(request, "scratch"), "worker"), OWN_FILES, ""]
    for id in keys(Base.loaded_modules)
        path = try
            Base.locate_package(id)
        catch
            nothing
        end
        path isa String && add_package!(folders, id.name, id.uuid === nothing ? "" : string(id.uuid), path)
    end
    return folders
end

"Add the folder of the package whose main file is at `path`. `uuid` may be empty."
function add_package!(folders::Vector{Any}, name::String, uuid::String, path::String)
    stable = string("@package/", name, isempty(uuid) ? "" : "-", uuid)
    folder = dirname(path)
    file = basename(path)
    if basename(folder) == "src"
        folder = dirname(folder)
        file = ""
    end
    push!(folders, folder, stable, file)
    # Caches that come with Julia have the paths of where that was built, which Julia itself takes for those of here (fixup_stdlib_path).
    here = normpath(Sys.STDLIB::String)
    build = normpath(Sys.BUILD_STDLIB_PATH::String)
    if build != here && startswith(folder, string(here, "/"))
        push!(folders, string(build, SubString(folder, ncodeunits(here) + 1)), stable, file)
    end
    return nothing
end

"Where in `folders` the innermost folder is that `path` is in, or 0."
function known_folder(folders::Vector{Any}, path::String)
    found = 0
    longest = 0
    for i in 1:3:length(folders)
        folder = folders[i]::String
        n = ncodeunits(folder)
        (n > longest && ncodeunits(path) > n && codeunit(path, n + 1) == UInt8('/') && startswith(path, folder)) || continue
        file = folders[i + 2]::String
        (isempty(file) || string(folder, "/", file) == path) || continue
        longest = n
        found = i
    end
    return found
end
