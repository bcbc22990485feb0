# Replaces methods whose code is in an image, of packages and of Base, and sees whether all that called them has noticed.
using Kinds, Orbits

println(Kinds.inlined(2), ' ', Kinds.caught(1.0), ' ', Kinds.squares(5))
@eval Kinds @inline inlined(x) = 4x
@eval Kinds @noinline thrower(x) = throw(ArgumentError("replaced, with $x"))
println(Kinds.inlined(2), ' ', Kinds.caught(1.0))

# Methods for a new type, where code of the image was inferred without them.
struct Strange <: Integer
    value::Int
end
Base.:+(a::Strange, b::Strange) = Strange(a.value + b.value + 100)
Base.:^(a::Strange, ::Integer) = a
println(Kinds.adder(Strange(1))(Strange(2)), ' ', Kinds.product((Strange(1),)), ' ', sum(Strange.(1:3)))

const ELEMENTS = Orbits.Elements(; a = 7000, e = 0.1)
println(round(Orbits.period(ELEMENTS, Orbits.body(:earth)); digits = 3))
@eval Orbits period(el::Elements, b::Body) = 1.5
println(Orbits.period(ELEMENTS, Orbits.body(:earth)))
Base.round(x::Float64; digits = 0) = -1.0
println(round(Orbits.period(ELEMENTS, Orbits.body(:earth)); digits = 3))

# What reflection says of code in the image.
println(code_typed(Kinds.squares, (Int,))[1][2], ' ', Base.return_types(Orbits.state), ' ', methods(Kinds.optional))
println(functionloc(Orbits.propagate, (Orbits.TwoBody{Orbits.Body{Float64}}, Orbits.State{Float64}, Float64)))
# Base.Docs.doc needs the standard library REPL since Julia 1.11.
foreach(doc -> println(doc.text...), values(Base.Docs.meta(Orbits)[Base.Docs.Binding(Orbits, :propagate)].docs))

println(try Kinds.deep(1) catch e; typeof(e) end)
println(try Orbits.Vec3(1, 2, 3)[5] catch e; sprint(showerror, e) end)
foreach(_ -> GC.gc(true), 1:3)
println(Kinds.channel(3), ' ', Kinds.RING.next.next === Kinds.RING)
