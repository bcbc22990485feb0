# The archives that jl_dump_native (src/aotcompile.cpp) writes.

"""
The member `name` of an archive. Each lies at an even offset behind a header of 60 bytes: the name in 16, ended by a slash and filled with spaces, …,
its size as 10 decimal digits at offset 48.
"""
function archive_member(archive::Vector{UInt8}, name::String)
    at = 8 # after "!<arch>\n"
    while at + 60 <= length(archive)
        size = parse(Int, rstrip(String(archive[at + 49:at + 58])))
        if String(archive[at + 1:at + sizeof(name)]) == name
            return archive[at + 61:at + 60 + size]
        end
        at += 60 + size + size % 2
    end
    error("the archive of compiled code holds no ", name)
end
