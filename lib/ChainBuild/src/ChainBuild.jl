"""
What one wants of chainbuild without leaving Julia: [`ChainBuild.build`](@ref), [`ChainBuild.status`](@ref), [`ChainBuild.record`](@ref) and
[`ChainBuild.@trace`](@ref), for the active project. At the start of the REPL one line says if the image that Julia runs with is a stale one.

The work is done by the program `chainbuild`. It is the one that the environment variable `CHAINBUILD` names (it does in a Julia that
`chainbuild run` has started), else the one on the path, else the one that [`ChainBuild.install`](@ref) has installed.
"""
module ChainBuild

include("install.jl")
include("trace.jl")

"The program, or `nothing` if there is none."
function find_program()
    named = get(ENV, "CHAINBUILD", "")
    isempty(named) || return named
    found = Sys.which("chainbuild")
    return found === nothing ? installed() : found
end

function program()
    found = find_program()
    found === nothing && error("there is no program chainbuild: install it with ChainBuild.install, put it on the path, or name it in ENV[\"CHAINBUILD\"]")
    return found
end

"The active project and this Julia, as flags of chainbuild."
function flags()
    project = Base.active_project()
    list = project === nothing ? String[] : [string("--project=", dirname(project))]
    # A launcher or a script around Julia is to be named by whoever uses one.
    haskey(ENV, "CHAINBUILD_JULIA") || push!(list, string("--julia=", joinpath(Sys.BINDIR, Base.julia_exename())))
    return list
end

"Keyword arguments as flags: `cpu_target=\"haswell\"` is `--cpu-target=haswell`, a list gives a flag for each element, `false` none."
function flags(options)
    list = String[]
    for (name, value) in options
        flag = string("--", replace(string(name), '_' => '-'))
        if value isa Bool
            value && push!(list, flag)
        elseif value isa Union{AbstractVector,Tuple}
            append!(list, [string(flag, '=', element) for element in value])
        else
            push!(list, string(flag, '=', value))
        end
    end
    return list
end

"""
    ChainBuild.build(; background=false, options...)

Build the image of the active project from what was recorded in it. The next Julia that `chainbuild run` starts uses it.
With `background=true` the build goes on by itself. Options are the flags of `chainbuild build`, such as
`package=["Plots"]`, `exclude`, `cpu_target`, `layout`, `force`, `no_wait`, `quiet`.
"""
function build(; options...)
    run(`$(program()) build $(flags()) $(flags(options))`)
    return nothing
end

"""
    ChainBuild.status(; options...) -> Bool

Print how the image of the active project stands. Return whether it is current. Options are the flags of `chainbuild status`.
"""
function status(; options...)
    process = run(ignorestatus(`$(program()) status --check $(flags()) $(flags(options))`))
    process.exitcode in (0, 3) || error("chainbuild status failed: see its message")
    return process.exitcode == 0
end

"The image that this Julia runs with."
image() = unsafe_string(Base.JLOptions().image_file)

"""
    ChainBuild.record() -> String

Record from now on what this Julia compiles, as in one that `chainbuild run` has started, and return the file that it is
written to. If it is being recorded already, that goes on.
"""
function record()
    current = traced_to()
    current === nothing || return current
    return start_tracing(record_file())
end

"The file that what this process compiles belongs to, in the record of the project."
record_file() = String(chomp(read(`$(program()) statements record --pid=$(getpid()) --loaded=$(image()) $(flags())`, String)))

"""
    ChainBuild.list_packages(path)

Append to the file of statements at `path` the line that lists the packages which this session has loaded. A trace has no word of
packages whose code all came from caches; with the line, a build has them in the image.
"""
function list_packages(path::AbstractString)
    names = sort!([id.name for id in keys(Base.loaded_modules) if id.uuid !== nothing])
    open(io -> println(io, "# chainbuild: packages ", join(names, ' ')), path; append = true)
    return nothing
end

"One line about the image that this Julia runs with, `\"\"` if there is nothing to say."
function notice()
    # Images of projects have their description beside them.
    isfile(string(splitext(image())[1], ".json")) || return ""
    found = find_program()
    found === nothing && return ""
    return chomp(read(pipeline(ignorestatus(`$found status --loaded=$(image()) $(flags())`); stderr = devnull), String))
end

function __init__()
    isinteractive() || return nothing
    atreplinit() do repl
        # A notice is not worth an error at the start of a session.
        line = try
            notice()
        catch
            ""
        end
        isempty(line) || printstyled(stderr, "ChainBuild: ", line, ": `ChainBuild.build()` makes a new one\n"; color = Base.warn_color())
        nothing
    end
    return nothing
end

end
