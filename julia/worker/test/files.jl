# Tests of ../files.jl: which folder a file is in, and what stands for it. What LLVM makes of it is seen in builds.

module Files

using Test

const SOURCES = [joinpath(@__DIR__, "..", file) for file in ("events.jl", "request.jl", "native.jl", "pieces.jl", "files.jl")]
foreach(include, SOURCES)

"The stable name of `path` among `folders`."
function stable_name(folders, path)
    found = known_folder(folders, path)
    return found == 0 ? path : string(folders[found + 1], path[ncodeunits(folders[found]) + 1:end])
end

@testset "files" begin
    folders = Any[]
    add_package!(folders, "Foo", "123", "/depot/packages/Foo/AbCd/src/Foo.jl")
    add_package!(folders, "Inner", "456", "/depot/packages/Foo/AbCd/lib/Inner/src/Inner.jl")
    add_package!(folders, "Single", "", "/home/me/Single.jl")
    add_package!(folders, "FooExt", "789", "/depot/packages/Foo/AbCd/ext/FooExt.jl")
    for (path, name) in (
        "/depot/packages/Foo/AbCd/src/Foo.jl" => "@package/Foo-123/src/Foo.jl",
        "/depot/packages/Foo/AbCd/src/é/b.jl" => "@package/Foo-123/src/é/b.jl",
        "/depot/packages/Foo/AbCd/deps/c.jl" => "@package/Foo-123/deps/c.jl",
        # The innermost package.
        "/depot/packages/Foo/AbCd/lib/Inner/src/Inner.jl" => "@package/Inner-456/src/Inner.jl",
        "/depot/packages/Foo/AbCd/lib/Inner2.jl" => "@package/Foo-123/lib/Inner2.jl",
        # What lies beside the only file of a package is not the package's.
        "/home/me/Single.jl" => "@package/Single/Single.jl",
        "/home/me/Other.jl" => "/home/me/Other.jl",
        "/depot/packages/Foo/AbCd/ext/FooExt.jl" => "@package/FooExt-789/FooExt.jl",
        "/depot/packages/Foo/AbCd/ext/more.jl" => "@package/Foo-123/ext/more.jl",
        # Elsewhere, and names of no file.
        "/depot/packages/Foo/AbCdE/src/Foo.jl" => "/depot/packages/Foo/AbCdE/src/Foo.jl",
        "/depot/packages/Foo/AbCd" => "/depot/packages/Foo/AbCd",
        "array.jl" => "array.jl",
        "none" => "none",
        "" => "",
    )
        @test stable_name(folders, path) == name
    end
    # A standard library is called the same if its cache came with Julia.
    here, build = normpath(Sys.STDLIB), normpath(Sys.BUILD_STDLIB_PATH)
    library = Any[]
    add_package!(library, "Dates", "321", joinpath(here, "Dates", "src", "Dates.jl"))
    for place in (here, build)
        @test stable_name(library, joinpath(place, "Dates", "src", "io.jl")) == "@package/Dates-321/src/io.jl"
    end
    # The test's own package, and the workers' code.
    folders = known_folders(Dict{String,Any}("scratch" => Any["/tmp/build"]))
    @test stable_name(folders, "/tmp/build/worker/runtime/emit.jl") == "@chainbuild/runtime/emit.jl"
    id = Base.PkgId(Test)
    @test stable_name(folders, Base.locate_package(id)) == string("@package/Test-", id.uuid, "/src/Test.jl")
end

end
