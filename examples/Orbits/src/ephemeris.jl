# A trajectory as pieces of Chebyshev series, for quick look-up.

"Series of `N` coefficients for each axis over one piece of time."
struct Piece{N}
    from::Float64
    to::Float64
    x::NTuple{N,Float64}
    y::NTuple{N,Float64}
    z::NTuple{N,Float64}
end

"Positions over an interval of time, in pieces of equal length."
struct Ephemeris{N}
    pieces::Vector{Piece{N}}
end

Base.length(e::Ephemeris) = length(e.pieces)
Base.iterate(e::Ephemeris, k = 1) = k > length(e) ? nothing : (e.pieces[k], k + 1)
Base.eltype(::Type{Ephemeris{N}}) where {N} = Piece{N}

function Base.show(io::IO, e::Ephemeris{N}) where {N}
    print(io, "Ephemeris of ", length(e), " pieces, ", N, " coefficients each, for ")
    @printf(io, "%.1f h", (last(e.pieces).to - first(e.pieces).from) / 3600)
end

"Value of a Chebyshev series at `u` in [-1, 1], unrolled (Clenshaw)."
@generated function clenshaw(c::NTuple{N,T}, u) where {N,T}
    steps = [:((b1, b2) = (c[$k] + 2u * b1 - b2, b1)) for k in N:-1:2]
    return quote
        b1 = b2 = zero(u)
        $(steps...)
        return c[1] + u * b1 - b2
    end
end

"""
    ephemeris(propagator, state; duration, pieces, order = Val(12))

Samples the propagated orbit at Chebyshev nodes.
"""
function ephemeris(p::Propagator, s::State; duration, pieces::Integer, order::Val{N} = Val(12)) where {N}
    width = duration / pieces
    angles = ntuple(k -> π * (k - 0.5) / N, Val(N))
    made = Piece{N}[]
    for k in 1:pieces
        from = (k - 1) * width
        # The nodes run from late to early: go through them backwards.
        samples = Vector{typeof(s.position)}(undef, N)
        at, here = from, s
        for j in N:-1:1
            moment = from + width * (1 + cos(angles[j])) / 2
            here = propagate(p, here, moment - at)
            at = moment
            samples[j] = here.position
        end
        s = propagate(p, here, from + width - at)
        coefficients(axis) = ntuple(Val(N)) do m
            total = sum(getfield(samples[j], axis) * cos((m - 1) * angles[j]) for j in 1:N)
            (m == 1 ? 1 : 2) / N * total
        end
        push!(made, Piece{N}(from, from + width, coefficients(:x), coefficients(:y), coefficients(:z)))
    end
    return Ephemeris{N}(made)
end

"    position_at(ephemeris, time)"
function position_at(e::Ephemeris, time::Real)
    k = searchsortedfirst(e.pieces, time; lt = (piece, t) -> piece.to < t)
    if k > length(e) || time < e.pieces[k].from
        throw(DomainError(time, "the ephemeris ends at $(last(e.pieces).to) s"))
    end
    piece = e.pieces[k]
    u = 2 * (time - piece.from) / (piece.to - piece.from) - 1
    return Vec3(clenshaw(piece.x, u), clenshaw(piece.y, u), clenshaw(piece.z, u))
end
