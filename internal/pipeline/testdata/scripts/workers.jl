# On a worker image: the methods of the workers that have no native code, one a line.
let roots = current_task().storage, field = fieldoffset(Core.CodeInstance, findfirst(isequal(:invoke), fieldnames(Core.CodeInstance)))
    current_task().storage = nothing
    methods_seen = 0
    for own in (roots[length(roots) - 1], roots[length(roots)]), name in names(own; all=true)
        isdefined(own, name) || continue
        f = getfield(own, name)
        f isa Function || continue
        for method in methods(f)
            method.module === own || continue
            methods_seen += 1
            specializations = method.specializations
            specializations isa Core.MethodInstance && (specializations = Core.svec(specializations))
            compiled = false
            for i in 1:length(specializations)
                isassigned(specializations, i) || continue
                instance = specializations[i]
                instance isa Core.MethodInstance && isdefined(instance, :cache) || continue
                code = instance.cache
                while true
                    compiled |= unsafe_load(Ptr{Ptr{Cvoid}}(pointer_from_objref(code) + field)) != C_NULL
                    isdefined(code, :next) || break
                    code = code.next
                end
            end
            compiled || println(method)
        end
    end
    println(methods_seen > 100)
end
