# On an image with Circles that is chained to one with Shapes: which image each function's code is in, and that it is the right code.
using Shapes, Circles

const MAPS = [(parse.(UInt, split(first(split(line)), '-'), base = 16)..., split(line)[end]) for line in eachline("/proc/self/maps") if occursin(r"\.so", line)]
const INVOKE = fieldoffset(Core.CodeInstance, findfirst(isequal(:invoke), fieldnames(Core.CodeInstance)))

function home(f)
    method = first(methods(f))
    instance = ccall(:jl_specializations_get_linfo, Any, (Any, Any, Any), method, Tuple{typeof(f),Vector{Any}}, Core.svec())
    code = instance.cache
    while code.max_world != typemax(UInt)
        code = code.next
    end
    address = unsafe_load(Ptr{UInt}(pointer_from_objref(code) + INVOKE))
    for (from, to, file) in MAPS
        from <= address < to && return basename(file)
    end
    return "none"
end

for f in (Shapes.total, Shapes.twice, Shapes.outline, Shapes.both)
    println(f, ": ", home(f))
end

const SHAPES = Any[Circles.Circle(), Shapes.Square()]
println(Shapes.total(SHAPES), ' ', Shapes.twice(SHAPES), ' ', Shapes.outline(SHAPES), ' ', Shapes.both(SHAPES))

# What is valid again can be invalidated again.
struct Spiral end
Shapes.corners(::Spiral) = 0.5
const SPIRALS = Any[Spiral(), Shapes.Line()]
println(Shapes.total(SPIRALS), ' ', Shapes.twice(SPIRALS), ' ', Shapes.outline(SPIRALS), ' ', Shapes.both(SPIRALS))
