# Native code of the new method instances, split into partitions.
#
# The base has code for its own methods, so their bodies become declarations `base.N`, N their index in the base's table.
# What the runtime's handle for emitted code looks like is in runtime/emit_*.jl.

const Value = Ptr{Cvoid}

"The `std::vector` of pointers that lies `offset` bytes into the handle."
function handle_vector(native::Ptr{Cvoid}, offset::Int)
    first = unsafe_load(Ptr{Ptr{Value}}(native + offset))
    last = unsafe_load(Ptr{Ptr{Value}}(native + offset + 8))
    n = Int(last - first) >> 3
    out = Vector{Value}(undef, n)
    for i in 1:n
        out[i] = unsafe_load(first, i)
    end
    return out
end

function value_name(v::Value)
    n = Ref{Csize_t}(0)
    p = ccall(:LLVMGetValueName2, Ptr{UInt8}, (Value, Ptr{Csize_t}), v, n)
    return unsafe_string(p, n[])
end

"The ids of the functions that the handle has for `code`: (invoke wrapper, body), 0 for none, negative for shared wrappers."
function function_ids(native::Ptr{Cvoid}, @nospecialize(code))
    invoke = Ref{Int32}(0)
    body = Ref{Int32}(0)
    ccall(:jl_get_function_id, Cvoid, (Ptr{Cvoid}, Any, Ptr{Int32}, Ptr{Int32}), native, code, invoke, body)
    return Int(invoke[]), Int(body[])
end

"Replace `f` by a declaration `name` with the same type, calling convention and attributes, which is returned."
function externalize(mod::Value, f::Value, name::String)
    declaration = declare_function(mod, f, name)
    ccall(:LLVMReplaceAllUsesWith, Cvoid, (Value, Value), f, declaration)
    ccall(:LLVMDeleteFunction, Cvoid, (Value,), f)
    return declaration
end

"A declaration in `mod` like `f`, called `name`."
function declare_function(mod::Value, f::Value, name::String)
    type = ccall(:LLVMGlobalGetValueType, Value, (Value,), f)
    declaration = ccall(:LLVMAddFunction, Value, (Value, Cstring, Value), mod, name, type)
    ccall(:_ZN4llvm8Function18copyAttributesFromEPKS0_, Cvoid, (Value, Value), declaration, f)
    return declaration
end

"""
    split_native(request, index, native, methods)

Drop what the base has, write the partitions' bitcode and `index.txt`, which lists the handle's functions and slots in order.
"""
function split_native(request::Dict{String,Any}, index::Vector{Any}, native::Ptr{Cvoid}, methods::Vector{Any})
    mod = emitted_module(native)
    fvars = emitted_functions(native)
    gvars = emitted_cells(native)
    names = Vector{Any}(undef, length(fvars))
    used = replace_base_functions(index, native, mod, fvars, names)
    out = IOBuffer()
    new = 0
    for i in 1:length(fvars)
        if fvars[i] != C_NULL
            names[i] = value_name(fvars[i])
            new += 1
        end
        write(out, "fvar\t", names[i]::String, "\n")
    end
    cells = copy(gvars)
    codes = code_of(methods)
    called = record_native(out, index, native, codes, cells)
    for g in gvars
        ccall(:LLVMSetInitializer, Cvoid, (Value, Value), g, C_NULL)
    end
    for g in cells
        write(out, "gvar\t", value_name(g), "\n")
    end
    for declaration in used
        write(out, "used\t", SubString(value_name(declaration::Value), 6), "\n")
    end
    for function_ in called
        write(out, "used\t", string(function_::Int), "\n")
    end
    # Base.@ccallable makes an alias of the function that C calls (gen_cfun_wrapper in src/codegen.cpp).
    alias = ccall(:LLVMGetFirstGlobalAlias, Value, (Value,), mod)
    while alias != C_NULL
        write(out, "entry\t", value_name(alias), "=", value_name(ccall(:LLVMAliasGetAliasee, Value, (Value,), alias)), "\n")
        alias = ccall(:LLVMGetNextGlobalAlias, Value, (Value,), alias)
    end
    write_file(joinpath(value_of(request, "scratch"), "index.txt"), take!(out))
    event(string("{\"event\":\"emitted\",\"functions\":", new, ",\"base\":", length(fvars) - new, ",\"slots\":", length(gvars), "}"))
    stage("split")
    write_partitions(request, native, mod, fvars, gvars, used, methods, codes)
    return nothing
end

"""
    record_native(out, index, native, codes, cells)

Where the runtime's serialiser does not write the records of new code, which it would ask for in the middle of Julia's own exit path: append to `out`,
the text of `index.txt`, which of the code instances `codes` have new functions, and plant these and the contents of the cells in `index`. Cells
for functions of the base are called `slot.base.N`, N their index in the base's table, and are taken out of `cells`. Returns the indices N.
"""
function record_native(out::IOBuffer, index::Vector{Any}, native::Ptr{Cvoid}, codes::Vector{Any}, cells::Vector{Value})
    used = Any[]
    contents = cell_contents(native)
    contents === nothing && return used
    called = called_functions(native)
    for i in 1:length(called)
        row = base_row(index, called[i])
        body = row == 0 ? -1 : base_function(index, row, BODY)
        body >= 0 || fail(string("emitted code calls a function that is in no image of the base: ", called[i]))
        name = string("slot.base.", body)
        ccall(:LLVMSetValueName2, Cvoid, (Value, Cstring, Csize_t), cells[length(contents) + i], name, sizeof(name))
        push!(used, body)
    end
    append!(used, call_boxed_base(index, native, cells, contents))
    resize!(cells, length(contents))
    new = Any[]
    for code in codes
        invoke, body = function_ids(native, code)
        invoke == -5 && continue # returns a constant, which Julia 1.12 says so
        if (invoke != 0 || body != 0) && !has_base_code(index, code)
            push!(new, code)
            write(out, "code\t", string(invoke > 0 ? invoke - 1 : invoke), "\t", string(body - 1), "\n")
        end
    end
    new, contents = plant_package_images(out, index, new, contents)
    objects = index[2]::Core.SimpleVector
    index[2] = Core.svec(objects[1], objects[2], objects[3], Core.svec(new...), Core.svec(contents...))
    return used
end

"Replace the functions that the base has. Returns the declarations of those that the rest refers to."
function replace_base_functions(index::Vector{Any}, native::Ptr{Cvoid}, mod::Value, fvars::Vector{Value}, names::Vector{Any})
    codes = base_codes(index)
    declared = Any[]
    for row in 1:length(codes)
        ids = function_ids(native, codes[row])
        for part in WRAPPER:BODY
            id = ids[part]
            id > 0 || continue
            old = base_function(index, row, part)
            # The base reaches this method by another convention: the new body stays, under its new id.
            old < 0 && continue
            push!(declared, externalize(mod, fvars[id], string("base.", old)))
            fvars[id] = C_NULL
            names[id] = string("@", old)
        end
    end
    # Only now are the bodies gone that base functions call each other from.
    used = Any[]
    for declaration in declared
        ccall(:LLVMGetFirstUse, Value, (Value,), declaration::Value) == C_NULL || push!(used, declaration)
    end
    return used
end
