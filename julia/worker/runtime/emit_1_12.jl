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
    for code in handle_list(cglobal(:jl_get_llvm_cis), native)
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

emitted_cells(native::Ptr{Cvoid}) = handle_list(cglobal(:jl_get_llvm_gvs_globals), native)

emitted_module(native::Ptr{Cvoid}) = unsafe_load(ccall(:jl_get_llvm_module, Ptr{Value}, (Ptr{Cvoid},), native))

"The addresses that the runtime's function `list` gives for the handle: called once for their number, once for them."
function handle_list(list::Ptr{Cvoid}, native::Ptr{Cvoid})
    n = Ref{Csize_t}(0)
    ccall(list, Cvoid, (Ptr{Cvoid}, Ptr{Csize_t}, Ptr{Cvoid}), native, n, C_NULL)
    out = Vector{Ptr{Cvoid}}(undef, n[])
    ccall(list, Cvoid, (Ptr{Cvoid}, Ptr{Csize_t}, Ptr{Ptr{Cvoid}}), native, n, out)
    return out
end

"The objects that `list` gives for the handle."
function listed(list::Ptr{Cvoid}, native::Ptr{Cvoid})
    addresses = handle_list(list, native)
    out = Vector{Any}(undef, length(addresses))
    for i in 1:length(addresses)
        out[i] = ccall(:jl_value_ptr, Any, (Ptr{Cvoid},), addresses[i])
    end
    return out
end

cell_contents(native::Ptr{Cvoid}) = listed(cglobal(:jl_get_llvm_gvs), native)
called_functions(native::Ptr{Cvoid}) = listed(cglobal(:jl_get_llvm_external_fns), native)

function call_boxed_base(index::Vector{Any}, native::Ptr{Cvoid}, cells::Vector{Value}, contents::Vector{Any})
    mod = emitted_module(native)
    boxed = unsafe_load(cglobal(:jl_fptr_args_addr, Ptr{Cvoid}))
    world = ccall(:jl_get_world_counter, UInt, ())
    places = IdDict{Any,Any}()
    for i in 1:length(contents)
        places[cells[i]] = i
    end
    builder = ccall(:LLVMCreateBuilderInContext, Value, (Value,), ccall(:LLVMGetModuleContext, Value, (Value,), mod))
    used = Any[]
    f = ccall(:LLVMGetFirstFunction, Value, (Value,), mod)
    while f != C_NULL
        call = startswith(value_name(f), "tojlinvoke") ? runtime_call(f) : C_NULL
        if call != C_NULL
            # The method instance is loaded from a cell, then cast to a reference.
            cast = operand_of(call, 3)
            cell = operand_of(operand_of(cast, 0), 0)
            instance = haskey(places, cell) ? contents[places[cell]::Int] : nothing
            code = instance isa Core.MethodInstance ? current_code(instance, world) : nothing
            row = code isa Core.CodeInstance && invoke_pointer(code) == boxed ? base_row(index, code) : 0
            body = row == 0 ? -1 : base_function(index, row, BODY)
            if body >= 0
                push!(used, body)
                call_slot(builder, mod, f, call, string("slot.base.", body))
            end
        end
        f = ccall(:LLVMGetNextFunction, Value, (Value,), f)
    end
    ccall(:LLVMDisposeBuilder, Cvoid, (Value,), builder)
    return used
end

operand_of(instruction::Value, i::Int) = ccall(:LLVMGetOperand, Value, (Value, Cuint), instruction, i)

"The call of jl_invoke in what emit_tojlinvoke has made, or C_NULL."
function runtime_call(f::Value)
    ccall(:LLVMIsDeclaration, Cint, (Value,), f) == 0 || return C_NULL
    instruction = ccall(:LLVMGetFirstInstruction, Value, (Value,), ccall(:LLVMGetFirstBasicBlock, Value, (Value,), f))
    while instruction != C_NULL
        ccall(:LLVMGetInstructionOpcode, Cint, (Value,), instruction) == 45 && # LLVMCall
            return value_name(ccall(:LLVMGetCalledValue, Value, (Value,), instruction)) == "ijl_invoke" ? instruction : C_NULL
        instruction = ccall(:LLVMGetNextInstruction, Value, (Value,), instruction)
    end
    return C_NULL
end

"Have `f` call what the pointer `name` points to, with its own arguments, in place of `call`."
function call_slot(builder::Value, mod::Value, f::Value, call::Value, name::String)
    pointer = ccall(:LLVMPointerTypeInContext, Value, (Value, Cuint), ccall(:LLVMGetModuleContext, Value, (Value,), mod), 0)
    slot = ccall(:LLVMGetNamedGlobal, Value, (Value, Cstring), mod, name)
    slot == C_NULL && (slot = ccall(:LLVMAddGlobal, Value, (Value, Value, Cstring), mod, pointer, name))
    ccall(:LLVMPositionBuilderBefore, Cvoid, (Value, Value), builder, call)
    target = ccall(:LLVMBuildLoad2, Value, (Value, Value, Value, Cstring), builder, pointer, slot, "")
    arguments = Vector{Value}(undef, 3)
    for i in 1:3
        arguments[i] = ccall(:LLVMGetParam, Value, (Value, Cuint), f, i - 1)
    end
    direct = ccall(:LLVMBuildCall2, Value, (Value, Value, Value, Ptr{Value}, Cuint, Cstring), builder, ccall(:LLVMGlobalGetValueType, Value, (Value,), f),
                   target, arguments, 3, "")
    ccall(:LLVMReplaceAllUsesWith, Cvoid, (Value, Value), call, direct)
    ccall(:LLVMInstructionEraseFromParent, Cvoid, (Value,), call)
    return nothing
end
