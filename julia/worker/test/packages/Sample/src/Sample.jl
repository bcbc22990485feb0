# A package whose use makes the tracer write every kind of type parameter that it has words for.
module Sample

# Not cached: the tests load it from the checkout, whatever depot they find.
__precompile__(false)

struct Parameter{P} end
struct Empty{P} end
struct Fields
    a::Int8
    b::Float32
    c::UInt16
end
primitive type Bits 16 end

module Inner
    struct Type end
    inner(x) = x
end

∂(x) = x
var"with blank"(x) = x
keywords(x; first=1, second="2") = string(x, first, second)
adder(n) = x -> x + n

# What the resolver must not run: STATE counts the calls.
STATE = 0
touch() = (global STATE += 1; Int)
struct Toucher
    a::Int
    b::Int
    Toucher(args...; fields...) = (touch(); new(1, 2))
end

const SEEN = Set{UInt}()

@noinline seen(x) = push!(SEEN, hash(typeof(x)))

# Values whose types the tracer writes with the words of the Julia language, or with its own. Fields that are no numbers are
# left out: Julia 1.5's tracer crashes on them.
const VALUES = Any[
    Parameter{1}(), Parameter{-3}(), Parameter{0x01}(), Parameter{0x0001}(), Parameter{0x00000001}(), Parameter{typemax(UInt64)}(),
    Parameter{UInt128(3)}(), Parameter{Int128(-3)}(), Parameter{true}(), Parameter{nothing}(), Parameter{missing}(),
    Parameter{1.5}(), Parameter{-1.5}(), Parameter{1e100}(), Parameter{1f0}(), Parameter{1.5f-10}(), Parameter{2f20}(),
    Parameter{Inf}(), Parameter{-Inf}(), Parameter{NaN}(), Parameter{Inf32}(), Parameter{-Inf32}(), Parameter{Float16(1.5)}(),
    Parameter{'a'}(), Parameter{'"'}(), Parameter{'\0'}(), Parameter{'α'}(), Parameter{'\U10ffff'}(),
    Parameter{:a}(), Parameter{:∂}(), Parameter{:end}(), Parameter{:+}(), Parameter{:(==)}(), Parameter{:.}(), Parameter{:(:)}(),
    Parameter{Symbol("a b")}(), Parameter{Symbol("#1")}(), Parameter{Symbol("")}(), Parameter{Symbol("say \"x\"")}(),
    Parameter{Symbol("US\$")}(), Parameter{()}(), Parameter{(1,)}(), Parameter{(:a, :b)}(), Parameter{(a=1,)}(),
    Parameter{(a=1, b=0x02)}(), Parameter{NamedTuple()}(), Parameter{Val(3)}(), Parameter{Empty{:a}()}(), Parameter{Inner.Type()}(),
    Parameter{1//2}(), Parameter{1 + 2im}(), Parameter{1:3}(), Parameter{Some(1)}(), Parameter{reinterpret(Bits, 0x1234)}(),
    Parameter{Fields(1, 2, 0x0004)}(),
    Parameter{+}(), Parameter{==}(), Parameter{!}(), Parameter{sin}(), Parameter{∂}(), Parameter{Inner.inner}(),
    Parameter{var"with blank"}(), Parameter{Core.apply_type}(),
    Parameter{Int}(), Parameter{Ref}(), Parameter{Tuple}(), Parameter{Tuple{}}(), Parameter{Union{}}(), Parameter{Union{Int,Nothing}}(),
    Parameter{Vector}(), Parameter{Vector{<:Real}}(), Parameter{Type{T} where Int<:T<:Real}(), Parameter{Type{T} where T>:Int}(),
    Parameter{Array{T} where T<:(Array{S} where S)}(), Parameter{Tuple{Vararg{Int}}}(), Parameter{Tuple{Int,Vararg{T}} where T}(),
    Parameter{NTuple{N,Int} where N}(), Parameter{NamedTuple{(:a, Symbol("b c")),T} where T}(), Parameter{Dict{K,V} where {V,K<:V}}(),
    Parameter{Pair{A,B} where {A<:Integer,B<:AbstractVector{A}}}(), Parameter{Parameter{Parameter{:deep}}}(),
    ==, !, (:), sin, ∂, var"with blank", Inner.inner, adder(1), adder(1.0), Int, Vector, Union{}, Tuple{Int,Vararg{Int}}, Core, Inner,
    (1, 2.0), (a=1, b="2"), Dict(:a => 1), Ref{Any}(1), Regex("a"),
]

# Run everything once.
function exercise()
    for value in VALUES
        seen(value)
    end
    keywords(1)
    keywords(1; first=2)
    keywords(1; second=3, first=2)
    map(adder(2), [1, 2])
    return nothing
end

end
