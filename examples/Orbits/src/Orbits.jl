"""
Orbits of small bodies around large ones: Kepler's elements and state vectors,
analytic and numerical propagation, compressed ephemerides, printed tables.

Lengths are in km, times in s, angles in rad, gravitational parameters in km³/s².
"""
module Orbits

using Dates
using LinearAlgebra
using Printf

export Vec3, Elements, State, Bodies, Body, body
export elements, state, period, solve_kepler
export TwoBody, Numerical, propagate, trajectory, central, oblateness, drag, combine
export Ephemeris, ephemeris, position_at
export read_catalogue, write_table, table
export OrbitError, InvalidElements, NoConvergence, StepTooSmall, ParseFailure

include("vectors.jl")
include("errors.jl")
include("bodies.jl")
include("elements.jl")
include("propagators.jl")
include("ephemeris.jl")
include("tables.jl")

using .Bodies: Body, body

"When this process loaded the package: the default epoch of `table`."
const LOADED = Ref{DateTime}()

function __init__()
    LOADED[] = now(UTC)
    Bodies.register_planets()
    return nothing
end

end
