package build_test

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
	"slices"
	"strings"
	"sync"
	"testing"

	"chainbuild/build"
	"chainbuild/elfpatch"
	"chainbuild/internal/juliatest"
)

// folder holds all that the tests write. The variables of the environment lead Julia there, see TestMain.
var folder string

// Inputs of the builds, as absolute paths.
var (
	scripts        = absolute("testdata/scripts")
	packages       = absolute("testdata/packages")
	orbits         = absolute("../examples/Orbits")
	orbitsTrace    = filepath.Join(orbits, "trace.jl")
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
		var err error
		if folder, err = os.MkdirTemp("", "chainbuild-e2e-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
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

// temporary is the folder where builds keep intermediate files.
func temporary() string { return filepath.Join(folder, "tmp") }

// An image is built when a test needs it. The zero value is Julia's own image.
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
func built(name string, options func(executable string) (build.Options, error)) image {
	var once sync.Once
	var path string
	var err error
	return image{name, func(executable string) (string, error) {
		once.Do(func() {
			var o build.Options
			if o, err = options(executable); err != nil {
				return
			}
			o.Julia, o.Output = executable, filepath.Join(folder, name)
			var result *build.Result
			if result, err = build.Run(context.Background(), o); err == nil {
				path = result.Image
			}
		})
		return path, err
	}}
}

// one writes a file of one statement, about a function that nothing else of these tests calls.
func one(function string) (string, error) {
	path := filepath.Join(folder, function+".jl")
	return path, os.WriteFile(path, fmt.Appendf(nil, "precompile(Tuple{typeof(Base.%s), Array{Float16, 3}})\n", function), 0o644)
}

// trivial is an image of one statement on top of another one.
func trivial(name, function string, base image, layout elfpatch.Layout) image {
	return built(name, func(executable string) (o build.Options, err error) {
		o = build.Options{Layout: layout, OptLevel: 2}
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
func ofOrbits(name string, o build.Options) image {
	return built(name, func(executable string) (build.Options, error) {
		// The packages get precompiled, as they are where traces are made: some names that lowering makes up depend on it.
		_, err := orbitsOutput(executable)
		o.Statements = []string{orbitsTrace}
		return o, err
	})
}

// The images. The first build on a base works without a worker image and makes one for those that follow.
var (
	thin       = ofOrbits("thin.so", build.Options{OptLevel: 2, Strict: true})
	standalone = ofOrbits("standalone.so", build.Options{OptLevel: 2, Strict: true, Layout: elfpatch.Standalone})

	// kinds has the packages of testdata, on top of thin.
	kinds = built("kinds.so", func(executable string) (o build.Options, err error) {
		o = build.Options{OptLevel: 2, Packages: []string{"First", "Second", "Prints"}}
		if o.Base, err = thin.path(executable); err != nil {
			return o, err
		}
		_, err = kindsOutput(executable)
		o.Statements = []string{kindsTrace()}
		return o, err
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
		second, err := output(exec.Command(executable, "--startup-file=no", "--trace-compile="+kindsTrace(), kindsWorkload, "a", "b"))
		if err == nil && first != second {
			err = fmt.Errorf("two runs of %s differ: %s", kindsWorkload, difference(first, second))
		}
		return second, err
	})
)

func kindsTrace() string { return filepath.Join(folder, "kinds.trace") }

// remembered calls f once.
func remembered(f func(executable string) (string, error)) func(string) (string, error) {
	var once sync.Once
	var text string
	var err error
	return func(executable string) (string, error) {
		once.Do(func() { text, err = f(executable) })
		return text, err
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
func on(t *testing.T, i image) session {
	t.Helper()
	return session{t, juliatest.Julia(t), i}
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
