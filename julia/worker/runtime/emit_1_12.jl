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
