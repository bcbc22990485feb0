# The one function, called once. It prints nothing, since that would need more functions: trace.jl is the line that
# --trace-compile writes for it.
#
#     julia --project=bench/Added bench/Added/workload.jl

using Added

Added.steps(27) == 111 || error("Added.steps(27) is ", Added.steps(27))
