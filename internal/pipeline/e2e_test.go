package pipeline_test

// End-to-end tests: what a process does that starts on an image is held against what one on Julia's own image does.

import (
	"bufio"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/anatomy"
	"chainbuild/internal/juliatest"
	"chainbuild/internal/pipeline"
	"chainbuild/internal/settings"
	"chainbuild/sysimage"
)

// The workloads print the same whatever image runs them and whatever Julia is told about compiling.
func TestWorkloadsPrintTheSame(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		wantOrbits, err := orbitsOutput(executable)
		if err != nil {
			t.Fatal(err)
		}
		wantKinds, err := kindsOutput(executable)
		if err != nil {
			t.Fatal(err)
		}
		ways := [][]string{nil, {"JULIA_NUM_THREADS=2"}, {"-O3"}, {"--check-bounds=yes"}, {"-g2"}, {"--inline=no"}}
		for _, i := range []image{thin, standalone, kinds} {
			for _, way := range ways {
				t.Run(fmt.Sprint(i, " ", strings.Join(way, " ")), func(t *testing.T) {
					t.Parallel()
					s := on(t, executable, i)
					same(t, orbitsWorkload, wantOrbits, s.julia(slices.Concat(way, []string{orbitsWorkload})...))
					if i.name == kinds.name {
						same(t, kindsWorkload, wantKinds, s.julia(slices.Concat(way, []string{kindsWorkload, "a", "b"})...))
					}
				})
			}
		}
	})
}

// What was traced is in the image: a traced session on it compiles none of it again. The trace of Orbits was recorded with
// standard output in a file, that of kinds with a pipe.
func TestNothingTracedIsCompiledAgain(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		for _, i := range []image{thin, standalone, kinds, third, fourth, fifth} {
			t.Run(i.String(), func(t *testing.T) {
				t.Parallel()
				s := on(t, executable, i)
				left := filepath.Join(t.TempDir(), "left")
				cmd := s.command("--trace-compile="+left, orbitsWorkload)
				printed, err := os.Create(filepath.Join(t.TempDir(), "printed"))
				if err != nil {
					t.Fatal(err)
				}
				defer printed.Close()
				cmd.Stdout, cmd.Stderr = printed, printed
				if err := cmd.Run(); err != nil {
					t.Fatal(err)
				}
				for _, statement := range lines(t, left) {
					t.Errorf("compiled again for %s: %s", orbitsWorkload, statement)
				}
				if i.name == thin.name || i.name == standalone.name {
					return
				}
				left = filepath.Join(t.TempDir(), "left")
				s.julia("--trace-compile="+left, kindsWorkload, "a", "b")
				for _, statement := range lines(t, left) {
					t.Errorf("compiled again for %s: %s", kindsWorkload, statement)
				}
			})
		}
	})
}

// Where caches have native code, a trace does not name it. An image of what was traced has it all the same.
func TestTracedHasWhatCachesHad(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		const script = `using Prepared; print(Prepared.shout(Prepared.Word("a")), Prepared.total([1.0, 3.0]), Prepared.numbered(2))`
		trace := filepath.Join(home(executable), "prepared.trace")
		on(t, executable, stock).julia("-e", "using Prepared")
		want := on(t, executable, stock).julia("--trace-compile="+trace, "-e", script)
		prepared := built("prepared.so", func(string) (pipeline.Options, error) {
			o := pipeline.Options{Target: settings.DefaultTarget(), Statements: []string{trace}, Packages: []string{"Prepared"}}
			o.Emit = settings.EmitTraced
			return o, nil
		})
		left := filepath.Join(t.TempDir(), "left")
		same(t, script, want, on(t, executable, prepared).julia("--trace-compile="+left, "-e", script))
		for _, statement := range lines(t, left) {
			t.Errorf("compiled again: %s", statement)
		}
	})
}

// Starting compiles no more than under Julia's own image, even where packages have invalidated what starting runs.
func TestStartCompilesNothing(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		compiled := func(i image) []string {
			left := filepath.Join(t.TempDir(), "left")
			on(t, executable, i).julia("--trace-compile="+left, "-e", "")
			return lines(t, left)
		}
		usual := compiled(stock)
		for _, i := range []image{thin, standalone, kinds, fifth} {
			for _, statement := range compiled(i) {
				if !slices.Contains(usual, statement) {
					t.Errorf("%s: start compiles %s", i, statement)
				}
			}
		}
	})
}

// The worker image holds the code of all that the workers run.
func TestWorkersAreCompiled(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		statements, err := one("sum")
		if err != nil {
			t.Fatal(err)
		}
		cache := t.TempDir()
		if _, err := pipeline.Run(t.Context(), pipeline.Options{
			Julia: executable, Statements: []string{statements}, Output: filepath.Join(t.TempDir(), "one.so"), CacheDir: cache, Target: settings.DefaultTarget(),
		}); err != nil {
			t.Fatal(err)
		}
		workers, err := filepath.Glob(filepath.Join(cache, "workers", "*.so"))
		if err != nil || len(workers) != 1 {
			t.Fatalf("worker images: %q (%v)", workers, err)
		}
		script, err := os.ReadFile(filepath.Join(scripts, "workers.jl"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := output(exec.Command(executable, "--startup-file=no", "-J", workers[0], "-e", string(script)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "methods without code", "true\n", got)
	})
}

// Functions of the base are the base's own, at the address where the base has them, and not copies; new ones are in the image.
func TestBaseFunctionsAreTheBases(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		addresses := filepath.Join(scripts, "addresses.jl")
		split := func(text string) (places map[string][]string) {
			places = map[string][]string{}
			for line := range strings.Lines(text) {
				file, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
				places[file] = append(places[file], rest)
			}
			return places
		}
		own := split(on(t, executable, stock).julia(addresses))
		if len(own) != 1 {
			t.Fatalf("Julia's own functions are in %d files", len(own))
		}
		for file, want := range own {
			if len(want) < 10000 {
				t.Fatalf("there are only %d functions in %s", len(want), file)
			}
			s := on(t, executable, thin)
			got := split(s.julia(addresses))
			same(t, "functions in "+file, strings.Join(want, "\n"), strings.Join(got[file], "\n"))
			if n := len(got[thin.file(t, s.executable)]); n < 200 {
				t.Errorf("%d functions are in the thin image", n)
			}
			opened, err := sysimage.OpenFile(thin.file(t, s.executable))
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			for name := range got {
				isNamed := func(im *elfpatch.Image) bool { return im.Path == name }
				if !slices.ContainsFunc(slices.Concat(opened.Layers, opened.Packages), isNamed) {
					t.Errorf("there are functions in %s, which is no part of the thin image", name)
				}
			}

			got = split(on(t, executable, standalone).julia(addresses))
			if len(got) != 1 || len(got[standalone.file(t, s.executable)]) < len(want) {
				t.Errorf("functions are in %d files, %d in the standalone image", len(got), len(got[standalone.file(t, s.executable)]))
			}

			// Of a chain each layer has its own, but for what a package has invalidated.
			s = on(t, executable, kinds)
			got = split(s.julia(addresses))
			if n := len(got[file]); n > len(want) || n < len(want)*9/10 {
				t.Errorf("%d functions of %d are in %s", n, len(want), file)
			}
			for _, i := range []image{thin, kinds} {
				if n := len(got[i.file(t, s.executable)]); n < 200 {
					t.Errorf("only %d functions are in %s", n, i)
				}
			}
		}
	})
}

// A process starts on an image in the state in which it starts on Julia's own: in all that bindings of modules hold, the packages aside.
func TestStateIsThatOfAStockImage(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		state := filepath.Join(scripts, "state.jl")
		// The script runs but once: interpreted, it takes half the time. Of the standard libraries Julia's own image has few since Julia 1.11.
		libraries := on(t, executable, stock).julia("-e", `join(stdout, setdiff(["Dates", "Printf"], string.(Base.loaded_modules_array())), ' ')`)
		arguments := slices.Concat([]string{"--compile=min", "--project=" + orbits, state}, inKinds, []string{"ChainedImage"}, strings.Fields(libraries))
		// How much was inferred, which is more; names for the places that log, of which Prints has some; lists of packages.
		differs := []string{"Core.Compiler.assertion_counter", "Base.CoreLogging._log_record_ids", "Base._sysimage_modules", "Base.pkgorigins", "Base.loaded_precompiles"}
		known := func(text string) string {
			var kept strings.Builder
			for line := range strings.Lines(text) {
				if !slices.ContainsFunc(differs, func(name string) bool { return strings.HasPrefix(line, name+" ") }) {
					kept.WriteString(line)
				}
			}
			return kept.String()
		}
		want := known(on(t, executable, stock).julia(arguments...))
		for _, expected := range []string{"\nBase.ARGS const Array of ", "\nBase.LOAD_PATH const ", "\nMain.", "\ntask ", "\nused (", "\ndocumented ("} {
			if !strings.Contains(want, expected) {
				t.Errorf("the state does not tell of %q", expected)
			}
		}
		for _, i := range []image{thin, standalone, kinds, fifth} {
			t.Run(i.String(), func(t *testing.T) {
				t.Parallel()
				same(t, "state on "+i.String(), want, known(on(t, executable, i).julia(arguments...)))
			})
		}
	})
}

// Any image can be taken apart.
func TestImagesAreTakenApart(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		for _, i := range []image{thin, standalone, kinds, third, fifth} {
			opened, err := sysimage.OpenFile(i.file(t, executable))
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			if of, err := anatomy.Read(opened); err != nil {
				t.Error(err)
			} else if of.Sizes.Heap() < of.Bytes/3 {
				t.Errorf("of %d bytes of %s, only %d are its heap", of.Bytes, i, of.Sizes.Heap())
			}
		}
	})
}

// What a package's top level computes is in the image as an ordinary Julia has it, whether the package has no cache yet or can have none.
func TestPackagesAreEvaluatedAsInAnOrdinaryJulia(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		constants := func(i image) (text string) {
			for _, name := range []string{"Where", "Nowhere"} {
				arguments := []string{"-e", "using " + name + "; const m = " + name + `
					for name in sort!(names(m, all = true))
						value = getfield(m, name)
						value isa Union{Module, Function} || println(m, '.', name, " = ", value)
					end`}
				if name == "Nowhere" && i.path == nil {
					arguments = append([]string{"--compiled-modules=no"}, arguments...)
				}
				text += on(t, executable, i).julia(arguments...)
			}
			return text
		}
		want := constants(stock)
		if lines := strings.Count(want, "\n"); lines < 30 {
			t.Fatalf("only %d constants:\n%s", lines, want)
		}
		caches, err := filepath.Glob(filepath.Join(folder, "depot", "compiled", "v*", "*here*"))
		if err != nil || len(caches) == 0 {
			t.Fatalf("the caches are %q (%v)", caches, err)
		}
		for _, name := range caches {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
		statements, err := one("first")
		if err != nil {
			t.Fatal(err)
		}
		evaluated := built("evaluated.so", func(string) (pipeline.Options, error) {
			return pipeline.Options{Target: settings.DefaultTarget(), Statements: []string{statements}, Packages: []string{"Where", "Nowhere"}}, nil
		})
		same(t, "constants", want, constants(evaluated))
	})
}

// Julia loads no package into an image that says so. Where statements alone name it, the image is built without.
func TestPackagesWithoutCache(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		const reason = ": it, or a package that it uses, calls __precompile__(false), and Julia loads such a package into no image"
		statements := filepath.Join(t.TempDir(), "never.jl")
		if err := os.WriteFile(statements, []byte("precompile(Tuple{typeof(Never.never)})\nprecompile(Tuple{typeof(Base.first), Array{Float16, 3}})\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		var said warnings
		build := pipeline.Options{Target: settings.DefaultTarget(), Julia: executable, Statements: []string{statements}, Report: &said,
			Output: filepath.Join(home(executable), "never.so")}
		result, err := pipeline.Run(context.Background(), build)
		if err != nil || !slices.Equal(said, []string{"package Never is left out" + reason}) || len(result.Unresolved) != 1 {
			t.Errorf("the build says %q, cannot use %v (%v)", said, result.Unresolved, err)
		}
		build.Packages = []string{"Never"}
		for _, build.Edited = range []bool{false, true} {
			if _, err := pipeline.Run(context.Background(), build); err == nil || !strings.Contains(err.Error(), "package Never cannot be in an image"+reason) {
				t.Errorf("with the package asked for, edited: %v: %v", build.Edited, err)
			}
		}
	})
}

// Packages of the image are there: to use them reads no source and no cache, and takes no time.
func TestPackagesAreLoaded(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		script := `before = length(Base.loaded_modules)
			start = time_ns()
			using ` + strings.Join(inKinds, ", ") + `
			elapsed = time_ns() - start
			print(length(Base.loaded_modules) - before, ' ', Prints.shout("loud"), ' ', elapsed / 1e6)`
		for _, i := range []image{kinds, fourth} {
			depot := t.TempDir()
			quickest := math.Inf(1)
			for range 3 {
				milliseconds, found := strings.CutPrefix(on(t, executable, i).julia("JULIA_DEPOT_PATH="+depot, "-e", script), "0 LOUD ")
				took, err := strconv.ParseFloat(milliseconds, 64)
				if !found || err != nil {
					t.Fatalf("%s: it prints %q", i, milliseconds)
				}
				quickest = min(quickest, took)
			}
			if quickest > 10 {
				t.Errorf("%s: using the packages takes %.1f ms", i, quickest)
			}
			if entries, err := os.ReadDir(depot); err != nil || len(entries) != 0 {
				t.Errorf("%s: the depot has %v (%v)", i, entries, err)
			}
		}
	})
}

// Backtraces tell of code in each layer what they tell without an image: functions, lines, method instances.
func TestBacktraces(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		script := filepath.Join(scripts, "backtraces.jl")
		want := on(t, executable, stock).julia(script)
		for _, expected := range []string{"  thrower Kinds.jl:44 Tuple{typeof(Kinds.thrower),", "  getindex dict.jl:", " bodies.jl:"} {
			if !strings.Contains(want, expected) {
				t.Fatalf("there is no %q in\n%s", expected, want)
			}
		}
		for _, i := range []image{kinds, fourth, fifth} {
			same(t, i.String(), want, on(t, executable, i).julia(script))
		}
	})
}

// A package that builds on those of the image is precompiled there, and its cache is used by the next process.
func TestPackagesArePrecompiledOnTop(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		script := `using OnTop, Kinds
		print(OnTop.MORE - Kinds.BIG, ' ', OnTop.wrapped().node === Kinds.RING, ' ', Kinds.optional(OnTop.wrapped()), ' ', Kinds.optional(1))`
		want := []string{"OnTop.ji"}
		if on(t, executable, stock).julia("-e", "print(VERSION >= v\"1.9\")") == "true" {
			want = append(want, "OnTop.so") // its native code
		}
		names := func(paths []string) (names []string) {
			for _, path := range paths {
				names = append(names, filepath.Base(path))
			}
			return names
		}
		for _, i := range []image{kinds, fourth} {
			depot := t.TempDir()
			var written []os.FileInfo
			for range 2 {
				same(t, i.String(), "1 true extended (1, 1, 2)", on(t, executable, i).julia("JULIA_DEPOT_PATH="+depot, "-e", script))
				caches, err := filepath.Glob(filepath.Join(depot, "compiled", "v1.*", "*"))
				if err != nil || !slices.Equal(names(caches), want) {
					t.Fatalf("%s: the caches of the depot are %v, and not %v (%v)", i, caches, want, err)
				}
				for _, cache := range caches {
					info, err := os.Stat(cache)
					if err != nil {
						t.Fatal(err)
					}
					written = append(written, info)
				}
			}
			// A cache that is written takes the old one's place; one that is used gets a new time.
			for k := range want {
				if !os.SameFile(written[k], written[len(want)+k]) {
					t.Errorf("%s: the second process has written %s again", i, want[k])
				}
			}
		}
	})
}

// Methods whose code is in the image are replaced as any others are, and what has called them, or has inlined them, is compiled again.
func TestMethodsAreReplaced(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		script := filepath.Join(scripts, "redefine.jl")
		want := on(t, executable, stock).julia(script)
		for _, i := range []image{kinds, fourth} {
			for _, threads := range []string{"1", "2"} {
				same(t, i.String(), want, on(t, executable, i).julia("JULIA_NUM_THREADS="+threads, script))
			}
		}
	})
}

// Code that a package has invalidated is the base's again where it comes out of inference as before and calls nothing that does not.
func TestBaseCodeIsRevived(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		got := on(t, executable, circles).julia(filepath.Join(scripts, "revived.jl"))
		same(t, "code", strings.Join([]string{
			"total: shapes.so", "twice: shapes.so", "outline: circles.so", "both: circles.so", "4 8 3 7", "2.5 5.0 6 8.5", "",
		}, "\n"), got)
	})
}

// What a package declares callable from C is found in the image by its name, and in those that build on it.
func TestCallableFromC(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		for _, i := range []image{kinds, third, fourth, fifth} {
			got := on(t, executable, i).julia("-e", `using Libdl
			image = dlopen(unsafe_string(Base.JLOptions().image_file))
			print(ccall(dlsym(image, :kinds_sum), Cint, (Cint, Cint), 2, 3), ' ', dlsym_e(image, Symbol("kinds_sum.1")) == C_NULL)`)
			same(t, i.String(), "5 true", got)
		}
	})
}

// Of two functions that C would find by the same name, it finds the one that a warning names.
func TestRivalsForC(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		statements, err := one("last")
		if err != nil {
			t.Fatal(err)
		}
		var said warnings
		rivals := built("rivals.so", func(string) (pipeline.Options, error) {
			return pipeline.Options{Target: settings.DefaultTarget(), Statements: []string{statements}, Packages: []string{"Rivals"}, Report: &said}, nil
		})
		if on(t, executable, stock).command("-e", "using Rivals").Run() != nil {
			// Julia 1.10 takes no second function of a name, and the build says what it says.
			const says = "package Rivals cannot be loaded: LoadError: @ccallable was already defined for this method name"
			if _, err := rivals.path(executable); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("Julia itself cannot load the package, and the build says %v", err)
			}
			return
		}
		got := on(t, executable, rivals).julia("-e", `using Libdl
		image = dlopen(unsafe_string(Base.JLOptions().image_file))
		print(("Left", "Right")[ccall(dlsym(image, :rivals_side), Cint, ())])`)
		other := map[string]string{"Left": "Right", "Right": "Left"}[got]
		want := fmt.Sprintf("modules %s and %s both define a function rivals_side for C (Base.@ccallable): C will find that of %[1]s", got, other)
		if !slices.Equal(said, []string{want}) {
			t.Errorf("C finds that of %s, and the warnings are %q", got, said)
		}
	})
}

// warnings are the texts of a build's warnings.
type warnings []string

func (w *warnings) Report(e pipeline.Event) {
	if e, ok := e.(pipeline.Warning); ok {
		*w = append(*w, e.Text)
	}
}

// Workers of Distributed start on the image of their master, and code that is sent to them runs there.
func TestDistributed(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		s := on(t, executable, kinds)
		got := s.julia("-p", "2", "-e", `using Distributed, Kinds
		@everywhere using Kinds
		image() = unsafe_string(Base.JLOptions().image_file)
		print(pmap(Kinds.adder(1), 1:5), ' ', [remotecall_fetch(() -> unsafe_string(Base.JLOptions().image_file), w) == image() for w in workers()],
		      ' ', remotecall_fetch(() -> Kinds.STARTED["times"], 2))`)
		same(t, "workers", "[2, 3, 4, 5, 6] Bool[1, 1] 1", got)
	})
}

// What a REPL is told on standard input it does, Pkg included.
func TestInteractive(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		project, depot := t.TempDir(), t.TempDir()
		// The depot that comes with Julia has the caches of its standard libraries.
		bundled := on(t, executable, stock).julia("-e", `print(abspath(Sys.BINDIR, "..", "share", "julia"))`)
		// Without a registry Pkg wants to fetch one.
		registry := filepath.Join(depot, "registries", "Empty", "Registry.toml")
		if err := os.MkdirAll(filepath.Dir(registry), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(registry, []byte(emptyRegistry), 0o644); err != nil {
			t.Fatal(err)
		}
		input := fmt.Sprintf("x = 1 + 2\nusing Pkg\nPkg.activate(%q)\nPkg.status()\nerror(\"on purpose\")\nmethods(sin, (Float64,))\nx * 5\n", project)
		run := func(i image) string {
			cmd := on(t, executable, i).command("JULIA_DEPOT_PATH="+depot+":"+bundled, "-i", "-q")
			cmd.Stdin = strings.NewReader(input)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return string(out)
		}
		want := run(stock)
		for _, expected := range []string{"ERROR: on purpose", "Status `" + project, "sin(x::T)", "15\n"} {
			if !strings.Contains(want, expected) {
				t.Fatalf("there is no %q in\n%s", expected, want)
			}
		}
		images := []image{thin, kinds, fifth}
		if on(t, executable, stock).julia("-e", `print(any(m -> nameof(m) === :REPL, Base.loaded_modules_array()))`) == "false" {
			// Where Julia's own image lacks what the prompt needs, those are images that have it.
			images = []image{built("prompt.so", func(string) (pipeline.Options, error) {
				statements, err := one("extrema")
				return pipeline.Options{Target: settings.DefaultTarget(), Statements: []string{statements},
					Interactive: []string{"InteractiveUtils", "REPL", "Pkg"}, Environment: []string{"JULIA_DEPOT_PATH=" + depot + ":" + bundled}}, err
			})}
		}
		for _, i := range images {
			same(t, i.String(), want, run(i))
		}
	})
}

const emptyRegistry = `name = "Empty"
uuid = "5c1b6a9e-37a5-4b5b-8f3c-6d4f0f6f9f10"
repo = "nowhere"
[packages]
`

// Options of a build change the code, and not what it does.
func TestBuildsWithOptions(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		want, err := orbitsOutput(executable)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []pipeline.Options{
			{Target: settings.Target{Emit: settings.EmitTraced, CPU: "generic", OptLevel: 0}, CacheDir: "off"},
			{Target: settings.Target{Emit: settings.EmitTraced, CPU: "haswell", OptLevel: 1, Layout: elfpatch.Standalone}, CacheDir: "off"},
			{Target: settings.Target{Emit: settings.EmitAll, CPU: "native", OptLevel: 3}, Jobs: 1, CacheDir: "off"},
		} {
			t.Run(fmt.Sprint(o.Emit, " ", o.CPU, " -O", o.OptLevel), func(t *testing.T) {
				if o.CPU == "haswell" && !cpuHas(t, "avx2", "bmi2", "fma") {
					t.Skip("SKIPPED, NOT TESTED: this machine is no Haswell")
				}
				i := ofOrbits(fmt.Sprint("options-", o.CPU, ".so"), o)
				s := on(t, executable, i)
				left := filepath.Join(t.TempDir(), "left")
				same(t, orbitsWorkload, want, s.julia("--trace-compile="+left, orbitsWorkload))
				path, err := orbitsTrace(executable)
				if err != nil {
					t.Fatal(err)
				}
				trace := lines(t, path)
				for _, statement := range lines(t, left) {
					if slices.Contains(trace, statement) {
						t.Errorf("compiled again: %s", statement)
					}
				}
				if err := os.Remove(i.file(t, s.executable)); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// cpuHas says whether the machine's processor has these features, by the kernel's names.
func cpuHas(t *testing.T, features ...string) bool {
	t.Helper()
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		if strings.HasPrefix(line, "flags") {
			flags := strings.Fields(line)
			return !slices.ContainsFunc(features, func(feature string) bool { return !slices.Contains(flags, feature) })
		}
	}
	return false
}

// An image whose base was replaced by another build, or is gone, says so and ends, with status 1.
func TestBaseReplaced(t *testing.T) {
	t.Parallel()
	juliatest.Each(t, func(t *testing.T, executable string) {
		s := on(t, executable, stock)
		dir := t.TempDir()
		own := strings.TrimSpace(s.julia("-e", "print(unsafe_string(Base.JLOptions().image_file))"))
		base, above := filepath.Join(dir, "base.so"), filepath.Join(dir, "above.so")
		otherOwn := filepath.Join(dir, "own.so")
		replace(t, otherOwn, own)
		setBuildID(t, otherOwn)
		for _, c := range []struct{ name, base, other, says string }{
			{"of Julia", own, otherOwn, "chainbuild: this image was built on another build of " + base + ": build it again"},
			{"chained", thin.file(t, s.executable), own, "base_was_replaced_build_this_image_again"},
			{"chained by another chained one", thin.file(t, s.executable), trivial("other.so", "any", stock, elfpatch.Thin).file(t, s.executable), "base_was_replaced_build_this_image_again"},
		} {
			t.Run(c.name, func(t *testing.T) {
				replace(t, base, c.base)
				statements, err := one("all")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := pipeline.Run(context.Background(), pipeline.Options{Julia: s.executable, Base: base, Statements: []string{statements}, Output: above, Target: settings.DefaultTarget(), CacheDir: "off"}); err != nil {
					t.Fatal(err)
				}
				s := on(t, executable, image{"above.so", func(string) (string, error) { return above, nil }})
				same(t, "with its base", "boots", s.julia("-e", `print("boots")`))
				replace(t, base, c.other)
				if said := s.fails("-e", `print("boots")`); !strings.Contains(said, c.says) || strings.Count(said, "\n") > 2 {
					t.Errorf("on another base it says\n%s", said)
				}
				if err := os.Remove(base); err != nil {
					t.Fatal(err)
				}
				if said := s.fails("-e", `print("boots")`); !strings.Contains(said, base+": cannot open shared object file") || strings.Count(said, "\n") > 2 {
					t.Errorf("without its base it says\n%s", said)
				}
			})
		}
	})
}

// setBuildID gives a library another build-id.
func setBuildID(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	library, err := elf.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	note := library.Section(".note.gnu.build-id")
	if note == nil {
		t.Skipf("SKIPPED, NOT TESTED: %s has no build-id", path)
	}
	if _, err := f.WriteAt([]byte("another"), int64(note.Offset+note.Size)-8); err != nil {
		t.Fatal(err)
	}
}

// replace puts a copy of a file in another one's place.
func replace(t *testing.T, path, by string) {
	t.Helper()
	data, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// A process keeps the image that it has started on when a build replaces the file: what it first touches afterwards is still the old one's.
func TestRunningProcessKeepsItsImage(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		s := on(t, executable, stock)
		want, err := orbitsOutput(s.executable)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(home(executable), "replaced.so")
		replace(t, path, standalone.file(t, s.executable))
		running := exec.Command(s.executable, "--startup-file=no", "-J", path, "-e", `println("ready"); readline(); include(ARGS[1])`, orbitsWorkload)
		stdin, err := running.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := running.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		running.Stderr = os.Stderr
		if err := running.Start(); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(stdout)
		if line, err := reader.ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("it prints %q (%v)", line, err)
		}
		statements, err := one("extrema")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pipeline.Run(context.Background(), pipeline.Options{Julia: s.executable, Statements: []string{statements}, Output: path, Target: settings.DefaultTarget()}); err != nil {
			t.Fatal(err)
		}
		if _, err := stdin.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		var printed strings.Builder
		if _, err := reader.WriteTo(&printed); err != nil {
			t.Fatal(err)
		}
		if err := running.Wait(); err != nil {
			t.Fatal(err)
		}
		same(t, orbitsWorkload, want, printed.String())
		loaded := on(t, executable, image{"replaced.so", func(string) (string, error) { return path, nil }}).julia("-e", `print(any(k -> k.name == "Orbits", keys(Base.loaded_modules)))`)
		same(t, "whether the new file has Orbits", "false", loaded)
	})
}

// A package that cannot be in an image is named, or at least what is wrong with it. Nothing is left of such a build, nor of one that succeeds.
func TestPackagesThatFail(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		s := on(t, executable, stock)
		path := filepath.Join(home(executable), "fails.so")
		statements, err := one("any")
		if err != nil {
			t.Fatal(err)
		}
		tasks := "a loaded package keeps what no image can hold, and should make it in its __init__"
		var exit *exec.ExitError
		if err := s.command("-e", "using Tasks").Run(); errors.As(err, &exit) && !exit.Exited() {
			tasks = "package Tasks ends the process that loads it" // Julia 1.10 writes a cache, and crashes when it loads it
		}
		for name, says := range map[string]string{
			"Fails": "package Fails cannot be loaded: LoadError: this package",
			"Exits": "package Exits ends the process that loads it: the front worker exited with status 3",
			"Tasks": tasks,
		} {
			_, err := pipeline.Run(context.Background(), pipeline.Options{Julia: s.executable, Statements: []string{statements}, Packages: []string{name}, Output: path})
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("with %s: %v", name, err)
			}
		}
		thin.file(t, s.executable)
		for _, pattern := range []string{filepath.Join(temporary(), "chainbuild-*"), filepath.Join(home(executable), ".*.chainbuild-*"), path} {
			if left, err := filepath.Glob(pattern); err != nil || len(left) != 0 {
				t.Errorf("left are %v (%v)", left, err)
			}
		}
	})
}
