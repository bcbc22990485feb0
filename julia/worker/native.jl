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
    return ccall(:jl_create_native, Ptr{Cvoid}, (Any, Base.CodegenParams, Cint), instances, Base.CodegenParams(), 0)
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

function set_name(v::Value, name::String)
    ccall(:LLVMSetValueName2, Cvoid, (Value, Cstring, Csize_t), v, name, sizeof(name))
end

"Make `v` visible to the other partitions and to nobody else."
function share(v::Value)
    ccall(:LLVMSetLinkage, Cvoid, (Value, Cint), v, 0)    # external
    ccall(:LLVMSetVisibility, Cvoid, (Value, Cint), v, 1) # hidden
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
    type = ccall(:LLVMGetElementType, Value, (Value,), ccall(:LLVMTypeOf, Value, (Value,), f))
    decl = ccall(:LLVMAddFunction, Value, (Value, Cstring, Value), mod, name, type)
    ccall(:LLVMSetFunctionCallConv, Cvoid, (Value, Cuint), decl, ccall(:LLVMGetFunctionCallConv, Cuint, (Value,), f))
    copy_attributes(decl, f, 0xffffffff)
    for i in 0:Int(ccall(:LLVMCountParams, Cuint, (Value,), f))
        copy_attributes(decl, f, i % UInt32)
    end
    ccall(:LLVMSetVisibility, Cvoid, (Value, Cint), decl, 1)
    ccall(:LLVMReplaceAllUsesWith, Cvoid, (Value, Value), f, decl)
    ccall(:LLVMDeleteFunction, Cvoid, (Value,), f)
    return decl
end

function copy_attributes(to::Value, from::Value, at::UInt32)
    n = Int(ccall(:LLVMGetAttributeCountAtIndex, Cuint, (Value, Cuint), from, at))
    n == 0 && return
    list = Vector{Value}(undef, n)
    ccall(:LLVMGetAttributesAtIndex, Cvoid, (Value, Cuint, Ptr{Value}), from, at, list)
    for attribute in list
        ccall(:LLVMAddAttributeAtIndex, Cvoid, (Value, Cuint, Value), to, at, attribute)
    end
    return
end

"""
    split_native(request, index, native, methods)

Drop what the base has, write the partitions' bitcode and `index.txt`, which lists the handle's functions and slots in order.
"""
function split_native(request::Dict{String,Any}, index::Vector{Any}, native::Ptr{Cvoid}, methods::Vector{Any})
    mod = ccall(:jl_get_llvm_module, Value, (Ptr{Cvoid},), native)
    fvars = handle_vector(native, 8)
    gvars = handle_vector(native, 32)
    lines = Vector{Any}(undef, length(fvars))
    used = replace_base_functions(index, native, mod, fvars, lines)
    weights = zeros(Int, length(fvars))
    total = 0
    new = 0
    for i in 1:length(fvars)
        f = fvars[i]
        f == C_NULL && continue
        share(f)
        lines[i] = value_name(f)
        weights[i] = Int(ccall(:_ZNK4llvm8Function19getInstructionCountEv, Cuint, (Value,), f))
        total += weights[i]
        new += 1
    end
    out = IOBuffer()
    for i in 1:length(fvars)
        write(out, "fvar\t", lines[i]::String, "\n")
    end
    shared = Dict{String,Any}()
    for g in gvars
        ccall(:LLVMSetInitializer, Cvoid, (Value, Value), g, C_NULL)
        share(g)
        name = value_name(g)
        shared[name] = "g"
        write(out, "gvar\t", name, "\n")
    end
    for old in used
        shared[string("base.", old)] = "b"
        write(out, "used\t", string(old), "\n")
    end
    write_file(joinpath(value_of(request, "scratch"), "index.txt"), take!(out))
    event(string("{\"event\":\"emitted\",\"functions\":", new, ",\"base\":", length(fvars) - new, ",\"slots\":", length(gvars), ",\"instructions\":", total, "}"))
    stage("split")
    write_partitions(request, native, mod, fvars, lines, weights, shared, methods)
    return nothing
end

"Replace the functions that the base has. Returns the base's indices of those that the rest refers to."
function replace_base_functions(index::Vector{Any}, native::Ptr{Cvoid}, mod::Value, fvars::Vector{Value}, lines::Vector{Any})
    raw = index[1]::Vector{UInt32}
    data = index[5]::Ptr{UInt8}
    declared = Any[]
    for row in 1:index[2]::Int
        at = 5 + 3 * (row - 1)
        code = object_at(data, raw[at + 1])
        ids = function_ids(native, code)
        for k in 1:2
            id = ids[k]
            id > 0 || continue
            old = reinterpret(Int32, raw[at + 1 + k])
            # The base reaches this method by another convention: the new body stays, under its new id.
            old < 0 && continue
            push!(declared, externalize(mod, fvars[id], string("base.", old)))
            push!(declared, old)
            fvars[id] = C_NULL
            lines[id] = string("@", old)
        end
    end
    # Only now are the bodies gone that base functions call each other from.
    used = Any[]
    for i in 1:2:length(declared)
        ccall(:LLVMGetFirstUse, Value, (Value,), declared[i]::Value) == C_NULL || push!(used, declared[i + 1])
    end
    return used
end
