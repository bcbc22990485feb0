# The compile worker: turns bitcode of a partition into an object, with Julia's own optimisation pipeline.
#
# It runs as `julia compile/emit.jl`, reads one request per line from stdin (fields separated by tabs) and answers each with one JSON
# object on file descriptor 3:
#   emit <bitcode> <object> <opt level> <cpu> <features>   ->  {"passes_ns":…,"codegen_ns":…} or {"error":…}
#   variant …                                              the same for another processor than the process is for: cpu and features are all of it

let emit = Module(:ChainEmit)
    Base.include(emit, joinpath(Base.@__DIR__, "emit_main.jl"))
    Core.eval(emit, :(serve()))
end
