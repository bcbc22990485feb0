"""
The bodies that orbits are around, by name. The planets are registered when the
package is loaded; `register!` adds others.
"""
module Bodies

export Body, body, register!

"A body: gravitational parameter, equatorial radius and oblateness."
struct Body{T<:Real}
    name::Symbol
    mu::T
    radius::T
    j2::T
end

Body(name, mu, radius; j2 = zero(mu)) = Body(Symbol(name), promote(float(mu), float(radius), float(j2))...)

Base.show(io::IO, b::Body) = print(io, "Body(:", b.name, ")")

struct UnknownBody <: Exception
    name::Symbol
    known::Vector{Symbol}
end

function Base.showerror(io::IO, e::UnknownBody)
    print(io, "no body is named ", e.name, "; known are ")
    join(io, e.known, ", ", " and ")
end

const registered = Dict{Symbol,Body{Float64}}()

register!(b::Body) = registered[b.name] = b

"    body(name) is the registered body of that name."
function body(name::Symbol)
    get(registered, name) do
        throw(UnknownBody(name, sort!(collect(keys(registered)))))
    end
end
body(name::AbstractString) = body(Symbol(lowercase(name)))

function register_planets()
    for (name, mu, radius, j2) in [
        (:sun, 1.32712440018e11, 695700, 2.0e-7),
        (:earth, 3.986004418e5, 6378.137, 1.08263e-3),
        (:moon, 4.9048695e3, 1738.1, 2.027e-4),
        (:mars, 4.282837e4, 3396.2, 1.96045e-3),
        (:jupiter, 1.26686534e8, 71492, 1.4736e-2),
    ]
        register!(Body(name, mu, radius; j2 = j2))
    end
end

end
