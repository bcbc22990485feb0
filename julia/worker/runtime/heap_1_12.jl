# The heap, as Julia 1.12 serialises it. It gets no handle of emitted code, so it writes no records of native code. The global roots are
# pruned to what is reachable, so what this process has added to them is not written.

note_heap() = nothing

function create_image(native::Ptr{Cvoid}, image::String)
    stream = Ref{Ptr{Cvoid}}(C_NULL)
    other = Ref{Ptr{Cvoid}}(C_NULL)
    ccall(:jl_create_system_image, Cvoid,
        (Ptr{Cvoid}, Ptr{Cvoid}, Cint, Ptr{Ptr{Cvoid}}, Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}),
        C_NULL, C_NULL, 0, stream, other, C_NULL, C_NULL)
    return stream[]
end
