# What is done by other functions of LLVM in other versions, as Julia has it from 1.10 on.

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
