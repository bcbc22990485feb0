# What is inferred of a method instance, as Julia 1.12 has it.

# The interpreter of the process. It keeps the sources of all that it has inferred, which the runtime drops.
const INTERPRETER = Any[nothing]

function infer_in_current_world()
    INTERPRETER[1] = Base.Compiler.NativeInterpreter(ccall(:jl_get_world_counter, UInt, ()))
    return nothing
end

function end_inference()
    INTERPRETER[1] = nothing
    return nothing
end

current_code(instance::Core.MethodInstance, world::UInt) =
    ccall(:jl_rettype_inferred, Any, (Any, Any, UInt, UInt), nothing, instance, world, world)

# The runtime would infer with an interpreter of its own, whose sources are dropped.
cache_dispatch(@nospecialize(type)) = nothing

function infer(@nospecialize(instance), world::UInt)
    interpreter = INTERPRETER[1]::Base.Compiler.NativeInterpreter
    world == interpreter.world || fail("the world has moved on while the build inferred")
    return Base.Compiler.typeinf_ext(interpreter, instance::Core.MethodInstance, Base.Compiler.SOURCE_MODE_GET_SOURCE)
end

# Compressed sources name what they call by places in the edges of their code instances, so equal sources may call different code. Nothing is
# taken for the same, and what was invalidated is compiled again.
have_same_source(a::Core.CodeInstance, b::Core.CodeInstance) = false

# As precompile_enq_specialization_ (src/precompile_utils.c) decides. Code of other interpreters is not.
function is_kept(code::Core.CodeInstance)
    (is_constant(code) || code.owner !== nothing) && return false
    if isdefined(code, :inferred)
        source = code.inferred
        # A source that was dropped could not be inlined.
        (source === nothing || (source isa String || source isa Core.CodeInfo) &&
         ccall(:jl_ir_inlining_cost, UInt16, (Any,), source) == typemax(UInt16)) && return true
    end
    return was_used(code)
end

# code_to_emit follows what is called.
add_called!(instances::Vector{Any}, seen::IdDict{Any,Any}, index::Vector{Any}, world::UInt) = nothing

"""
    code_to_emit(instances, index)

Code instances and sources, in turns, of `instances` and of all that they call and the base has no code for (compile! of
Compiler/src/typeinfer.jl).
"""
function code_to_emit(instances::Vector{Any}, index::Vector{Any})
    interpreter = INTERPRETER[1]::Base.Compiler.NativeInterpreter
    infos = Any[]
    seen = IdDict{Any,Any}()
    work = Any[]
    for instance in instances
        instance isa Core.SimpleVector ? push!(infos, instance) : push!(work, instance)
    end
    while !isempty(work)
        item = pop!(work)
        haskey(seen, item) && continue
        if item isa Core.MethodInstance
            seen[item] = true
            code = Base.Compiler.typeinf_ext(interpreter, item, Base.Compiler.SOURCE_MODE_GET_SOURCE)
            code isa Core.CodeInstance && push!(work, code)
            continue
        end
        code = item::Core.CodeInstance
        if has_base_code(index, code) || is_constant(code)
            seen[code] = true
            continue
        end
        instance = instance_of(code)
        source = get(interpreter.codegen, code, nothing)
        if !(source isa Core.CodeInfo)
            new = Base.Compiler.typeinf_ext(interpreter, instance, Base.Compiler.SOURCE_MODE_GET_SOURCE)
            new === code || (seen[code] = true)
            new isa Core.CodeInstance && push!(work, new)
            continue
        end
        seen[code] = true
        for statement in source.code
            push_called!(work, statement)
        end
        if ccall(:jl_mi_cache_has_ci, Cint, (Any, Any), instance, code) == 0
            cached = ccall(:jl_get_ci_equiv, Any, (Any, UInt), code, interpreter.world)::Core.CodeInstance
            if cached === code
                ccall(:jl_mi_cache_insert, Cvoid, (Any, Any), instance, code)
            else
                code = cached
                has_base_code(index, code) && continue
            end
        end
        push!(infos, code, source)
    end
    return infos
end

function push_called!(work::Vector{Any}, @nospecialize(statement))
    statement isa Expr || return nothing
    if statement.head === :invoke || statement.head === :invoke_modify
        called = statement.args[1]
        called isa Core.CodeInstance && isdefined(called, :inferred) && push!(work, called)
    elseif statement.head === :(=)
        push_called!(work, statement.args[2])
    end
    return nothing
end
