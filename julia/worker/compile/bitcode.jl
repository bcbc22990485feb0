# Reading the bitcode of a partition.

"The module in the file `bitcode`."
function read_bitcode(bitcode::String, context::Ref_)
    buffer = Ref{Ref_}(C_NULL)
    message = Ref{Cstring}(C_NULL)
    ccall(:LLVMCreateMemoryBufferWithContentsOfFile, Cint, (Cstring, Ptr{Ref_}, Ptr{Cstring}), bitcode, buffer, message) == 0 || error(unsafe_string(message[]))
    parsed = Ref{Ref_}(C_NULL)
    failed = ccall(:LLVMParseBitcodeInContext2, Cint, (Ref_, Ref_, Ptr{Ref_}), context, buffer[], parsed) != 0
    ccall(:LLVMDisposeMemoryBuffer, Cvoid, (Ref_,), buffer[])
    failed && error("cannot parse ", bitcode)
    return parsed[]
end
