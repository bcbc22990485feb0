# Stops a Julia that is not the one whose objects are wanted. It is loaded before the compile worker on machines elsewhere (lend.go).
#
# The file julia.txt has the version and the build ids of libjulia and libLLVM, as hexadecimal digits, each on a line. A build id lies in a note, which
# the loader maps with the file's headers.

let lines = readlines("julia.txt"), maps = readlines("/proc/self/maps")
    function has_build_id(library, digits)
        id = UInt8[parse(UInt8, digits[i:i + 1]; base = 16) for i in 1:2:length(digits)]
        for line in maps
            columns = split(line, ' '; limit = 6, keepempty = true)
            if startswith(basename(strip(columns[end])), library) && startswith(columns[2], 'r')
                first, last = [parse(UInt, address; base = 16) for address in split(columns[1], '-')]
                at = ccall(:memmem, Ptr{Cvoid}, (Ptr{Cvoid}, Csize_t, Ptr{UInt8}, Csize_t), Ptr{Cvoid}(first), last - first, id, length(id))
                at == C_NULL || return true
            end
        end
        return false
    end
    if string(VERSION) != lines[1] || !has_build_id("libjulia", lines[2]) || !has_build_id("libLLVM", lines[3])
        println(stderr, "this is another Julia, ", VERSION, " in ", Sys.BINDIR, ", than Julia ", lines[1], " with the libjulia of build id ", lines[2])
        exit(4)
    end
end
