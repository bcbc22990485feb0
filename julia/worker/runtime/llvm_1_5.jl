# What is done by other functions of LLVM in other versions, as Julia 1.5 has it.

# The pass manager goes with the process.
function inline_always(mod::Value)
    passes = ccall(:LLVMCreatePassManager, Value, ())
    ccall(:LLVMAddAlwaysInlinerPass, Cvoid, (Value,), passes)
    ccall(:LLVMRunPassManager, Cint, (Value, Value), passes, mod)
    return nothing
end

# The operands lie before the node (llvm/IR/Metadata.h, MDNode::op_begin), 8 bytes each; their number is a u32 at offset 8.
function node_operand(context::Value, node::Value, i::Int)
    n = Int(unsafe_load(Ptr{UInt32}(node + 8)))
    return unsafe_load(Ptr{Value}(node), i - n + 1)
end
