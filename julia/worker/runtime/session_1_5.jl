# The process, as Julia 1.5 has it.

begin_session() = Base.__init__()

end_session() = nothing
