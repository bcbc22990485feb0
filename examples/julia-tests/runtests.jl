# Runs test files of Julia's own, as they come with its installation, and prints
# for each one line of counts, then what did not pass.
#
#     julia runtests.jl NAME...
#
# A name is that of a file in Julia's test folder, as "core" or "compiler/inference",
# or `Library/name` for one of a standard library's, as "Dates/types" or
# "Dates/runtests". The output is the same each time, without times and addresses:
# it is made to be compared between system images. What the tests themselves print
# goes to stderr.

using Test, Random

const testfolder = joinpath(Sys.BINDIR, Base.DATAROOTDIR, "julia", "test")

function testfile(name)
    inlibrary = split(name, '/'; limit = 2)
    for path in (joinpath(testfolder, name * ".jl"), joinpath(Sys.STDLIB, first(inlibrary), "test", last(inlibrary) * ".jl"))
        isfile(path) && return path
    end
    error("Julia ships no test file named ", name, " in ", testfolder, " or ", Sys.STDLIB)
end

"Results below `set` that are no passes, in the order of the run."
function unexpected!(found, set::Test.DefaultTestSet)
    foreach(result -> unexpected!(found, result), set.results)
    return found
end
unexpected!(found, result) = result isa Union{Test.Fail,Test.Error} ? push!(found, result) : found

where(source) = source === nothing ? "?" : string(basename(string(source.file)), ':', source.line)

describe(result) = string(result isa Test.Fail ? "failed" : "errored", " at ", where(result.source), ": ", first(split(string(result.orig_expr), '\n')))

function runfile(name)
    path = testfile(name)
    # A module of a fixed name: it shows in the names of types that tests print and
    # in what --trace-compile writes.
    inside = Core.eval(Main, :(module $(Symbol("Test_", replace(name, r"\W" => '_'))) using Test, Random end))
    Random.seed!(1234)
    set = Core.eval(inside, quote
        cd($(dirname(path))) do
            @testset $name begin
                include($path)
            end
        end
    end)
    counts = Test.get_test_counts(set)
    # Later Julias have a type for what was a tuple; its first field is none of the counts.
    counts isa Tuple || (counts = ntuple(i -> getfield(counts, i + 1), 8))
    passes, fails, errors, broken, inner_passes, inner_fails, inner_errors, inner_broken = counts
    println(report, name, ": ", passes + inner_passes, " passed, ", fails + inner_fails, " failed, ", errors + inner_errors, " errored, ", broken + inner_broken, " broken")
    foreach(result -> println(report, "  ", describe(result)), unexpected!([], set))
    flush(report)
    return nothing
end

foreach(testfile, ARGS) # a wrong name ends the run before it starts

# redirect_stdout puts another file behind descriptor 1: the report needs its own.
const report = fdio(reinterpret(Cint, Libc.dup(RawFD(1))), true)
redirect_stdout(stderr)

# Some tests expect that packages are not looked for in the current folder.
filter!(!=("."), LOAD_PATH)

# A test set that is not the outermost reports to it, instead of throwing.
Test.TESTSET_PRINT_ENABLE[] = false
Core.eval(Main, quote
    try
        @testset "all" begin
            foreach(runfile, ARGS)
        end
    catch problem
        problem isa Test.TestSetException || rethrow()
    end
end)
