# From a statement's source to the type that it denotes, without evaluating it.
#
# Only what can denote a signature is understood: names of bindings, types with parameters, `where`, typeof, values of
# isbits types as the runtime writes them (jl_static_show in src/rtutils.c). Nothing is called but the runtime's own
# constructors of types and values. Package statements, which wrote the source, has the grammar.
#
# This runs at most once in a process, on some hundred statements, so what it costs is its own compilation. Hence
# comments where one expects docstrings (each is a macro to expand), one `try` for all, and functions that few statements
# need are reached through variables that are not constant: a call through them is neither inferred nor compiled before
# it happens.
#
# A part that cannot be resolved yields the object UNRESOLVED, of which the only element is the reason: no exceptions in
# the usual case, since a trace from another session may have thousands of such statements.

const UNRESOLVED = Any[""]

# Loaded root modules by name, as far as they were asked for.
const ROOTS = IdDict{Any,Any}()

unresolved(reason::String) = (UNRESOLVED[1] = reason; UNRESOLVED)

# The signature that the type expression `source` denotes in the current world, a subtype of Tuple: (type, ""), or else
# (nothing, reason). Reasons:
#
#   "module X is not loaded"        "anonymous function or closure of another session"
#   "X is not defined in Y"         "parameters do not fit"
#   "X is not a constant of Y"      "no method matches"
#   "defined in Main"               "not a type"
#   "malformed"
function resolve(source::String)
    expression = nothing
    try
        expression = parsed(source)
    catch
        return (nothing, "malformed")
    end
    type = nothing
    try
        type = denoted(expression, Any[])
    catch
        return (nothing, "parameters do not fit")
    end
    type === UNRESOLVED && return (nothing, UNRESOLVED[1]::String)
    (type isa Type && type !== Union{} && type <: Tuple) || return (nothing, "not a type")
    return (type, "")
end

# The value that the parsed expression `x` denotes; `scope` are the type variables around it, the innermost last.
function denoted(@nospecialize(x), scope::Vector{Any})
    x isa Symbol && return named(x, scope)
    x isa QuoteNode && return quoted(x)
    x isa Expr || return isbitstype(typeof(x)) ? x : unresolved("malformed") # a literal
    args = x.args
    head = x.head
    head === :curly && return applied(args, scope)
    head === :. && return member(args[1], args[2], scope)
    head === :call && return called(args, scope)
    head === :where && return quantified(args, scope)
    head === :tuple && return tuple_value(args, scope)
    head === :macrocall && return wide_literal(args[end])
    return unresolved("malformed")
end

# Every element of `args` from `first` on, denoted; UNRESOLVED if one cannot be.
function all_denoted(args::Vector{Any}, first::Int, scope::Vector{Any})
    values = Any[]
    for i in first:length(args)
        value = denoted(args[i], scope)
        value === UNRESOLVED && return UNRESOLVED
        push!(values, value)
    end
    return values
end

quoted(@nospecialize(x)) = x isa QuoteNode && x.value isa Symbol ? x.value : unresolved("malformed")

# ---- Names

# What the unqualified name `s` denotes: a type variable, a binding of Core, an export of Base, a loaded root module.
function named(s::Symbol, scope::Vector{Any})
    for i in length(scope):-1:1
        variable = scope[i]::TypeVar
        variable.name === s && return variable
    end
    s === :Main && return unresolved("defined in Main")
    isdefined(Core, s) && return constant(Core, s)
    ccall(:jl_module_exports_p, Cint, (Any, Any), Base, s) != 0 && return constant(Base, s)
    root = loaded_root(s)
    return root === nothing ? unresolved(string(String(s), " is not defined in ", "Base")) : root
end

# The loaded root module called `s`, or `nothing`.
function loaded_root(s::Symbol)
    found = get(ROOTS, s, nothing)
    found === nothing || return found
    roots = Base.loaded_modules_array()
    for i in 1:length(roots)
        root = roots[i]
        if nameof(root) === s
            ROOTS[s] = root
            return root
        end
    end
    return nothing
end

# The constant `s` of the module `m`, or of a module that it uses.
function constant(m::Module, s::Symbol)
    relation = " is not defined in "
    if isdefined(m, s)
        isconst(m, s) && return getfield(m, s)
        relation = " is not a constant of "
    elseif is_generated(s)
        return another_session()
    end
    return unresolved(string(String(s), relation, String(nameof(m))))
end

another_session() = unresolved("anonymous function or closure of another session")

# Whether lowering made up the name `s`: it begins with `#`, and a counter ends it.
function is_generated(s::Symbol)
    text = String(s)
    n = sizeof(text)
    return n > 1 && codeunit(text, 1) == 0x23 && 0x30 <= codeunit(text, n) <= 0x39
end

# The constant that `path.name` denotes; `name` is a quoted symbol.
function member(@nospecialize(path), @nospecialize(name), scope::Vector{Any})
    s = quoted(name)
    s isa Symbol || return s
    path === :Main && return is_generated(s) ? another_session() : unresolved("defined in Main")
    # The head of a path is a loaded package first, since Base and Core may have the name too.
    root = path isa Symbol ? loaded_root(path) : nothing
    m = root === nothing ? denoted(path, scope) : root
    m isa Module && return constant(m, s)
    path isa Symbol && return unresolved(string("module ", String(path), " is not loaded"))
    return m === UNRESOLVED ? m : unresolved(string(String(s), " is sought in what is no module"))
end

# ---- Types

# `T{P…}`, where `args` are T and its parameters. A parameter `<:B` or `>:B` stands for a variable around the type.
function applied(args::Vector{Any}, scope::Vector{Any})
    generic = denoted(args[1], scope)
    generic === UNRESOLVED && return generic
    generic isa Type || generic === Vararg || return unresolved("not a type")
    parameters = Any[]
    nameless = Any[]
    for i in 2:length(args)
        arg = args[i]
        if arg isa Expr && length(arg.args) == 1 && (arg.head === :<: || arg.head === :>:)
            value = bounded(pushfirst!(copy(arg.args), :T), arg.head, scope)
            push!(nameless, value)
        else
            value = denoted(arg, scope)
        end
        value === UNRESOLVED && return value
        push!(parameters, value)
    end
    return quantify(Core.apply_type(generic, parameters...), nameless, 0)
end

# The type `body where {variables…}` for the variables after the first `outer` ones, which are taken off the list.
function quantify(@nospecialize(body), variables::Vector{Any}, outer::Int)
    while length(variables) > outer
        variable = pop!(variables)
        body === UNRESOLVED || (body = UnionAll(variable::TypeVar, body))
    end
    return body
end

# `body where {A, B…}`, where `args` are the body and the variables. A variable's bounds may name those before it.
function quantified(args::Vector{Any}, scope::Vector{Any})
    outer = length(scope)
    for i in 2:length(args)
        arg = args[i]
        variable = arg isa Expr ? bounded(arg.args, arg.head, scope) : bounded(Any[arg], :none, scope)
        variable === UNRESOLVED && return quantify(variable, scope, outer)
        push!(scope, variable)
    end
    return quantify(denoted(args[1], scope), scope, outer)
end

# A type variable: `head` is :<: or :>: for a name and its bound, :comparison for a name between two bounds, else `args`
# is the name alone.
function bounded(args::Vector{Any}, head::Symbol, scope::Vector{Any})
    name = args[1]
    lower = Union{}
    upper = Any
    if head === :<:
        upper = denoted(args[2], scope)
    elseif head === :>:
        lower = denoted(args[2], scope)
    elseif head === :comparison && length(args) == 5 && args[2] === :<: && args[4] === :<:
        name = args[3]
        lower = denoted(args[1], scope)
        lower === UNRESOLVED && return lower
        upper = denoted(args[5], scope)
    elseif length(args) != 1
        return unresolved("malformed")
    end
    (lower === UNRESOLVED || upper === UNRESOLVED) && return UNRESOLVED
    return name isa Symbol ? TypeVar(name, lower, upper) : unresolved("malformed")
end

# ---- Calls: those that denote a type or a name, and values

function called(args::Vector{Any}, scope::Vector{Any})
    f = args[1]
    if length(args) == 2
        arg = args[2]
        if f === :typeof
            value = denoted(arg, scope)
            return value === UNRESOLVED ? value : typeof(value)
        end
        f === :Symbol && arg isa String && return Symbol(arg)
    end
    f === :Symbol && length(args) == 3 && return symbol_as_traced(args[2], args[3])
    f === :getfield && length(args) == 3 && return get_field(args, scope)
    return other_call(args, scope)
end

# `Symbol(raw, escaped)`: two readings of what a trace has between quotes. Up to Julia 1.11 the tracer escapes nothing.
function symbol_as_traced(@nospecialize(raw), @nospecialize(escaped))
    (raw isa String && escaped isa String) || return unresolved("malformed")
    return Symbol(VERSION < v"1.12.0-DEV" ? raw : escaped)
end

# `getfield(path, name)`, as Julia up to 1.5.2 writes names with a `#`.
function get_field_of(args::Vector{Any}, scope::Vector{Any})
    name = args[3]
    name isa QuoteNode || (name = QuoteNode(denoted(name, scope)))
    return member(args[2], name, scope)
end

function denoted_call(args::Vector{Any}, scope::Vector{Any})
    n = length(args) - 1
    args[1] === :- && n == 1 && return negated(denoted(args[2], scope))
    callee = denoted(args[1], scope)
    callee === UNRESOLVED && return callee
    if n == 1 && (callee === Core.Typeof || isdefined(Core, :kwftype) && callee === getfield(Core, :kwftype))
        value = denoted(args[2], scope)
        value === UNRESOLVED && return value
        callee === Core.Typeof || return keyword_function(value)
        return value isa Type ? Type{value} : typeof(value)
    end
    callee isa Type || return unresolved("not a type")
    n == 0 && callee === NamedTuple && return NamedTuple()
    (callee isa DataType && isbitstype(callee)) || return unresolved("malformed")
    n == 0 && isdefined(callee, :instance) && return callee.instance
    if n == 1 && isprimitivetype(callee)
        value = denoted(args[2], scope)
        return value === UNRESOLVED ? value : fitted(callee, value)
    end
    return instance(callee, args, scope)
end

function negated(@nospecialize(value))
    value isa Float64 && return -value
    value isa Float32 && return -value
    return value === UNRESOLVED ? value : unresolved("malformed")
end

# The type of the keyword sorter of functions of type `type`. Up to Julia 1.8 each function that has keywords has its own.
function keyword_function(@nospecialize(type))
    isdefined(Core, :kwcall) && return typeof(getfield(Core, :kwcall))
    type isa DataType || return unresolved("not a type")
    table = type.name.mt
    return isdefined(table, :kwsorter) ? typeof(table.kwsorter) : unresolved("no method matches")
end

# The unsigned literal of 128 bits that the text `0x…` stands for; the parser leaves it to a macro.
function wide_literal_of(@nospecialize(text))
    (text isa String && sizeof(text) == 34 && codeunit(text, 2) == 0x78) || return unresolved("malformed")
    words = zeros(UInt64, 2)
    for i in 3:34
        digit = codeunit(text, i) | 0x20
        word = i < 19 ? 2 : 1
        words[word] = words[word] * 16 + (digit - (digit < 0x40 ? 0x30 : 0x57))
    end
    return GC.@preserve words unsafe_load(Ptr{UInt128}(pointer(words)))
end

is_named(@nospecialize(x)) = x isa Expr && (x.head === :(=) || x.head === :kw) && x.args[1] isa Symbol

# `(a, b)` or `(x=a, y=b)`: the elements of `args`.
function tuple_value(args::Vector{Any}, scope::Vector{Any})
    isempty(args) || (is_named(args[1]) && return named_tuple(args, scope))
    values = all_denoted(args, 1, scope)
    return values === UNRESOLVED ? values : Core.tuple((values::Vector{Any})...)
end

function named_tuple_of(args::Vector{Any}, scope::Vector{Any})
    names = Any[]
    types = Any[]
    values = Any[]
    for i in 1:length(args)
        arg = args[i]
        is_named(arg) || return unresolved("malformed")
        value = denoted((arg::Expr).args[2], scope)
        value === UNRESOLVED && return value
        push!(names, (arg::Expr).args[1])
        push!(types, typeof(value))
        push!(values, value)
    end
    type = Core.apply_type(NamedTuple, Core.tuple(names...), Core.apply_type(Tuple, types...))
    return isbitstype(type) ? new_instance(type, values) : unresolved("malformed")
end

# `T(x=a, y=b)`: the instance of the isbits type `type` with these fields. No constructor runs.
function instance(type::DataType, args::Vector{Any}, scope::Vector{Any})
    n = length(args) - 1
    n == fieldcount(type) || return unresolved("malformed")
    values = Any[]
    for i in 1:n
        arg = args[i + 1]
        (is_named(arg) && (arg::Expr).args[1] === fieldname(type, i)) || return unresolved("malformed")
        value = denoted((arg::Expr).args[2], scope)
        value === UNRESOLVED && return value
        value = fitted(fieldtype(type, i), value)
        value === UNRESOLVED && return value
        push!(values, value)
    end
    return new_instance(type, values)
end

function new_instance(@nospecialize(type), values::Vector{Any})
    n = length(values) % UInt32
    return ccall(:jl_new_structv, Any, (Any, Ptr{Any}, UInt32), type, values, n)
end

# `value` as a `type`. The runtime writes integers of all sizes as decimal literals, and pointers and values of primitive
# types that have no literal as unsigned literals of the same size.
function fitted(@nospecialize(type), @nospecialize(value))
    value isa type && return value
    if type isa DataType && isprimitivetype(type)
        value isa Unsigned && sizeof(typeof(value)) == sizeof(type) && return Core.Intrinsics.bitcast(type, value)
        value isa Number && parentmodule(type) === Core && type <: Number && return convert(type, value)
        value isa Integer && type === Char && return Char(value)
    end
    return unresolved("parameters do not fit")
end

# Reached at run time only, as the head of the file explains.
get_field = get_field_of
other_call = denoted_call
wide_literal = wide_literal_of
named_tuple = named_tuple_of
