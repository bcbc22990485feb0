module Second

import First
__init__() = push!(First.ORDER, :Second)
const LOADED_WITH = copy(First.ORDER)

end
