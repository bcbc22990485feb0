# Package images whose native code the image takes over (sysimage/packages.go).
#
# This process has loaded them with their code. The builder reads their files and says where their blobs have code instances and where their cells are.
# From then on their code counts as code of the base: its functions follow the base's.

"""
    take_package_images(request, index)

Add the code of the package images that were loaded to the index. Its sixth element says what has to be planted: `Any[functions, codes, contents, links]`,
pairs of indices of wrappers and bodies, code instances, contents of cells, and links as `index.txt` has them.
"""
function take_package_images(request::Dict{String,Any}, index::Vector{Any})
    value_of(request, "images") == "use" || return nothing
    paths = loaded_package_images()
    isempty(paths) && return nothing
    list = ""
    for path in paths
        list = string(list, isempty(list) ? "" : ",", json(path::String))
    end
    event(string("{\"event\":\"images\",\"paths\":[", list, "]}"))
    answer() || return nothing
    words = read_words(joinpath(value_of(request, "scratch"), "images.index"))
    held = index[6]::Vector{Any}
    functions, codes, contents = held[1]::Vector{Int32}, held[2]::Vector{Any}, held[3]::Vector{Any}
    cells = Any[]
    at = 3
    for _ in 1:Int(words[at])
        data = heap_symbol(paths[Int(words[at + 1]) + 1]::String, "jl_system_image_data")
        blob = data + words[at + 2]
        ncodes, ncells, external = Int(words[at + 3]), Int(words[at + 4]), Int(words[at + 5])
        at += 5
        for _ in 1:ncodes
            push!(codes, object_at(blob, words[at + 1]))
            push!(functions, reinterpret(Int32, words[at + 2]), reinterpret(Int32, words[at + 3]))
            at += 3
        end
        for i in 1:ncells
            cell = Ptr{Ptr{Cvoid}}(data + Int(reinterpret(Int32, words[at + i])))
            value = unsafe_load(cell)
            if i > external
                push!(cells, Any[length(contents), UInt(value)])
                push!(contents, nothing)
            else
                push!(contents, value == C_NULL ? nothing : ccall(:jl_value_ptr, Any, (Ptr{Cvoid},), value))
            end
        end
        at += ncells
    end
    rows = index[3]::IdDict{Any,Any}
    for i in 1:length(codes)
        rows[codes[i]] = length(base_codes(index)) + i
    end
    link_cells(held[4]::Vector{Any}, cells, rows, index)
    return nothing
end

"Say in `links` which functions the cells have the addresses of."
function link_cells(links::Vector{Any}, cells::Vector{Any}, rows::IdDict{Any,Any}, index::Vector{Any})
    isempty(cells) && return nothing
    functions = IdDict{Any,Any}()
    for (code, row) in rows
        body = base_function(index, row::Int, BODY)
        body >= 0 && (functions[UInt(unsafe_load(Ptr{Ptr{Cvoid}}(pointer_from_objref(code) + INVOKE_OFFSET + 8)))] = body)
    end
    for cell in cells
        number, address = (cell::Vector{Any})[1]::Int, (cell::Vector{Any})[2]
        haskey(functions, address) || fail("a package image calls a function of another image that no code instance has")
        push!(links, string("link\t", number, "\t", functions[address]::Int, "\n"))
    end
    return nothing
end

"""
Append to `out`, the text of `index.txt`, which code instances of package images are planted before `new` ones, and put them and the contents of cells
before what is planted.
"""
function plant_package_images(out::IOBuffer, index::Vector{Any}, new::Vector{Any}, contents::Vector{Any})
    held = index[6]::Vector{Any}
    codes = held[2]::Vector{Any}
    planted = Any[]
    for i in 1:length(codes)
        # What is not valid any more is of no use to anybody.
        (codes[i]::Core.CodeInstance).max_world == typemax(UInt) || continue
        push!(planted, codes[i])
        write(out, "held\t", string(i - 1), "\n")
    end
    for link in held[4]::Vector{Any}
        write(out, link::String)
    end
    append!(planted, new)
    return planted, append!(copy(held[3]::Vector{Any}), contents)
end
