# The one function, called once. It prints nothing, since that would need more functions.

using Added

Added.steps(27) == 111 || error("Added.steps(27) is ", Added.steps(27))
