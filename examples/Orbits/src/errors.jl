# What can go wrong, one type each.

"Supertype of the errors of this package."
abstract type OrbitError <: Exception end

"An element is outside of what an orbit can have."
struct InvalidElements <: OrbitError
    element::Symbol
    value::Float64
    allowed::String
end

"An iteration did not reach its tolerance."
struct NoConvergence{T<:Real} <: OrbitError
    what::String
    iterations::Int
    residual::T
end

"The integrator's step fell below what the time's precision can express."
struct StepTooSmall <: OrbitError
    time::Float64
    step::Float64
end

"A line of a catalogue cannot be read."
struct ParseFailure <: OrbitError
    line::Int
    text::String
    reason::String
end

Base.showerror(io::IO, e::InvalidElements) = print(io, "the element ", e.element, " is ", e.value, ", allowed is ", e.allowed)
function Base.showerror(io::IO, e::NoConvergence)
    print(io, e.what, " did not converge in ", e.iterations, " iterations: ")
    @printf(io, "residual %.3g", e.residual)
end
Base.showerror(io::IO, e::StepTooSmall) = @printf(io, "the step at t = %.6g s fell to %.3g s", e.time, e.step)
Base.showerror(io::IO, e::ParseFailure) = print(io, "line ", e.line, ": ", e.reason, " in ", repr(e.text))
