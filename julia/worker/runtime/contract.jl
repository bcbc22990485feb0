# What the workers ask of the Julia that they run in: the functions that differ between series, and what each has to do.
#
# Nothing runs this file. The files beside it define the functions, by subject, and `julia/series.go` says which file a series takes for
# which subject; passes.jl is in ../compile. A test holds each series to the signatures here. Other names of those files are their own.
#
# The front worker's style (CONTRIBUTING.md) holds for all but passes.jl. `index` is what read_base_index (../base.jl) returns, `native` the
# runtime's handle for emitted code, a `Value` a value, type or module of LLVM.

# ---- session.jl: the process

"""
    begin_session()

Make the process one in which packages can be loaded.
"""
function begin_session end

"""
    end_session()

Take back what else the session has changed than reset_state (../heap.jl) knows of.
"""
function end_session end

# ---- loading.jl: what loading packages needs

"""
    begin_loading(code::Bool)

Make the process ready to load packages as heap, with native code of theirs only if `code`.
"""
function begin_loading end

"""
    make_root(m::Module)

Have `Base.PkgId(m)`, for a module that will be registered as a root, be what it is registered under.
"""
function make_root end

"""
    is_cached(id::Base.PkgId)

Whether this process can load the package `id`, which is not loaded and has a source, from caches that are there.
"""
function is_cached end

"""
    caches_have_code()

Whether caches of packages have native code in an ordinary session. What runs from there is not in the trace of such a session.
"""
function caches_have_code end

"""
    reset_random(@nospecialize(random))

Take back what initialising the module `random` of random numbers has left in it. It is `nothing` where the base has none.
"""
function reset_random end

"""
    unset_global(m::Module, name::Symbol)

Have the global `name` of `m` without a value again.
"""
function unset_global end

# ---- images.jl: package images

"""
    loaded_package_images()

The files of package images that this process has loaded, in no order. Those are not among them that came with the image, which may have their code, but
whose modules lie in its own heap.
"""
function loaded_package_images end

# ---- tables.jl: modules and method tables

"""
    names_of(m::Module)

All names that `m` binds itself, exported or not.
"""
function names_of end

"""
    reachable_tables()

The method tables that the loaded modules lead to, as a `Vector{Any}`, in an order that is the same in every process.
"""
function reachable_tables end

"""
    methods_in!(methods::Vector{Any}, @nospecialize(table))

Append the methods of `table` to `methods`, in an order that is the same in every process. Returns `methods`.
"""
function methods_in! end

"""
    methods_of!(methods::Vector{Any}, @nospecialize(f))

Append the methods of the function `f` to `methods`. Returns `methods`.
"""
function methods_of! end

"""
    function_name(@nospecialize(type))

The name of the function whose type is `type`, as a `Symbol`.
"""
function function_name end

"""
    purge_tables()

Remove from the method tables, and from what hangs from them and from types, what mentions our modules (../purge.jl).
"""
function purge_tables end

# ---- methods.jl: which method instance a call gets

"""
    called_method(@nospecialize(type), world::UInt)

The method that a call with signature `type` runs, or `nothing`.
"""
function called_method end

"""
    specialization(@nospecialize(type), world::UInt)

The method instance that is compiled for calls with signature `type`, or `nothing`.
"""
function specialization end

"""
    specializations_of(method::Method)

The specialisations of `method` as a `SimpleVector`, some of whose elements may not be assigned.
"""
function specializations_of end

"""
    is_compileable(@nospecialize(type), @nospecialize(parameters), method::Method)

Whether Julia compiles `method` for `type`, with `parameters` for its type variables, as it stands.
"""
function is_compileable end

# ---- flags.jl: what is stored in code instances

"""
    is_constant(@nospecialize(code))

Whether a call of `code` returns a constant and runs nothing.
"""
function is_constant end

"""
    set_first_code(instance::Core.MethodInstance, @nospecialize(code))

Have the code instances of `instance` begin with `code`.
"""
function set_first_code end

"""
    set_next_code(before::Core.CodeInstance, @nospecialize(code))

Have `code` follow `before`.
"""
function set_next_code end

"""
    disown_workers_code(index::Vector{Any}, methods::Vector{Any})

Get the code instances ready that came with the worker image: those that hang from `methods`.
"""
function disown_workers_code end

"""
    was_used(code::Core.CodeInstance)

Whether `code` was run, or asked for.
"""
function was_used end

# ---- code.jl: what is inferred of a method instance

"""
    infer_in_current_world()

Let inference run in the current world until the heap is serialised. Julia infers and emits for two worlds: the one in which inference
was compiled, and the current one. With the two as one, nothing is done twice for methods of the base that are used with new types. The
image gets the base's own inference world again.
"""
function infer_in_current_world end

"""
    end_inference()

Take back what infer_in_current_world has set. Nothing is inferred from then on.
"""
function end_inference end

"""
    current_code(instance::Core.MethodInstance, world::UInt)

The code instance of `instance` that is valid in `world`, or `nothing`.
"""
function current_code end

"""
    cache_dispatch(@nospecialize(type))

Put the method that a call with signature `type` runs into the dispatch cache, where the image would have it, and infer it.
"""
function cache_dispatch end

"""
    infer(@nospecialize(instance), world::UInt)

Infer `instance` for `world`, in the world that inference runs in. Returns the source, or `nothing`.
"""
function infer end

"""
    have_same_source(a::Core.CodeInstance, b::Core.CodeInstance)

Whether both have a source, and these are the same in all that is compiled from them.
"""
function have_same_source end

"""
    replace_code(replaced::IdDict{Any,Any}, methods::Vector{Any})

Have all that names one of the code instances that are keys of `replaced` name its value instead. `methods` are all methods.
"""
function replace_code end

"""
    is_kept(code::Core.CodeInstance)

Whether Julia would keep code for `code`: it was run, or it is inferred and cannot be inlined.
"""
function is_kept end

"""
    add_called!(instances::Vector{Any}, seen::IdDict{Any,Any}, index::Vector{Any}, world::UInt)

Append to `instances` what they call and what would not be emitted with them. `seen` has those that need not be looked at.
"""
function add_called! end

"""
    code_to_emit(instances::Vector{Any}, index::Vector{Any})

What emit_native takes for `instances`, and for what they call: a `Vector{Any}`.
"""
function code_to_emit end

# ---- emit.jl: code for LLVM

"""
    emit_native(code::Vector{Any}, index::Vector{Any})

Emit what code_to_emit has returned. Returns the handle.
"""
function emit_native end

"""
    emitted_module(native::Ptr{Cvoid})

The module that holds what was emitted.
"""
function emitted_module end

"""
    emitted_functions(native::Ptr{Cvoid})

The functions of the handle, in the order of their (1-based) ids.
"""
function emitted_functions end

"""
    emitted_cells(native::Ptr{Cvoid})

The pointers of the handle that the loader fills, in the order of their ids.
"""
function emitted_cells end

"""
    call_boxed_base(index::Vector{Any}, native::Ptr{Cvoid}, cells::Vector{Value}, contents::Vector{Any})

Have emitted code call base functions that take boxed arguments through pointers `slot.base.N` where it calls them through the runtime. `contents` are
those of the first of the cells. Returns the indices N of these functions in the base's table, as a `Vector{Any}`.
"""
function call_boxed_base end

"""
    cell_contents(native::Ptr{Cvoid})

The objects that go into the first of the cells, in the order of their ids, as a `Vector{Any}`; `nothing` where the runtime's serialiser
writes the records of new code itself.
"""
function cell_contents end

"""
    called_functions(native::Ptr{Cvoid})

The code instances of images whose functions the other cells are for, as a `Vector{Any}`.
"""
function called_functions end

# ---- llvm.jl: what other functions of LLVM do in other versions

"""
    inline_always(mod::Value)

Inline into the functions of `mod` what must be inlined.
"""
function inline_always end

"""
    node_operand(context::Value, node::Value, i::Int)

Operand `i`, from 0 on, of the metadata node `node`.
"""
function node_operand end

# ---- heap.jl: the heap

"""
    note_heap()

Note what the runtime keeps alive by itself, before this process adds to it.
"""
function note_heap end

"""
    create_image(native::Ptr{Cvoid}, image::String)

Serialise the heap of this process, which is on the image at `image`. Returns a stream (ios_t) that holds the blob. Nothing is compiled
meanwhile that was not before.
"""
function create_image end

# ---- passes.jl: from bitcode to an object, in the compile worker

"""
    places_single_roots()

Whether the lowering of frames keeps an allocation of one reference with those of several (../compile/roots_1_5.jl).
"""
function places_single_roots end

"""
    prepare_compiler()

Make the process ready for the first request.
"""
function prepare_compiler end

"""
    emit_object(bitcode::String, object::String, level::Int, cpu::String, features::String)

Compile the module in file `bitcode` to the relocatable file `object`, by the passes that the runtime runs for an image at optimisation level
`level`, 0 to 3, for a processor and features as LLVM calls them. Returns the nanoseconds spent in passes and in code generation.
"""
function emit_object end

"""
    emit_variant(bitcode::String, object::String, level::Int, cpu::String, features::String)

The same where the processor is another one than that of the process (julia's -C): `cpu` and `features` are all that the code may use.
"""
function emit_variant end
