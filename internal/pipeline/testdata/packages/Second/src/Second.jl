# Needs First, which has to be initialised before.
module Second

import First
__init__() = push!(First.ORDER, :Second)

end
