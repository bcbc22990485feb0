package bench

// This file runs Julia's own tests under chained images, each file in a process of its own. What a test does under Julia's own image is what it
// has to do under the chained one: the same counts, the same failing tests, the same end. On a machine that is not as they expect, some tests
// fail under both.
//
// The chained image holds what the tests themselves compile: it is built from the statements that were recorded while they ran under Julia's
// own image. So nearly all code that they run is code of the image.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/examples"
)

// A TestRun is one of Julia's test files under the two images.
type TestRun struct {
	Julia string `json:"julia"` // old or new
	Name  string `json:"name"`
	// Own and Chained are what is said of the run: counts, what failed, how the process ended.
	Own     string `json:"own"`
	Chained string `json:"chained"`
}

// Same says whether both gave the same result.
func (t TestRun) Same() bool { return t.Own == t.Chained }

// JuliaTests returns the names of tests that are listed in examples/julia-tests: all, or those that take seconds.
func JuliaTests(quick bool) []string {
	text, err := fs.ReadFile(examples.Files, "julia-tests/tests")
	if err != nil {
		panic(err) // it is embedded
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 0 && !strings.HasPrefix(line, "#") && (!quick || slices.Contains(fields[1:], "quick")) {
			names = append(names, fields[0])
		}
	}
	return names
}

// Kinds of steps: see bench.go.
const (
	testsSubject   = "Julia's own tests"
	stepTestOwn    = "running under Julia's own image"
	stepTestImage  = "building an image of what they compile"
	stepTestChains = "running under the chained image"
)

// juliaTests runs the tests. The error is a cannotRun if this Julia came without them.
func (b *bencher) juliaTests(ctx context.Context, names []string) ([]TestRun, error) {
	dir, err := os.MkdirTemp(b.scratch.Path, "tests-")
	if err != nil {
		return nil, err
	}
	names, err = b.testsOf(names)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "runtests.jl")
	source, err := fs.ReadFile(examples.Files, "julia-tests/runtests.jl")
	if err == nil {
		err = os.WriteFile(script, source, 0o600)
	}
	if err != nil {
		return nil, err
	}
	// Whole statements that do not name modules of the tests: no other process could resolve those.
	var statements []byte
	runs := make([]TestRun, len(names))
	own := image{subject: Base, path: b.Julia.Image}
	for i, name := range names {
		runs[i].Name = name
		b.Report(Step{Workload: testsSubject, What: name + ", " + stepTestOwn})
		trace := filepath.Join(dir, "one.jl")
		if runs[i].Own, err = b.juliaTest(ctx, own, script, name, "--trace-compile="+trace); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(trace)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		os.Remove(trace)
		statements = append(statements, text...)
	}
	j := &job{Workload: &Workload{Name: testsSubject}, jobs: b.Jobs, trace: filepath.Join(dir, "trace.jl"), packages: []string{"Test", "Random"}}
	if err := os.WriteFile(j.trace, resolvable(statements), 0o600); err != nil {
		return nil, err
	}
	chained := image{subject: Chained, path: filepath.Join(dir, "chained.so")}
	b.Report(Step{Workload: testsSubject, What: stepTestImage})
	cache := filepath.Join(dir, "cache")
	if err := b.emptyCache(cache); err != nil {
		return nil, err
	}
	if _, err := b.chain(ctx, j, chained.path, cache); err != nil {
		return nil, err
	}
	for i, name := range names {
		b.Report(Step{Workload: testsSubject, What: name + ", " + stepTestChains})
		if runs[i].Chained, err = b.juliaTest(ctx, chained, script, name); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// testsOf refuses names of tests that neither Julia's folder of tests nor a standard library has, and leaves out those of the list that this
// Julia does not have.
func (b *bencher) testsOf(names []string) ([]string, error) {
	folder := filepath.Join(b.Julia.BinDir, "..", "share", "julia", "test")
	found := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		library, file, _ := strings.Cut(name, "/")
		for _, path := range []string{filepath.Join(folder, name+".jl"), filepath.Join(b.Julia.StdlibDir, library, "test", file+".jl")} {
			if _, err := os.Stat(path); err == nil {
				return false
			}
		}
		return true
	})
	if len(found) == 0 {
		return nil, cannotRun(fmt.Sprintf("this Julia came without them: %s has none of %s", folder, strings.Join(names, ", ")))
	}
	return found, nil
}

// juliaTest runs a test under an image and returns what is to be said of it. The error is that of ctx, or that Julia could not be started.
func (b *bencher) juliaTest(ctx context.Context, im image, script, name string, arguments ...string) (string, error) {
	cmd := b.juliaCommand(ctx, slices.Concat([]string{"-J", im.path}, arguments, []string{script, name})...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	said := stdout.String()
	if cmd.ProcessState == nil {
		return "", err
	}
	if err != nil {
		said += fmt.Sprintf("ended with %s: %s", cmd.ProcessState, reasonIn(stderr.String()))
	}
	return strings.TrimSpace(said), nil
}

// resolvable are the whole statements of a trace, each once, without those that name modules of the tests.
func resolvable(trace []byte) []byte {
	seen := map[string]bool{}
	var kept bytes.Buffer
	for line := range strings.Lines(string(trace)) {
		statement := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(statement, "precompile(Tuple{") && strings.HasSuffix(statement, "})") && !strings.Contains(statement, "Main.") && !seen[statement] {
			seen[statement] = true
			kept.WriteString(line)
		}
	}
	return kept.Bytes()
}
