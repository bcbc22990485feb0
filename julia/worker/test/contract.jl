# Holds the workers' code for this Julia to what it relies on: `julia --startup-file=no contract.jl FOLDER`, where FOLDER has the files that were
# written for it. Prints a line for each fault, and at last how much it has looked at.

const folder = ARGS[1]

module Contract
include(joinpath(@__DIR__, "..", "runtime", "contract.jl"))
end

const front = Module(:ChainFront)
Core.eval(front, :(undocumented(source, mod, text, definition) = nothing)) # as front.jl does
Base.include(front, joinpath(folder, "front_main.jl"))
const compile = Module(:ChainEmit)
Base.include(compile, joinpath(folder, "compile", "emit_main.jl"))
Base.invokelatest(compile.prepare_compiler) # C functions of LLVM are found from here on

own_functions(m) = [getfield(m, name) for name in names(m; all=true) if isdefined(m, name) && getfield(m, name) isa Function &&
                    parentmodule(getfield(m, name)) === m && nameof(getfield(m, name)) === name && !startswith(string(name), '#') &&
                    !(name in (:eval, :include))]

promised = own_functions(Contract)
for f in promised
    name = nameof(f)
    owners = [m for m in (front, compile) if isdefined(m, name)]
    length(owners) == 1 || println(name, " is defined ", length(owners), " times")
    for m in owners
        length(methods(getfield(m, name))) == 1 || println(name, " has ", length(methods(getfield(m, name))), " methods")
    end
end

# Names and C functions that the lowered code of a method refers to.
lowered(method) = isdefined(Base, :uncompressed_ir) ? Base.uncompressed_ir(method) : Base.uncompressed_ast(method)

const seen = Set{Any}()
symbol(x) = x isa QuoteNode && x.value isa Symbol ? x.value : nothing
is_found(name) = ccall(:dlsym, Ptr{Cvoid}, (Ptr{Cvoid}, Cstring), C_NULL, string(name)) != C_NULL

function check(where, x)
    if x isa GlobalRef
        push!(seen, x)
        isdefined(x.mod, x.name) || println(where, " refers to ", x.name, ", which is not defined")
    elseif x isa QuoteNode
        name = symbol(x)
        # Functions of C++ are looked up by their mangled names.
        name !== nothing && startswith(string(name), "_ZN") && check_symbol(where, name)
    elseif x isa Expr
        if x.head === :foreigncall
            name = symbol(x.args[1])
            name === nothing || check_symbol(where, name)
        elseif x.head === :call && length(x.args) > 1 && x.args[1] isa GlobalRef && x.args[1].name === :cglobal
            name = symbol(x.args[2])
            name === nothing || check_symbol(where, name)
        end
        foreach(part -> check(where, part), x.args)
    elseif isdefined(Core, :ReturnNode) && x isa Core.ReturnNode
        isdefined(x, :val) && check(where, x.val)
    elseif isdefined(Core, :GotoIfNot) && x isa Core.GotoIfNot
        check(where, x.cond)
    end
end

function check_symbol(where, name)
    push!(seen, name)
    is_found(name) || println(where, " calls ", name, " of C, which this Julia does not have")
end

checked = 0
for m in (front, compile), f in own_functions(m), method in methods(f)
    method.module === m || continue
    global checked += 1
    foreach(x -> check(method, x), lowered(method).code)
end
println("checked ", length(promised), " functions of the contract, ", checked, " methods, ",
        count(x -> x isa Symbol, seen), " functions of C, ", count(x -> x isa GlobalRef, seen), " names")
