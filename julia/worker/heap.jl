# Serialising the heap, in the state in which a stock image build leaves it.

const HEAP_FD = Cint(4)

"""
    serialize_heap(request, index, native)

Serialise the heap and write it to descriptor HEAP_FD. The root task's storage, which a stock image has as `nothing`, carries the objects that the base's
tables refer to, so that the builder finds them in the new heap. In a worker image they stay there, and with them the workers' modules.
"""
function serialize_heap(request::Dict{String,Any}, index::Vector{Any}, native::Ptr{Cvoid})
    handover = value_of(request, "handover") == "yes"
    # A heap that is handed over is read from what leads to its objects, whatever else there is in memory.
    end_collections(!handover || value_of(request, "verify") == "yes")
    objects = index[2]::Core.SimpleVector
    if value_of(request, "self") == "yes"
        objects = Core.svec(objects..., OURS[1], OURS[2])
    else
        purge_tables()
    end
    # The serialiser collects garbage. Finalizers of streams that run only then would leave calls of theirs in the tables that dispatch looks into.
    value_of(request, "verify") == "yes" && ccall(:jl_gc_collect, Cvoid, (Cint,), 1)
    handover && value_of(request, "self") != "yes" && mark_image()
    reset_modules()
    reset_state()
    end_inference()
    end_session()
    current_task().storage = objects
    handover && hand_over(objects) && return nothing
    collect_freely()
    # ios_t (src/support/ios.h): char *buf at 0, int64_t size at 32.
    stream = C_NULL
    try
        stream = create_image(native, value_of(request, "image"))
    catch e
        fail_for("a loaded package keeps what no image can hold, and should make it in its __init__", e)
    end
    stage("write")
    write_bytes(HEAP_FD, "the heap", unsafe_load(Ptr{Ptr{UInt8}}(stream)), unsafe_load(Ptr{Int64}(stream + 32)))
    return nothing
end

const ANSWER_FD = Cint(5)

"""
    hand_over(storage)

Tell the builder where in this process's memory the heap is, and wait while it reads it. Returns whether it could; else the runtime has to serialise
the heap. `storage` will be the root task's local storage.
"""
function hand_over(@nospecialize(storage))
    # The runtime's serialiser asks for the modules first (jl_get_loaded_modules in src/toplevel.c), and an image has in its method cache that it did.
    ccall(:jl_call0, Any, (Any,), Base.loaded_modules_array)
    event(string("{\"event\":\"heap\",\"pid\":", decimal(Int(ccall(:getpid, Cint, ()))), ",\"any\":", address(Any), ",\"task\":", address(current_task()),
                 ",\"storage\":", address(storage), ",\"world\":", decimal(Int(ccall(:jl_get_world_counter, UInt, ()))),
                 ",\"symbols\":", decimal(symbol_counter()), "}"))
    return answer()
end

"Wait for the builder's answer to an event, and whether it is yes."
answer() = read_byte(ANSWER_FD) == 0x31

"The next byte of descriptor `fd`, which is waited for; 0 at its end."
function read_byte(fd::Cint)
    byte = UInt8[0]
    GC.@preserve byte ccall(:read, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), fd, pointer(byte), 1)
    return byte[1]
end

decimal(n::Int) = string(n)
address(@nospecialize(x)) = decimal(Int(UInt(address_of(x))))

"How many symbols the runtime has generated: the next one's name ends with that."
function symbol_counter()
    n = 0
    for b in codeunits(string(gensym()))
        n = 0x30 <= b <= 0x39 ? 10 * n + Int(b - 0x30) : 0
    end
    return n
end

"""
Register a module that no other image has. Caches of packages name all modules of the image that they were made under, by their build ids, which
the builder leaves as they are in the base. So a cache that was made under the base is right under this image, and one made under this image is
right under those alone that have its objects where they are here: its layers.
"""
function mark_image()
    marker = Module(:ChainedImage, false, false)
    low = ccall(:jl_module_build_id, NTuple{2,UInt64}, (Any,), marker)[2]
    ccall(:jl_set_module_uuid, Cvoid, (Any, NTuple{2,UInt64}), marker, (0xc4a19b5d00000000, low))
    make_root(marker)
    Base.register_root_module(marker)
    return nothing
end

"What a session leaves in Base: paths, arguments, the program's name."
function reset_state()
    empty!(ARGS)
    ccall(:jl_array_del_end, Cvoid, (Any, UInt), Core.ARGS, length(Core.ARGS))
    empty!(Base.LOAD_PATH)
    empty!(Base.DEPOT_PATH)
    Base.HOME_PROJECT[] = Base.ACTIVE_PROJECT[] = nothing
    ccall(:jl_set_global, Cvoid, (Any, Any, Any), Base, :PROGRAM_FILE, "")
    return nothing
end

"Write `bytes` to a new file, without streams."
function write_file(path::String, bytes::Vector{UInt8})
    fd = ccall(:open, Cint, (Cstring, Cint, Cint), path, 0o1101, 0o600) # O_WRONLY | O_CREAT | O_TRUNC
    fd < 0 && fail(string("cannot write ", path, ": ", Libc.strerror()))
    GC.@preserve bytes write_bytes(fd, path, pointer(bytes), length(bytes))
    ccall(:close, Cint, (Cint,), fd)
    return nothing
end

"Write the `n` bytes at `p` to descriptor `fd`, of what errors call `name`."
function write_bytes(fd::Cint, name::String, p::Ptr{UInt8}, n::Int)
    while n > 0
        w = ccall(:write, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), fd, p, n)
        w <= 0 && fail(string("cannot write ", name, ": ", Libc.strerror()))
        p += w
        n -= w
    end
    return nothing
end
