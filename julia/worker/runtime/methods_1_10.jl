# Which method instance a call gets, as Julia has it from 1.10 on (src/gf.c).

called_method(@nospecialize(type), world::UInt) = ccall(:jl_gf_invoke_lookup, Any, (Any, Any, UInt), type, nothing, world)

# As jl_get_specialization1 does.
function specialization(@nospecialize(type), world::UInt)
    method = called_method(type, world)
    method isa Method || return nothing
    match = ccall(:jl_type_intersection_with_env, Any, (Any, Any), type, method.sig)::Core.SimpleVector
    match[1] === Union{} && return nothing
    compiled = match[1]
    if compiled isa DataType
        compiled = Core.Compiler.get_compileable_sig(method, compiled, match[2])
        compiled === nothing && return nothing
        match = ccall(:jl_type_intersection_with_env, Any, (Any, Any), compiled, method.sig)::Core.SimpleVector
    end
    return ccall(:jl_specializations_get_linfo, Any, (Any, Any, Any), method, compiled, match[2])
end

# A single one is not in a vector.
function specializations_of(method::Method)
    specializations = method.specializations
    return specializations isa Core.SimpleVector ? specializations : Core.svec(specializations)
end

is_compileable(@nospecialize(type), @nospecialize(parameters), method::Method) =
    ccall(:jl_isa_compileable_sig, Int32, (Any, Any, Any), type, parameters, method) != 0
