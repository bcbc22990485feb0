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

# Sources are compressed when code for them is emitted (jl_add_codeinst_to_cache in src/gf.c), and until then the interpreter has them. Compressed
# ones name what they call by places in the edges of their code instances (jl_compress_ir in src/ircode.c), and edges list what could be called, so
# both differ where the code does not.
function have_same_source(a::Core.CodeInstance, b::Core.CodeInstance)
    first, second = source_of(a), source_of(b)
    return first isa Core.CodeInfo && second isa Core.CodeInfo && is_same(first.code, second.code) && is_same(first.ssavaluetypes, second.ssavaluetypes) &&
        first.ssaflags == second.ssaflags && first.slotflags == second.slotflags && first.nargs == second.nargs && first.isva == second.isva &&
        first.purity == second.purity && first.inlining_cost == second.inlining_cost
end

"The source of `code`, or `nothing` if it has none any more."
function source_of(code::Core.CodeInstance)
    isdefined(code, :inferred) || return nothing
    code.inferred isa Core.CodeInfo && return code.inferred
    code.inferred isa String && return uncompressed(code)
    return get((INTERPRETER[1]::Base.Compiler.NativeInterpreter).codegen, code, nothing)
end

"Whether two parts of sources are the same. Of code instances those of the same method instance are."
function is_same(@nospecialize(a), @nospecialize(b))
    a === b && return true
    a isa Core.CodeInstance && b isa Core.CodeInstance && return instance_of(a) === instance_of(b)
    typeof(a) === typeof(b) || return false
    a isa String && return a == b
    if a isa Array
        length(a) == length(b) || return false
        for i in 1:length(a)
            isassigned(a, i) == isassigned(b, i) || return false
            isassigned(a, i) && (is_same(a[i], b[i]) || return false)
        end
        return true
    end
    a isa Union{Expr,Core.GotoIfNot,Core.ReturnNode,Core.PiNode,Core.PhiNode,Core.PhiCNode,Core.UpsilonNode,Core.EnterNode,QuoteNode} || return false
    for i in 1:nfields(a)
        isdefined(a, i) == isdefined(b, i) || return false
        isdefined(a, i) && (is_same(getfield(a, i), getfield(b, i)) || return false)
    end
    return true
end

# Code instances name each other: in edges, and in sources that are not compressed yet (code_to_emit).
function replace_code(replaced::IdDict{Any,Any}, methods::Vector{Any})
    merge!(REPLACED, replaced)
    for code in code_of(methods)
        isdefined(code, :edges) && replace_edges(code.edges)
    end
    # What may invalidate them from now on.
    for (new, old) in replaced
        Base.Compiler.store_backedges(old::Core.CodeInstance, new.edges)
    end
    return nothing
end

"What replace_code was given."
const REPLACED = IdDict{Any,Any}()

function replace_edges(edges::Core.SimpleVector)
    for i in 1:length(edges)
        haskey(REPLACED, edges[i]) || continue
        # Elements follow the length. The new one is of the image, and the collector need not be told of it.
        unsafe_store!(Ptr{Ptr{Cvoid}}(pointer_from_objref(edges)), pointer_from_objref(REPLACED[edges[i]]), i + 1)
    end
    return nothing
end

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
        collect_garbage()
        item = pop!(work)
        haskey(seen, item) && continue
        if item isa Core.MethodInstance
            seen[item] = true
            known = current_code(item, interpreter.world)
            known isa Core.CodeInstance && (has_base_code(index, known) || is_constant(known)) && continue
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
        source.edges isa Core.SimpleVector && replace_edges(source.edges)
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
    call = named_call(statement)
    call === nothing && return nothing
    called = get(REPLACED, call.args[1], call.args[1])
    call.args[1] = called
    if called isa Core.CodeInstance
        isdefined(called, :inferred) && push!(work, called)
    elseif called isa Core.MethodInstance && called.def isa Method
        # The runtime calls it, and would compile it then.
        push!(work, called)
    end
    return nothing
end
