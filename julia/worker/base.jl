# The base image as it lies in this process: which code instances have native code, which objects its code refers to.
#
# The builder reads these from the image's file and hands them over as `base.index`, of which all words have 32 bits (sysimage/index.go):
#   1, 2     "CBIX0001"
#   3, 4, 5  how many code instances, values and modules
#   6…       three words for each code instance: its offset, the index of the function that is its wrapper, and of the one that is its
#            body, or -1 for none; then the offset of each value, then that of each module
# Offsets are in bytes and count from jl_system_image_data.

const HEADER_WORDS = 5
const CODE_WORDS = 3

# Parts of a code instance, and their places after its offset.
const WRAPPER = 1
const BODY = 2

"""
    read_base_index(request, roots)

The base index as `Any[words, objects, rows, settled, on_worker_image, held]`: `words` are those of the file; `objects` is an svec of its code
instances, values and modules, in its order; `rows` maps a code instance to its 1-based row; `settled` is the heap (see heap_range) in which
code instances without native code in the base are nothing new: that of a worker image, where they are there for the worker's sake, or
of a chained base, which has left them out; `held` is what take_package_images says, which adds rows of its own. A worker image (see
self.jl) brings `objects` along as `roots`; else `roots` is `nothing`.
"""
function read_base_index(request::Dict{String,Any}, @nospecialize(roots))
    words = read_index_words(value_of(request, "index"))
    held = Any[Int32[], Any[], Any[], Any[]]
    image = value_of(request, "image")
    settled = Any[UInt(0), UInt(0)]
    if roots === nothing
        objects = base_objects(words, heap_symbol(image, "jl_system_image_data"))
        value_of(request, "chained") == "yes" && (settled = heap_range(image))
    else
        objects = Core.svec(roots[1], roots[2], roots[3])
        settled = heap_range(image)
    end
    rows = IdDict{Any,Any}()
    codes = objects[1]::Core.SimpleVector
    for row in 1:length(codes)
        rows[codes[row]] = row
    end
    return Any[words, objects, rows, settled, roots !== nothing, held]
end

"The words of 4 bytes of a file, which is read without a stream: it leaves no finalizer behind."
function read_words(path::String)
    fd = ccall(:open, Cint, (Cstring, Cint), path, 0) # O_RDONLY
    fd < 0 && fail(string("cannot read ", path, ": ", Libc.strerror()))
    words = Vector{UInt32}(undef, filesize(path) >> 2)
    left = 4 * length(words)
    GC.@preserve words begin
        p = Ptr{UInt8}(pointer(words))
        while left > 0
            n = ccall(:read, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), fd, p, left)
            n <= 0 && fail(string("cannot read ", path, ": ", Libc.strerror()))
            p += n
            left -= n
        end
    end
    ccall(:close, Cint, (Cint,), fd)
    return words
end

"The words of the file, if it is an index and all of it is there."
function read_index_words(path::String)
    words = read_words(path)
    size = filesize(path)
    # "CBIX", "0001"
    if length(words) < HEADER_WORDS || words[1] != 0x58494243 || words[2] != 0x31303030
        fail(string("the index of the base, ", path, ", is not of the form that this worker reads: its files are of another chainbuild"))
    elseif size != 4 * (HEADER_WORDS + CODE_WORDS * Int(words[3]) + Int(words[4]) + Int(words[5]))
        fail(string("the index of the base, ", path, ", is not as long as it says: the disk may be full"))
    end
    return words
end

"The code instances of the base that have native code; the place of each is its row."
base_codes(index::Vector{Any}) = (index[2]::Core.SimpleVector)[1]::Core.SimpleVector

"The row of `code`, 0 if it has no native code in the base."
base_row(index::Vector{Any}, @nospecialize(code)) = get(index[3]::IdDict{Any,Any}, code, 0)::Int

has_base_code(index::Vector{Any}, @nospecialize(code)) = haskey(index[3]::IdDict{Any,Any}, code)

"Whether `code` has native code in a package image."
is_of_package_image(index::Vector{Any}, @nospecialize(code)) = base_row(index, code) > length(base_codes(index))

"The index in the base's table of the function that is `part`, WRAPPER or BODY, of the code instance in `row`; -1 if there is none."
function base_function(index::Vector{Any}, row::Int, part::Int)
    words = index[1]::Vector{UInt32}
    held = row - Int(words[3])
    held > 0 && return Int(((index[6]::Vector{Any})[1]::Vector{Int32})[2 * (held - 1) + part])
    return Int(reinterpret(Int32, words[HEADER_WORDS + CODE_WORDS * (row - 1) + 1 + part]))
end

"Whether this process is on a worker image."
is_on_worker_image(index::Vector{Any}) = index[5]::Bool

"Whether `code` came with the image that this process is on, which is a worker image or a chained one, and the base has no native code for it."
is_settled(index::Vector{Any}, @nospecialize(code)) = lies_in(index[4]::Vector{Any}, code) && !has_base_code(index, code)

"The first address of the heap of the image at `path`, which is loaded in this process, and the one past its last, in a `Vector{Any}`."
function heap_range(path::String)
    first = UInt(heap_symbol(path, "jl_system_image_data"))
    return Any[first, first + unsafe_load(Ptr{UInt}(heap_symbol(path, "jl_system_image_size")))]
end

lies_in(range::Vector{Any}, @nospecialize(object)) = range[1]::UInt <= UInt(address_of(object)) < range[2]::UInt

"The address of symbol `name` of the image at `path`, which is loaded in this process."
function heap_symbol(path::String, name::String)
    handle = ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), path, 6) # RTLD_NOLOAD | RTLD_NOW
    handle == C_NULL && fail(string("the image ", path, " is not loaded in the worker"))
    return ccall(:dlsym, Ptr{UInt8}, (Ptr{Cvoid}, Cstring), handle, name)
end

object_at(data::Ptr{UInt8}, offset::UInt32) = ccall(:jl_value_ptr, Any, (Ptr{Cvoid},), data + offset)
address_of(@nospecialize(x)) = ccall(:jl_value_ptr, Ptr{Cvoid}, (Any,), x)

"The objects that the image's tables must find again in the new heap: code instances, values, modules, in the index's order."
function base_objects(words::Vector{UInt32}, data::Ptr{UInt8})
    at = HEADER_WORDS
    codes = Vector{Any}(undef, Int(words[3]))
    for i in 1:length(codes)
        codes[i] = object_at(data, words[at + CODE_WORDS * (i - 1) + 1])
    end
    at += CODE_WORDS * length(codes)
    values = Vector{Any}(undef, Int(words[4]))
    for i in 1:length(values)
        values[i] = object_at(data, words[at + i])
    end
    at += length(values)
    modules = Vector{Any}(undef, Int(words[5]))
    for i in 1:length(modules)
        modules[i] = object_at(data, words[at + i])
    end
    # Lists that are read in the heap: a Vector is more than one object from Julia 1.11 on, and in one a Ptr is serialised as null from 1.9 on
    # (get_replaceable_field in src/staticdata.c).
    return Core.svec(Core.svec(codes...), Core.svec(values...), Core.svec(modules...))
end
