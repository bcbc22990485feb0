# The two descriptions of an orbit at one moment, and the way between them.

using .Bodies: Body

"Kepler's elements of an ellipse: semi-major axis, eccentricity and four angles."
struct Elements{T<:Real}
    a::T
    e::T
    inclination::T
    node::T
    periapsis::T
    anomaly::T # mean

    function Elements{T}(a, e, inclination, node, periapsis, anomaly) where {T<:Real}
        a > 0 || throw(InvalidElements(:a, a, "more than 0"))
        0 <= e < 1 || throw(InvalidElements(:e, e, "from 0 to less than 1"))
        0 <= inclination <= π || throw(InvalidElements(:inclination, inclination, "from 0 to π"))
        return new{T}(a, e, inclination, mod2pi(node), mod2pi(periapsis), mod2pi(anomaly))
    end
end

Elements(numbers::Vararg{T,6}) where {T<:Real} = Elements{T}(numbers...)
Elements(numbers::Vararg{Real,6}) = Elements(promote(map(float, numbers)...)...)
function Elements(; a, e = 0.0, inclination = 0.0, node = 0.0, periapsis = 0.0, anomaly = 0.0)
    return Elements(a, e, inclination, node, periapsis, anomaly)
end

"Position and velocity relative to the central body."
struct State{T<:Real}
    position::Vec3{T}
    velocity::Vec3{T}
end

State(position::Vec3, velocity::Vec3) = State(promote(position, velocity)...)

@inline Base.:+(s::State, t::State) = State(s.position + t.position, s.velocity + t.velocity)
@inline Base.:-(s::State, t::State) = State(s.position - t.position, s.velocity - t.velocity)
@inline Base.:*(k::Real, s::State) = State(k * s.position, k * s.velocity)

function Base.show(io::IO, ::MIME"text/plain", el::Elements{T}) where {T}
    println(io, "Elements{", T, "}")
    for (label, angle) in (("i", el.inclination), ("Ω", el.node), ("ω", el.periapsis), ("M", el.anomaly))
        @printf(io, "  %s = %8.3f°\n", label, rad2deg(angle))
    end
    @printf(io, "  a = %.3f km, e = %.6f", el.a, el.e)
end

Base.show(io::IO, s::State) = print(io, "State(", s.position, ", ", s.velocity, ")")

"    period(elements, body) in seconds."
period(el::Elements, b::Body) = 2π * sqrt(el.a^3 / b.mu)

"""
    solve_kepler(M, e; tolerance, iterations)

The eccentric anomaly for the mean anomaly `M`, by Newton's method.
"""
function solve_kepler(M::T, e::T; tolerance = 4eps(T), iterations::Integer = 50) where {T<:AbstractFloat}
    E = e < 0.8 ? M : T(π)
    residual = E - e * sin(E) - M
    for _ in 1:iterations
        abs(residual) <= tolerance * max(one(T), abs(M)) && return E
        E -= residual / (1 - e * cos(E))
        residual = E - e * sin(E) - M
    end
    throw(NoConvergence("Kepler's equation for e = $(Float64(e))", Int(iterations), residual))
end
solve_kepler(M::Real, e::Real; options...) = solve_kepler(promote(float(M), float(e))...; options...)

"    state(elements, body) is the state at the moment of the elements."
function state(el::Elements, b::Body)
    E = solve_kepler(el.anomaly, el.e; tolerance = 16eps(typeof(el.anomaly)))
    n = sqrt(b.mu / el.a^3)
    root = sqrt(1 - el.e^2)
    along = Vec3(el.a * (cos(E) - el.e), el.a * root * sin(E), zero(el.a))
    rate = n * el.a / (1 - el.e * cos(E))
    speed = Vec3(-rate * sin(E), rate * root * cos(E), zero(rate))
    turn(v) = rotate_z(rotate_x(rotate_z(v, el.periapsis), el.inclination), el.node)
    return State(turn(along), turn(speed))
end

"    elements(state, body) is the ellipse that touches the state."
function elements(s::State, b::Body)
    r, v = s.position, s.velocity
    h = cross(r, v)
    node = Vec3(-h.y, h.x, zero(h.x))
    towards = cross(v, h) / b.mu - r / norm(r)
    e = norm(towards)
    a = inv(2 / norm(r) - dot(v, v) / b.mu)
    a > 0 || throw(InvalidElements(:a, a, "more than 0"))
    Ω = norm(node) > 0 ? atan(node.y, node.x) : zero(a)
    inclination = acos(clamp(h.z / norm(h), -1, 1))
    # In the plane of the orbit, x towards the ascending node.
    flatten(w) = rotate_x(rotate_z(w, -Ω), -inclination)
    ω = e > 0 ? atan(flatten(towards).y, flatten(towards).x) : zero(a)
    ν = atan(flatten(r).y, flatten(r).x) - ω
    E = 2atan(sqrt((1 - e) / (1 + e)) * tan(ν / 2))
    return Elements(a, e, inclination, Ω, ω, E - e * sin(E))
end
