# The worker image: a chained image that holds the workers' own modules and code, so that a build does not compile its builder.
#
# It is made once per base, by a build like any other whose only content is the workers. A process that starts from it finds in its
# root task's storage, which is where the heap was planted with what the base's tables refer to:
#   svec(code instances, values, modules, …, ChainFront, ChainEmit)
# Nothing else leads to the two modules, so once the storage is cleared they are garbage to the next heap, but for what purge.jl removes.

"Load the compile worker's module beside this one."
function load_compile_worker()
    emit = Module(:ChainEmit)
    # As in front.jl, but not by Core.atdoc!, which would be inferred for our function's type.
    atdoc = Core.atdoc
    ccall(:jl_set_global, Cvoid, (Any, Any, Any), Core, :atdoc, undocumented)
    Base.include(emit, joinpath(@__DIR__, "compile", "emit_main.jl"))
    ccall(:jl_set_global, Cvoid, (Any, Any, Any), Core, :atdoc, atdoc)
    push!(OURS, emit)
    return nothing
end

"Infer all methods of both modules. Returns their method instances."
function infer_workers()
    wanted = Any[]
    for method in own_methods()
        infer_signature!(wanted, (method::Method).sig)
    end
    return wanted
end

"The methods of our modules, which no loaded module leads to."
function own_methods()
    methods = Any[]
    for m in OURS
        for name in names_of(m)
            isdefined(m, name) || continue
            f = getfield(m::Module, name)
            # Some functions have two names.
            f isa Function && function_name(typeof(f)) === name && is_ours(typeof(f).name.module) && methods_of!(methods, f)
        end
    end
    return methods
end
