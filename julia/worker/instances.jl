# From methods to their method instances, and to the code instances of these.

"All methods that the loaded modules lead to, in an order that is the same in every process, as a `Vector{Any}`."
function all_methods()
    methods = Any[]
    for table in reachable_tables()
        methods_in!(methods, table)
    end
    return methods
end

"The method instances of `methods`, in their order."
function instances_of(methods::Vector{Any})
    out = Any[]
    for method in methods
        specializations = specializations_of(method::Method)
        for i in 1:length(specializations)
            isassigned(specializations, i) || continue
            specializations[i] isa Core.MethodInstance && push!(out, specializations[i])
        end
    end
    return out
end

"The code instances of `methods`, in their order; of one method instance the newest comes first."
function code_of(methods::Vector{Any})
    out = Any[]
    for instance in instances_of(methods)
        isdefined(instance, :cache) || continue
        code = instance.cache
        while true
            push!(out, code)
            isdefined(code, :next) || break
            code = code.next
        end
    end
    return out
end

"The method instance of `code`. An opaque closure's has its signature beside it from Julia 1.12 on."
function instance_of(code::Core.CodeInstance)
    def = code.def
    return def isa Core.MethodInstance ? def : getfield(def, :def)::Core.MethodInstance
end

"The source of `code` that is kept compressed."
uncompressed(code::Core.CodeInstance) = ccall(:jl_uncompress_ir, Any, (Any, Any, Any), instance_of(code).def, code, code.inferred)::Core.CodeInfo

"The expression of `statement` that calls a method by name, or `nothing`."
function named_call(@nospecialize(statement))
    while statement isa Expr && statement.head === :(=)
        statement = statement.args[2]
    end
    return statement isa Expr && (statement.head === :invoke || statement.head === :invoke_modify) ? statement : nothing
end
