# Says what chainbuild wants to know about a Julia: lines of a name, a tab and a value; a list has a line for each element.
# Run once for each installation with -e, without the startup file. Read by describe.go.

let say = (name, value) -> println(name, '\t', value)
    say("version", VERSION)
    say("bindir", Sys.BINDIR)
    say("image", realpath(unsafe_string(Base.JLOptions().image_file)))
    say("cpu_name", Sys.CPU_NAME)
    say("word_size", Sys.WORD_SIZE)
    say("stdlib_dir", Sys.STDLIB)
    field = findfirst(isequal(:incremental), [fieldnames(Base.JLOptions)...])
    say("incremental_offset", fieldoffset(Base.JLOptions, field))
    say("incremental_size", sizeof(fieldtype(Base.JLOptions, field)))
    foreach(path -> say("depot_path", path), DEPOT_PATH)
    # /proc/self/maps: address, rights, offset, device, inode, path; a file has a line for each of its segments.
    for line in eachline("/proc/self/maps")
        columns = split(line, ' '; limit = 6, keepempty = true)
        path = String(strip(columns[end]))
        file = basename(path)
        if startswith(path, '/') && (startswith(file, "libjulia") || startswith(file, "libLLVM"))
            say("library", path)
        end
    end
end
