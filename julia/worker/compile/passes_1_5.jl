# Julia 1.5's optimisation pipeline for code that goes into an image: addOptimizationPasses with dump_native (src/aotcompile.cpp), in its order.
#
# Differences, and why they do not change the code: multi-versioning is left out, since the image has one variant of
# what is new and the builder merges the tables; the pass that removes non-integral address spaces from the data layout is the
# setting of the data layout without them between two pass managers, which is all that it does.

"Nothing is to be done before the first request."
prepare_compiler() = return

add_pass(passes::Ref_, pass::Ref_) = ccall(:LLVMExtraAddPass, Cvoid, (Ref_, Ref_), passes, pass)
dlsym_all(name::Symbol) = ccall(:dlsym, Ref_, (Ref_, Cstring), C_NULL, name)

"The pass that LLVM's factory `name`, a C++ function without arguments, makes."
make_pass(name::Symbol) = ccall(dlsym_all(name), Ref_, ())

function add_julia_passes(passes::Ref_, level::Int)
    if level < 2
        ccall(:LLVMAddCFGSimplificationPass, Cvoid, (Ref_,), passes)
        if level == 1
            ccall(:LLVMAddScalarReplAggregatesPass, Cvoid, (Ref_,), passes)
            ccall(:LLVMAddInstructionCombiningPass, Cvoid, (Ref_,), passes)
            ccall(:LLVMAddEarlyCSEPass, Cvoid, (Ref_,), passes)
        end
        ccall(:LLVMAddMemCpyOptPass, Cvoid, (Ref_,), passes)
        ccall(:LLVMAddAlwaysInlinerPass, Cvoid, (Ref_,), passes)
        return
    end
    ccall(:LLVMExtraAddPropagateJuliaAddrspaces, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddScopedNoAliasAAPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddTypeBasedAliasAnalysisPass, Cvoid, (Ref_,), passes)
    level >= 3 && ccall(:LLVMAddBasicAliasAnalysisPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddCFGSimplificationPass, Cvoid, (Ref_,), passes)
    add_pass(passes, make_pass(:_ZN4llvm29createDeadCodeEliminationPassEv))
    ccall(:LLVMAddScalarReplAggregatesPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddAlwaysInlinerPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMExtraAddAllocOptPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddInstructionCombiningPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddCFGSimplificationPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddScalarReplAggregatesPass, Cvoid, (Ref_,), passes)
    add_pass(passes, make_pass(:_ZN4llvm28createInstSimplifyLegacyPassEv))
    ccall(:LLVMAddJumpThreadingPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddReassociatePass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddEarlyCSEPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMExtraAddAllocOptPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLoopRotatePass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLoopIdiomPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMExtraAddLowerSimdLoopPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLICMPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLoopUnswitchPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLICMPass, Cvoid, (Ref_,), passes)
    add_pass(passes, make_pass(:_ZN4llvm28createInstSimplifyLegacyPassEv))
    ccall(:LLVMAddIndVarSimplifyPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLoopDeletionPass, Cvoid, (Ref_,), passes)
    add_pass(passes, ccall(:_ZN4llvm26createSimpleLoopUnrollPassEibb, Ref_, (Cint, Bool, Bool), 2, false, false))
    ccall(:LLVMExtraAddAllocOptPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddScalarReplAggregatesPass, Cvoid, (Ref_,), passes)
    add_pass(passes, make_pass(:_ZN4llvm28createInstSimplifyLegacyPassEv))
    ccall(:LLVMAddGVNPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddMemCpyOptPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddSCCPPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddInstructionCombiningPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddJumpThreadingPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddDeadStoreEliminationPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMExtraAddAllocOptPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddCFGSimplificationPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLoopDeletionPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddInstructionCombiningPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddLoopVectorizePass, Cvoid, (Ref_,), passes)
    add_pass(passes, make_pass(:_ZN4llvm29createLoopLoadEliminationPassEv))
    ccall(:LLVMAddCFGSimplificationPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddSLPVectorizePass, Cvoid, (Ref_,), passes)
    ccall(:LLVMAddAggressiveDCEPass, Cvoid, (Ref_,), passes)
    return
end

"Julia's own lowering of intrinsics: exception frames, GC frames, thread-local state."
function add_lowering(passes::Ref_, level::Int)
    ccall(:LLVMExtraAddBarrierNoopPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMExtraAddLowerExcHandlersPass, Cvoid, (Ref_,), passes)
    ccall(:LLVMExtraAddGCInvariantVerifierPass, Cvoid, (Ref_, Cint), passes, 0)
    ccall(:LLVMExtraAddLateLowerGCFramePass, Cvoid, (Ref_,), passes)
    ccall(:LLVMExtraAddFinalLowerGCPass, Cvoid, (Ref_,), passes)
    level < 2 || add_pass(passes, make_pass(:_ZN4llvm29createDeadCodeEliminationPassEv))
    ccall(:LLVMExtraAddLowerPTLSPass, Cvoid, (Ref_, Cint), passes, 1)
    level < 2 || ccall(:LLVMAddCFGSimplificationPass, Cvoid, (Ref_,), passes)
    return
end

"The passes after the data layout has lost its non-integral address spaces."
function add_late_passes(passes::Ref_, level::Int)
    if level < 2
        ccall(:LLVMExtraAddLowerSimdLoopPass, Cvoid, (Ref_,), passes)
    else
        ccall(:LLVMExtraAddCombineMulAddPass, Cvoid, (Ref_,), passes)
        add_pass(passes, make_pass(:_ZN4llvm21createDivRemPairsPassEv))
    end
    return
end

"The target machine of image code: position independent, small code model, aggressive code generation (jl_dump_native)."
function target_machine(cpu::String, features::String)
    triple = ccall(:LLVMGetDefaultTargetTriple, Cstring, ())
    target = Ref{Ref_}(C_NULL)
    message = Ref{Cstring}(C_NULL)
    ccall(:LLVMGetTargetFromTriple, Cint, (Cstring, Ptr{Ref_}, Ptr{Cstring}), triple, target, message) == 0 || error(unsafe_string(message[]))
    if cpu == "native"
        cpu = unsafe_string(ccall(:LLVMGetHostCPUName, Cstring, ()))
        host = unsafe_string(ccall(:LLVMGetHostCPUFeatures, Cstring, ()))
        features = features == "" ? host : string(host, ",", features)
    end
    machine = ccall(:LLVMCreateTargetMachine, Ref_, (Ref_, Cstring, Cstring, Cstring, Cint, Cint, Cint), target[], triple, cpu, features, 3, 2, 3)
    machine == C_NULL && error("LLVM knows no target machine for ", cpu, " ", features)
    return machine, unsafe_string(triple)
end

"Make the thread-local state's slots, which lowering defined in the module, those of the base."
function import_thread_state(mod::Ref_)
    for name in ("jl_get_ptls_states_slot", "jl_tls_offset")
        alias = ccall(:LLVMGetNamedGlobalAlias, Ref_, (Ref_, Cstring, Csize_t), mod, name, sizeof(name))
        alias == C_NULL && continue
        own = ccall(:LLVMAliasGetAliasee, Ref_, (Ref_,), alias)
        hidden = string(name, ".own")
        ccall(:LLVMSetValueName2, Cvoid, (Ref_, Cstring, Csize_t), alias, hidden, sizeof(hidden))
        type = ccall(:LLVMGetElementType, Ref_, (Ref_,), ccall(:LLVMTypeOf, Ref_, (Ref_,), own))
        base = ccall(:LLVMAddGlobal, Ref_, (Ref_, Ref_, Cstring), mod, type, name)
        ccall(:LLVMReplaceAllUsesWith, Cvoid, (Ref_, Ref_), alias, base)
        ccall(:LLVMReplaceAllUsesWith, Cvoid, (Ref_, Ref_), own, base)
        ccall(:LLVMDeleteGlobal, Cvoid, (Ref_,), own)
    end
    return
end

"Run `passes` once over `mod` and free them."
function run_passes(add::Function, machine::Ref_, triple::String, mod::Ref_, level::Int)
    passes = ccall(:LLVMCreatePassManager, Ref_, ())
    ccall(:LLVMExtraAddTargetLibraryInfoByTiple, Cvoid, (Cstring, Ref_), triple, passes)
    ccall(:LLVMAddAnalysisPasses, Cvoid, (Ref_, Ref_), machine, passes)
    add(passes, level)
    ccall(:LLVMRunPassManager, Cint, (Ref_, Ref_), passes, mod)
    ccall(:LLVMDisposePassManager, Cvoid, (Ref_,), passes)
    return
end

"""
    emit_object(bitcode, object, level, cpu, features)

Compile the module in file `bitcode` to the relocatable file `object`. Returns the nanoseconds spent in passes and in code generation.
"""
function emit_object(bitcode::String, object::String, level::Int, cpu::String, features::String)
    start = time_ns()
    context = ccall(:LLVMContextCreate, Ref_, ())
    mod = read_bitcode(bitcode, context)
    machine, triple = target_machine(cpu, features)
    layout = ccall(:LLVMCopyStringRepOfTargetData, Cstring, (Ref_,), ccall(:LLVMCreateTargetDataLayout, Ref_, (Ref_,), machine))
    ccall(:LLVMSetTarget, Cvoid, (Ref_, Cstring), mod, triple)
    ccall(:LLVMSetDataLayout, Cvoid, (Ref_, Cstring), mod, string(unsafe_string(layout), "-ni:10:11:12:13"))
    run_passes(add_julia_passes, machine, triple, mod, level)
    place_roots(mod)
    run_passes(add_lowering, machine, triple, mod, level)
    import_thread_state(mod)
    ccall(:LLVMSetDataLayout, Cvoid, (Ref_, Cstring), mod, layout)
    run_passes(add_late_passes, machine, triple, mod, level)
    middle = time_ns()
    message = Ref{Cstring}(C_NULL)
    ccall(:LLVMTargetMachineEmitToFile, Cint, (Ref_, Ref_, Cstring, Cint, Ptr{Cstring}), machine, mod, object, 1, message) == 0 || error(unsafe_string(message[]))
    ccall(:LLVMDisposeModule, Cvoid, (Ref_,), mod)
    ccall(:LLVMDisposeTargetMachine, Cvoid, (Ref_,), machine)
    ccall(:LLVMContextDispose, Cvoid, (Ref_,), context)
    return middle - start, time_ns() - middle
end

"Each request says for which processor it is."
emit_variant(bitcode::String, object::String, level::Int, cpu::String, features::String) = emit_object(bitcode, object, level, cpu, features)

# One reference has no place in ArrayAllocas.
places_single_roots() = false
