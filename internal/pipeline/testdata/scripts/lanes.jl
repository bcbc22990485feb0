# On an image with Lanes: which code runs, and what it does. Arguments: names of functions to look at.
using Lanes, Libdl

const V = Vector{Float64}
const ARGUMENTS = Dict("scaled!" => Tuple{V,Float64,V}, "all_of" => Tuple{V,Lanes.Eight}, "fused" => Tuple{})
const SPEC = fieldoffset(Core.CodeInstance, findfirst(isequal(:specptr), fieldnames(Core.CodeInstance)))

# The instruction vfmadd: a prefix of three bytes that names table 2 of instructions, and its number there (Intel's manual, volume 2).
function has_vfmadd(code)
    for i in 1:length(code) - 3
        code[i] == 0xc4 && code[i + 1] & 0x1f == 0x02 && code[i + 3] in (0x98, 0xa8, 0xb8, 0x99, 0xa9, 0xb9) && return true
    end
    return false
end

for name in ARGS
    f = getfield(Lanes, Symbol(name))
    method = first(methods(f))
    instance = ccall(:jl_specializations_get_linfo, Any, (Any, Any, Any), method, Tuple{typeof(f),ARGUMENTS[name].parameters...}, Core.svec())
    address = unsafe_load(Ptr{Ptr{UInt8}}(pointer_from_objref(instance.cache) + SPEC))
    println(name, address == C_NULL ? " has no code" : has_vfmadd(unsafe_wrap(Array, address, 400)) ? " uses vfmadd" : " does without vfmadd")
end

const X = [1.0, 2.0, 3.0, 4.0, 5.0]
const EIGHT = ntuple(i -> VecElement(Float32(i)), Val(8))
const IMAGE = dlopen(unsafe_string(Base.JLOptions().image_file))
println("fused ", Lanes.fused(), ", for C ", ccall(dlsym(IMAGE, :lanes_fused), Cint, ()))
show_all(r) = println(r[1], ' ', Lanes.fused() == r[2], ' ', [e.value for e in r[3]])
show_all(Lanes.all_of(X, EIGHT))
println(Lanes.scaled!(copy(X), 0.5, X))
try
    Lanes.failing(X)
catch
    frame = stacktrace(catch_backtrace())[findfirst(f -> f.func === :failing, stacktrace(catch_backtrace()))]
    println(frame.func, ' ', basename(string(frame.file)), ':', frame.line)
end
