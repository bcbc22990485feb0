# Prints for each native function of a code instance that a method table leads to: file, offset in it, and what it is, with
# tabs between them. Functions that this process compiled are left out.
const MAPS = [(parse.(UInt, split(first(split(line)), '-'), base = 16)..., parse(UInt, split(line)[3], base = 16), split(line)[end])
              for line in eachline("/proc/self/maps") if occursin(r"\.so", line)]

function place(address)
    for (from, to, offset, file) in MAPS
        from <= address < to && return string(file, '\t', address - from + offset)
    end
    return nothing
end

field(code, name) = unsafe_load(Ptr{UInt}(pointer_from_objref(code) + fieldoffset(Core.CodeInstance, findfirst(isequal(name), fieldnames(Core.CodeInstance)))))

function tables(m, found, seen)
    m in seen && return
    push!(seen, m)
    for name in names(m; all = true)
        isdefined(m, name) || continue
        value = getfield(m, name)
        value isa Module && parentmodule(value) === m && tables(value, found, seen)
        type = Base.unwrap_unionall(value)
        type isa DataType && isdefined(type.name, :mt) && push!(found, type.name.mt)
    end
end

found, seen = Base.IdSet(), Base.IdSet()
# Since Julia 1.12 there is one table for all functions.
isdefined(Core, :methodtable) ? push!(found, Core.methodtable) : foreach(m -> tables(m, found, seen), Base.loaded_modules_array())
lines = String[]
for table in found
    Base.visit(table) do method
        specializations = method.specializations
        # Since Julia 1.10 a method with one has just that.
        specializations isa Core.SimpleVector || (specializations = Any[specializations])
        for i in 1:length(specializations)
            isassigned(specializations, i) || continue
            instance = specializations[i]
            code = instance isa Core.MethodInstance && isdefined(instance, :cache) ? instance.cache : nothing
            while code !== nothing
                for name in (:invoke, :specptr)
                    where = place(field(code, name))
                    # Entries that many share lie in libjulia: they say nothing about the code.
                    where === nothing || occursin("libjulia", where) || push!(lines, string(where, '\t', name, ' ', method.module, ' ', instance.specTypes))
                end
                code = isdefined(code, :next) ? code.next : nothing
            end
        end
    end
end
foreach(println, sort!(lines))
