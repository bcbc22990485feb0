# From one moment to another.

"Supertype of the ways to propagate."
abstract type Propagator end

"Kepler's ellipse, unperturbed."
struct TwoBody{B<:Body} <: Propagator
    around::B
end

"""
    Numerical(acceleration; tolerance = 1e-9, first_step = 10.0)

Integrates `acceleration(time, state)`, a `Vec3`, with an embedded Runge–Kutta
pair of orders 5 and 4 (Dormand and Prince) and steps of controlled error.
"""
struct Numerical{F} <: Propagator
    acceleration::F
    tolerance::Float64
    first_step::Float64
end

Numerical(acceleration; tolerance = 1e-9, first_step = 10.0) = Numerical(acceleration, tolerance, first_step)

# Accelerations are closures over what they depend on.

"The acceleration by a point mass."
central(b::Body) = (t, s) -> -b.mu / norm(s.position)^3 * s.position

"The acceleration by the flattening of a body."
function oblateness(b::Body)
    strength = 1.5 * b.j2 * b.mu * b.radius^2
    return function (t, s)
        r = norm(s.position)
        q = 5 * (s.position.z / r)^2
        return -strength / r^5 * Vec3((1 - q) * s.position.x, (1 - q) * s.position.y, (3 - q) * s.position.z)
    end
end

"The acceleration by an atmosphere that thins exponentially."
function drag(b::Body; ballistic, density = 1.2e9, scale_height = 8.5)
    return function (t, s)
        height = norm(s.position) - b.radius
        air = density * exp(-height / scale_height)
        return -0.5 * air * ballistic * norm(s.velocity) * s.velocity
    end
end

"The sum of accelerations."
combine(accelerations...) = (t, s) -> sum_at(t, s, accelerations...)
@inline sum_at(t, s, f) = f(t, s)
@inline sum_at(t, s, f, others...) = f(t, s) + sum_at(t, s, others...)

"    propagate(propagator, state or elements, seconds)"
function propagate(p::TwoBody, el::Elements, seconds::Real)
    n = sqrt(p.around.mu / el.a^3)
    return Elements(el.a, el.e, el.inclination, el.node, el.periapsis, el.anomaly + n * seconds)
end
propagate(p::TwoBody, s::State, seconds::Real) = state(propagate(p, elements(s, p.around), seconds), p.around)
propagate(p::Numerical, s::State, seconds::Real) = integrate(p, s, float(seconds)) do t, reached
    nothing
end

"    trajectory(propagator, state; duration, points) is a vector of (time, state)."
function trajectory(p::Propagator, s::State; duration::Real, points::Integer = 100)
    points >= 2 || throw(ArgumentError("a trajectory has at least 2 points, not $points"))
    times = range(0.0, float(duration); length = points)
    track = Vector{Tuple{Float64,typeof(s)}}(undef, points)
    track[1] = (0.0, s)
    for k in 2:points
        track[k] = (times[k], propagate(p, track[k-1][2], times[k] - times[k-1]))
    end
    return track
end

const NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
const WEIGHTS = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
const ERROR_WEIGHTS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)

"""
Sum of coefficient times slope, unrolled for as many as the tuple of
coefficients has; the tuple of slopes may be longer.
"""
@generated function weighted(coefficients::NTuple{N,Float64}, slopes::NTuple{M,S}) where {N,M,S}
    terms = [:(coefficients[$k] * slopes[$k]) for k in 1:N]
    return foldl((a, b) -> :($a + $b), terms)
end

@inline slope(p::Numerical, t, s) = State(s.velocity, p.acceleration(t, s))

function stages(p::Numerical, t, s, h)
    k1 = slope(p, t, s)
    k2 = slope(p, t + NODES[2] * h, s + h * weighted(WEIGHTS[2], (k1,)))
    k3 = slope(p, t + NODES[3] * h, s + h * weighted(WEIGHTS[3], (k1, k2)))
    k4 = slope(p, t + NODES[4] * h, s + h * weighted(WEIGHTS[4], (k1, k2, k3)))
    k5 = slope(p, t + NODES[5] * h, s + h * weighted(WEIGHTS[5], (k1, k2, k3, k4)))
    k6 = slope(p, t + NODES[6] * h, s + h * weighted(WEIGHTS[6], (k1, k2, k3, k4, k5)))
    next = s + h * weighted(WEIGHTS[7], (k1, k2, k3, k4, k5, k6))
    k7 = slope(p, t + h, next)
    return next, h * weighted(ERROR_WEIGHTS, (k1, k2, k3, k4, k5, k6, k7))
end

"Error relative to the size of position and velocity."
relative_error(error::State, s::State) =
    max(norm(error.position) / norm(s.position), norm(error.velocity) / norm(s.velocity))

function integrate(observe, p::Numerical, s::State, duration::Float64)
    t = 0.0
    h = copysign(min(p.first_step, abs(duration)), duration)
    while abs(duration - t) > 8eps(duration)
        abs(h) > abs(duration - t) && (h = duration - t)
        t + h == t && throw(StepTooSmall(t, h))
        next, error = stages(p, t, s, h)
        ratio = relative_error(error, next) / p.tolerance
        if ratio <= 1
            t += h
            s = next
            observe(t, s)
        end
        # A step that overflowed says nothing about the error, only that it is too long.
        h *= isfinite(ratio) ? clamp(0.9 * max(ratio, 1e-12)^-0.2, 0.2, 5.0) : 0.2
    end
    return s
end
