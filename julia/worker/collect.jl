# What is to be emitted: the method instances whose code the base does not have.

"""
    infer_statements(request)

Infer the signature of every statement. Returns the method instances that they name; those that name none are reported.
"""
function infer_statements(request::Dict{String,Any})
    wanted = value_of(request, "emit") == "traced" && caches_have_code() ? cached_instances() : Any[]
    infer_list!(wanted, value_of(request, "statements"), true)
    infer_list!(wanted, value_of(request, "sessions"), false)
    return wanted
end

"Infer the signatures of the file at `path`, each on a line behind its number and a tab, and append their method instances to `wanted`."
function infer_list!(wanted::Vector{Any}, path::String, reports::Bool)
    path == "" && return nothing
    done = 0
    for line in split(read(path, String), '\n')
        collect_garbage()
        tab = findfirst(isequal('\t'), line)
        tab === nothing && continue
        number = String(SubString(line, 1, prevind(line, tab)))
        source = String(SubString(line, nextind(line, tab)))
        type, reason = resolve(source)
        if reason == ""
            reason = infer_signature!(wanted, type)
        end
        if reason != "" && reports
            event(string("{\"event\":\"unresolved\",\"line\":", number, ",\"reason\":", json(reason), "}"))
        end
        done += 1
        reports && done & 7 == 0 && event("{\"event\":\"inferred\"}")
    end
    return nothing
end

"""
The method instances that caches brought along and that Julia would keep code for. Where caches have native code, a session that was traced
did not compile them, so its trace does not name them.
"""
function cached_instances()
    world = ccall(:jl_get_world_counter, UInt, ())
    out = Any[]
    for instance in instances_of(all_methods())
        haskey(OF_INTERACTIVE, instance) && continue
        code = current_code(instance::Core.MethodInstance, world)
        code isa Core.CodeInstance && invoke_pointer(code) == C_NULL && is_kept(code) && push!(out, instance)
    end
    return out
end

"""
    infer_signature!(wanted, type)

Infer what a call with signature `type` runs, in the current world, and append its method instances to `wanted`: the one that Julia
compiles for such calls and, where it may be compiled as it stands, the one for exactly `type`, which is what a trace has
recorded. Returns "", or the reason why there is none.
"""
function infer_signature!(wanted::Vector{Any}, @nospecialize(type))
    # Besides inferring it, this puts the method into the dispatch cache, as in a stock build.
    cache_dispatch(type)
    world = ccall(:jl_get_world_counter, UInt, ())
    instance = specialization(type, world)
    instance isa Core.MethodInstance && infer_instance!(wanted, instance, world)
    method = called_method(type, world)
    method isa Method && instance isa Core.MethodInstance && is_old_generator(method, instance, world) &&
        return "Julia runs a generator in the world of its definition, which the base has no code for, and compiles it in each process"
    if method isa Method
        match = ccall(:jl_type_intersection_with_env, Any, (Any, Any), type, method.sig)::Core.SimpleVector
        if is_compileable(type, match[2], method)
            exact = ccall(:jl_specializations_get_linfo, Any, (Any, Any, Any), method, match[1], match[2])
            exact === instance || infer_instance!(wanted, exact, world)
            add_invoked!(wanted, exact, type, world)
            return ""
        end
    end
    instance isa Core.MethodInstance && return ""
    method isa Method || return "no method matches"
    # Dispatch comes to a method instance with the arguments' types, and as jl_generate_fptr (src/jitlayers.cpp) infers no macro, it
    # is compiled for its own signature in each process (jl_compile_method_internal in src/gf.c).
    codeunit(String(method.name), 1) == 0x40 && return "macros that take any number of arguments are compiled when they are used"
    return "Julia compiles no code for this signature"
end

"""
    add_invoked!(wanted, called, type, world)

Append what `invoke` runs for arguments of a statement's types to `wanted`, where `called`, which calls are dispatched to, has code of the base already: then
it was not that which a session compiled, but a method that is called by `invoke` with types of its own. A trace tells not the one from the
other. What code of the base invokes has a method instance there.
"""
function add_invoked!(wanted::Vector{Any}, @nospecialize(called), @nospecialize(type), world::UInt)
    called = called::Core.MethodInstance
    code = current_code(called, world)
    code isa Core.CodeInstance && invoke_pointer(code) != C_NULL || return nothing
    type isa DataType || return nothing
    f = type.parameters[1]
    f isa DataType && isdefined(f, :instance) || return nothing
    for method in methods_of!(Any[], f.instance)
        method = method::Method
        method !== called.def && type <: method.sig || continue
        specializations = specializations_of(method)
        for i in 1:length(specializations)
            isassigned(specializations, i) || continue
            instance = specializations[i]
            instance isa Core.MethodInstance && instance.specTypes === type && infer_instance!(wanted, instance, world)
        end
    end
    return nothing
end

"""
Whether calls of `instance` come from expanding a generated function (jl_call_staged in src/method.c) and run in a world, that of
the definition of `method`, whose code has ended since. `#s…` is what lowering calls generators.
"""
function is_old_generator(method::Method, instance::Core.MethodInstance, world::UInt)
    startswith(String(method.name), "#s") || return false
    code = current_code(instance, convert(UInt, method.primary_world))
    return code isa Core.CodeInstance && code.max_world < world && invoke_pointer(code) == C_NULL
end

function infer_instance!(wanted::Vector{Any}, @nospecialize(instance), world::UInt)
    current_code(instance::Core.MethodInstance, world) === nothing && infer(instance, world)
    push!(wanted, instance)
    return nothing
end

const INVOKE_OFFSET = fieldoffset(Core.CodeInstance, findfirst(isequal(:invoke), fieldnames(Core.CodeInstance)))
invoke_pointer(@nospecialize(code)) = unsafe_load(Ptr{Ptr{Cvoid}}(pointer_from_objref(code) + INVOKE_OFFSET))

"""
    collect_instances(request, index, wanted, methods)

The method instances to emit, and in `methods` all methods there are: everything new that Julia would keep (`emit=all`), what the statements name, and the base's
own methods whose native code was invalidated by what was loaded.
"""
function collect_instances(request::Dict{String,Any}, index::Vector{Any}, wanted::Vector{Any}, methods::Vector{Any})
    all_new = value_of(request, "emit", "all") == "all"
    world = ccall(:jl_get_world_counter, UInt, ())
    out = Any[]
    invalidated = Any[]
    callable = Dict{String,Any}()
    seen = IdDict{Any,Any}()
    append!(methods, all_methods())
    value_of(request, "self") == "yes" && append!(methods, own_methods())
    disown_workers_code(index, methods)
    for instance in wanted
        add_instance!(out, invalidated, seen, index, instance, world, true)
    end
    for method in methods
        method = method::Method
        collect_garbage()
        if all_new && method.name === :__init__ && isdispatchtuple(method.sig)
            instance = ccall(:jl_specializations_get_linfo, Any, (Any, Any, Any), method, method.sig, Core.svec())
            add_instance!(out, invalidated, seen, index, instance, world, true)
        end
        specializations = specializations_of(method)
        for i in 1:length(specializations)
            isassigned(specializations, i) || continue
            instance = specializations[i]
            instance isa Core.MethodInstance &&
                add_instance!(out, invalidated, seen, index, instance, world, false, all_new && !haskey(OF_INTERACTIVE, instance))
        end
        all_new && isdefined(method, :ccallable) && add_callable!(out, callable, method, value_of(request, "image"))
    end
    count = length(invalidated)
    revive!(invalidated, request, index, methods, world)
    event(string("{\"event\":\"invalidated\",\"functions\":", count, ",\"revived\":", count - length(invalidated), "}"))
    append!(out, invalidated)
    add_called!(out, seen, index, world)
    return out
end

"""
Add what C can call of `method` to `out`. It has the name of the function, by which `names` knows the methods that were added: of several
methods with one name, C can find one. Where the image that the process runs from has the name, it is there already.
"""
function add_callable!(out::Vector{Any}, names::Dict{String,Any}, method::Method, image::String)
    name = string(function_name(Base.unwrap_unionall(method.sig).parameters[1]))
    heap_symbol(image, name) == C_NULL || return nothing
    if haskey(names, name)
        first = names[name]::Method
        warn(string("modules ", string(nameof(first.module)), " and ", string(nameof(method.module)),
                    " both define a function ", name, " for C (Base.@ccallable): C will find that of ", string(nameof(first.module))))
    else
        names[name] = method
        push!(out, method.ccallable)
    end
    return nothing
end

"Add `instance` to `out` if it needs code that the base does not have, or to `invalidated` if the base has code for it that is not valid any more."
function add_instance!(out::Vector{Any}, invalidated::Vector{Any}, seen::IdDict{Any,Any}, index::Vector{Any}, @nospecialize(instance), world::UInt,
                       named::Bool, all_new::Bool=true)
    haskey(seen, instance) && return
    instance = instance::Core.MethodInstance
    had_code = false
    kept = false
    if isdefined(instance, :cache)
        code = instance.cache
        while true
            if has_base_code(index, code)
                # Code for the last world is the base's own: nothing to do.
                code.max_world == typemax(UInt) && return
                # That of a package image is as any package's: what a session has compiled in its place, its trace names.
                had_code |= code.max_world >= BASE_WORLD[1] && !is_of_package_image(index, code)
            elseif code.min_world <= world <= code.max_world
                kept |= is_kept(code) && !is_settled(index, code)
                is_constant(code) && return
            end
            isdefined(code, :next) || break
            code = code.next
        end
    end
    named || had_code || (all_new && kept) || return
    if !is_compileable(instance.specTypes, instance.sparam_vals, instance.def)
        # Compiled is the wider signature that calls are dispatched to.
        wider = specialization(instance.specTypes, world)
        (wider === nothing || wider === instance) && return
        return add_instance!(out, invalidated, seen, index, wider, world, true)
    end
    if had_code && current_code(instance, world) === nothing
        infer(instance, world)
    end
    seen[instance] = true
    push!(had_code ? invalidated : out, instance)
    return
end
