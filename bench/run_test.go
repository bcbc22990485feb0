package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/scratch"
	"chainbuild/julia"
)

func TestParseTimes(t *testing.T) {
	got, err := parseTimes([]byte("chainbuild-bench 1 1 1\nsome warning\nchainbuild-bench 1500000000 20000000 1400000\n"))
	if want := (times{1.5, 0.02, 1.4}); err != nil || got != want {
		t.Errorf("the times are %v, %v", got, err)
	}
	for _, said := range []string{"", "chainbuild-bench one two three", "chainbuild-bench 1 2", "ERROR: gone"} {
		if _, err := parseTimes([]byte(said)); err == nil {
			t.Errorf("times were read from %q", said)
		}
	}
}

func TestCompileSeconds(t *testing.T) {
	got, err := compileSeconds([]byte(`{"traceEvents":[{"ph":"M","name":"x"},{"cat":"stage","dur":9000000},{"cat":"partition","dur":1500000},{"cat":"partition","dur":250000}]}`))
	if err != nil || got != 1.75 {
		t.Errorf("compile workers took %v s, %v", got, err)
	}
	if _, err := compileSeconds([]byte("[")); err == nil {
		t.Error("a trace was read from [")
	}
}

func TestDistinctLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.jl")
	if lines, err := distinctLines(path); err != nil || len(lines) != 0 {
		t.Errorf("a file that is not there has the lines %v, %v", lines, err)
	}
	if err := os.WriteFile(path, []byte("b\na\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines, err := distinctLines(path); err != nil || len(lines) != 2 {
		t.Errorf("the lines are %v, %v", lines, err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("JULIA_LOAD_PATH", "/nowhere")
	t.Setenv("CHAINBUILD_CACHE", "/cache")
	t.Setenv("CHAINBUILD_REMOTE_CACHE", "grpc://127.0.0.1:1")
	b := &bencher{Options: Options{Packages: "sources"}, scratch: &scratch.Folder{Path: "/scratch"}}
	for _, variable := range b.environment() {
		if strings.HasPrefix(variable, "JULIA_LOAD_PATH=") || strings.HasPrefix(variable, "CHAINBUILD_CACHE=") || strings.HasPrefix(variable, "CHAINBUILD_REMOTE_") {
			t.Errorf("the environment has %s", variable)
		}
		if depots, ok := strings.CutPrefix(variable, "JULIA_DEPOT_PATH="); ok && depots != "/scratch/depot" {
			t.Errorf("the depots are %s", depots)
		}
	}
}

// PackageCompiler is the user's, and what it compiles of packages is not left with the user.
func TestPackageCompiler(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("JULIA_PROJECT", "/another")
	t.Setenv("JULIA_DEPOT_PATH", "/of the environment")
	program := filepath.Join(dir, "julia")
	b := &bencher{
		Options: Options{Julia: &julia.Installation{Executable: program, DepotPaths: []string{"/users", "/bundled"}}},
		scratch: &scratch.Folder{Path: "/scratch"}, results: &Results{},
	}
	b.Report = func(Event) {}
	j := &job{Workload: &Workload{Name: "Walk"}, dir: dir, trace: filepath.Join(dir, "trace.jl"), packages: []string{"Walk", "Run"}}
	image := filepath.Join(dir, "image.so")

	// The arguments are --startup-file=no --history-file=no SCRIPT PROJECT STATEMENTS IMAGE PACKAGE...
	fake := func(script string) error {
		if err := juliatest.WriteProgram(program, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		return b.packageCompiler(t.Context(), j, image)
	}
	if err := fake("shift 3; printf %s \"$* in $JULIA_DEPOT_PATH $JULIA_PROJECT\" > \"$3\"\n"); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%[1]s/project %[1]s/trace.jl %[1]s/image.so Walk Run in /scratch/depot:/users:/bundled ", dir)
	if text, err := os.ReadFile(image); err != nil || string(text) != want {
		t.Errorf("it was run as %q, %v, and not %q", text, err, want)
	}
	if got := b.results.values("Walk", Compiler+"/"+Bytes); len(got) != 1 || got[0] != float64(len(want)) {
		t.Errorf("the sizes of its image are %v", got)
	}
	var cannot cannotRun
	if err := fake("echo not installed\n"); !errors.As(err, &cannot) {
		t.Errorf("where it is not installed: %v", err)
	}
	if err := fake("echo 'ERROR: no compiler' >&2; exit 1\n"); err == nil || errors.As(err, &cannot) || !strings.Contains(err.Error(), "no compiler") {
		t.Errorf("where it fails: %v", err)
	}
}

func TestLinkTree(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	writeFiles(t, from, map[string]string{"a": "1", "b/c": "2"})
	if err := linkTree(from, to); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(to, "b", "c")); err != nil || string(text) != "2" {
		t.Errorf("b/c is %q, %v", text, err)
	}
}

func TestVersionsWithPackageImages(t *testing.T) {
	for version, want := range map[string]bool{"1.5.3": false, "1.8.5": false, "1.9.0": true, "1.10.8": true, "2.0.0": true} {
		if got := hasPackageImages(version); got != want {
			t.Errorf("of Julia %s it is said that it has package images: %v", version, got)
		}
		if got := len(ownImageArguments(version)) > 0; got != want {
			t.Errorf("Julia %s runs with the arguments %v", version, ownImageArguments(version))
		}
	}
}
