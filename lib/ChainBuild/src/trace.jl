# Recording what this process compiles.
#
# The runtime has an option with the name of a file, which it looks at each time that it compiles something. It opens the first file that it finds
# there, empties it, and writes to that one to the end of the process, as long as the option is set (src/precompile.c, src/gf.c). So there is one file for
# the process. A block that is recorded gets a copy of what was written meanwhile; a recording that begins later has the file replaced under its descriptor.

# Julia reads the name when it compiles something, so the text has to stay.
const TRACED = Ref("")

"Where the runtime has the option: a pointer to text, `C_NULL` for none."
function trace_option()
    field = findfirst(isequal(:trace_compile), collect(fieldnames(Base.JLOptions)))
    return Ptr{Ptr{UInt8}}(Ptr{UInt8}(cglobal(:jl_options)) + fieldoffset(Base.JLOptions, field))
end

"The file that what this process compiles is written to, or `nothing`."
function traced_to()
    name = unsafe_load(trace_option())
    return name == C_NULL ? nothing : unsafe_string(name)
end

"Write what this process compiles to the file at `path` from now on."
function start_tracing(path::String)
    if isempty(TRACED[])
        TRACED[] = path
    elseif TRACED[] != path
        redirect(TRACED[], path)
        TRACED[] = path
    end
    resume_tracing()
    return path
end

resume_tracing() = unsafe_store!(trace_option(), pointer(TRACED[]))

"Have what is written to the open file `from` be appended to the file `to`."
function redirect(from, to)
    for name in readdir("/proc/self/fd")
        link = joinpath("/proc/self/fd", name)
        if islink(link) && readlink(link) == from
            open(to; append = true) do io
                ccall(:dup2, Cint, (Cint, Cint), fd(io), parse(Cint, name))
            end
        end
    end
    return nothing
end

stop_tracing() = unsafe_store!(trace_option(), Ptr{UInt8}(C_NULL))

"A block that is recorded: into which file, what the process writes to, and how long that was."
struct Block
    path::String
    source::String
    from::Int
    stops::Bool
end

function begin_block(path)
    target = path === nothing ? record_file() : abspath(path)
    current = traced_to()
    if current == "stderr"
        error("this Julia writes what it compiles to standard error: start it without --trace-compile=stderr to record a block")
    end
    if current === nothing && isempty(TRACED[])
        TRACED[] = joinpath(mktempdir(), "trace.jl") # removed at the end of the process
    end
    source = current === nothing ? TRACED[] : current
    block = Block(target, source, isfile(source) ? filesize(source) : 0, current === nothing)
    if block.stops
        # What ends the block is compiled before it begins.
        stop_tracing()
        precompile(end_block, (Block,))
        resume_tracing()
    end
    return block
end

function end_block(block::Block)
    block.stops && stop_tracing()
    # Where nothing was compiled yet there is no file.
    (block.source == block.path || !isfile(block.source)) && return nothing
    text = open(block.source) do io
        seek(io, block.from)
        read(io, String)
    end
    open(block.path; append = true) do io
        for line in split(text, '\n'; keepempty = false)
            # What was compiled of this package is no part of the block.
            occursin("ChainBuild.", line) || println(io, line)
        end
    end
    return nothing
end

"""
    ChainBuild.@trace [file] block

Run the block, and record what Julia compiles for it: in the file, to which it is appended, or else in the record of the active project, as sessions of
`chainbuild run` are. The value is that of the block. What was compiled before is not compiled again, and not recorded.

```julia
using DataFrames
ChainBuild.@trace "statements.jl" begin
    table = DataFrame(a = 1:3)
    describe(table)
end
```

`chainbuild --statements statements.jl -o image.so` builds an image of it, and `ChainBuild.build()` one of the project's record.

Use it at top level. Within a function, much of what the block calls is compiled with the function, before the block begins.
"""
macro trace(arguments...)
    1 <= length(arguments) <= 2 || error("@trace takes a block, and a file before it")
    path = length(arguments) == 2 ? esc(arguments[1]) : nothing
    # Unlike `try`, this has no scope of its own, so that variables stay those of the place.
    return quote
        local traced_block = begin_block($path)
        $(Expr(:tryfinally, esc(arguments[end]), :(end_block(traced_block))))
    end
end
