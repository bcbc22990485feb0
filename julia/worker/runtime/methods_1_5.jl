# Which method instance a call gets, as Julia 1.5 has it (src/gf.c).

function called_method(@nospecialize(type), world::UInt)
    entry = ccall(:jl_gf_invoke_lookup, Any, (Any, UInt), type, world)
    return entry isa Core.TypeMapEntry ? entry.func : nothing
end

function specialization(@nospecialize(type), world::UInt)
    least = Ref{UInt}(0)
    most = Ref{UInt}(typemax(UInt))
    return ccall(:jl_get_spec_lambda, Any, (Any, UInt, Ptr{UInt}, Ptr{UInt}), type, world, least, most)
end

specializations_of(method::Method) = method.specializations

is_compileable(@nospecialize(type), @nospecialize(parameters), method::Method) =
    ccall(:jl_isa_compileable_sig, Int32, (Any, Any), type, method) != 0
