# The process, as Julia has it from 1.10 on.

# As the stock build of a system image does. Base.__init__ would start tasks, which would come to lie in the heap.
function begin_session()
    Base.reinit_stdio()
    Base.init_depot_path()
    Base.init_load_path()
    Base.init_active_project()
    # libLLVM is there for libjulia-codegen alone; now `ccall` finds it too.
    ccall(:dlopen, Ptr{Cvoid}, (Cstring, Cint), string(Base.libllvm_path()), 0x102) # RTLD_NOW | RTLD_GLOBAL
    return nothing
end

# The projects that were read.
function end_session()
    empty!(Base.TOML_CACHE.d)
    Base.TOML.reinit!(Base.TOML_CACHE.p, "")
    return nothing
end
