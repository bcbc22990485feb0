package pipeline_test

// This file has the images that the end-to-end tests look at, each built once and by the first test that needs it, and
// the Julia that starts on them.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/pipeline"
	"chainbuild/internal/scratch"
	"chainbuild/internal/settings"

	"github.com/google/renameio/v2"
)

// folder holds all that the tests write. The variables of the environment lead Julia there, see TestMain.
var folder string

// Inputs of the builds, as absolute paths.
var (
	scripts        = absolute("testdata/scripts")
	packages       = absolute("testdata/packages")
	orbits         = absolute("../../examples/Orbits")
	orbitsWorkload = filepath.Join(orbits, "workload.jl")
	kindsWorkload  = filepath.Join(scripts, "kinds.jl")
)

func absolute(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	return path
}

// TestMain gives the tests a depot of their own and nothing else to find packages in but those that they are about.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		made, err := scratch.MakeFolder("e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer made.Remove()
		folder = made.Path
		if err := os.Mkdir(temporary(), 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for name, value := range map[string]string{
			"JULIA_DEPOT_PATH":  filepath.Join(folder, "depot"),
			"JULIA_LOAD_PATH":   strings.Join([]string{packages, orbits, "@stdlib"}, ":"),
			"JULIA_PROJECT":     "",
			"JULIA_NUM_THREADS": "",
			"TMPDIR":            temporary(),
			"KINDS":             "set for the runtime",
		} {
			if value == "" {
				os.Unsetenv(name)
			} else {
				os.Setenv(name, value)
			}
		}
		return m.Run()
	}())
}

// home is the folder for what belongs to one Julia.
func home(executable string) string {
	homes.Lock()
	defer homes.Unlock()
	if homes.of[executable] == "" {
		path := filepath.Join(folder, fmt.Sprint("julia-", len(homes.of)))
		if err := os.Mkdir(path, 0o755); err != nil {
			panic(err)
		}
		homes.of[executable] = path
	}
	return homes.of[executable]
}

var homes = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

// temporary is the folder where builds keep intermediate files.
func temporary() string { return filepath.Join(folder, "tmp") }

// An image is built when a test needs it, for each Julia that needs it. The zero value is Julia's own image.
type image struct {
	name string
	path func(executable string) (string, error)
}

var stock image

// on gives the options of a julia that starts on the image.
func (i image) on(t testing.TB, executable string) []string {
	t.Helper()
	if i.path == nil {
		return nil
	}
	return []string{"-J", i.file(t, executable)}
}

// file is the image's path.
func (i image) file(t testing.TB, executable string) string {
	t.Helper()
	path, err := i.path(executable)
	if err != nil {
		t.Fatalf("%s: %v", i.name, err)
	}
	return path
}

func (i image) String() string {
	if i.path == nil {
		return "Julia's own"
	}
	return i.name
}

// built is an image made from what options says, which may have other images built first.
func built(name string, options func(executable string) (pipeline.Options, error)) image {
	return image{name, remembered(func(executable string) (string, error) {
		o, err := options(executable)
		if err != nil {
			return "", err
		}
		o.Julia, o.Output = executable, filepath.Join(home(executable), name)
		result, err := pipeline.Run(context.Background(), o)
		if err != nil {
			return "", err
		}
		return result.Image, nil
	})}
}

// one writes a file of one statement, about a function that nothing else of these tests calls.
func one(function string) (string, error) {
	path := filepath.Join(folder, function+".jl")
	// Another test may read the file that it has written just now.
	return path, renameio.WriteFile(path, fmt.Appendf(nil, "precompile(Tuple{typeof(Base.%s), Array{Float16, 3}})\n", function), 0o644)
}

// trivial is an image of one statement on top of another one.
func trivial(name, function string, base image, layout elfpatch.Layout) image {
	return built(name, func(executable string) (o pipeline.Options, err error) {
		o = pipeline.Options{Target: settings.DefaultTarget()}
		o.Layout = layout
		if base.path != nil {
			if o.Base, err = base.path(executable); err != nil {
				return o, err
			}
		}
		statements, err := one(function)
		o.Statements = []string{statements}
		return o, err
	})
}

// ofOrbits is an image of the example, by its trace.
func ofOrbits(name string, o pipeline.Options) image {
	return built(name, func(executable string) (pipeline.Options, error) {
		// The packages get precompiled, as they are where traces are made: some names that lowering makes up depend on it.
		if _, err := orbitsOutput(executable); err != nil {
			return o, err
		}
		trace, err := orbitsTrace(executable)
		o.Statements = []string{trace}
		return o, err
	})
}

// The images. The first build on a base works without a worker image and makes one for those that follow.
var (
	thin       = ofOrbits("thin.so", pipeline.Options{Target: settings.DefaultTarget(), Strict: true})
	standalone = ofOrbits("standalone.so", pipeline.Options{Target: settings.Target{OptLevel: 2, Layout: elfpatch.Standalone}, Strict: true})

	// kinds has the packages of testdata, on top of thin.
	kinds = built("kinds.so", func(executable string) (o pipeline.Options, err error) {
		o = pipeline.Options{Target: settings.DefaultTarget(), Packages: []string{"First", "Second", "Prints"}}
		if o.Base, err = thin.path(executable); err != nil {
			return o, err
		}
		_, err = kindsOutput(executable)
		o.Statements = []string{kindsTrace(executable)}
		return o, err
	})

	// circles invalidates code of shapes: a part of it is right all the same.
	shapes = built("shapes.so", func(executable string) (pipeline.Options, error) {
		path := filepath.Join(home(executable), "shapes.jl")
		statements := "Tuple{typeof(Shapes.twice), Vector{Any}}\nTuple{typeof(Shapes.both), Vector{Any}}\n"
		return pipeline.Options{Target: settings.DefaultTarget(), Strict: true, Statements: []string{path}}, os.WriteFile(path, []byte(statements), 0o644)
	})
	circles = built("circles.so", func(executable string) (o pipeline.Options, err error) {
		path := filepath.Join(home(executable), "circles.jl")
		o = pipeline.Options{Target: settings.DefaultTarget(), Strict: true, Statements: []string{path}}
		if o.Base, err = shapes.path(executable); err != nil {
			return o, err
		}
		return o, os.WriteFile(path, []byte("Tuple{typeof(Circles.corners), Circles.Circle}\n"), 0o644)
	})

	// Three deep and deeper: thin on thin on thin, standalone on that, thin on standalone.
	third  = trivial("third.so", "prod", kinds, elfpatch.Thin)
	fourth = trivial("fourth.so", "maximum", third, elfpatch.Standalone)
	fifth  = trivial("fifth.so", "minimum", fourth, elfpatch.Thin)
)

// orbitsOutput and kindsOutput are what the workloads print under Julia's own image; the latter writes kindsTrace too.
var (
	orbitsOutput = remembered(func(executable string) (string, error) {
		return output(exec.Command(executable, "--startup-file=no", orbitsWorkload))
	})
	kindsOutput = remembered(func(executable string) (string, error) {
		first, err := output(exec.Command(executable, "--startup-file=no", kindsWorkload, "a", "b"))
		if err != nil {
			return "", err
		}
		// The second run's trace has nothing of the loading of packages from source.
		second, err := output(exec.Command(executable, "--startup-file=no", "--trace-compile="+kindsTrace(executable), kindsWorkload, "a", "b"))
		if err == nil && first != second {
			err = fmt.Errorf("two runs of %s differ: %s", kindsWorkload, difference(first, second))
		}
		return second, err
	})
)

// inKinds are all packages that the image kinds has and Julia's own has not.
var inKinds = []string{"Orbits", "Kinds", "Invalidates", "First", "Second", "Pipe", "Prints"}

func kindsTrace(executable string) string { return filepath.Join(home(executable), "kinds.trace") }

// generator is a name that lowering gives the function of a generator.
var generator = regexp.MustCompile(`var"##s\d`)

// orbitsTrace is the example's trace where it fits: it was recorded by Julia 1.5. For others it is made in the same way, with standard
// output in a file.
var orbitsTrace = remembered(func(executable string) (string, error) {
	version, err := output(exec.Command(executable, "--version"))
	if err != nil || strings.HasPrefix(version, "julia version 1.5.") {
		return filepath.Join(orbits, "trace.jl"), err
	}
	path := filepath.Join(home(executable), "orbits.trace")
	cmd := exec.Command(executable, "--startup-file=no", "--trace-compile="+path, orbitsWorkload)
	printed, err := os.Create(path + ".printed")
	if err != nil {
		return "", err
	}
	defer printed.Close()
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Run(); err != nil {
		return "", err
	}
	// Of Base's own generators no image has code.
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	kept := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool { return generator.MatchString(line) })
	return path, os.WriteFile(path, []byte(strings.Join(kept, "")), 0o644)
})

// remembered calls f once for each Julia.
func remembered(f func(executable string) (string, error)) func(string) (string, error) {
	var lock sync.Mutex
	calls := map[string]func() (string, error){}
	return func(executable string) (string, error) {
		lock.Lock()
		call := calls[executable]
		if call == nil {
			call = sync.OnceValues(func() (string, error) { return f(executable) })
			calls[executable] = call
		}
		lock.Unlock()
		return call()
	}
}

// output runs a command and returns what it writes on standard output, which is a pipe. Of a failure the error has the rest.
func output(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%q: %w\n%s%s", cmd.Args, err, out, stderr.Bytes())
	}
	return string(out), nil
}

// A session is a Julia on an image.
type session struct {
	*testing.T
	executable string
	image      image
}

// on starts sessions on an image.
func on(t *testing.T, executable string, i image) session {
	t.Helper()
	return session{t, executable, i}
}

// command is a Julia on the image; arguments of the form NAME=value set variables of its environment.
func (s session) command(arguments ...string) *exec.Cmd {
	s.Helper()
	var variables []string
	for len(arguments) > 0 && strings.Contains(arguments[0], "=") && !strings.HasPrefix(arguments[0], "-") {
		variables, arguments = append(variables, arguments[0]), arguments[1:]
	}
	cmd := exec.Command(s.executable, slices.Concat([]string{"--startup-file=no"}, s.image.on(s, s.executable), arguments)...)
	cmd.Env = append(os.Environ(), variables...)
	return cmd
}

// julia runs a Julia on the image, see command, and returns what it prints on standard output.
func (s session) julia(arguments ...string) string {
	s.Helper()
	out, err := output(s.command(arguments...))
	if err != nil {
		s.Fatalf("on %s: %v", s.image, err)
	}
	return out
}

// fails runs a Julia on the image that must end with status 1, and returns what it prints on standard error.
func (s session) fails(arguments ...string) string {
	s.Helper()
	cmd := s.command(arguments...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		s.Fatalf("on %s: %q does not exit with status 1 (%v):\n%s", s.image, cmd.Args, err, stderr.Bytes())
	}
	return stderr.String()
}

// same checks that two outputs are equal.
func same(t testing.TB, what, want, got string) {
	t.Helper()
	if want != got {
		t.Errorf("%s: %s", what, difference(want, got))
	}
}

// difference tells the first lines in which two outputs differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return fmt.Sprintf("line %d is too much: %.500q", i+1, b[i])
		case i >= len(b):
			return fmt.Sprintf("line %d is missing: %.500q", i+1, a[i])
		case a[i] != b[i]:
			return fmt.Sprintf("line %d is %.500q instead of %.500q", i+1, b[i], a[i])
		}
	}
	return "no difference"
}

// lines are the lines of a file, none if it is not there: Julia makes a trace when there is something to trace.
func lines(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(text)))
}
