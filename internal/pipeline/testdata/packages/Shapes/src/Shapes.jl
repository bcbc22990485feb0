# Calls whose targets depend on which methods there are, for Circles to add some.
module Shapes

abstract type Polygon end
struct Square <: Polygon end
abstract type Curve end
struct Line <: Curve end

corners(::T) where {T<:Polygon} = 4
corners(::T) where {T<:Curve} = 2
sides(shape) = 4

# One more method of corners changes nothing in what is compiled for this: such calls are dispatched anyway, and the result is an Int.
@noinline total(shapes) = corners(shapes[1]) + corners(shapes[2])
@noinline twice(shapes) = 2 * total(shapes)

# There is one method of sides, which is inlined, until there are two.
@noinline outline(shapes) = sides(shapes[1]) + length(shapes)
@noinline both(shapes) = total(shapes) + outline(shapes)

end
