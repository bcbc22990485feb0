# A walk through the standard libraries that Julia's own image holds, with types
# and options for which that image has no compiled code: what somebody's morning
# of work waits for. Runs offline; the output is the same every time.
#
#     julia examples/stdlib/workload.jl
#
# Everything is at top level and without closures of its own, so that the trace
# names nothing in Main that another process could not resolve. Numbers print in
# short form: their last digits may depend on --check-bounds and -O.

using Dates, DelimitedFiles, LinearAlgebra, Markdown, Pkg, Printf
using Random, REPL, SparseArrays, Statistics, UUIDs
using Base64: base64decode, base64encode
using CRC32c: crc32c
using SHA: sha256

# Printing goes through a buffer: which methods print then does not depend on
# whether the output is a terminal, a pipe or a file.
const buffer = IOBuffer()
const out = IOContext(buffer, :compact => true, :limit => true, :displaysize => (24, 96))
const plain = MIME("text/plain")

println(out, "# LinearAlgebra")

A = [4.0 1 0 2; 1 5 1 0; 0 1 6 1; 2 0 1 7]
b = [1.0, 2, 3, 4]
show(out, plain, A \ b)
println(out)
println(out, det(A), " ", tr(A))
for factorize in (lu, qr, svd)
    println(out, factorize, ": ", typeof(factorize(A)))
end
show(out, plain, cholesky(Symmetric(A)))
println(out)
show(out, plain, eigvals(Symmetric(A)))
println(out)
for special in (
    Diagonal(b),
    Tridiagonal(b[1:3], b, b[2:4]),
    UpperTriangular(A),
)
    println(out, summary(special), ": ", sum(special * b), " ", sum(special \ b), " ", norm(Matrix(special')))
end
println(out, rank(A), " ", round(cond(A); digits = 3), " ", normalize(b), " ", cross([1, 0, 0], [0, 1, 0]), " ", dot(1:3, 4:6))
println(out, BLAS.dot(b, b), " ", LAPACK.potrf!('U', copy(A))[2])

println(out, "\n# SparseArrays and SuiteSparse")

# The five-point Laplacian on a grid.
n = 12
line = spdiagm(-1 => fill(-1.0, n - 1), 0 => fill(2.0, n), 1 => fill(-1.0, n - 1))
grid = kron(line, sparse(1.0I, n, n)) + kron(sparse(1.0I, n, n), line)
load = ones(n^2)
show(out, plain, line)
println(out, "\n", nnz(grid), " ", issymmetric(grid), " ", ishermitian(grid), " ", isposdef(grid))
for solve in (lu, qr, cholesky)
    u = solve(grid) \ load
    println(out, solve, ": ", maximum(u), " ", norm(grid * u - load) < 1e-8)
end
for other in (grid', grid .> 1)
    println(out, typeof(other), " ", norm(other * load), " ", sum(other))
end
pattern = sprand(MersenneTwister(7), 30, 20, 0.1)
println(out, size(dropzeros(pattern)), " ", nnz(pattern), " ", length(findnz(pattern)[1]), " ", count(!iszero, pattern), " ", round(mean(nonzeros(pattern)); digits = 4))
show(out, plain, pattern[:, 3:4])
println(out)

println(out, "\n# Statistics and Random")

samples = randn(MersenneTwister(42), 400, 3) .* [1.0 2 3] .+ [0.0 1 2]
println(out, round.(mean(samples; dims = 1); digits = 3), " ", round.(std(samples; dims = 1); digits = 3))
show(out, plain, round.(cor(samples); digits = 3))
println(out)
println(out, round.(quantile(samples[:, 1], [0.05, 0.5, 0.95]); digits = 4), " ", round(median(samples); digits = 4), " ", middle(1, 4))
println(out, mean(skipmissing([1, missing, 3])), " ", var(1:10))
rng = MersenneTwister(1234)
println(out, rand(rng, 1:6, 8), " ", shuffle(rng, collect("julia")), " ", randperm(rng, 6))

println(out, "\n# Dates")

day = Date(2020, 2, 27)
moment = DateTime(2021, 3, 4, 5, 6, 7, 89)
println(out, collect(day:Day(1):(day+Day(4))), " ", moment + Month(11) + Hour(30), " ", moment - DateTime(2020))
println(out, Dates.canonicalize(Dates.CompoundPeriod(moment - DateTime(2020))), " ", Time(1, 2, 3, 4) + Minute(70), " ", Nanosecond(5) + Hour(1))
for format in (dateformat"e, d u yyyy HH:MM:SS.s", dateformat"yy/mm/dd")
    println(out, Dates.format(moment, format))
end
println(out, Date("3 Mar 2021", "d u y"), " ", DateTime("2021-03-04T05:06:07"), " ", Time("05:06:07"), " ", tryparse(Date, "2021-02-30"))
println(out, firstdayofweek(day), " ", lastdayofmonth(day), " ", tonext(day, Dates.Sunday), " ", toprev(Dates.ismonday, day), " ", round(moment, Minute(15)), " ", floor(day, Year), " ", ceil(moment, Day))
println(out, filter(Dates.isfriday, collect(day:Day(1):lastdayofmonth(day + Month(1)))), " ", extrema([day, day - Year(1)]), " ", datetime2unix(moment), " ", unix2datetime(0), " ", Dates.datetime2julian(moment))
println(out, sort([Day(3), Hour(5), Minute(2)]), " ", Day(7) == Week(1), " ", div(Day(50), 7), " ", DateTime(2020):Month(5):DateTime(2022))

println(out, "\n# DelimitedFiles, Printf and the small ones")

text = "name;mass;born\nada;51.5;1815-12-10\ngrace;48;1906-12-09\n\"no; body\";;\n"
cells, head = readdlm(IOBuffer(text), ';'; header = true)
show(out, plain, cells)
println(out, "\n", head)
writedlm(out, ["a,b" 'c'; 3 4//5], ','; quotes = true)
@printf(out, "%5d|%-8s|%+.3e|%08.3f|%x|%c|%g|%%|%i\n", 42, "left", 12345.678, π, 255, 'j', 1e-5, big(2)^70)
println(out, base64encode("chained"), " ", String(base64decode("aW1hZ2U=")), " ", bytes2hex(sha256("julia"))[1:16], " ", crc32c("julia"), " ", uuid5(UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "julia"))

println(out, "\n# Markdown")

document = Markdown.parse("""
    # Chained images

    An image *on* an image, with `code`, **weight**, a [link](https://julialang.org) and a note[^1].

    1. build
    2. load
       - at once
       - with no waiting

    > A quotation.

    | part  | size |
    |:------|-----:|
    | heap  | 14   |
    | code  | 3    |

    ```julia
    f(x) = x + 1
    ```

    !!! warning "Mind the base"
        It must be the same build.

    ``\\alpha + \\beta``

    ---

    [^1]: below
    """)
show(out, plain, document)
println(out)
Markdown.term(IOContext(buffer, :color => true, :displaysize => (24, 60)), document, 60)
println(out, "\n", length(document.content), " ", md"*at* parse ``x``" |> Markdown.plain, html"<b>raw</b>" |> typeof)

println(out, "\n# REPL")

for (input, where) in (("Base.filt", 9), ("LinearAlgebra.chol", 18), ("\\alph", 5), ("sum([1], di", 11), ("using Lin", 9), ("Dict(:a=>1)[:", 13), ("occursin(", 9))
    found, range, complete = REPL.REPLCompletions.completions(input, where)
    println(out, input, ": ", sort!(map(REPL.REPLCompletions.completion_text, found))[1:min(end, 2)] |> length, " ", range, " ", complete)
end
println(out, length(sprint(show, plain, REPL.doc(Base.Fix2))) > 20, " ", REPL.lookup_doc(:while) isa Markdown.MD, " ", length(sprint(REPL.repl_latex, "α")), " ", REPL.levsort("fnid", ["find", "fold", "find_x"])[1], " ", REPL.fuzzyscore("abc", "aabbcc") > 0)

# A prompt on a terminal that is a pair of buffers: edit, move, search, undo.
terminal = REPL.Terminals.TTYTerminal("dumb", IOBuffer(), IOBuffer(), IOBuffer())
prompt = REPL.LineEdit.Prompt("julia> "; prompt_prefix = "\e[32m", prompt_suffix = "\e[0m", complete = REPL.REPLCompletionProvider())
state = REPL.LineEdit.init_state(terminal, REPL.LineEdit.ModalInterface([prompt]))
REPL.LineEdit.edit_insert(state, "f(x) = begin\n    sin(x) + cos(y)\nend")
for edit in (:edit_move_word_left, :edit_move_left, :edit_move_up, :edit_delete_prev_word, :edit_backspace, :edit_kill_line, :edit_yank, :edit_undo!, :edit_redo!, :edit_transpose_words, :edit_upper_case, :move_line_start, :move_input_end)
    try
        getfield(REPL.LineEdit, edit)(state)
    catch problem
        println(out, edit, ": ", typeof(problem))
    end
end
println(out, repr(REPL.LineEdit.input_string(state)))
history = REPL.REPLHistoryProvider(Dict{Symbol,Any}(:julia => prompt))
append!(history.history, ["using Dates", "f(x) = 2x", "sum(1:10)"])
append!(history.modes, [:julia, :julia, :julia])
history.cur_idx = 4
println(out, REPL.history_search(history, IOBuffer("sum"), IOBuffer(), true), " ", history.cur_idx)

println(out, "\n# Pkg: TOML, versions, platforms, resolver")

project = Pkg.TOML.parse("""
    name = "Example"
    version = "0.3.1"
    authors = ["Somebody <somebody@example.org>"]
    [deps]
    Dates = "ade2ca70-3891-5945-98fb-dc099432e06a"
    [compat]
    julia = "1.4, ~1.5.2, ^1.6"
    Dates = "1"
    [nested.values]
    float = 6.25e-3
    date = 1979-05-27T07:32:00Z
    list = [[1, 2], ["a", "b"]]
    text = '''
    raw \\n'''
    """)
Pkg.TOML.print(out, project; sorted = true)
folder = mktempdir()
write(joinpath(folder, "Project.toml"), sprint(Pkg.TOML.print, Dict("deps" => project["deps"], "compat" => Dict("Dates" => "1"))))
loaded = Pkg.Types.read_project(joinpath(folder, "Project.toml"))
println(out, loaded.deps)
println(out, Pkg.Types.semver_spec("1.4, ~1.5.2, ^0.3.2, =2.0.1, >= 3"), " ", v"1.5.0" in Pkg.Types.semver_spec("~1.5"), " ", sort([v"1.10.0", v"1.9.3-rc1", v"1.9.3"]))
println(out, Pkg.Types.VersionSpec("1.2-1.4.3"), " ", intersect(Pkg.Types.VersionSpec("1-2"), Pkg.Types.VersionSpec("1.5-3")), " ", union(Pkg.Types.VersionSpec("0.1"), Pkg.Types.VersionSpec("0.2")))
println(out, Pkg.REPLMode.parse("add Example@0.5 Other#master; rm --project Foo") |> length)

if VERSION < v"1.6" # later resolvers are called otherwise
    # A registry of five packages; `Web` needs an old `Json`, `Plot` a newer one from 2.0 on.
    registry = Dict(
        "Web" => [v"1.0.0" => ["Json" => "0.9-0.20", "Url" => "1"], v"1.1.0" => ["Json" => "0.20", "Url" => "1.2-1"]],
        "Plot" => [v"1.9.0" => ["Json" => "0.18-0.20", "Color" => "0.9-1"], v"2.0.0" => ["Json" => "0.21", "Color" => "1"]],
        "Json" => [v"0.18.0" => [], v"0.20.1" => ["Url" => "1"], v"0.21.4" => ["Url" => "1.1-1"]],
        "Url" => [v"1.0.0" => [], v"1.1.3" => [], v"1.2.0" => []],
        "Color" => [v"0.9.5" => [], v"1.0.0" => []],
    )
    namespace = UUID("cfb74b52-ec16-5bb7-a574-95d9e393895e")
    titles = Dict(Pkg.Resolve.uuid_julia => "julia")
    versions = Dict{UUID,Set{VersionNumber}}()
    needs = Dict{UUID,Dict{VersionNumber,Dict{String,UUID}}}()
    compat = Dict{UUID,Dict{VersionNumber,Dict{String,Pkg.Types.VersionSpec}}}()
    for (name, releases) in registry
        package = uuid5(namespace, name)
        titles[package] = name
        versions[package] = Set{VersionNumber}(first.(releases))
        needs[package] = Dict{VersionNumber,Dict{String,UUID}}()
        compat[package] = Dict{VersionNumber,Dict{String,Pkg.Types.VersionSpec}}()
        for (version, dependencies) in releases
            needs[package][version] = Dict{String,UUID}()
            compat[package][version] = Dict{String,Pkg.Types.VersionSpec}()
            for (dependency, spec) in dependencies
                needs[package][version][dependency] = uuid5(namespace, dependency)
                compat[package][version][dependency] = Pkg.Types.VersionSpec(spec)
            end
        end
    end
    for wanted in (["Web" => "*", "Plot" => "*"], ["Web" => "1.1", "Plot" => "2"])
        requirements = Dict{UUID,Pkg.Types.VersionSpec}()
        for (name, spec) in wanted
            requirements[uuid5(namespace, name)] = Pkg.Types.VersionSpec(spec)
        end
        graph = Pkg.Resolve.Graph(versions, needs, compat, titles, Pkg.Resolve.Requires(), Dict{UUID,Pkg.Resolve.Fixed}(), false)
        try
            Pkg.Resolve.add_reqs!(graph, requirements)
            Pkg.Resolve.simplify_graph!(graph)
            solution = Pkg.Resolve.resolve(graph)
            for package in sort!(collect(keys(solution)))
                println(out, titles[package], " ", solution[package])
            end
        catch problem
            println(out, typeof(problem), ": ", first(split(sprint(showerror, problem), '\n')))
        end
    end
    println(out, Pkg.BinaryPlatforms.triplet(Pkg.BinaryPlatforms.Linux(:x86_64; libc = :glibc)), " ", Pkg.BinaryPlatforms.platform_key_abi("aarch64-linux-musl-libgfortran4"))
end

println(out, "\n# What goes wrong")

for attempt in (:([1, 2][3]), :(sqrt(-1)), :(Dict()[:k]), :(cholesky([1.0 2; 2 1])), :(Date(2021, 13)), :(undefined_name))
    try
        eval(attempt)
        println(out, attempt, ": no error")
    catch problem
        println(out, attempt, ": ", first(split(sprint(showerror, problem), '\n')))
    end
end

write(stdout, take!(buffer))
