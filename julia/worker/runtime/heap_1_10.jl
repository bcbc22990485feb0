# The heap, as Julia 1.10 serialises it. It gets no handle of emitted code, so it writes no records of native code.

function create_image(native::Ptr{Cvoid}, image::String)
    stream = Ref{Ptr{Cvoid}}(C_NULL)
    other = Ref{Ptr{Cvoid}}(C_NULL)
    roots = purge_global_roots(image)
    GC.@preserve roots ccall(:jl_create_system_image, Cvoid,
        (Ptr{Cvoid}, Ptr{Cvoid}, Cint, Ptr{Ptr{Cvoid}}, Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}),
        C_NULL, C_NULL, 0, stream, other, C_NULL, C_NULL)
    return stream[]
end

# jl_global_roots_table (src/staticdata.c) keeps alive what emitted code refers to and no method has among its roots. What this process adds
# to it is for code that no other process has; the cells of new code keep alive what they need. The variable is hidden: it is one of those of
# libjulia-internal that hold a Vector{Any}, and the one in which an object is found that the runtime was given to keep.

# What was in the table when the process began.
const FIRST_GLOBAL_ROOTS = IdDict{Any,Any}()

function note_heap()
    empty!(FIRST_GLOBAL_ROOTS) # what it holds in a worker image is of another process
    entries = global_roots()
    for i in 1:2:length(entries)
        isassigned(entries, i) && (FIRST_GLOBAL_ROOTS[entries[i]] = true)
    end
    return nothing
end

function global_roots()
    kept = Ref{Any}(nothing)
    ccall(:jl_as_global_root, Any, (Any,), kept)
    entries = table_with(kept)
    entries === nothing && fail("this build of Julia keeps its global roots where they are not found: use an official build of 1.10")
    return entries::Vector{Any}
end

"""
    purge_global_roots(path)

Leave in the runtime's table what the image at `path`, which the process is on, brought along, but for our modules. Returns the rest: the code of this process
still needs it.
"""
function purge_global_roots(path::String)
    entries = global_roots()
    range = heap_range(path)
    taken = Any[]
    for i in 1:2:length(entries)
        (isassigned(entries, i) && isassigned(entries, i + 1)) || continue
        key = entries[i]
        ours = key isa Module && is_ours(key)
        (!ours && lies_in(range, key) && haskey(FIRST_GLOBAL_ROOTS, key)) || push!(taken, key)
    end
    for key in taken
        ccall(:jl_eqtable_pop, Any, (Any, Any, Any, Ptr{Cvoid}), entries, key, nothing, C_NULL)
    end
    return taken
end

"""
The Vector{Any} that holds `element` and that a variable of libjulia-internal holds, or `nothing`. What a variable holds may have been such a
vector once: all is looked at as words before it is taken for one.
"""
function table_with(@nospecialize(element))
    ranges = writable_memory()
    header = UInt(pointer_from_objref(Vector{Any}))
    wanted = UInt(address_of(element))
    for i in 1:3:length(ranges)
        ranges[i]::Bool || continue
        for address in ranges[i + 1]::UInt:UInt(8):(ranges[i + 2]::UInt - 8)
            value = unsafe_load(Ptr{UInt}(address))
            (value & 15 == 0 && is_within(ranges, value - 8, UInt(24))) || continue
            unsafe_load(Ptr{UInt}(value - 8)) & ~UInt(15) == header || continue
            data = unsafe_load(Ptr{UInt}(value)) # jl_array_t: data, length
            n = unsafe_load(Ptr{UInt}(value + 8))
            (n < 1 << 32 && is_within(ranges, data, 8 * n)) || continue
            for k in 1:2:Int(n)
                unsafe_load(Ptr{UInt}(data), k) == wanted && return ccall(:jl_value_ptr, Any, (UInt,), value)
            end
        end
    end
    return nothing
end

"The process's writable memory as triples in one vector: whether it holds libjulia-internal's variables, its first address, the one past its last."
function writable_memory()
    ranges = Any[]
    ours = false
    for line in readlines("/proc/self/maps")
        fields = split(line)
        length(fields) >= 5 || continue
        # Variables that begin as zeros follow the others, in memory that belongs to no file.
        ours = occursin("libjulia-internal", line) || (ours && length(fields) == 5)
        startswith(fields[2], "rw") || continue
        dash = findfirst(isequal('-'), fields[1])::Int
        push!(ranges, ours, parse(UInt, SubString(fields[1], 1, dash - 1); base=16), parse(UInt, SubString(fields[1], dash + 1); base=16))
    end
    return ranges
end

"Whether the `n` bytes at `address` lie in one of the ranges."
function is_within(ranges::Vector{Any}, address::UInt, n::UInt)
    for i in 1:3:length(ranges)
        ranges[i + 1]::UInt <= address <= ranges[i + 2]::UInt && ranges[i + 2]::UInt - address >= n && return true
    end
    return false
end
