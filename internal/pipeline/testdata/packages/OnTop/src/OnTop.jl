# Precompiled in a process that has Kinds in its image.
module OnTop

using Kinds
const MORE = Kinds.BIG + 1
struct Wrapped{T<:Kinds.Node}
    node::T
end
wrapped() = Wrapped(Kinds.RING)
Kinds.optional(::Wrapped) = :extended

end
