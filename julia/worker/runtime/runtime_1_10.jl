# What the front worker asks of the runtime, as Julia 1.10 has it. runtime_1_5.jl answers the same for an older Julia; the rest of the worker
# knows no version.

"""
Make the process one in which packages can be loaded, as the stock build of a system image does. Base.__init__ would start tasks,
which would come to lie in the heap.
"""
function begin_session()
    Base.reinit_stdio()
    Base.Sys.__init_build()
    Base.init_depot_path()
    Base.init_load_path()
    Base.init_active_project()
    note_global_roots()
    # libLLVM is there for libjulia-codegen alone; now `ccall` finds it too.
    ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), string(Base.libllvm_path()), 0x102) # RTLD_NOW | RTLD_GLOBAL
    return nothing
end

"""
    make_caches(request)

Make the caches that this process can load, of those packages of the request that have none. Other sessions make package images, which it
cannot load, and from source a package is not the one that was traced: names that lowering makes up count on.
A process that generates an image makes no caches, and one started by this process's own means would leave traces in the heap.
"""
function make_caches(request::Dict{String,Any})
    names = ""
    for kind in ("package", "module")
        for name in values_of(request, kind)
            id = Base.identify_package(name::String)
            (id === nothing || haskey(Base.loaded_modules, id) || Base.locate_package(id) === nothing || Base.isprecompiled(id)) && continue
            names = string(names, " ", quoted(name::String))
        end
    end
    isempty(names) && return nothing
    project = Base.active_project()
    program = "foreach(name -> Base.require(Base.identify_package(name)), ARGS)"
    command = string(quoted(joinpath(Sys.BINDIR, Base.julia_exename())), " --startup-file=no --pkgimages=no -J ", quoted(value_of(request, "image")),
                     project === nothing ? "" : string(" --project=", quoted(project)), " -e ", quoted(program), names)
    ccall(:system, Cint, (Cstring,), command) # what fails there, fails here again and is told then
    return nothing
end

"`text` as one word of the shell."
quoted(text::String) = string("'", replace(text, "'" => "'\\''"), "'")

# The world that the base's own inference runs in.
const INFERENCE_WORLD = UInt[0]

"""
Let inference run in the current world until `reset_runtime`. Julia infers and emits for two worlds, the one in which inference was
compiled and the current one; with the two as one, nothing is done twice for methods of the base that are used with new types.
"""
function infer_in_current_world()
    world = cglobal(:jl_typeinf_world, UInt)
    INFERENCE_WORLD[1] = unsafe_load(world)
    unsafe_store!(world, ccall(:jl_get_world_counter, UInt, ()))
    return nothing
end

# ---- Methods and what is inferred of them

"The method tables that no module leads to by the name of a type: jl_type_type_mt and jl_nonfunction_mt."
shared_tables() = Any[getfield(typeof(Type), :name).mt, Symbol.name.mt]

"The specialisations of `method`, as a SimpleVector: a single one is not in a vector."
function specializations_of(method::Method)
    specializations = method.specializations
    return specializations isa Core.SimpleVector ? specializations : Core.svec(specializations)
end

"Infer `instance` for `world`. Returns the source, or `nothing`."
function infer(@nospecialize(instance), world::UInt)
    return ccall(:jl_type_infer, Any, (Any, UInt, Cint), instance, world, 0)
end

"The method instance that is compiled for calls with signature `type`, or `nothing` (jl_get_specialization1 in src/gf.c)."
function specialization(@nospecialize(type), world::UInt)
    method = called_method(type, world)
    method isa Method || return nothing
    match = ccall(:jl_type_intersection_with_env, Any, (Any, Any), type, method.sig)::Core.SimpleVector
    match[1] === Union{} && return nothing
    table = ccall(:jl_method_table_for, Any, (Any,), type)
    compiled = match[1]
    if table isa Core.MethodTable && compiled isa DataType
        compiled = ccall(:jl_normalize_to_compilable_sig, Any, (Any, Any, Any, Any, Cint), table, compiled, match[2], method, 1)
        compiled === nothing && return nothing
        match = ccall(:jl_type_intersection_with_env, Any, (Any, Any), compiled, method.sig)::Core.SimpleVector
    end
    return ccall(:jl_specializations_get_linfo, Any, (Any, Any, Any), method, compiled, match[2])
end

"The method that a call with signature `type` runs, or `nothing`."
called_method(@nospecialize(type), world::UInt) = ccall(:jl_gf_invoke_lookup, Any, (Any, Any, UInt), type, nothing, world)

"Whether Julia compiles `method` for `type`, with `parameters` for its type variables, as it stands."
is_compileable(@nospecialize(type), @nospecialize(parameters), method::Method) =
    ccall(:jl_isa_compileable_sig, Int32, (Any, Any, Any), type, parameters, method) != 0

"""
Whether `a` and `b` are compressed sources (jl_compress_ir in src/ircode.c) and the same. The last byte is not of the source: it says whether all that
the source refers to had been compiled by the same process.
"""
are_same_sources(@nospecialize(a), @nospecialize(b)) =
    a isa String && b isa String && sizeof(a) == sizeof(b) && ccall(:memcmp, Cint, (Ptr{UInt8}, Ptr{UInt8}, Csize_t), a, b, sizeof(a) - 1) == 0

set_first_code(instance::Core.MethodInstance, @nospecialize(code)) = setfield!(instance, :cache, code, :release)
set_next_code(before::Core.CodeInstance, @nospecialize(code)) = setfield!(before, :next, code, :release)

"Whether a call of `code` returns a constant and runs nothing."
is_constant(@nospecialize(code)) = invoke_pointer(code) == unsafe_load(cglobal(:jl_fptr_const_return_addr, Ptr{Cvoid}))

const PRECOMPILE_OFFSET = fieldoffset(Core.CodeInstance, findfirst(isequal(:precompile), fieldnames(Core.CodeInstance)))

"""
Whether Julia would keep code for `code`: it was run or asked for, or it is inferred and cannot be inlined.
See precompile_enq_specialization_ in src/precompile_utils.c.
"""
function is_kept(code::Core.CodeInstance)
    is_constant(code) && return false
    if isdefined(code, :inferred)
        source = code.inferred
        if source !== nothing && ccall(:jl_ir_flag_inferred, UInt8, (Any,), source) != 0 &&
           ccall(:jl_ir_inlining_cost, UInt16, (Any,), source) == typemax(UInt16)
            return true
        end
    end
    return invoke_pointer(code) != C_NULL || unsafe_load(Ptr{UInt8}(pointer_from_objref(code) + PRECOMPILE_OFFSET)) != 0x00
end

const SPECSIG_OFFSET = fieldoffset(Core.CodeInstance, findfirst(isequal(:isspecsig), fieldnames(Core.CodeInstance)))

"""
Take from the code instances that came with the worker image, and hang from `methods`, the mark that their code lies in an image (bit 2
of specsigflags): new code would call it there (emit_invoke in src/codegen.cpp), and the new image is not built on the worker image.
"""
function disown_workers_code(index::Vector{Any}, methods::Vector{Any})
    own = index[4]::Vector{Any}
    own[1] === own[2] && return nothing
    for code in code_of(methods)
        is_workers_own(index, code) || continue
        flags = Ptr{UInt8}(pointer_from_objref(code) + SPECSIG_OFFSET)
        unsafe_store!(flags, unsafe_load(flags) & ~0x04)
    end
    return nothing
end

"""
    add_called!(instances, seen, index, world)

Append to `instances` what they call, directly or not, and whose source was dropped: packages' caches keep that only of what can be inlined, and
what has none is not emitted with its callers.
"""
function add_called!(instances::Vector{Any}, seen::IdDict{Any,Any}, index::Vector{Any}, world::UInt)
    work = Any[]
    for instance in instances
        instance isa Core.MethodInstance && push!(work, instance)
    end
    visited = IdDict{Any,Any}()
    for instance in work
        visited[instance] = true
    end
    while !isempty(work)
        instance = pop!(work)::Core.MethodInstance
        code = current_code(instance, world)
        (code isa Core.CodeInstance && !has_base_code(index, code)) || continue
        is_constant(code) && continue
        source = isdefined(code, :inferred) ? code.inferred : nothing
        if source === nothing
            if !haskey(seen, instance)
                seen[instance] = true
                push!(instances, instance)
            end
            source = infer(instance, world)
        elseif source isa String
            source = ccall(:jl_uncompress_ir, Any, (Any, Any, Any), instance.def, code, source)
        end
        source isa Core.CodeInfo || continue
        for statement in source.code
            push_invoked!(work, visited, statement)
        end
    end
    return nothing
end

# ---- Emitted code
#
# jl_create_native (src/aotcompile.cpp) emits one LLVM module that holds the instances and what they call, but for methods whose code is
# in an image: with external linkage these are called through pointers. Its handle, jl_native_code_desc_t, begins with
#   0   ThreadSafeModule          Module*, then a shared_ptr<…> to the context
#   24  vector<GlobalValue*>      fvars: functions, in the order of their (1-based) ids
#   48  vector<GlobalValue*>      gvars: pointers that the loader fills: first to objects, then to functions of images

const FUNCTIONS_OFFSET = 24
const CELLS_OFFSET = 48

"Emit `instances`; returns the handle."
function emit_native(instances::Vector{Any}, index::Vector{Any})
    world = ccall(:jl_get_world_counter, UInt, ())
    # policy Default, imaging mode, external linkage
    return ccall(:jl_create_native, Ptr{Cvoid}, (Any, Ptr{Cvoid}, Ptr{Cvoid}, Cint, Cint, Cint, UInt), instances, C_NULL, C_NULL, 0, 1, 1, world)
end

emitted_module(native::Ptr{Cvoid}) = unsafe_load(ccall(:jl_get_llvm_module, Ptr{Value}, (Ptr{Cvoid},), native))

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

"""
    record_native(out, index, native, methods, gvars)

Append to `out`, the text of `index.txt`, which code instances have new functions, and plant them and the contents of the cells with the
base's objects. The runtime's serialiser writes no records: it would ask for them in the middle of Julia's own exit path. Cells for functions
of the base are called `slot.base.N`, N their index in the base's table; those are taken out of `gvars`. Returns the indices N.
"""
function record_native(out::IOBuffer, index::Vector{Any}, native::Ptr{Cvoid}, methods::Vector{Any}, gvars::Vector{Value})
    raw = index[1]::Vector{UInt32}
    rows = index[3]::IdDict{Any,Any}
    contents = listed(cglobal(:jl_get_llvm_gvs), native)
    called = listed(cglobal(:jl_get_llvm_external_fns), native)
    used = Any[]
    for i in 1:length(called)
        row = get(rows, called[i], 0)::Int
        body = row == 0 ? Int32(-1) : reinterpret(Int32, raw[5 + 3 * (row - 1) + 3])
        body >= 0 || fail(string("emitted code calls a function that is in no image of the base: ", called[i]))
        name = string("slot.base.", body)
        ccall(:LLVMSetValueName2, Cvoid, (Value, Cstring, Csize_t), gvars[length(contents) + i], name, sizeof(name))
        push!(used, Int(body))
    end
    resize!(gvars, length(contents))
    new = Any[]
    for code in code_of(methods)
        invoke, body = function_ids(native, code)
        if (invoke != 0 || body != 0) && !has_base_code(index, code)
            push!(new, code)
            write(out, "code\t", string(invoke > 0 ? invoke - 1 : invoke), "\t", string(body - 1), "\n")
        end
    end
    # A Ptr in a Vector is serialised as null (get_replaceable_field in src/staticdata.c); in a SimpleVector it stays what it is.
    objects = index[2]::Core.SimpleVector
    index[2] = Core.svec(objects[1], Core.svec(objects[2]...), objects[3], new, Core.svec(contents...))
    return used
end

"Operand `i` of metadata node `node`."
function node_operand(context::Value, node::Value, i::Int)
    wrapped = ccall(:LLVMMetadataAsValue, Value, (Value, Value), context, node)
    n = Int(ccall(:LLVMGetMDNodeNumOperands, Cuint, (Value,), wrapped))
    operands = Vector{Value}(undef, n)
    ccall(:LLVMGetMDNodeOperands, Cvoid, (Value, Ptr{Value}), wrapped, operands)
    operand = operands[i + 1]
    return operand == C_NULL ? operand : ccall(:LLVMValueAsMetadata, Value, (Value,), operand)
end

# ---- The heap

# jl_global_roots_table (src/staticdata.c) keeps alive what emitted code refers to and no method has among its roots. What this process adds
# to it is for code that no other process has; the cells of new code keep alive what they need. The variable is hidden: it is one of those of
# libjulia-internal that hold a Vector{Any}, and the one in which an object is found that the runtime was given to keep.

# What was in the table when the process began.
const FIRST_GLOBAL_ROOTS = IdDict{Any,Any}()

function note_global_roots()
    empty!(FIRST_GLOBAL_ROOTS) # what it holds in a worker image is of another process
    entries = global_roots()
    for i in 1:2:length(entries)
        isassigned(entries, i) && (FIRST_GLOBAL_ROOTS[entries[i]] = true)
    end
    return nothing
end

function global_roots()
    kept = Ref{Any}(nothing)
    ccall(:jl_as_global_root, Any, (Any,), kept)
    entries = table_with(kept)
    entries === nothing && fail("this build of Julia keeps its global roots where they are not found: use an official build of 1.10")
    return entries::Vector{Any}
end

"""
    purge_global_roots(path)

Leave in the runtime's table what the image at `path`, which the process is on, brought along, but for our modules. Returns the rest: the code of this process
still needs it.
"""
function purge_global_roots(path::String)
    entries = global_roots()
    first = UInt(heap_symbol(path, "jl_system_image_data"))
    last = first + unsafe_load(Ptr{UInt}(heap_symbol(path, "jl_system_image_size")))
    taken = Any[]
    for i in 1:2:length(entries)
        (isassigned(entries, i) && isassigned(entries, i + 1)) || continue
        key = entries[i]
        ours = key isa Module && is_ours(key)
        (!ours && first <= UInt(address_of(key)) < last && haskey(FIRST_GLOBAL_ROOTS, key)) || push!(taken, key)
    end
    for key in taken
        ccall(:jl_eqtable_pop, Any, (Any, Any, Any, Ptr{Cvoid}), entries, key, nothing, C_NULL)
    end
    return taken
end

"""
The Vector{Any} that holds `element` and that a variable of libjulia-internal holds, or `nothing`. What a variable holds may have been such a
vector once: all is looked at as words before it is taken for one.
"""
function table_with(@nospecialize(element))
    ranges = writable_memory()
    header = UInt(pointer_from_objref(Vector{Any}))
    wanted = UInt(address_of(element))
    for i in 1:3:length(ranges)
        ranges[i]::Bool || continue
        for address in ranges[i + 1]::UInt:UInt(8):(ranges[i + 2]::UInt - 8)
            value = unsafe_load(Ptr{UInt}(address))
            (value & 15 == 0 && is_within(ranges, value - 8, UInt(24))) || continue
            unsafe_load(Ptr{UInt}(value - 8)) & ~UInt(15) == header || continue
            data = unsafe_load(Ptr{UInt}(value)) # jl_array_t: data, length
            n = unsafe_load(Ptr{UInt}(value + 8))
            (n < 1 << 32 && is_within(ranges, data, 8 * n)) || continue
            for k in 1:2:Int(n)
                unsafe_load(Ptr{UInt}(data), k) == wanted && return ccall(:jl_value_ptr, Any, (UInt,), value)
            end
        end
    end
    return nothing
end

"The process's writable memory as triples in one vector: whether it holds libjulia-internal's variables, its first address, the one past its last."
function writable_memory()
    ranges = Any[]
    ours = false
    for line in readlines("/proc/self/maps")
        fields = split(line)
        length(fields) >= 5 || continue
        # Variables that begin as zeros follow the others, in memory that belongs to no file.
        ours = occursin("libjulia-internal", line) || (ours && length(fields) == 5)
        startswith(fields[2], "rw") || continue
        dash = findfirst(isequal('-'), fields[1])::Int
        push!(ranges, ours, parse(UInt, SubString(fields[1], 1, dash - 1); base=16), parse(UInt, SubString(fields[1], dash + 1); base=16))
    end
    return ranges
end

"Whether the `n` bytes at `address` lie in one of the ranges."
function is_within(ranges::Vector{Any}, address::UInt, n::UInt)
    for i in 1:3:length(ranges)
        ranges[i + 1]::UInt <= address <= ranges[i + 2]::UInt && ranges[i + 2]::UInt - address >= n && return true
    end
    return false
end

"""
Serialise the heap, without records of native code, in a process on the image at `image`. Returns a stream (ios_t) that holds the blob.
Between the purge and the end nothing is compiled that was not before.
"""
function create_image(native::Ptr{Cvoid}, image::String)
    stream = Ref{Ptr{Cvoid}}(C_NULL)
    other = Ref{Ptr{Cvoid}}(C_NULL)
    roots = purge_global_roots(image)
    GC.@preserve roots ccall(:jl_create_system_image, Cvoid,
        (Ptr{Cvoid}, Ptr{Cvoid}, Cint, Ptr{Ptr{Cvoid}}, Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}),
        C_NULL, C_NULL, 0, stream, other, C_NULL, C_NULL)
    return stream[]
end

"Take back what else a session changes than heap.jl knows of: the projects that it has read, the world of inference."
function reset_runtime()
    empty!(Base.TOML_CACHE.d)
    Base.TOML.reinit!(Base.TOML_CACHE.p, "")
    unsafe_store!(cglobal(:jl_typeinf_world, UInt), INFERENCE_WORLD[1])
    return nothing
end
