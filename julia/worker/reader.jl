# Reading the source of a statement into the expression that Julia's parser makes of it.
#
# The parser takes longer for a statement than inference does. So the forms that nearly all statements have are read here: paths of plain
# names, parameters, `typeof`, `where`, symbols, tuples, integers. Anything else is the parser's.

# Where reading is in the source, and whether it has met what it does not know.
const AT = Int[1]
const UNKNOWN = Bool[false]

const TRUE, FALSE = Symbol("true"), Symbol("false")

"The expression that `source` stands for. Throws what Julia's parser throws."
function parsed(source::String)
    AT[1] = 1
    UNKNOWN[1] = false
    x = read_expression(source)
    (UNKNOWN[1] || AT[1] <= sizeof(source)) && return Meta.parse(source)
    return x
end

"The byte that reading is at, 0 at the end."
byte(s::String) = AT[1] <= sizeof(s) ? codeunit(s, AT[1]) : 0x00

unknown() = (UNKNOWN[1] = true; nothing)

"Whether the source goes on with `text`, which is passed then."
function passes(s::String, text::String)
    at = AT[1]
    at + sizeof(text) - 1 <= sizeof(s) || return false
    for i in 1:sizeof(text)
        codeunit(s, at + i - 1) == codeunit(text, i) || return false
    end
    AT[1] = at + sizeof(text)
    return true
end

"An operand, then `where` and a variable any number of times."
function read_expression(s::String)
    x = read_operand(s)
    while !UNKNOWN[1] && passes(s, " where ")
        variable = read_name(s)
        if passes(s, "<:")
            variable = Expr(:<:, variable, read_operand(s))
        end
        x = Expr(:where, x, variable)
    end
    return x
end

function read_operand(s::String)
    b = byte(s)
    if b == 0x3a # :
        AT[1] += 1
        name = passes(s, "var\"") ? read_quoted(s) : read_name(s)
        return name === TRUE || name === FALSE ? unknown() : QuoteNode(name)
    elseif b == 0x28 # (
        AT[1] += 1
        return read_list(s, Expr(:tuple), 0x29)
    elseif 0x30 <= b <= 0x39 || b == 0x2d # a digit or -
        return read_integer(s)
    end
    x = read_name(s)
    UNKNOWN[1] && return x
    if x === TRUE || x === FALSE
        return x === TRUE
    elseif x === :typeof && byte(s) == 0x28
        AT[1] += 1
        return read_list(s, Expr(:call, :typeof), 0x29)
    elseif x === :Symbol && passes(s, "(\"")
        name = read_quoted(s)
        return passes(s, ")") ? Expr(:call, :Symbol, String(name)) : unknown()
    end
    while byte(s) == 0x2e # .
        AT[1] += 1
        name = passes(s, "var\"") ? read_quoted(s) : passes(s, ":(") ? read_operator(s) : read_name(s)
        x = Expr(:., x, QuoteNode(name))
        UNKNOWN[1] && return x
    end
    if byte(s) == 0x7b # {
        AT[1] += 1
        x = read_list(s, Expr(:curly, x), 0x7d)
    end
    b = byte(s)
    return b == 0x28 || b == 0x7b || b == 0x2e ? unknown() : x
end

"The elements up to the byte `close`, as further arguments of `x`."
function read_list(s::String, x::Expr, close::UInt8)
    while byte(s) != close
        push!(x.args, read_expression(s))
        UNKNOWN[1] && return x
        if byte(s) == 0x2c # ,
            AT[1] += 1
            byte(s) == 0x20 && (AT[1] += 1)
        elseif byte(s) != close || x.head === :tuple && length(x.args) == 1
            return unknown() # in `(x)` the brackets only group
        end
    end
    AT[1] += 1
    return x
end

# Words that are no names.
const WORDS = Any[:baremodule, :begin, :break, :catch, :const, :continue, :do, :else, :elseif, :end, :export, :finally, :for, :function, :global, :if,
    :import, :in, :isa, :let, :local, :macro, :module, :quote, :return, :struct, :try, :using, :var, :where, :while, :abstract, :mutable, :primitive, :type,
    :outer, :public, :as]

"A name of ASCII letters, digits, `_` and `!`."
function read_name(s::String)
    first = AT[1]
    b = byte(s)
    while 0x61 <= b <= 0x7a || 0x41 <= b <= 0x5a || b == 0x5f || AT[1] > first && (0x30 <= b <= 0x39 || b == 0x21)
        AT[1] += 1
        b = byte(s)
    end
    n = AT[1] - first
    (n == 0 || b >= 0x80 || b == 0x22) && return unknown()
    name = GC.@preserve s ccall(:jl_symbol_n, Any, (Ptr{UInt8}, Csize_t), pointer(s, first), n)
    for word in WORDS
        word === name && return unknown()
    end
    return name
end

"An operator of ASCII characters, and the bracket behind it."
function read_operator(s::String)
    first = AT[1]
    while byte(s) in (0x21, 0x25, 0x26, 0x2a, 0x2b, 0x2d, 0x2f, 0x3c, 0x3d, 0x3e, 0x5c, 0x5e, 0x7c) # !%&*+-/<=>\^|
        AT[1] += 1
    end
    n = AT[1] - first
    (n == 0 || !passes(s, ")")) && return unknown()
    name = GC.@preserve s ccall(:jl_symbol_n, Any, (Ptr{UInt8}, Csize_t), pointer(s, first), n)
    return Base.isoperator(name::Symbol) ? name : unknown()
end

"The name that ends with the next quote, letter for letter: Julia 1.10 normalises it. One with a backslash or a dollar is not ours."
function read_quoted(s::String)
    first = AT[1]
    b = byte(s)
    while b != 0x22
        (b == 0x00 || b == 0x24 || b == 0x5c) && return unknown()
        AT[1] += 1
        b = byte(s)
    end
    AT[1] += 1
    return GC.@preserve s ccall(:jl_symbol_n, Any, (Ptr{UInt8}, Csize_t), pointer(s, first), AT[1] - 1 - first)
end

"A decimal integer that is an Int64 for sure."
function read_integer(s::String)
    negative = byte(s) == 0x2d
    negative && (AT[1] += 1)
    first = AT[1]
    value = 0
    while 0x30 <= byte(s) <= 0x39
        value = 10 * value + (byte(s) - 0x30)
        AT[1] += 1
    end
    b = byte(s)
    (AT[1] == first || AT[1] - first > 18 || !(b in (0x00, 0x20, 0x2c, 0x29, 0x7d))) && return unknown()
    return negative ? -value : value
end
