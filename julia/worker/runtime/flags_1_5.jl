# What is stored in code instances, as Julia 1.5 has it.

is_constant(@nospecialize(code)) = invoke_pointer(code) == cglobal(:jl_fptr_const_return)

was_used(code::Core.CodeInstance) = invoke_pointer(code) != C_NULL

set_first_code(instance::Core.MethodInstance, @nospecialize(code)) = setfield!(instance, :cache, code)
set_next_code(before::Core.CodeInstance, @nospecialize(code)) = setfield!(before, :next, code)

disown_workers_code(index::Vector{Any}, methods::Vector{Any}) = nothing
