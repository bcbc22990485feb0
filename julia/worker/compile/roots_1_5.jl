# Frames of the garbage collector are laid out in the order of a hash table by address: here the addresses are chosen, so that equal code
# becomes equal objects. passes_1_5.jl does that right before the frames are made. passes_1_10.jl, where all passes are one call, has to
# do it at the beginning: the places that passes make themselves (AllocOpt's) lie where they may.

"""
    place_roots(mod)

Have the GC frame's lowering find the places in the stack that hold several references in the order in which they are made. It goes over
them in the order of a hash table by address (ArrayAllocas, a DenseMap, in src/llvm-late-gc-lowering.cpp), so the same code would come out
in several ways. Here each is replaced by a copy that lies at an address with the hash that it should have.
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

"Whether the instruction makes room for references that the lowering finds in the hash table."
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
            return (several || places_single_roots()) && kind == 12 && ccall(:LLVMGetPointerAddressSpace, Cuint, (Ref_,), type) == 10
        end
        several = true
    end
end

"""
    place_in_order(roots, limit)

Replace each of `roots` by a copy at an address whose hash comes after that of the one before. Of the buckets of the hash table, the first
of n roots gets the first n-th, and so on. A copy that is made to find a place and lies in another one's is kept and removed only when that
one's turn comes: its memory is what the next copy gets then. So about n log n copies are made. After `limit` copies there is something wrong with
how memory is given out, and it throws an error.
"""
function place_in_order(roots::Vector{Ref_}, limit::Int=64 * buckets_for(length(roots)))
    n = length(roots)
    buckets = buckets_for(n)
    spare = Vector{Any}(undef, n) # for each root the copies that lie in its place
    for i in 1:n
        spare[i] = Ref_[]
    end
    builder = ccall(:LLVMCreateBuilder, Ref_, ())
    made = 0
    for i in 1:n
        ccall(:LLVMPositionBuilderBefore, Cvoid, (Ref_, Ref_), builder, roots[i])
        while true
            own = spare[i]::Vector{Ref_}
            isempty(own) || ccall(:LLVMInstructionEraseFromParent, Cvoid, (Ref_,), pop!(own))
            made += 1
            made <= limit || error("the places of references in a function cannot be ordered by ", limit, " copies: report this with the scratch folder")
            copy = ccall(:LLVMInstructionClone, Ref_, (Ref_,), roots[i])
            ccall(:LLVMInsertIntoBuilder, Cvoid, (Ref_, Ref_), builder, copy)
            place = n * bucket_of(copy, buckets) ÷ buckets + 1
            if place == i
                ccall(:LLVMReplaceAllUsesWith, Cvoid, (Ref_, Ref_), roots[i], copy)
                break
            end
            push!(spare[place]::Vector{Ref_}, copy)
        end
        ccall(:LLVMInstructionEraseFromParent, Cvoid, (Ref_,), roots[i])
    end
    for copies in spare
        for copy in copies::Vector{Ref_}
            ccall(:LLVMInstructionEraseFromParent, Cvoid, (Ref_,), copy)
        end
    end
    ccall(:LLVMDisposeBuilder, Cvoid, (Ref_,), builder)
    return made
end

"The number of buckets of a DenseMap with `n` elements: it begins with 64 and doubles when it is three quarters full."
function buckets_for(n::Int)
    buckets = 64
    while 4 * n >= 3 * buckets
        buckets *= 2
    end
    return buckets
end

"The bucket, from 0 on, that an address belongs to (DenseMapInfo<T*>::getHashValue)."
bucket_of(p::Ref_, buckets::Int) = Int(((UInt(p) >> 4) ⊻ (UInt(p) >> 9)) & (buckets - 1))
