# A package that has code made for what it is used for, as packages with a workload of their own do.
module Prepared

struct Word
    text::String
end
shout(w::Word) = string(uppercase(w.text), "!")
total(xs) = sum(x -> x^2, xs)
@noinline numbered(n) = [string(i) => i for i in 1:n]

precompile(shout, (Word,))
precompile(total, (Vector{Float64},))
precompile(numbered, (Int,))

end
