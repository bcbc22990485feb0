# Code for LLVM, as Julia 1.5 emits it.
#
# jl_create_native (src/aotcompile.cpp) emits one LLVM module that holds the instances, every base method that they call
# statically, and a table of both. Its handle, jl_native_code_desc_t:
#   0   Module*                   the module
#   8   vector<GlobalValue*>      fvars: functions, in the order of their (1-based) ids
#   32  vector<GlobalValue*>      gvars: pointer slots that the loader fills, likewise

# With `instances` Julia emits all that they call, and what that calls, the base's functions too. The sources of these are out of the way
# meanwhile: nothing is to be made of them but functions of the right name and type, which declarations replace.
function emit_native(code::Vector{Any}, index::Vector{Any})
    lent = Any[]
    lend_sources!(lent, code)
    hide_base_sources!(lent, index)
    native = ccall(:jl_create_native, Ptr{Cvoid}, (Any, Base.CodegenParams, Cint), code, Base.CodegenParams(), 0)
    for i in 1:3:length(lent)
        unsafe_store!(source_field(lent[i]), address_of(lent[i + 1]))
    end
    define_cells(emitted_module(native))
    return native
end

const INFERRED_OFFSET = fieldoffset(Core.CodeInstance, findfirst(isequal(:inferred), fieldnames(Core.CodeInstance)))

source_field(@nospecialize(code)) = Ptr{Ptr{Cvoid}}(address_of(code) + INFERRED_OFFSET)

"Give `code` the source `source`. Both it and the one that `code` had are alive as long as `lent`, so the collector need not know."
function lend_source!(lent::Vector{Any}, code::Core.CodeInstance, @nospecialize(source))
    push!(lent, code, code.inferred, source)
    unsafe_store!(source_field(code), address_of(source))
    return nothing
end

"Infer those of `instances` whose sources packages' caches have dropped, which could not be done well without the base's."
function lend_sources!(lent::Vector{Any}, instances::Vector{Any})
    world = ccall(:jl_get_world_counter, UInt, ())
    for instance in instances
        instance isa Core.MethodInstance || continue
        code = current_code(instance, world)
        (code isa Core.CodeInstance && isdefined(code, :inferred) && code.inferred === nothing) || continue
        source = infer(instance, world)
        source isa Core.CodeInfo && lend_source!(lent, code, source)
    end
    return nothing
end

"Hide the sources of the base's code instances whose bodies the base has."
function hide_base_sources!(lent::Vector{Any}, index::Vector{Any})
    codes = base_codes(index)
    stubs = Any[]
    for row in 1:length(codes)
        base_function(index, row, BODY) >= 0 || continue
        code = codes[row]::Core.CodeInstance
        method = code.def.def
        (method isa Method && isdefined(code, :inferred)) || continue
        arguments = Int(method.nargs)
        while length(stubs) <= arguments
            push!(stubs, unreachable_source(length(stubs)))
        end
        lend_source!(lent, code, stubs[arguments + 1])
    end
    return nothing
end

"The inferred source of a function with `n` arguments, the function itself being the first, that uses none and never returns."
function unreachable_source(n::Int)
    source = ccall(:jl_new_code_info_uninit, Ref{Core.CodeInfo}, ())
    source.code = Any[Expr(:unreachable)]
    source.codelocs = Int32[0]
    source.ssavaluetypes = Any[Union{}]
    source.ssaflags = UInt8[0]
    source.linetable = Any[]
    source.slotnames = fill(Symbol("#unused#"), n)
    source.slotflags = zeros(UInt8, n)
    source.inferred = true
    return source
end

emitted_module(native::Ptr{Cvoid}) = ccall(:jl_get_llvm_module, Value, (Ptr{Cvoid},), native)
emitted_functions(native::Ptr{Cvoid}) = handle_vector(native, 8)
emitted_cells(native::Ptr{Cvoid}) = handle_vector(native, 32)

"""
Define the cells of `mod` for libraries and C functions (`ccalllib_…`, `ccall_…`) in this process. Julia has one of each for all code,
in the module that first needs it (runtime_sym_gvs in src/ccall.cpp). When that is `mod`, nothing that this process compiles from now on
could be linked. Which is why all of this is compiled with its caller, before there is `mod`.
"""
function define_cells(mod::Value)
    size = Ref{Csize_t}(0)
    g = ccall(:LLVMGetFirstGlobal, Value, (Value,), mod)
    while g != C_NULL
        name = ccall(:LLVMGetValueName2, Ptr{UInt8}, (Value, Ptr{Csize_t}), g, size)
        if ccall(:strncmp, Cint, (Ptr{UInt8}, Cstring, Csize_t), name, "ccall", 5) == 0
            cell = ccall(:calloc, Ptr{Cvoid}, (Csize_t, Csize_t), 1, 8)
            ccall(:LLVMAddSymbol, Cvoid, (Ptr{UInt8}, Ptr{Cvoid}), unescaped(name, Int(size[])), cell)
        end
        g = ccall(:LLVMGetNextGlobal, Value, (Value,), g)
    end
    return nothing
end

"The name of `n` bytes at `p`, ended by a 0, with what names of libraries have besides letters as it was before makeSafeName (src/aotcompile.cpp)."
function unescaped(p::Ptr{UInt8}, n::Int)
    out = zeros(UInt8, n + 1)
    k = 0
    for i in 1:n
        k += 1
        out[k] = unsafe_load(p, i)
        (out[k] == 0x2e && k > 3) || continue
        word = UInt32(out[k - 3]) << 16 | UInt32(out[k - 2]) << 8 | out[k - 1]
        plain = word == 0x444f54 ? 0x2e : word == 0x535542 ? 0x2d : word == 0x53554d ? 0x2b : 0x00 # DOT . SUB - SUM +
        plain == 0x00 && continue
        k -= 3
        out[k] = plain
    end
    for i in k + 1:n
        out[i] = 0
    end
    return out
end

# The serialiser writes the records.
cell_contents(native::Ptr{Cvoid}) = nothing
called_functions(native::Ptr{Cvoid}) = Any[]

# Base functions are emitted, and replaced by what the base has.
call_boxed_base(index::Vector{Any}, native::Ptr{Cvoid}, cells::Vector{Value}, contents::Vector{Any}) = Any[]
