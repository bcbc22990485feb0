# Names of files in debug information, the same wherever packages lie.
#
# Julia has the whole path of each file in debug information (DIFile in src/codegen.cpp). In the bitcode of partitions, a file has its stable
# name instead:
#   @package/NAME-UUID/…    in the folder of a package, NAME alone if that has no UUID
#   @chainbuild/…           of the workers' own code
# What lies elsewhere, and what has no absolute path, as Julia's own files, keeps its name. `files.txt` has a line `stable name<TAB>path` for each
# folder of a package that was met; the link puts the paths back.

const SUBPROGRAM, LEXICAL_BLOCK, LEXICAL_BLOCK_FILE = 17, 18, 19 # LLVMMetadataKind (llvm-c/DebugInfo.h)

"Give the files in the debug information of the functions that `mod` defines their stable names, and write `files.txt`."
function name_files(request::Dict{String,Any}, mod::Value)
    # context, nodes that were seen, folders and their names, those that were met and their paths
    naming = Any[ccall(:LLVMGetModuleContext, Value, (Value,), mod), address_map(), known_folders(request), IOBuffer(), Dict{String,Any}()]
    f = ccall(:LLVMGetFirstFunction, Value, (Value,), mod)
    while f != C_NULL
        subprogram = ccall(:LLVMGetSubprogram, Value, (Value,), f)
        if subprogram != C_NULL
            name_scope(naming, subprogram)
            name_locations(naming, f)
        end
        f = ccall(:LLVMGetNextFunction, Value, (Value,), f)
    end
    write_file(joinpath(value_of(request, "scratch"), "files.txt"), take!(naming[4]::IOBuffer))
    return nothing
end

"The same for where the instructions of `f` come from."
function name_locations(naming::Vector{Any}, f::Value)
    seen = naming[2]::Vector{Any}
    last = C_NULL
    block = ccall(:LLVMGetFirstBasicBlock, Value, (Value,), f)
    while block != C_NULL
        instruction = ccall(:LLVMGetFirstInstruction, Value, (Value,), block)
        while instruction != C_NULL
            location = ccall(:LLVMInstructionGetDebugLoc, Value, (Value,), instruction)
            if location != last
                last = location
                while location != C_NULL && insert_address!(seen, location, location)
                    name_scope(naming, ccall(:LLVMDILocationGetScope, Value, (Value,), location))
                    location = ccall(:LLVMDILocationGetInlinedAt, Value, (Value,), location)
                end
            end
            instruction = ccall(:LLVMGetNextInstruction, Value, (Value,), instruction)
        end
        block = ccall(:LLVMGetNextBasicBlock, Value, (Value,), block)
    end
    return nothing
end

"The same for a scope and what it is in: a function has its unit as operand 5, a block what it is in as operand 1 (llvm/IR/DebugInfoMetadata.h)."
function name_scope(naming::Vector{Any}, scope::Value)
    while scope != C_NULL && insert_address!(naming[2]::Vector{Any}, scope, scope)
        name_file(naming, ccall(:LLVMDIScopeGetFile, Value, (Value,), scope))
        kind = ccall(:LLVMGetMetadataKind, Cuint, (Value,), scope)
        scope = kind == SUBPROGRAM ? node_operand(naming[1]::Value, scope, 5) :
            kind == LEXICAL_BLOCK || kind == LEXICAL_BLOCK_FILE ? node_operand(naming[1]::Value, scope, 1) : C_NULL
    end
    return nothing
end

"Give `file`, a DIFile or C_NULL, its stable name: operand 0."
function name_file(naming::Vector{Any}, file::Value)
    (file != C_NULL && insert_address!(naming[2]::Vector{Any}, file, file)) || return nothing
    n = Ref{Cuint}(0)
    text = ccall(:LLVMDIFileGetFilename, Ptr{UInt8}, (Value, Ptr{Cuint}), file, n)
    path = unsafe_string(text, n[])
    folders = naming[3]::Vector{Any}
    found = known_folder(folders, path)
    found == 0 && return nothing
    folder = folders[found]::String
    stable = folders[found + 1]::String
    met = naming[5]::Dict{String,Any}
    if !haskey(met, stable)
        met[stable] = true
        # The worker image need not know where its sources were.
        stable == OWN_FILES || write(naming[4]::IOBuffer, stable, "\t", folder, "\n")
    end
    name = string(stable, SubString(path, ncodeunits(folder) + 1))
    replacement = ccall(:LLVMMDStringInContext2, Value, (Value, Cstring, Csize_t), naming[1]::Value, name, sizeof(name))
    ccall(:_ZN4llvm6MDNode18replaceOperandWithEjPNS_8MetadataE, Cvoid, (Value, Cuint, Value), file, 0, replacement)
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
