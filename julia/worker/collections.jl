# When garbage is collected.
#
# Each garbage collection goes through all objects of the image (gc_sweep_sysimg in src/staticdata.c). With a large image, one takes as long as inference of
# some functions. So from the first inference on it is left to places where much may have been allocated since.

"How many bytes are allocated at least between two garbage collections, and where memory is limited."
const GARBAGE = 192 << 20
const LITTLE_GARBAGE = 20 << 20

"How much code the runtime emits without a collection, which only the runtime can make there: elements of what code_to_emit returns."
const SMALL_EMISSION = 1000

"At how many allocated bytes the next collection is due, and how many are allocated at least until the one after that."
const COLLECTION_DUE = Int64[0, 0]

"Begin to collect garbage seldom, more often if memory is limited."
function begin_collections(limited::Bool)
    COLLECTION_DUE[2] = limited ? LITTLE_GARBAGE : GARBAGE
    return collect_seldom()
end

"Forget what is due: no more garbage is collected, or the runtime does it if `freely`. A worker image does not know how it was made."
function end_collections(freely::Bool)
    COLLECTION_DUE[1] = COLLECTION_DUE[2] = 0
    freely && collect_freely()
    return nothing
end

"Leave garbage collection to `collect_garbage`. What is alive grows, and so does the time that a collection takes, and what may be allocated until it."
function collect_seldom()
    ccall(:jl_gc_enable, Cint, (Cint,), 0)
    COLLECTION_DUE[1] = Base.gc_total_bytes(Base.gc_num()) + max(COLLECTION_DUE[2], Base.gc_live_bytes() >> 2)
    return nothing
end

"Collect garbage if it is due."
function collect_garbage()
    Base.gc_total_bytes(Base.gc_num()) > COLLECTION_DUE[1] || return nothing
    collect_freely()
    ccall(:jl_gc_collect, Cvoid, (Cint,), 2)
    return collect_seldom()
end

"Leave garbage collection to the runtime again."
function collect_freely()
    ccall(:jl_gc_enable, Cint, (Cint,), 1)
    return nothing
end
