# Prints the state that a process starts with: the value of each binding of each module, as far as it can be told in words, and
# what is not held by a binding. Arguments: names of packages to leave out; what is said about the rest does not mention them.
const LEFT_OUT = copy(ARGS)

left_out(text) = any(name -> occursin(name, text), LEFT_OUT)

# How deep is told what objects hold, and of how many elements an array.
const DEPTH, LENGTH = 3, 100

# One method for all types: there are thousands.
function tell(@nospecialize(x), depth)
    x isa Union{Symbol,Bool,Char,Nothing,VersionNumber,Int,UInt8,Float64,AbstractString} && return repr(x)
    x isa Module && return string(x)
    x isa Ptr && return x == C_NULL ? "NULL" : "Ptr"
    x isa Union{Function,Type,TypeVar,Method,Core.MethodInstance,Core.TypeName,Core.MethodTable,BigFloat} && return string(nameof(typeof(x)))
    # Since Julia 1.12 a binding knows who uses it, and there is more that does.
    isdefined(Core, :Binding) && x isa Core.Binding && return "Binding"
    depth > DEPTH && return "…"
    if x isa Array
        count = length(x)
        (count > LENGTH || eltype(x) <: Real) && return string("Array of ", count)
        return string("Array of ", elements([isassigned(x, i) ? tell(x[i], depth + 1) : "undefined" for i in 1:count]))
    elseif x isa AbstractDict
        length(x) > LENGTH && return string("Dict of ", length(x))
        return string("Dict of ", elements(sort!([string(tell(k, depth + 1), " => ", tell(v, depth + 1)) for (k, v) in x])))
    end
    return string(nameof(typeof(x)), elements([isdefined(x, i) ? tell(getfield(x, i), depth + 1) : "undefined" for i in 1:nfields(x)]))
end

elements(parts) = string('(', join(filter!(!left_out, parts), ", "), ')')

function walk(m, seen)
    m in seen && return
    push!(seen, m)
    for name in sort!(names(m; all = true); by = string)
        m === Main && name in OWN && continue
        if !isdefined(m, name)
            println(m, '.', name, " undefined")
            continue
        end
        value = getfield(m, name)
        if value isa Module && parentmodule(value) === m
            walk(value, seen)
        else
            println(m, '.', name, isconst(m, name) ? " const " : " ", tell(value, 1))
        end
    end
end

const OWN = (:LEFT_OUT, :DEPTH, :LENGTH, :OWN, :SEEN, :left_out, :tell, :elements, :walk, Symbol("#left_out"), Symbol("#tell"), Symbol("#elements"), Symbol("#walk"))

const SEEN = Base.IdSet()
for m in sort!(Base.loaded_modules_array(); by = string)
    left_out(string(m)) || walk(m, SEEN)
end
println("task ", tell(current_task().storage, 1))
println("used ", elements(string.(ccall(:jl_module_usings, Any, (Any,), Main))))
println("documented ", elements(sort!(string.(Base.Docs.modules))))
