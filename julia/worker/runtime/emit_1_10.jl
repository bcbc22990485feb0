# Code for LLVM, as Julia 1.10 emits it.
#
# jl_create_native (src/aotcompile.cpp) emits one LLVM module that holds the instances and what they call, but for methods whose code is
# in an image: with external linkage these are called through pointers. Its handle, jl_native_code_desc_t, begins with
#   0   ThreadSafeModule          Module*, then a shared_ptr<…> to the context
#   24  vector<GlobalValue*>      fvars: functions, in the order of their (1-based) ids
#   48  vector<GlobalValue*>      gvars: pointers that the loader fills: first to objects, then to functions of images

function emit_native(code::Vector{Any}, index::Vector{Any})
    world = ccall(:jl_get_world_counter, UInt, ())
    # policy Default, imaging mode, external linkage
    return ccall(:jl_create_native, Ptr{Cvoid}, (Any, Ptr{Cvoid}, Ptr{Cvoid}, Cint, Cint, Cint, UInt), code, C_NULL, C_NULL, 0, 1, 1, world)
end

emitted_module(native::Ptr{Cvoid}) = unsafe_load(ccall(:jl_get_llvm_module, Ptr{Value}, (Ptr{Cvoid},), native))
emitted_functions(native::Ptr{Cvoid}) = handle_vector(native, 24)
emitted_cells(native::Ptr{Cvoid}) = handle_vector(native, 48)

"""
The objects that `list`, :jl_get_llvm_gvs or :jl_get_llvm_external_fns, gives for the handle: addresses in an arraylist_t
(src/support/arraylist.h: size_t len, max; void **items; void *_space[29]).
"""
function listed(list::Ptr{Cvoid}, native::Ptr{Cvoid})
    items = ccall(:calloc, Ptr{UInt}, (Csize_t, Csize_t), 32, 8)
    unsafe_store!(items, UInt(29), 2)
    unsafe_store!(items, UInt(items) + 24, 3)
    ccall(list, Cvoid, (Ptr{Cvoid}, Ptr{UInt}), native, items)
    n = Int(unsafe_load(items, 1))
    first = Ptr{Ptr{Cvoid}}(unsafe_load(items, 3))
    out = Vector{Any}(undef, n)
    for i in 1:n
        out[i] = ccall(:jl_value_ptr, Any, (Ptr{Cvoid},), unsafe_load(first, i))
    end
    return out
end

# The runtime's serialiser writes no records: it would ask for them in the middle of Julia's own exit path.
function record_native(out::IOBuffer, index::Vector{Any}, native::Ptr{Cvoid}, methods::Vector{Any}, cells::Vector{Value})
    contents = listed(cglobal(:jl_get_llvm_gvs), native)
    called = listed(cglobal(:jl_get_llvm_external_fns), native)
    used = Any[]
    for i in 1:length(called)
        row = base_row(index, called[i])
        body = row == 0 ? -1 : base_function(index, row, BODY)
        body >= 0 || fail(string("emitted code calls a function that is in no image of the base: ", called[i]))
        name = string("slot.base.", body)
        ccall(:LLVMSetValueName2, Cvoid, (Value, Cstring, Csize_t), cells[length(contents) + i], name, sizeof(name))
        push!(used, body)
    end
    resize!(cells, length(contents))
    new = Any[]
    for code in code_of(methods)
        invoke, body = function_ids(native, code)
        if (invoke != 0 || body != 0) && !has_base_code(index, code)
            push!(new, code)
            write(out, "code\t", string(invoke > 0 ? invoke - 1 : invoke), "\t", string(body - 1), "\n")
        end
    end
    objects = index[2]::Core.SimpleVector
    index[2] = Core.svec(objects[1], objects[2], objects[3], Core.svec(new...), Core.svec(contents...))
    return used
end

# The pass manager goes with the process.
function inline_always(mod::Value)
    passes = ccall(:LLVMCreatePassManager, Value, ())
    ccall(:LLVMAddAlwaysInlinerPass, Cvoid, (Value,), passes)
    ccall(:LLVMRunPassManager, Cint, (Value, Value), passes, mod)
    return nothing
end

function node_operand(context::Value, node::Value, i::Int)
    wrapped = ccall(:LLVMMetadataAsValue, Value, (Value, Value), context, node)
    n = Int(ccall(:LLVMGetMDNodeNumOperands, Cuint, (Value,), wrapped))
    operands = Vector{Value}(undef, n)
    ccall(:LLVMGetMDNodeOperands, Cvoid, (Value, Ptr{Value}), wrapped, operands)
    operand = operands[i + 1]
    return operand == C_NULL ? operand : ccall(:LLVMValueAsMetadata, Value, (Value,), operand)
end
