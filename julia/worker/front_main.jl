# The body of module ChainFront: the stages of the front worker in the order in which they run.
#
# Style, so that the heap stays clean and little is compiled: no new types, no closures, no methods on foreign
# functions, loops over Vector{Any}, IdDict{Any,Any} and Dict{String,Any}. See purge.jl for what is removed anyway.

Base.include(@__MODULE__, joinpath(@__DIR__, "events.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "request.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "modules.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "caches.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "packages.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "reader.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "statements.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "native.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "base.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "packageimages.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "instances.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "typemap.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "collections.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "collect.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "revive.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "partitions.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "pieces.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "files.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "purge.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "heap.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "self.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "sources.jl"))
# What differs between series of Julia (runtime/contract.jl): the files that julia/series.go has chosen, without the series in their names.
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "session.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "loading.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "images.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "tables.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "methods.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "flags.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "code.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "llvm.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "emit.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "runtime", "heap.jl"))

"""
    main(path, roots)

Run the stages on the request file and leave the process without Julia's own exit path, which would write a whole image. A process
on a worker image hands over what the image brought along.
"""
function main(path::String, @nospecialize(roots))
    initialize_modules()
    begin_session()
    request = read_request(path)
    begin_loading(value_of(request, "images") == "use")
    note_heap()
    roots === nothing || push!(OURS, roots[length(roots)])
    index = read_base_index(request, roots)
    stage("load")
    loaded = value_of(request, "sources") == "yes" ? report_environment(request) : nothing
    load_packages(request)
    value_of(request, "self") == "yes" && load_compile_worker()
    # In the world that there is now: from Julia 1.12 on, an older one does not see what names stand for.
    # Base.invokelatest would keep a method instance for our function's type.
    return Core.eval(@__MODULE__, :(build_loaded($request, $index, $loaded)))
end

"The stages after the packages were loaded."
function build_loaded(request::Dict{String,Any}, index::Vector{Any}, @nospecialize(loaded))
    take_package_images(request, index)
    infer_in_current_world()
    begin_collections(value_of(request, "limited") == "yes")
    stage("infer")
    wanted = value_of(request, "self") == "yes" ? infer_workers() : infer_statements(request)
    stage("collect")
    methods = Any[]
    instances = collect_instances(request, index, wanted, methods)
    loaded === nothing || report_packages(loaded, methods)
    stage("emit")
    code = code_to_emit(instances, index)
    length(code) > SMALL_EMISSION && collect_freely()
    native = emit_native(code, index)
    collect_seldom()
    split_native(request, index, native, methods)
    stage("heap")
    serialize_heap(request, index, native)
    stage("")
    leave(0)
end
