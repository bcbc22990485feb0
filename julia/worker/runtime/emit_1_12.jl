# Code for LLVM, as Julia 1.12 emits it.
#
# jl_emit_native (src/aotcompile.cpp) emits one LLVM module that holds what it is given, code instances and their sources in turns. With
# external linkage, functions whose code is in an image are called through pointers.

function emit_native(code::Vector{Any}, index::Vector{Any})
    native = GC.@preserve code ccall(:jl_emit_native, Ptr{Cvoid}, (Any, Ptr{Cvoid}, Ptr{Cvoid}, Cint), code, C_NULL, C_NULL, 1)
    # The sources go into the image, as jl_create_native sees to it.
    for i in 1:length(code)
        code[i] isa Core.CodeInstance && ccall(:jl_add_codeinst_to_cache, Cvoid, (Any, Any), code[i], code[i + 1])
    end
    return native
end

function emitted_functions(native::Ptr{Cvoid})
    n = 0
    for code in handle_list(:jl_get_llvm_cis, native)
        invoke = Ref{Int32}(0)
        body = Ref{Int32}(0)
        ccall(:jl_get_function_id, Cvoid, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Int32}, Ptr{Int32}), native, code, invoke, body)
        n = max(n, Int(invoke[]), Int(body[]))
    end
    out = Vector{Value}(undef, n)
    for i in 1:n
        out[i] = ccall(:jl_get_llvm_function, Value, (Ptr{Cvoid}, UInt32), native, i - 1)
    end
    return out
end

emitted_cells(native::Ptr{Cvoid}) = handle_list(:jl_get_llvm_gvs_globals, native)

emitted_module(native::Ptr{Cvoid}) = unsafe_load(ccall(:jl_get_llvm_module, Ptr{Value}, (Ptr{Cvoid},), native))

"What the runtime's function `list` lists of the handle."
function handle_list(list::Symbol, native::Ptr{Cvoid})
    f = list === :jl_get_llvm_cis ? cglobal(:jl_get_llvm_cis) : list === :jl_get_llvm_gvs ? cglobal(:jl_get_llvm_gvs) :
        list === :jl_get_llvm_gvs_globals ? cglobal(:jl_get_llvm_gvs_globals) : cglobal(:jl_get_llvm_external_fns)
    n = Ref{Csize_t}(0)
    ccall(f, Cvoid, (Ptr{Cvoid}, Ptr{Csize_t}, Ptr{Cvoid}), native, n, C_NULL)
    out = Vector{Ptr{Cvoid}}(undef, n[])
    ccall(f, Cvoid, (Ptr{Cvoid}, Ptr{Csize_t}, Ptr{Ptr{Cvoid}}), native, n, out)
    return out
end

function listed(list::Symbol, native::Ptr{Cvoid})
    addresses = handle_list(list, native)
    out = Vector{Any}(undef, length(addresses))
    for i in 1:length(addresses)
        out[i] = ccall(:jl_value_ptr, Any, (Ptr{Cvoid},), addresses[i])
    end
    return out
end

# The runtime's serialiser writes no records: it would ask for them in the middle of Julia's own exit path.
function record_native(out::IOBuffer, index::Vector{Any}, native::Ptr{Cvoid}, methods::Vector{Any}, cells::Vector{Value})
    contents = listed(:jl_get_llvm_gvs, native)
    called = listed(:jl_get_llvm_external_fns, native)
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
        invoke == -5 && continue # returns a constant
        if (invoke != 0 || body != 0) && !has_base_code(index, code)
            push!(new, code)
            write(out, "code\t", string(invoke > 0 ? invoke - 1 : invoke), "\t", string(body - 1), "\n")
        end
    end
    objects = index[2]::Core.SimpleVector
    index[2] = Core.svec(objects[1], objects[2], objects[3], Core.svec(new...), Core.svec(contents...))
    return used
end

function inline_always(mod::Value)
    options = ccall(:LLVMCreatePassBuilderOptions, Value, ())
    failed = ccall(:LLVMRunPasses, Value, (Value, Cstring, Value, Value), mod, "always-inline", C_NULL, options)
    failed == C_NULL || fail("LLVM cannot inline")
    ccall(:LLVMDisposePassBuilderOptions, Cvoid, (Value,), options)
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
