# A package whose name Base has too, and whose types have parameters that a trace writes in ways of its own.
module Pipe

struct Parameter{P} end
@noinline describe(::Parameter{P}) where {P} = string(typeof(P).name.name, " ", P)
@noinline describe(table::NamedTuple) = string("table of ", join(keys(table), " and "))
macro count_arguments(arguments...)
    return length(arguments)
end

deep(n) = foldl((inner, _) -> Parameter{inner}, 1:n; init = Parameter{:innermost})
depth(::Type{Parameter{P}}) where {P} = P isa Symbol ? 1 : 1 + depth(P)
@noinline describe(::Type{T}, n) where {T<:Parameter} = string("nested in ", n)

const TABLES = Any[NamedTuple{(:id, Symbol("Size (in\")")), Tuple{Int,Float64}}((1, 2.5)),
    NamedTuple{(Symbol("a\nb"), Symbol("US\$"), Symbol("\\alpha")), NTuple{3,Int}}((1, 2, 3))]
const PARAMETERS = Any[Parameter{-0.0}(), Parameter{-0.0f0}(), Parameter{(-0.0, 1)}(), Parameter{Symbol("say \"x\"")}(),
    Parameter{Symbol("tab\tbell\a")}(), Parameter{Symbol("")}(), Parameter{Symbol("}, {")}(), Parameter{:∉}(), Parameter{Symbol("end")}()]

function report(io::IO = stdout)
    for value in vcat(TABLES, PARAMETERS)
        println(io, repr(describe(value)))
    end
    println(io, describe(Base.inferencebarrier(deep(230)), 230))
end

end
