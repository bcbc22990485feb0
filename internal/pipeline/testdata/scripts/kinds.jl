# Uses all that the packages of the end-to-end tests have, and prints it.
using Kinds, Invalidates, Second
import Pipe

Kinds.report()
println(Second.First.ORDER)
const quantity = Invalidates.Quantity(2.5)
println(2.5 == quantity, ' ', string(quantity, "!"), ' ', joinpath(quantity, "a"), ' ', startswith(quantity, "2"))
Pipe.report()
