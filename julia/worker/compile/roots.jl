# Frames of the garbage collector are laid out in the order of a hash table by address: here the addresses are chosen, so that equal code
# becomes equal objects. passes_1_5.jl does that right before the frames are made. passes_1_10.jl, where all passes are one call, has to
# do it at the beginning: the places that passes make themselves (AllocOpt's) lie where they may.

"""
    place_roots(mod)

Have the GC frame's lowering find the places in the stack that hold several references in the order in which they are made. It goes over
them in the order of a hash table by address (ArrayAllocas, a DenseMap, in src/llvm-late-gc-lowering.cpp), so the same code would come out
in several ways. Here each is replaced by a copy, made again until it lies at an address with the hash that it should have.
"""
function place_roots(mod::Ref_)
    f = ccall(:LLVMGetFirstFunction, Ref_, (Ref_,), mod)
    while f != C_NULL
        roots = Ref_[]
        block = ccall(:LLVMIsDeclaration, Cint, (Ref_,), f) == 0 ? ccall(:LLVMGetFirstBasicBlock, Ref_, (Ref_,), f) : C_NULL
        while block != C_NULL
            instruction = ccall(:LLVMGetFirstInstruction, Ref_, (Ref_,), block)
            while instruction != C_NULL
                holds_references(instruction) && push!(roots, instruction)
                instruction = ccall(:LLVMGetNextInstruction, Ref_, (Ref_,), instruction)
            end
            block = ccall(:LLVMGetNextBasicBlock, Ref_, (Ref_,), block)
        end
        length(roots) > 1 && place_in_order(roots)
        f = ccall(:LLVMGetNextFunction, Ref_, (Ref_,), f)
    end
    return
end

"Whether the instruction makes room for references, and not for a single one."
function holds_references(instruction::Ref_)
    ccall(:LLVMGetInstructionOpcode, Cint, (Ref_,), instruction) == 26 || return false # LLVMAlloca
    type = ccall(:LLVMGetAllocatedType, Ref_, (Ref_,), instruction)
    several = false
    while true
        kind = ccall(:LLVMGetTypeKind, Cint, (Ref_,), type)
        if kind == 10 && ccall(:LLVMCountStructElementTypes, Cuint, (Ref_,), type) > 0 # struct: references come in all fields or do not count
            type = ccall(:LLVMStructGetTypeAtIndex, Ref_, (Ref_, Cuint), type, 0)
        elseif kind == 11 || kind == 13 # array, vector
            type = ccall(:LLVMGetElementType, Ref_, (Ref_,), type)
        else # a pointer in the address space of references
            return several && kind == 12 && ccall(:LLVMGetPointerAddressSpace, Cuint, (Ref_,), type) == 10
        end
        several = true
    end
end

function place_in_order(roots::Vector{Ref_})
    n = length(roots)
    buckets = 64 # what a DenseMap begins with; it doubles when it is three quarters full
    while 4 * n >= 3 * buckets
        buckets *= 2
    end
    builder = ccall(:LLVMCreateBuilder, Ref_, ())
    misplaced = Ref_[]
    for i in 1:n
        ccall(:LLVMPositionBuilderBefore, Cvoid, (Ref_, Ref_), builder, roots[i])
        while true
            copy = ccall(:LLVMInstructionClone, Ref_, (Ref_,), roots[i])
            ccall(:LLVMInsertIntoBuilder, Cvoid, (Ref_, Ref_), builder, copy)
            address = UInt(copy)
            bucket = Int(((address >> 4) ⊻ (address >> 9)) & (buckets - 1)) # DenseMapInfo<T*>::getHashValue
            if (i - 1) * buckets <= n * bucket < i * buckets
                ccall(:LLVMReplaceAllUsesWith, Cvoid, (Ref_, Ref_), roots[i], copy)
                break
            end
            push!(misplaced, copy)
        end
        ccall(:LLVMInstructionEraseFromParent, Cvoid, (Ref_,), roots[i])
    end
    for copy in misplaced
        ccall(:LLVMInstructionEraseFromParent, Cvoid, (Ref_,), copy)
    end
    ccall(:LLVMDisposeBuilder, Cvoid, (Ref_,), builder)
    return
end
