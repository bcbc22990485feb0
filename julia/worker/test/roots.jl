# Tests of ../compile/roots_1_5.jl, on modules that are made by LLVM's C interface.

module Roots

using Test
import Libdl

const Ref_ = Ptr{Cvoid}
# As passes.jl says.
places_single_roots() = VERSION >= v"1.12"
include("../compile/roots_1_5.jl")

# Where libLLVM is private to Julia's code generation, ccall does not find it by itself.
Libdl.dlopen(first(filter(path -> occursin("libLLVM", path), Libdl.dllist())), Libdl.RTLD_NOW | Libdl.RTLD_GLOBAL)

"A module with one function that makes room for `n` times two references, with one for another one in between and an integer."
function module_with(n)
    context = ccall(:LLVMContextCreate, Ref_, ())
    mod = ccall(:LLVMModuleCreateWithNameInContext, Ref_, (Cstring, Ref_), "roots", context)
    nothing_ = ccall(:LLVMVoidTypeInContext, Ref_, (Ref_,), context)
    type = ccall(:LLVMFunctionType, Ref_, (Ref_, Ptr{Ref_}, Cuint, Cint), nothing_, C_NULL, 0, 0)
    f = ccall(:LLVMAddFunction, Ref_, (Ref_, Cstring, Ref_), mod, "f", type)
    block = ccall(:LLVMAppendBasicBlockInContext, Ref_, (Ref_, Ref_, Cstring), context, f, "")
    builder = ccall(:LLVMCreateBuilderInContext, Ref_, (Ref_,), context)
    ccall(:LLVMPositionBuilderAtEnd, Cvoid, (Ref_, Ref_), builder, block)
    integer = ccall(:LLVMInt64TypeInContext, Ref_, (Ref_,), context)
    reference = ccall(:LLVMPointerType, Ref_, (Ref_, Cuint), integer, 10)
    pair = ccall(:LLVMArrayType, Ref_, (Ref_, Cuint), reference, 2)
    alloca(type, name) = ccall(:LLVMBuildAlloca, Ref_, (Ref_, Ref_, Cstring), builder, type, name)
    for i in 1:n
        alloca(pair, "pair$i")
        alloca(reference, "one$i")
        alloca(integer, "integer$i")
    end
    ccall(:LLVMBuildRetVoid, Ref_, (Ref_,), builder)
    ccall(:LLVMDisposeBuilder, Cvoid, (Ref_,), builder)
    return mod, context, block
end

function instructions(block)
    out = Ref_[]
    instruction = ccall(:LLVMGetFirstInstruction, Ref_, (Ref_,), block)
    while instruction != C_NULL
        push!(out, instruction)
        instruction = ccall(:LLVMGetNextInstruction, Ref_, (Ref_,), instruction)
    end
    return out
end

function dispose(mod, context)
    ccall(:LLVMDisposeModule, Cvoid, (Ref_,), mod)
    ccall(:LLVMContextDispose, Cvoid, (Ref_,), context)
end

@testset "buckets" begin
    @test buckets_for(1) == buckets_for(47) == 64
    @test buckets_for(48) == buckets_for(95) == 128
    @test bucket_of(Ref_(UInt(0x1230)), 64) == (0x123 ⊻ 0x9) & 63
end

@testset "$n places in order" for n in (1, 2, 3, 47, 48, 500, 5000)
    mod, context, block = module_with(n)
    places_single_roots() && (n *= 2) # those in between
    before = instructions(block)
    others = filter(!holds_references, before)
    @test length(before) - length(others) == n
    place_roots(mod)
    after = instructions(block)
    roots = filter(holds_references, after)
    @test length(roots) == n && length(after) == length(before)
    # The others have stayed.
    @test filter(!holds_references, after) == others
    @test n == 1 || issorted([bucket_of(x, buckets_for(n)) for x in roots]; lt=<=)
    dispose(mod, context)
end

@testset "copies are bounded" begin
    mod, context, block = module_with(2000)
    roots = filter(holds_references, instructions(block))
    @test 2000 <= place_in_order(roots) < 2000^2 ÷ 10
    dispose(mod, context)
    mod, context, block = module_with(200)
    roots = filter(holds_references, instructions(block))
    @test_throws ErrorException("the places of references in a function cannot be ordered by 100 copies: report this with the scratch folder") place_in_order(roots, 100)
    dispose(mod, context)
end

end
