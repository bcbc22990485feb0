# Events: one JSON object per line on file descriptor 3, written without the help of any task or stream.

const EVENT_FD = Cint(3)

"`s` as a JSON string."
function json(s::String)
    out = UInt8[0x22]
    for b in codeunits(s)
        if b == 0x22 || b == 0x5c
            push!(out, 0x5c); push!(out, b)
        elseif b < 0x20
            append!(out, codeunits("\\u00"))
            push!(out, b < 0x10 ? 0x30 : 0x31)
            low = b & 0x0f
            push!(out, low < 0x0a ? 0x30 + low : 0x57 + low)
        else
            push!(out, b)
        end
    end
    push!(out, 0x22)
    return String(out)
end

"Write `line` to the pipe to the builder."
function event(line::String)
    text = string(line, "\n")
    n = sizeof(text)
    done = 0
    while done < n
        w = GC.@preserve text ccall(:write, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), EVENT_FD, pointer(text) + done, n - done)
        w < 0 && leave(1)
        done += w
    end
    return nothing
end

"Say that stage `name` begins; the one before it, if any, is over. The empty name ends the last."
stage(name::String) = event(string("{\"event\":\"stage\",\"name\":", json(name), "}"))

"Say something about the packages that the build goes on with, and that probably was not meant."
warn(text::String) = event(string("{\"event\":\"warning\",\"text\":", json(text), "}"))

"Report that the input cannot be used, and leave. `detail` is what the input's author has to read besides."
function fail(message::String, detail::String="")
    event(string("{\"event\":\"error\",\"message\":", json(message), ",\"detail\":", json(detail), "}"))
    leave(1)
end

"Report that the input cannot be used because of `exception`, and leave: the first line of what it says, and all of it as the detail."
function fail_for(message::String, @nospecialize(exception))
    # Once it has begun to write a heap, Julia 1.12 infers nothing: not what this error would need to show itself, nor a call of what has no certain type.
    said = exception isa ErrorException ? exception.msg : nothing
    text = said isa String ? said : sprint(showerror, exception)::String
    fail(string(message, ": ", first(split(text, '\n'))), text)
end

leave(code::Int) = ccall(:_exit, Cvoid, (Cint,), code)
