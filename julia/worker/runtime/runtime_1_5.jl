# What the front worker asks of the runtime, as Julia 1.5 has it. runtime_1_10.jl answers the same for a later Julia; the rest of the worker
# knows no version.

"Make the process one in which packages can be loaded."
begin_session() = Base.__init__()

"Make the caches of packages that this process can load: it loads those that other sessions make."
make_caches(request::Dict{String,Any}) = nothing

"""
Let inference run in the current world from now on. Julia infers and emits for two worlds, the one in which inference was
compiled and the current one; with the two as one, nothing is done twice for methods of the base that are used with new types.
The image gets the base's own inference world again when the heap is chained.
"""
infer_in_current_world() = ccall(:jl_set_typeinf_func, Cvoid, (Any,), Core.Compiler.typeinf_ext)

# ---- Methods and what is inferred of them

"The method tables that no module leads to by the name of a type."
shared_tables() = Any[getfield(typeof(Type), :name).mt]

specializations_of(method::Method) = method.specializations

"Infer `instance` for `world`, in the world that inference runs in (jl_type_infer in src/gf.c). Returns the source, or `nothing`."
function infer(@nospecialize(instance), world::UInt)
    call = Any[Core.Compiler.typeinf_ext, instance, world]
    return ccall(:jl_call_in_typeinf_world, Any, (Ptr{Any}, Cint), call, 3)
end

"The method instance that is compiled for calls with signature `type`, or `nothing`."
function specialization(@nospecialize(type), world::UInt)
    least = Ref{UInt}(0)
    most = Ref{UInt}(typemax(UInt))
    return ccall(:jl_get_spec_lambda, Any, (Any, UInt, Ptr{UInt}, Ptr{UInt}), type, world, least, most)
end

"The method that a call with signature `type` runs, or `nothing`."
function called_method(@nospecialize(type), world::UInt)
    entry = ccall(:jl_gf_invoke_lookup, Any, (Any, UInt), type, world)
    return entry isa Core.TypeMapEntry ? entry.func : nothing
end

"Whether Julia compiles `method` for `type`, with `parameters` for its type variables, as it stands."
is_compileable(@nospecialize(type), @nospecialize(parameters), method::Method) =
    ccall(:jl_isa_compileable_sig, Int32, (Any, Any), type, method) != 0

"Whether `a` and `b` are compressed sources (jl_compress_ir in src/dump.c) and the same."
are_same_sources(@nospecialize(a), @nospecialize(b)) = a isa Vector{UInt8} && b isa Vector{UInt8} && a == b

set_first_code(instance::Core.MethodInstance, @nospecialize(code)) = setfield!(instance, :cache, code)
set_next_code(before::Core.CodeInstance, @nospecialize(code)) = setfield!(before, :next, code)

"Whether a call of `code` returns a constant and runs nothing."
is_constant(@nospecialize(code)) = invoke_pointer(code) == cglobal(:jl_fptr_const_return)

"""
Whether Julia would keep code for `code`: it was run, or it is inferred and cannot be inlined.
See precompile_enq_specialization_ in src/precompile.c.
"""
function is_kept(code::Core.CodeInstance)
    is_constant(code) && return false
    if isdefined(code, :inferred)
        source = code.inferred
        if source isa Vector{UInt8} &&
           ccall(:jl_ir_flag_inferred, UInt8, (Any,), source) != 0 && ccall(:jl_ir_flag_inlineable, UInt8, (Any,), source) == 0
            return true
        end
    end
    return invoke_pointer(code) != C_NULL
end

"Get the code instances ready that came with the worker image: those that hang from `methods`."
disown_workers_code(index::Vector{Any}, methods::Vector{Any}) = nothing

"Append to `instances` what they call and what would not be emitted with them: inference keeps the source of all that it has compiled."
add_called!(instances::Vector{Any}, seen::IdDict{Any,Any}, index::Vector{Any}, world::UInt) = nothing

# ---- Emitted code
#
# jl_create_native (src/aotcompile.cpp) emits one LLVM module that holds the instances, every base method that they call
# statically, and a table of both. Its handle, jl_native_code_desc_t:
#   0   Module*                   the module
#   8   vector<GlobalValue*>      fvars: functions, in the order of their (1-based) ids
#   32  vector<GlobalValue*>      gvars: pointer slots that the loader fills, likewise

const FUNCTIONS_OFFSET = 8
const CELLS_OFFSET = 32

"""
Emit `instances`; returns the handle. With them Julia emits all that they call, and what that calls, the base's functions too. Their sources are
out of the way meanwhile: nothing is to be made of them but functions of the right name and type, which declarations replace.
"""
function emit_native(instances::Vector{Any}, index::Vector{Any})
    lent = Any[]
    lend_sources!(lent, instances)
    hide_base_sources!(lent, index)
    native = ccall(:jl_create_native, Ptr{Cvoid}, (Any, Base.CodegenParams, Cint), instances, Base.CodegenParams(), 0)
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
    raw = index[1]::Vector{UInt32}
    codes = (index[2]::Core.SimpleVector)[1]::Vector{Any}
    stubs = Any[]
    for row in 1:length(codes)
        reinterpret(Int32, raw[5 + 3 * (row - 1) + 3]) >= 0 || continue
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

"""
    record_native(out, index, native, methods, gvars)

Append to `out`, the text of `index.txt`, what a later Julia needs to have said of code instances: this one's serialiser writes the records
of new ones itself. Returns the functions of the base that cells stand for.
"""
record_native(out::IOBuffer, index::Vector{Any}, native::Ptr{Cvoid}, methods::Vector{Any}, gvars::Vector{Value}) = Any[]

"""
Operand `i` of metadata node `node`. The operands lie before the node (llvm/IR/Metadata.h, MDNode::op_begin), 8 bytes each; their
number is a u32 at offset 8.
"""
function node_operand(context::Value, node::Value, i::Int)
    n = Int(unsafe_load(Ptr{UInt32}(node + 8)))
    return unsafe_load(Ptr{Value}(node), i - n + 1)
end

# ---- The heap

"Serialise the heap, with the records of what the handle holds. Returns a stream (ios_t) that holds the blob."
create_image(native::Ptr{Cvoid}, image::String) = ccall(:jl_create_system_image, Ptr{Cvoid}, (Ptr{Cvoid},), native)

"What else than heap.jl knows of is as a stock image build leaves it."
reset_runtime() = nothing
