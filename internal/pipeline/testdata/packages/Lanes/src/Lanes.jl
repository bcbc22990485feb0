# Code that comes out another one on each processor.
module Lanes

@noinline function scaled!(y::Vector{Float64}, a::Float64, x::Vector{Float64})
    for i in eachindex(x, y)
        @inbounds y[i] = muladd(a, x[i], y[i])
    end
    return y
end

# The answer is part of the code.
@noinline fused() = Core.Intrinsics.have_fma(Float64)
Base.@ccallable lanes_fused()::Cint = Cint(fused())

# Each way to pass eight of them in registers needs the same of both sides.
const Eight = NTuple{8,VecElement{Float32}}
@noinline doubled(v::Eight) = ntuple(i -> VecElement(2 * v[i].value), Val(8))

@noinline failing(x::Vector{Float64}) = x[length(x) + 1]

# For an image on top.
@noinline all_of(x::Vector{Float64}, v::Eight) = (scaled!(copy(x), 2.0, x), fused(), doubled(v))

end
