# Loaded by Second, and so initialised before it.
module First

const ORDER = Symbol[]
module Part
import ..ORDER
__init__() = push!(ORDER, :Part)
end
__init__() = push!(ORDER, :First)

end
