# The body of module ChainEmit: reading requests and answering them.

const Ref_ = Ptr{Cvoid}

Base.include(@__MODULE__, joinpath(@__DIR__, "bitcode.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "roots.jl"))
Base.include(@__MODULE__, joinpath(@__DIR__, "passes.jl"))

const EVENT_FD = Cint(3)

function reply(text::String)
    line = string(text, "\n")
    ccall(:write, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), EVENT_FD, line, sizeof(line))
    return nothing
end

json(s::String) = string('"', replace(replace(replace(s, '\\' => "\\\\"), '"' => "\\\""), '\n' => "\\n"), '"')

function emit_request(verb::String, bitcode::String, object::String, level::Int, cpu::String, features::String)
    verb == "variant" && return emit_variant(bitcode, object, level, cpu, features)
    return emit_object(bitcode, object, level, cpu, features)
end

"Answer requests until stdin ends. Then leave without Julia's own exit, on which an image may have to compile what is called there."
function serve()
    prepare_compiler()
    while !eof(stdin)
        fields = split(readline(stdin), '\t')
        fields[1] == "emit" || fields[1] == "variant" || continue
        answer = try
            passes, codegen = emit_request(String(fields[1]), String(fields[2]), String(fields[3]), parse(Int, fields[4]), String(fields[5]), String(fields[6]))
            string("{\"passes_ns\":", passes, ",\"codegen_ns\":", codegen, "}")
        catch e
            string("{\"error\":", json(sprint(showerror, e)), "}")
        end
        reply(answer)
    end
    ccall(:_exit, Cvoid, (Cint,), 0)
end
