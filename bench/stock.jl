# The stock whole-image build, which a chained build is compared with.
#
# It runs as `julia --output-o IMAGE.o -J BASE stock.jl STATEMENTS [PACKAGE...]` and does what PackageCompiler's
# create_sysimage has such a process do: it starts what the base starts in __init__, loads the packages and runs each
# statement in a module where the loaded modules are known by name. Julia itself then compiles and writes the image.
# Packages that are none, such as Main, are passed over: they are all that the statements name.

Base.reinit_stdio()
if VERSION < v"1.9"
    Base.__init__()
else
    # There, __init__ starts tasks, which an image cannot hold.
    Sys.__init_build()
    Base.init_depot_path()
    Base.init_load_path()
    Base.init_active_project()
end

# A module of its own, so that nothing gets into Main.
@eval Module() begin
    for name in ARGS[2:end]
        id = Base.identify_package(name)
        id === nothing || Base.require(id)
    end
    const staging = Module()
    for (id, loaded) in Base.loaded_modules
        id.name in ("Main", "Core", "Base") || Core.eval(staging, :(const $(Symbol(id.name)) = $loaded))
    end
    for statement in eachline(ARGS[1])
        # Julia does not cache signatures with a Vararg of unknown length.
        statement = replace(statement, r"Vararg{(.*?), N} where N" => s"Vararg{\1, 100}")
        try
            Base.include_string(staging, statement)
        catch
            # A statement that names what this process does not have, for example a closure of another session.
        end
    end
end

empty!(ARGS)
empty!(LOAD_PATH)
empty!(DEPOT_PATH)
