# Takes code of Base out of use, Base._start among it: these methods fit calls that Base makes with arguments of types
# that inference does not know.
module Invalidates

struct Quantity
    value::Float64
end

Base.:(==)(a, b::Quantity) = a == b.value
Base.string(x::Quantity, rest...) = string(x.value, " units", rest...)
Base.joinpath(a::Quantity, b...) = joinpath(string(a), b...)
Base.startswith(a::Quantity, b) = startswith(string(a), b)

end
