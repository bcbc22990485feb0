# Functions, types, modules and parameters with names and values of all kinds.
module Odd

# The printable ASCII characters, one of the letters and digits for all of a kind, and what may come between quotes otherwise.
const CHARACTERS = vcat([string(c) for c in ' ':'~' if !isletter(c) && !isdigit(c) || c in "aZ5"], ["é", "α", "∂", "→", "⊗", "字", "😀", "\u0301", "\u200b", "\u2028", "\u00a0", "\t", "\n", "\r", "\e", "\x7f", "\xff"])

const NAMES = unique!(vcat([string("a", c, "b") for c in CHARACTERS], ["a\")b", "a\\\"b", "\\n", "\$(a)", "#1", "a#1", "#a#1", "##a#1", "#s1", "true", "end", "a b c", ")", "),", "}", "a, b",
                           "a}, b", "\\u3b1", "\\x61", "Main.a", "var\"a\"", "typeof(a)", "a.b", "1", "!", "a!", "=>", "::", "&&", "where", "in"]))

"Bits values that are tried as parameters, as sources."
const VALUES = vcat(["'$(escape_string(string(c), "'"))'" for c in ' ':'/'], ["'a'", "'\\\\'", "'\\0'", "'\\u3b1'", "'\\U1f600'", "'\\u200b'", "'\\n'"],
    ["typemin(Int64)", "typemax(Int64)", "-1", "0", "true", "false", "nothing", "missing", "0x00", "0xff", "0xffff", "typemin(Int128)",
     "typemax(UInt128)", "UInt64(7)", "(1, 2)", "(1,)", "()", "(:a, :b)", "(a = 1, b = 2.5)", "1 => 2", "1:3", "Complex(1, 2)", "1//2", "Int", "Vector{Int}"])

struct Tag{T} end
struct Boxed{T,N} end

# What returns a constant is not compiled, and so not traced.
const SEEN = Ref{Any}()
@noinline valued(x) = (SEEN[] = x; nothing)

# What to call with what.
const CALLS = Any[]

"What `name` is in module `m` by now, and not in the world in which this package began (Julia 1.12)."
now(m, name) = Core.eval(Odd, Expr(:call, getfield, m, QuoteNode(name)))

# Each name is in a module of its own, which has no names of Base.
for (i, name) in enumerate(map(Symbol, NAMES))
    type = Symbol("T", name)
    m = Core.eval(Odd, Expr(:module, false, Symbol("M", i), Expr(:block, :($name(x::$Tag) = $valued(x)), :(struct $type end))))
    push!(CALLS, (now(m, name), Tag{name}()), (valued, Core.eval(Odd, Expr(:call, now(m, type)))), (valued, Boxed{name,(name, 1)}()))
end

for c in CHARACTERS
    push!(CALLS, (valued, Boxed{Symbol(c),(Symbol(c), 1)}()))
end

for value in VALUES
    Core.eval(Odd, Meta.parse(string("push!(CALLS, (valued, Tag{", value, "}()), (valued, Boxed{", value, ",Int}()))")))
end

end
