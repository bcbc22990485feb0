# Native code of the new method instances, split into partitions.
#
# jl_create_native (src/aotcompile.cpp) emits one LLVM module that holds the instances, every base method that they call
# statically, and a table of both. Its handle, jl_native_code_desc_t:
#   0   Module*                   the module
#   8   vector<GlobalValue*>      fvars: functions, in the order of their (1-based) ids
#   32  vector<GlobalValue*>      gvars: pointer slots that the loader fills, likewise
# The base has code for its own methods, so their bodies become declarations `base.N`, N their index in the base's table.

const Value = Ptr{Cvoid}

"Emit `instances`; returns the handle."
function emit_native(instances::Vector{Any})
    native = ccall(:jl_create_native, Ptr{Cvoid}, (Any, Base.CodegenParams, Cint), instances, Base.CodegenParams(), 0)
    define_cells(ccall(:jl_get_llvm_module, Value, (Ptr{Cvoid},), native))
    return native
end

"""
Define the cells of `mod` for libraries and C functions (`ccalllib_…`, `ccall_…`) in this process. Julia has one of each for all code,
in the module that first needs it (runtime_sym_gvs in src/ccall.cpp). When that is `mod`, nothing that this process compiles from now on
could be linked. Which is why all of this is compiled with its caller, before there is `mod`.
"""
function define_cells(mod::Value)
    size = Ref{Csize_t}(0)
    g = ccall(:LLVMGetFirstGlobal, Value, (Value,), mod)
    while g != C_NULL
        name = ccall(:LLVMGetValueName2, Ptr{UInt8}, (Value, Ptr{Csize_t}), g, size)
        if ccall(:strncmp, Cint, (Ptr{UInt8}, Cstring, Csize_t), name, "ccall", 5) == 0
            cell = ccall(:calloc, Ptr{Cvoid}, (Csize_t, Csize_t), 1, 8)
            ccall(:LLVMAddSymbol, Cvoid, (Ptr{UInt8}, Ptr{Cvoid}), unescaped(name, Int(size[])), cell)
        end
        g = ccall(:LLVMGetNextGlobal, Value, (Value,), g)
    end
    return nothing
end

"The name of `n` bytes at `p`, ended by a 0, with what names of libraries have besides letters as it was before makeSafeName (src/aotcompile.cpp)."
function unescaped(p::Ptr{UInt8}, n::Int)
    out = zeros(UInt8, n + 1)
    k = 0
    for i in 1:n
        k += 1
        out[k] = unsafe_load(p, i)
        (out[k] == 0x2e && k > 3) || continue
        word = UInt32(out[k - 3]) << 16 | UInt32(out[k - 2]) << 8 | out[k - 1]
        plain = word == 0x444f54 ? 0x2e : word == 0x535542 ? 0x2d : word == 0x53554d ? 0x2b : 0x00 # DOT . SUB - SUM +
        plain == 0x00 && continue
        k -= 3
        out[k] = plain
    end
    for i in k + 1:n
        out[i] = 0
    end
    return out
end

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
    type = ccall(:LLVMGetElementType, Value, (Value,), ccall(:LLVMTypeOf, Value, (Value,), f))
    declaration = ccall(:LLVMAddFunction, Value, (Value, Cstring, Value), mod, name, type)
    ccall(:_ZN4llvm8Function18copyAttributesFromEPKS0_, Cvoid, (Value, Value), declaration, f)
    return declaration
end

"""
    split_native(request, index, native, methods)

Drop what the base has, write the partitions' bitcode and `index.txt`, which lists the handle's functions and slots in order.
"""
function split_native(request::Dict{String,Any}, index::Vector{Any}, native::Ptr{Cvoid}, methods::Vector{Any})
    mod = ccall(:jl_get_llvm_module, Value, (Ptr{Cvoid},), native)
    fvars = handle_vector(native, 8)
    gvars = handle_vector(native, 32)
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
    for g in gvars
        ccall(:LLVMSetInitializer, Cvoid, (Value, Value), g, C_NULL)
        write(out, "gvar\t", value_name(g), "\n")
    end
    for declaration in used
        write(out, "used\t", SubString(value_name(declaration::Value), 6), "\n")
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
    write_partitions(request, native, mod, fvars, gvars, used, methods)
    return nothing
end

"Replace the functions that the base has. Returns the declarations of those that the rest refers to."
function replace_base_functions(index::Vector{Any}, native::Ptr{Cvoid}, mod::Value, fvars::Vector{Value}, names::Vector{Any})
    raw = index[1]::Vector{UInt32}
    instances = (index[2]::Core.SimpleVector)[1]::Vector{Any}
    declared = Any[]
    for row in 1:length(instances)
        at = 5 + 3 * (row - 1)
        code = instances[row]
        ids = function_ids(native, code)
        for k in 1:2
            id = ids[k]
            id > 0 || continue
            old = reinterpret(Int32, raw[at + 1 + k])
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
