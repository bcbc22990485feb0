# The base image as it lies in this process: which code instances have native code, which objects its code refers to.
#
# The builder reads these from the image's file and hands them over as `base.index` (little endian):
#   8 bytes "CBIX0001", u32 ncode, u32 nvalues, u32 nmodules,
#   ncode × (u32 offset of the CodeInstance, i32 function index of its invoke wrapper or -1, i32 of its body or -1),
#   nvalues × u32 offset, nmodules × u32 offset; offsets count from jl_system_image_data.

"""
    read_base_index(request)

The base index as `Any[words, ncode, nvalues, nmodules, data, rows]`: `words` are the file's 32-bit words, `data` is the address
of the base's heap, `rows` maps a code instance to its 1-based row.
"""
function read_base_index(request::Dict{String,Any})
    bytes = read(value_of(request, "index"))
    words = reinterpret(UInt32, bytes)
    raw = Vector{UInt32}(undef, length(words))
    copyto!(raw, words)
    ncode, nvalues, nmodules = Int(raw[3]), Int(raw[4]), Int(raw[5])
    data = heap_address(value_of(request, "base"))
    rows = IdDict{Any,Any}()
    for row in 1:ncode
        rows[object_at(data, raw[5 + 3 * (row - 1) + 1])] = row
    end
    return Any[raw, ncode, nvalues, nmodules, data, rows]
end

"The address of the heap of the image at `path`, which is loaded in this process."
function heap_address(path::String)
    handle = ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), path, 6) # RTLD_NOLOAD | RTLD_NOW
    handle == C_NULL && fail(string("the base ", path, " is not loaded in the worker"))
    return ccall(:dlsym, Ptr{UInt8}, (Ptr{Cvoid}, Cstring), handle, "jl_system_image_data")
end

object_at(data::Ptr{UInt8}, offset::UInt32) = ccall(:jl_value_ptr, Any, (Ptr{Cvoid},), data + offset)

has_base_code(index::Vector{Any}, @nospecialize(code)) = haskey(index[6]::IdDict{Any,Any}, code)

"The objects that the image's tables must find again in the new heap: code instances, values, modules, in the index's order."
function base_objects(index::Vector{Any})
    raw = index[1]::Vector{UInt32}
    ncode, nvalues, nmodules = index[2]::Int, index[3]::Int, index[4]::Int
    data = index[5]::Ptr{UInt8}
    at = 5
    code = Vector{Any}(undef, ncode)
    for i in 1:ncode
        code[i] = object_at(data, raw[at + 3 * (i - 1) + 1])
    end
    at += 3 * ncode
    values = Vector{Any}(undef, nvalues)
    for i in 1:nvalues
        values[i] = object_at(data, raw[at + i])
    end
    at += nvalues
    modules = Vector{Any}(undef, nmodules)
    for i in 1:nmodules
        modules[i] = object_at(data, raw[at + i])
    end
    return Core.svec(code, values, modules)
end
