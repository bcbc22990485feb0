# The heap, as Julia 1.5 serialises it: with the records of what the handle of emitted code holds.

create_image(native::Ptr{Cvoid}, image::String) = ccall(:jl_create_system_image, Ptr{Cvoid}, (Ptr{Cvoid},), native)

note_heap() = nothing
