# Says which files this Julia needs to run elsewhere: its program, and the libraries that are mapped, by the names that they were opened by, one a line.
# Read by portable.go.

let libdl = isdefined(Base.Libc, :Libdl) ? Base.Libc.Libdl : Base.root_module(Base.PkgId(Base.UUID("8f399da3-3557-5675-b5ff-fb832c97cbdb"), "Libdl"))
    println(joinpath(Sys.BINDIR, Base.julia_exename()))
    foreach(println, libdl.dllist())
end
