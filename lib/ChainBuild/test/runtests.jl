# Tests with a stand-in for the program: a script that writes its arguments to a file. What the program itself does is tested
# in cmd/chainbuild/testdata/script.

using Test

push!(LOAD_PATH, dirname(@__DIR__))
using ChainBuild

"Run `f` with a program that does what `body` says, in shell; return its arguments, one a line, and what `f` returned."
function with_program(f, body)
    mktempdir() do dir
        program, log = joinpath(dir, "chain build"), joinpath(dir, "log")
        write(program, "#!/bin/sh\nprintf '%s\\n' \"\$@\" > '$log'\n$body\n")
        chmod(program, 0o755)
        withenv("CHAINBUILD" => program) do
            result = f()
            return isfile(log) ? readlines(log) : String[], result
        end
    end
end

const JULIA = joinpath(Sys.BINDIR, Base.julia_exename())

"The output of a Julia with this package in its path."
julia(code; flags = ``) = read(setenv(`$JULIA --startup-file=no $flags -e $code`, with_package()), String)
with_package() = merge(Dict(ENV), Dict("JULIA_LOAD_PATH" => string(dirname(@__DIR__), ":@stdlib")))

"An archive in the form of a release, of a program that prints its version."
function release(dir, version)
    tree = mkpath(joinpath(dir, version, "chainbuild", "bin"))
    write(joinpath(tree, "chainbuild"), "#!/bin/sh\necho $version\n")
    chmod(joinpath(tree, "chainbuild"), 0o755)
    archive = joinpath(dir, version, "chainbuild.tar.gz")
    run(`tar -czf $archive -C $(joinpath(dir, version)) chainbuild`)
    return archive
end

sum_of(file) = bytes2hex(ChainBuild.SHA.sha256(read(file)))

"Run `f(dir)` with a depot in `dir`, and without a program that is named or on the path."
function with_depot(f, dir)
    saved = copy(DEPOT_PATH)
    copy!(DEPOT_PATH, [joinpath(dir, "depot")])
    try
        # One call for both kinds of pairs crashes the compiler of Julia 1.5.3.
        withenv("CHAINBUILD" => nothing) do
            withenv(() -> f(dir), "PATH" => "/usr/bin:/bin")
        end
    finally
        copy!(DEPOT_PATH, saved)
    end
end

function test_install(dir)
    first, second = release(dir, "1.0"), release(dir, "2.0")
    @test ChainBuild.installed() === nothing
    # What cannot be checked, or is something else, is not installed.
    @test_throws ErrorException ChainBuild.install(first)
    @test_throws ErrorException ChainBuild.install(first; sha256 = "0")
    @test_throws ErrorException ChainBuild.install(joinpath(dir, "none.tar.gz"); sha256 = "0")
    write(joinpath(dir, "1.0", "SHA256SUMS"), string(sum_of(second), "  chainbuild.tar.gz\n"))
    @test_throws ErrorException ChainBuild.install(first)
    @test ChainBuild.find_program() === nothing
    program = ChainBuild.install(first; sha256 = uppercase(sum_of(first)))
    @test read(`$program`, String) == "1.0\n" && ChainBuild.find_program() == program
    # From a folder of a server, with its list of sums; the old one is gone.
    write(joinpath(dir, "2.0", "SHA256SUMS"), string("0  other\n", sum_of(second), "  chainbuild.tar.gz\n"))
    newer = ChainBuild.install(Sys.which("curl") === nothing ? second : string("file://", second))
    @test read(`$newer`, String) == "2.0\n" && ChainBuild.find_program() == newer && !isfile(program)
    @test sort(readdir(ChainBuild.scratch())) == sort([sum_of(second)[1:16], "current"])
    # One that is named, or on the path, comes first.
    withenv("CHAINBUILD" => "/named") do
        @test ChainBuild.find_program() == "/named"
    end
    withenv("PATH" => joinpath(dir, "1.0", "chainbuild", "bin")) do
        @test ChainBuild.find_program() == joinpath(dir, "1.0", "chainbuild", "bin", "chainbuild")
    end
end

function test_trace(dir)
    one, two, session = [joinpath(dir, name) for name in ("one.jl", "two.jl", "session.jl")]
    write(one, "# kept\n")
    code = """
        using ChainBuild
        value = ChainBuild.@trace $(repr(one)) begin
            inner = prod(rand(Float16, 3))
            inner isa Float16
        end
        sum(rand(Float16, 2, 2))
        ChainBuild.@trace $(repr(two)) maximum(rand(Float16, 3, 2, 2))
        failed = try
            ChainBuild.@trace $(repr(two)) error("no")
        catch e
            e.msg
        end
        print(value, ' ', inner isa Float16, ' ', failed, ' ', ChainBuild.traced_to())
        ChainBuild.record()
        minimum(rand(Float16, 3, 2))
        ChainBuild.@trace $(repr(two)) extrema(rand(Float16, 3, 2))
        """
    touch(session)
    arguments, said = with_program(() -> julia(code), "echo '$session'")
    @test said == "true true no nothing"
    @test readlines(one)[1] == "# kept"
    names(file) = [m.captures[1] for m in [match(r"typeof\(Base\.(prod|sum|maximum|minimum|extrema)\), Array", line) for line in readlines(file)] if m !== nothing]
    @test names(one) == ["prod"]
    @test names(two) == ["maximum", "extrema"]
    @test names(session) == ["minimum", "extrema"]
    @test !any(line -> occursin("ChainBuild", line), [readlines(one); readlines(two)])
    # Without a file it goes to the project's record.
    arguments, said = with_program(() -> julia("using ChainBuild; ChainBuild.@trace prod(rand(Float16, 3))"), "echo '$session'")
    @test arguments[1:2] == ["statements", "record"] && last(names(session)) == "prod"
end

@testset "ChainBuild" begin
    @testset "build" begin
        arguments, result = with_program(() -> ChainBuild.build(background = true, force = false, package = ["A", "B"], cpu_target = "haswell"), "")
        @test result === nothing
        @test arguments[1] == "build"
        @test string("--project=", dirname(Base.active_project())) in arguments
        @test arguments[end-3:end] == ["--background", "--package=A", "--package=B", "--cpu-target=haswell"]
        @test_throws Exception with_program(() -> ChainBuild.build(), "exit 1")
    end

    @testset "the Julia" begin
        withenv("CHAINBUILD_JULIA" => nothing) do
            @test string("--julia=", JULIA) in ChainBuild.flags()
        end
        withenv("CHAINBUILD_JULIA" => "/opt/julia") do
            @test !any(startswith("--julia"), ChainBuild.flags())
        end
    end

    @testset "status" begin
        arguments, current = with_program(() -> ChainBuild.status(), "exit 0")
        @test arguments[1:2] == ["status", "--check"]
        @test current
        @test !with_program(() -> ChainBuild.status(), "exit 3")[2]
        @test_throws ErrorException with_program(() -> ChainBuild.status(), "exit 2")
    end

    @testset "no program" begin
        withenv("CHAINBUILD" => nothing, "PATH" => "/nowhere") do
            @test_throws ErrorException ChainBuild.build()
            @test ChainBuild.notice() == ""
        end
    end

    @testset "record" begin
        mktempdir() do dir
            trace = joinpath(dir, "trace.jl")
            code = """
                using ChainBuild
                before(x) = x + 1
                before(1)
                print(ChainBuild.record(), ' ', ChainBuild.record())
                prod(rand(Float16, 3))
                """
            arguments, said = with_program(() -> julia(code), "echo '$trace'")
            @test said == "$trace $trace"
            @test arguments[1:2] == ["statements", "record"]
            @test any(startswith("--pid="), arguments)
            lines = readlines(trace)
            @test any(line -> occursin("typeof(Base.prod), Array{Float16, 1}", line), lines)
            @test !any(line -> occursin("before", line), lines)
            # One that is recorded already stays as it is.
            other = joinpath(dir, "other.jl")
            arguments, said = with_program(() -> julia("using ChainBuild; print(ChainBuild.record())"; flags = `--trace-compile=$other`), "echo '$trace'")
            @test said == other && isempty(arguments)
        end
    end

    @testset "@trace" begin
        mktempdir(test_trace)
        @test_throws Exception macroexpand(Main, :(ChainBuild.@trace))
    end

    @testset "install" begin
        mktempdir(dir -> with_depot(test_install, dir))
    end

    @testset "list_packages" begin
        mktempdir() do dir
            trace = joinpath(dir, "trace.jl")
            write(trace, "precompile(Tuple{typeof(Base.prod), Array{Float16, 1}})\n")
            ChainBuild.list_packages(trace)
            @test countlines(trace) == 2
            line = split(last(readlines(trace)))
            @test line[1:3] == ["#", "chainbuild:", "packages"]
            @test "ChainBuild" in line && "Test" in line && !("Main" in line)
        end
    end

    @testset "notice" begin
        # Julia's own image is none of a project.
        arguments, line = with_program(ChainBuild.notice, "echo stale")
        @test line == "" && isempty(arguments)
        mktempdir() do dir
            image = joinpath(dir, "project.so")
            cp(ChainBuild.image(), image; follow_symlinks = true)
            write(joinpath(dir, "project.json"), "{}")
            code = "using ChainBuild; print(ChainBuild.notice())"
            arguments, said = with_program(() -> julia(code; flags = `-J $image`), "echo 'the image is stale'; echo noise >&2; exit 1")
            @test said == "the image is stale"
            @test "--loaded=$image" in arguments
        end
    end
end
