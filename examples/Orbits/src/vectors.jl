# Vectors of three numbers, on the stack.

"Three Cartesian components of one number type."
struct Vec3{T<:Real} <: AbstractVector{T}
    x::T
    y::T
    z::T
end

Vec3(x::Real, y::Real, z::Real) = Vec3(promote(x, y, z)...)
Vec3{T}(v::Vec3) where {T<:Real} = Vec3{T}(T(v.x), T(v.y), T(v.z))

Base.size(::Vec3) = (3,)
Base.IndexStyle(::Type{<:Vec3}) = IndexLinear()

@inline function Base.getindex(v::Vec3, i::Int)
    @boundscheck checkbounds(v, i)
    return i == 1 ? v.x : i == 2 ? v.y : v.z
end

Base.convert(::Type{Vec3{T}}, v::Vec3) where {T<:Real} = Vec3{T}(v)
Base.promote_rule(::Type{Vec3{S}}, ::Type{Vec3{T}}) where {S,T} = Vec3{promote_type(S, T)}

@inline Base.:+(a::Vec3, b::Vec3) = Vec3(a.x + b.x, a.y + b.y, a.z + b.z)
@inline Base.:-(a::Vec3, b::Vec3) = Vec3(a.x - b.x, a.y - b.y, a.z - b.z)
@inline Base.:-(a::Vec3) = Vec3(-a.x, -a.y, -a.z)
@inline Base.:*(s::Real, a::Vec3) = Vec3(s * a.x, s * a.y, s * a.z)
@inline Base.:*(a::Vec3, s::Real) = s * a
@inline Base.:/(a::Vec3, s::Real) = Vec3(a.x / s, a.y / s, a.z / s)

@inline LinearAlgebra.dot(a::Vec3, b::Vec3) = a.x * b.x + a.y * b.y + a.z * b.z
@inline LinearAlgebra.norm(a::Vec3) = sqrt(dot(a, a))
@inline function LinearAlgebra.cross(a::Vec3, b::Vec3)
    return Vec3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
end

"Rotation about the third axis (z) or the first (x)."
rotate_z(v::Vec3, angle) = Vec3(cos(angle) * v.x - sin(angle) * v.y, sin(angle) * v.x + cos(angle) * v.y, v.z)
rotate_x(v::Vec3, angle) = Vec3(v.x, cos(angle) * v.y - sin(angle) * v.z, sin(angle) * v.y + cos(angle) * v.z)

Base.show(io::IO, v::Vec3) = @printf(io, "(%.6g, %.6g, %.6g)", v.x, v.y, v.z)
