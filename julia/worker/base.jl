# The base image as it lies in this process: which code instances have native code, which objects its code refers to.
#
# The builder reads these from the image's file and hands them over as `base.index` (little endian):
#   8 bytes "CBIX0001", u32 ncode, u32 nvalues, u32 nmodules,
#   ncode × (u32 offset of the CodeInstance, i32 function index of its invoke wrapper or -1, i32 of its body or -1),
#   nvalues × u32 offset, nmodules × u32 offset; offsets count from jl_system_image_data.

"""
    read_base_index(request, roots)

The base index as `Any[words, objects, rows, own]`: `words` are the file's 32-bit words; `objects` is an svec of its code instances, values
and modules, in its order; `rows` maps a code instance to its 1-based row; `own` are the first address of the worker image's heap
and the one past it. A worker image (see self.jl) brings `objects` along as `roots`; else `roots` is `nothing` and `own` is empty.
"""
function read_base_index(request::Dict{String,Any}, @nospecialize(roots))
    bytes = read(value_of(request, "index"))
    words = reinterpret(UInt32, bytes)
    raw = Vector{UInt32}(undef, length(words))
    copyto!(raw, words)
    image = value_of(request, "image")
    if roots === nothing
        objects = base_objects(raw, heap_symbol(image, "jl_system_image_data"))
        own = Any[UInt(0), UInt(0)]
    else
        objects = Core.svec(roots[1], roots[2], roots[3])
        heap = UInt(heap_symbol(image, "jl_system_image_data"))
        own = Any[heap, heap + unsafe_load(Ptr{UInt}(heap_symbol(image, "jl_system_image_size")))]
    end
    rows = IdDict{Any,Any}()
    code = objects[1]::Vector{Any}
    for row in 1:length(code)
        rows[code[row]] = row
    end
    return Any[raw, objects, rows, own]
end

"The address of symbol `name` of the image at `path`, which is loaded in this process."
function heap_symbol(path::String, name::String)
    handle = ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), path, 6) # RTLD_NOLOAD | RTLD_NOW
    handle == C_NULL && fail(string("the image ", path, " is not loaded in the worker"))
    return ccall(:dlsym, Ptr{UInt8}, (Ptr{Cvoid}, Cstring), handle, name)
end

object_at(data::Ptr{UInt8}, offset::UInt32) = ccall(:jl_value_ptr, Any, (Ptr{Cvoid},), data + offset)
address_of(@nospecialize(x)) = ccall(:jl_value_ptr, Ptr{Cvoid}, (Any,), x)

"The objects that the image's tables must find again in the new heap: code instances, values, modules, in the index's order."
function base_objects(raw::Vector{UInt32}, data::Ptr{UInt8})
    at = 5
    code = Vector{Any}(undef, Int(raw[3]))
    for i in 1:length(code)
        code[i] = object_at(data, raw[at + 3 * (i - 1) + 1])
    end
    at += 3 * length(code)
    values = Vector{Any}(undef, Int(raw[4]))
    for i in 1:length(values)
        values[i] = object_at(data, raw[at + i])
    end
    at += length(values)
    modules = Vector{Any}(undef, Int(raw[5]))
    for i in 1:length(modules)
        modules[i] = object_at(data, raw[at + i])
    end
    return Core.svec(code, values, modules)
end

has_base_code(index::Vector{Any}, @nospecialize(code)) = haskey(index[3]::IdDict{Any,Any}, code)

"Whether `code` came with the worker image and not with the base: it is there for the worker's sake."
function is_workers_own(index::Vector{Any}, @nospecialize(code))
    own = index[4]::Vector{Any}
    return own[1]::UInt <= UInt(pointer_from_objref(code)) < own[2]::UInt && !has_base_code(index, code)
end
