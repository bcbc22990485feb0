# Tests of ../statements.jl.

using Dates, Sample

const resolve = ChainFront.resolve

# What Julia itself makes of a source, in a module that has the packages.
module Evaluated
using Dates, Sample
end
julia(source) = Core.eval(Evaluated, Meta.parse(source))

@testset "statements" begin

@testset "as Julia: $source" for source in [
    "Tuple{}",
    "Tuple{typeof(Base.sin), Float64}",
    "Tuple{typeof(sin), Vararg{Any}}",
    "Tuple{typeof(===), Any, Any}",
    "Tuple{typeof(<:), Any, Any}",
    "Tuple{typeof(:), Int64, Int64}",
    "Tuple{typeof(Base.:(==)), Int, Int}",
    "Tuple{typeof(Base.:(!)), Bool}",
    "Tuple{typeof(Base.Broadcast.broadcasted), Any}",
    "Tuple{typeof(Dates.format), Dates.DateTime, String}",
    "Tuple{typeof(Sample.∂), Int}",
    "Tuple{typeof(Sample.var\"with blank\"), Int}",
    "Tuple{typeof(Sample.Inner.inner), Sample.Inner.Type}",
    "Tuple{Type{Sample.Fields}, Int64, Int64, Int64}",
    "Tuple{Core.Typeof(Sample.∂), Core.Typeof(Int), Core.Typeof(Vector)}",
    "Tuple{getfield(Sample, Symbol(\"with blank\")), getfield(Sample.Inner, :Type)}",
    "Tuple{Array{Int64, 1}, Matrix{Float64}, Base.Dict{String, Any}}",
    "Tuple{Type{Union{}}, Union{Int}, Union{Int, Nothing, String}}",
    "Tuple{Ref{Int}, Ptr{Cvoid}, NTuple{3, Int}}",
    "Tuple{NamedTuple{(:a, Symbol(\"b c\")), Tuple{Int, Int}}, NamedTuple{(), Tuple{}}}",
    "Tuple{Type{NamedTuple{(:a,), T} where T<:Tuple}, Tuple{Int64}}",
    "Tuple{Vector{<:Real}, Type{>:Int}, Dict{<:Integer, <:AbstractString}}",
    "Tuple{T} where T",
    "Tuple{Vector{T}, T} where T<:Real",
    "Tuple{Vector{T}, T} where {T<:Real}",
    "Tuple{Dict{K, V}, V} where {K, V<:Vector{K}}",
    "Tuple{Dict{K, V}, V} where V<:Vector{K} where K",
    "Tuple{Type{T} where Int64<:T<:Real}",
    "Tuple{Type{T} where T>:Int64}",
    "Tuple{T, Vector{T} where T, T} where T<:Integer",
    "Tuple{Array{var\"#s8\", 1} where var\"#s8\"<:Real}",
    "Tuple{Type{Base.Order.Perm{O, V} where V<:(AbstractArray{T, 1} where T) where O<:Base.Order.Ordering}}",
    "(Tuple{Int})",
    "Tuple{Sample.Parameter{1}, Sample.Parameter{-3}, Sample.Parameter{0x01}, Sample.Parameter{0x0000000000000001}}",
    "Tuple{Sample.Parameter{0x00000000000000000000000000000003}}",
    "Tuple{Sample.Parameter{0xfedcba9876543210Fedcba9876543210}}",
    "Tuple{Sample.Parameter{1.5}, Sample.Parameter{-1.5}, Sample.Parameter{1e+100}, Sample.Parameter{1f0}}",
    "Tuple{Sample.Parameter{Inf}, Sample.Parameter{-Inf}, Sample.Parameter{NaN}, Sample.Parameter{-Inf32}}",
    "Tuple{Sample.Parameter{true}, Sample.Parameter{nothing}, Sample.Parameter{missing}}",
    "Tuple{Sample.Parameter{:a}, Sample.Parameter{:+}, Sample.Parameter{Symbol(\"a \\\"b\\\" \\\$\")}}",
    "Tuple{Sample.Parameter{'a'}, Sample.Parameter{'\\''}, Sample.Parameter{'\\u3b1'}, Sample.Parameter{Char(0x61)}}",
    "Tuple{Sample.Parameter{()}, Sample.Parameter{(1,)}, Sample.Parameter{(:a, :b)}, Sample.Parameter{((1, 2), 3)}}",
    "Tuple{Sample.Parameter{(a=1,)}, Sample.Parameter{(a=1, b=0x02)}, Sample.Parameter{NamedTuple()}}",
    "Tuple{Sample.Parameter{Base.Val{3}()}, Sample.Parameter{Base.Missing()}, Sample.Parameter{Sample.Empty{:a}()}}",
    "Tuple{Sample.Parameter{Int8(3)}, Sample.Parameter{UInt16(3)}, Sample.Parameter{Int128(-3)}}",
    "Tuple{Sample.Parameter{Base.:(+)}, Sample.Parameter{Sample.∂}, Sample.Parameter{Vector{T} where T}}",
]
    type, reason = resolve(source)
    @test reason == ""
    @test type === julia(source) || type == julia(source)
end

@testset "as the tracer: $source" for (source, type) in [
    "Sample.Parameter{Char(0x61000000)}" => Sample.Parameter{'a'},
    "Sample.Parameter{Char(0x00000000)}" => Sample.Parameter{'\0'},
    "Sample.Parameter{Float16(0x3e00)}" => Sample.Parameter{Float16(1.5)},
    "Sample.Parameter{UInt128(0x00000000000000000000000000000003)}" => Sample.Parameter{UInt128(3)},
    "Sample.Parameter{Int128(0xfffffffffffffffffffffffffffffffd)}" => Sample.Parameter{Int128(-3)},
    "Sample.Parameter{Sample.Bits(0x1234)}" => Sample.Parameter{reinterpret(Sample.Bits, 0x1234)},
    "Sample.Parameter{Sample.Fields(a=1, b=2f0, c=0x0004)}" => Sample.Parameter{Sample.Fields(1, 2, 4)},
    "Sample.Parameter{Base.Rational{Int64}(num=1, den=2)}" => Sample.Parameter{1//2},
    "Sample.Parameter{Base.UnitRange{Int64}(start=1, stop=3)}" => Sample.Parameter{1:3},
    "Sample.Parameter{Base.Some{Base.Complex{Int64}}(value=Base.Complex{Int64}(re=1, im=2))}" => Sample.Parameter{Some(1 + 2im)},
    "Sample.Parameter{Base.Some{Ptr{Nothing}}(value=0x0000000000000003)}" => Sample.Parameter{Some(Ptr{Cvoid}(3))},
    "Sample.Parameter{Base.Some{Char}(value=Char(0x61000000))}" => Sample.Parameter{Some('a')},
    "Vararg{Int64, N} where N" => Vararg{Int64},
]
    @test resolve("Tuple{$source}") == (Tuple{type}, "")
end

@testset "reason: $source" for (source, reason) in [
    "Tuple{typeof(Unknown.f)}" => "module Unknown is not loaded",
    "Tuple{Unknown.Inner.Type}" => "module Unknown is not loaded",
    "Tuple{typeof(LibGit2x.f), Unknown.T}" => "module LibGit2x is not loaded",
    "Tuple{Sample.Unknown}" => "Unknown is not defined in Sample",
    "Tuple{Sample.Inner.Unknown}" => "Unknown is not defined in Inner",
    "Tuple{typeof(Base.unknown)}" => "unknown is not defined in Base",
    "Tuple{Unknown}" => "Unknown is not defined in Base",
    "Tuple{JLOptions}" => "JLOptions is not defined in Base",
    "Tuple{Sample.Parameter{Sample.STATE}}" => "STATE is not a constant of Sample",
    "Tuple{typeof(Main.f)}" => "defined in Main",
    "Tuple{Main.Inner.T}" => "defined in Main",
    "Tuple{Sample.Parameter{Main}}" => "defined in Main",
    "Tuple{Main.var\"#3#4\"}" => "anonymous function or closure of another session",
    "Tuple{getfield(Main, Symbol(\"##3#4\")){Int}}" => "anonymous function or closure of another session",
    "Tuple{Sample.var\"#999999#1000000\"{Int}}" => "anonymous function or closure of another session",
    "Tuple{Array{Int, Int, Int, Int}}" => "parameters do not fit",
    "Tuple{Sample.Parameter{\"text\"}}" => "malformed",
    "Tuple{Complex{String}}" => "parameters do not fit",
    "Tuple{Sample.Parameter{Int8(300)}}" => "parameters do not fit",
    "Tuple{Sample.Parameter{Sample.Fields(a=1, b=2f0, c=70000)}}" => "parameters do not fit",
    "Tuple{typeof(sin){Int}}" => "parameters do not fit",
    "Tuple{T} where Int<:T<:1" => "parameters do not fit",
    "Tuple{sin{Int}}" => "not a type",
    "Sample.Fields" => "not a type",
    "Union{}" => "not a type",
    "1" => "not a type",
    "Sample" => "not a type",
    "Tuple{sin()}" => "not a type",
    "Tuple{Sample.touch()}" => "not a type",
    "Tuple{Sample.Toucher()}" => "malformed",
    "Tuple{Sample.Toucher(a=1)}" => "malformed",
    "Tuple{Sample.Toucher(1)}" => "malformed",
    "Tuple{Sample.Fields(a=1, c=0x0004, b=2f0)}" => "malformed",
    "Tuple{Sample.Fields(a=1)}" => "malformed",
    "Tuple{Vector{Int}()}" => "malformed",
    "Tuple{\$(Sample.touch())}" => "malformed",
    "Tuple{(Sample.touch(); Int)}" => "malformed",
    "Tuple{@eval(Int)}" => "malformed",
    "Tuple{[Int]}" => "malformed",
    "Tuple{Int...}" => "malformed",
    "Tuple{Int<:Real}" => "malformed",
    "Tuple{T} where f(T)" => "malformed",
    "Tuple{T} where 1<T<2" => "malformed",
    "Tuple{T} where Real>:T>:Int64" => "malformed",
    "Tuple{T} where T==Int64" => "malformed",
    "Tuple{x -> x}" => "malformed",
    "Tuple{Int64.name}" => "module Int64 is not loaded",
    "Tuple{typeof(Pipe.close)}" => "module Pipe is not loaded",
    "Tuple{typeof(Sample.Fields.close)}" => "close is sought in what is no module",
    "Tuple{Int" => "malformed",
    "Tuple{Sample.Parameter{#<intrinsic #2 add_int>}}" => "malformed",
    "Tuple{<circular reference @-1>}" => "malformed",
    "Tuple{Int} Tuple{Int}" => "malformed",
    "" => "not a type",
]
    @test resolve(source) == (nothing, reason)
end

# Two readings of a name: the first is that of Julia up to 1.11, whose tracer escapes nothing.
@testset "names as traced" begin
    traced = VERSION < v"1.12.0-DEV" ? Symbol("\\alpha") : Symbol("\alpha")
    @test resolve("Tuple{Sample.Parameter{Symbol(\"\\\\alpha\", \"\\alpha\")}}") == (Tuple{Sample.Parameter{traced}}, "")
    @test resolve("Tuple{Sample.Parameter{Symbol(\"a\", b)}}")[1] === nothing
end

@testset "nothing of a package runs" begin
    @test Sample.STATE == 0
end

@testset "a failure leaves nothing behind" begin
    @test resolve("Tuple{Vector{T}, Unknown} where T") == (nothing, "Unknown is not defined in Base")
    @test resolve("Tuple{T}") == (nothing, "T is not defined in Base")
    @test resolve("Tuple{Int}") == (Tuple{Int}, "")
end

@testset "keyword functions" begin
    source = "Tuple{Core.kwftype(typeof(Sample.keywords)), NamedTuple{(:first,), Tuple{Int}}, typeof(Sample.keywords), Int}"
    type, reason = resolve(source)
    @test reason == ""
    @test type.parameters[1] === Core.kwftype(typeof(Sample.keywords))
    if isdefined(Core, :kwcall)
        source = "Tuple{typeof(Core.kwcall), NamedTuple{(:first,), Tuple{Int}}, typeof(Sample.keywords), Int}"
        @test resolve(source) == (julia(source), "")
    else
        @test resolve("Tuple{Core.kwftype(typeof(Sample.∂))}") == (nothing, "no method matches")
        @test resolve("Tuple{Core.kwcall}") == (nothing, "kwcall is not defined in Core")
    end
end

@testset "modules that are loaded later" begin
    @test resolve("Tuple{Later.T}") == (nothing, "module Later is not loaded")
    Base.require(Base.PkgId("Later"))
    @test resolve("Tuple{Later.T}") == (Tuple{Base.invokelatest(getfield, Base.root_module(Base.PkgId("Later")), :T)}, "")
end

end
