# The process, as Julia 1.10 has it.

# As the stock build of a system image does. Base.__init__ would start tasks, which would come to lie in the heap.
function begin_session()
    Base.reinit_stdio()
    Base.Sys.__init_build()
    Base.init_depot_path()
    Base.init_load_path()
    Base.init_active_project()
    # libLLVM is there for libjulia-codegen alone; now `ccall` finds it too.
    ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), string(Base.libllvm_path()), 0x102) # RTLD_NOW | RTLD_GLOBAL
    return nothing
end

# Other sessions make package images, which this process cannot load, and from source a package is not the one that was traced: names that
# lowering makes up count on. A process that generates an image makes no caches, and one started by this process's own means would leave
# traces in the heap.
function make_caches(request::Dict{String,Any})
    names = ""
    for kind in ("package", "module")
        for name in values_of(request, kind)
            id = Base.identify_package(name::String)
            (id === nothing || haskey(Base.loaded_modules, id) || Base.locate_package(id) === nothing || Base.isprecompiled(id)) && continue
            names = string(names, " ", shell_word(name::String))
        end
    end
    isempty(names) && return nothing
    project = Base.active_project()
    program = "foreach(name -> Base.require(Base.identify_package(name)), ARGS)"
    command = string(shell_word(joinpath(Sys.BINDIR, Base.julia_exename())), " --startup-file=no --pkgimages=no -J ", shell_word(value_of(request, "image")),
                     project === nothing ? "" : string(" --project=", shell_word(project)), " -e ", shell_word(program), names)
    ccall(:system, Cint, (Cstring,), command) # what fails there, fails here again and is told then
    return nothing
end

"`text` as one word of the shell."
shell_word(text::String) = string("'", replace(text, "'" => "'\\''"), "'")

# The world that the base's own inference runs in.
const INFERENCE_WORLD = UInt[0]

function infer_in_current_world()
    world = cglobal(:jl_typeinf_world, UInt)
    INFERENCE_WORLD[1] = unsafe_load(world)
    unsafe_store!(world, ccall(:jl_get_world_counter, UInt, ()))
    return nothing
end

# The projects that were read, and the world of inference.
function end_session()
    empty!(Base.TOML_CACHE.d)
    Base.TOML.reinit!(Base.TOML_CACHE.p, "")
    unsafe_store!(cglobal(:jl_typeinf_world, UInt), INFERENCE_WORLD[1])
    return nothing
end
