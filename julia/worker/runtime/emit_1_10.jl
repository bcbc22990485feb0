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

cell_contents(native::Ptr{Cvoid}) = listed(cglobal(:jl_get_llvm_gvs), native)
called_functions(native::Ptr{Cvoid}) = listed(cglobal(:jl_get_llvm_external_fns), native)

# Such calls are like all others (called_functions).
call_boxed_base(index::Vector{Any}, native::Ptr{Cvoid}, cells::Vector{Value}, contents::Vector{Any}) = Any[]
