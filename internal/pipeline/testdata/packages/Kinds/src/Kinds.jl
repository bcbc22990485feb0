# One of each: what a package may hold that an image must carry over. `Kinds.report()` prints what became of it.
module Kinds

module Outer
module Inner
depth() = nameof(@__MODULE__), nameof(parentmodule(@__MODULE__))
end
end

# Values that have words of their own in memory, or are found by their address.
const BIG = big(3)^200
const PRECISE = BigFloat("1.25")
const PATTERN = r"(\d+)-(\w+)"i
const TABLE = Dict("one" => 1, "two" => 2, "three" => 3)
const NAMES = Dict(:sin => sin, :Int => Int, :Kinds => @__MODULE__)
mutable struct Node
    next::Any
end
const RING = Node(nothing)
RING.next = Node(RING)
const IDS = IdDict{Any,Any}(:symbol => 1, Int => 2, sin => 3, RING => 4, 1 << 40 => 5)
const WEAK = WeakRef(RING)
const TUPLES = ((1, 2.5, 'c'), (a = 1, b = "two"))
const BITS = BitArray([true, false, true])
const MATRIX = [i + 10j for i in 1:3, j in 1:2]
const UNDEFINED = Vector{Any}(undef, 3)
const SMALL = Union{Int8,Nothing}[1, nothing, 3]
const VIEW = view(MATRIX, 2, :)
const RAW = UInt8[0x00, 0xff]
const LOCK = ReentrantLock()
const BUFFER = IOBuffer("some text")
const CALLS = Function[x -> x + 1, x -> 2x, string]
primitive type Bits24 24 end
struct Parameter{P} end
const PARAMETERS = Any[Parameter{:a}(), Parameter{0x01}(), Parameter{(1, 'x')}(), Parameter{Parameter{nothing}}()]
variable = "set while loading"

# Code.
adder(n) = x -> x + n
counter() = (n = 0; () -> n += 1)
keywords(a; b = 2a, rest...) = (a, b, sort!(collect(keys(rest))))
@generated product(t::NTuple{N,Any}) where {N} = foldl((a, b) -> :($a * $b), [:(t[$i]) for i in 1:N])
@inline inlined(x) = 3x
@noinline thrower(x) = throw(DomainError(x, "thrown by Kinds"))
caught(x) = try thrower(x) catch e; sprint(showerror, e) finally; nothing end
deep(n) = n + deep(n + 1)
static(x::Vector{T}) where {T} = T
optional(x, y = 1, z = x + y) = (x, y, z)
(n::Node)(x) = (:called, x)
macro twice(x) esc(:($x; $x)) end
squares(n) = [k^2 for k in 1:n if isodd(k)]
channel(n) = collect(Channel(c -> foreach(k -> put!(c, k), 1:n)))
threaded(n) = (sums = zeros(Int, n); Threads.@threads(for k in 1:n; sums[k] = k; end); sum(sums))
const ATOMIC = Threads.Atomic{Int}(3)
atomic() = (Threads.atomic_add!(ATOMIC, 4); ATOMIC[])
asked() = llvmcall_sum(Int32(2), Int32(3))
llvmcall_sum(a, b) = Base.llvmcall("%3 = add i32 %1, %0\nret i32 %3", Int32, Tuple{Int32,Int32}, a, b)
strings(n) = string(n, ' ', n / 3, " ", repr("q\"uote"))

# C, both ways.
compare(a::Ptr{Cint}, b::Ptr{Cint}) = Cint(cmp(unsafe_load(a), unsafe_load(b)))
function sorted(v::Vector{Cint})
    v = copy(v)
    ccall(:qsort, Cvoid, (Ptr{Cint}, Csize_t, Csize_t, Ptr{Cvoid}), v, length(v), sizeof(Cint), @cfunction(compare, Cint, (Ptr{Cint}, Ptr{Cint})))
    return v
end
function sorted_by(f, v::Vector{Cint})
    v = copy(v)
    order = @cfunction($((a, b) -> Cint(cmp(f(unsafe_load(a)), f(unsafe_load(b))))), Cint, (Ptr{Cint}, Ptr{Cint}))
    GC.@preserve order ccall(:qsort, Cvoid, (Ptr{Cint}, Csize_t, Csize_t, Ptr{Cvoid}), v, length(v), sizeof(Cint), order)
    return v
end
Base.@ccallable function kinds_sum(a::Cint, b::Cint)::Cint
    return a + b
end
gmp_limb() = (unsafe_load(cglobal((:__gmp_bits_per_limb, "libgmp.so.10"), Cint)), ccall((:__gmpn_cmp, "libgmp.so.10"), Cint, (Ptr{UInt}, Ptr{UInt}, Clong), UInt[1, 2], UInt[1, 3], 2) < 0)
libc_pid() = ccall(:getpid, Cint, ()) == getpid()
allocated() = (p = Libc.malloc(8); unsafe_store!(Ptr{Int}(p), 7); v = unsafe_load(Ptr{Int}(p)); Libc.free(p); v)

# Set by the runtime of each process.
const STARTED = Dict{String,Any}()
function __init__()
    STARTED["times"] = get(STARTED, "times", 0) + 1
    STARTED["process"] = getpid()
    STARTED["environment"] = get(ENV, "KINDS", "")
    STARTED["arguments"] = copy(ARGS)
    STARTED["handle"] = @cfunction(compare, Cint, (Ptr{Cint}, Ptr{Cint}))
end

function report(io::IO = stdout)
    show_all(values...) = println(io, join(map(repr, values), "  "))
    show_all(Outer.Inner.depth(), BIG, BIG + 1, PRECISE, PRECISE * 2)
    show_all(match(PATTERN, "12-Ab").captures, PATTERN == r"(\d+)-(\w+)"i)
    show_all(sort!(collect(TABLE)), TABLE["two"], [NAMES[k] for k in (:sin, :Int, :Kinds)])
    show_all([IDS[k] for k in (:symbol, Int, sin, RING, 1 << 40)], length(IDS), haskey(IDS, :absent), WEAK.value === RING, RING.next.next === RING)
    show_all(TUPLES, BITS, MATRIX, [isassigned(UNDEFINED, i) for i in 1:3], SMALL, VIEW, VIEW.parent === MATRIX, RAW)
    show_all(lock(() -> islocked(LOCK), LOCK), islocked(LOCK), String(read(seekstart(BUFFER))), [f(3) for f in CALLS], sizeof(Bits24), PARAMETERS, variable)
    counts = counter()
    show_all(adder(3)(4), (counts(), counts()), keywords(1), keywords(1; b = 5, c = 6), product((2, 3.0, 4)), inlined(5), caught(-1.5))
    show_all(static([1 // 2]), optional(1), optional(1, 2), RING(5), (@twice counts()), squares(7), channel(4), threaded(10), atomic(), asked(), strings(7))
    show_all(sorted(Cint[3, 1, 2]), sorted_by(x -> -x, Cint[3, 1, 2]), kinds_sum(Cint(2), Cint(3)), libc_pid(), allocated(), gmp_limb())
    show_all(STARTED["times"], STARTED["process"] == getpid(), STARTED["environment"], STARTED["handle"] != C_NULL)
end

end
