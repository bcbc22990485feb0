// Package worker_test runs the tests of the Julia code in this folder, for each Julia that there is.
package worker_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"chainbuild/internal/juliatest"
	"chainbuild/julia"
	"chainbuild/statements"
)

// run runs a Julia file and returns what it writes to standard output.
func run(t *testing.T, executable string, args ...string) []byte {
	t.Helper()
	command := exec.Command(executable, append([]string{"--startup-file=no", "--color=no"}, args...)...)
	// The folders of packages that a user set up are none of the tests' business.
	command.Env = append(os.Environ(), "JULIA_LOAD_PATH=@stdlib", "JULIA_PROJECT=")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, stderr.Bytes())
	}
	return out
}

func TestJulia(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		run(t, executable, "test/runtests.jl")
	})
}

// The code that is written for a Julia defines what the contract promises, and all that it calls is there in this Julia.
func TestContract(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		in, err := julia.Find(t.Context(), executable)
		if err != nil {
			t.Fatal(err)
		}
		series, err := in.Series()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := series.Sources().Write(dir); err != nil {
			t.Fatal(err)
		}
		faults, summary, _ := strings.Cut(string(run(t, executable, "test/contract.jl", dir)), "checked ")
		if faults != "" {
			t.Error(faults)
		}
		t.Log(summary)
		var promised, methods, foreign, names int
		if _, err := fmt.Sscanf(summary, "%d functions of the contract, %d methods, %d functions of C, %d names", &promised, &methods, &foreign, &names); err != nil ||
			promised < 30 || methods < 150 || foreign < 80 || names < 200 {
			t.Errorf("it has looked at %s (%v)", summary, err)
		}
	})
}

// A trace goes the way of a build: recorded by Julia, read by package statements, resolved in a process that has the same
// packages. All but what belonged to the traced session itself must be there again.
func TestTracedStatementsResolve(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		dir := t.TempDir()
		trace := filepath.Join(dir, "trace.txt")
		run(t, executable, "--trace-compile="+trace, "test/record.jl")
		source, err := os.Open(trace)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		parsed, err := statements.Parse(trace, source)
		if err != nil {
			t.Fatal(err)
		}
		var lines bytes.Buffer
		for _, s := range parsed.Statements {
			fmt.Fprintf(&lines, "%d\t%s\n", s.Line, s.Source)
		}
		list := filepath.Join(dir, "statements.txt")
		if err := os.WriteFile(list, lines.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}

		total, resolved, session := len(parsed.Statements), 0, 0
		scanner := bufio.NewScanner(bytes.NewReader(run(t, executable, "test/trace.jl", list)))
		for scanner.Scan() {
			fields := strings.Split(scanner.Text(), "\t")
			switch {
			case fields[0] == "resolved" && len(fields) == 4:
				if resolved, err = strconv.Atoi(fields[1]); err != nil {
					t.Fatal(err)
				}
				t.Logf("%d of %d statements resolved in %s ms", resolved, total, fields[3])
			case fields[0] == "unresolved" && fields[1] == "anonymous function or closure of another session":
				session++
			case fields[0] == "unresolved":
				t.Log(scanner.Text())
			default:
				t.Error(scanner.Text())
			}
		}
		if session == 0 {
			t.Error("no statement was recognised as the session's own, but test/record.jl has some")
		}
		if want := total - session; resolved*100 < want*98 {
			t.Errorf("%d of %d statements resolved, want at least 98 of 100", resolved, want)
		}
	})
}

// Names and values of all kinds go through a trace as they are: what the file says of them is read as what was called, or it is counted as
// not read or not resolved. Up to Julia 1.11 the tracer escapes nothing, so names with a line end cannot be read.
func TestTracedNamesAreReadAsTheyAre(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		dir := t.TempDir()
		t.Setenv("JULIA_DEPOT_PATH", filepath.Join(dir, "depot"))
		trace, list := filepath.Join(dir, "trace.txt"), filepath.Join(dir, "statements.txt")
		run(t, executable, "--trace-compile="+trace, "test/names.jl")
		source, err := os.Open(trace)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		parsed, err := statements.Parse(trace, source)
		if err != nil {
			t.Fatal(err)
		}
		var lines bytes.Buffer
		for _, s := range parsed.Statements {
			fmt.Fprintln(&lines, s.Source)
		}
		if err := os.WriteFile(list, lines.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		missing, unresolved, checked := 0, 0, 0
		for line := range strings.Lines(string(run(t, executable, "test/names.jl", list))) {
			switch kind, rest, _ := strings.Cut(strings.TrimSpace(line), "\t"); kind {
			case "missing":
				missing++
				t.Log(strings.TrimSpace(line))
			case "unresolved":
				unresolved++
			case "checked":
				if checked, err = strconv.Atoi(rest); err != nil {
					t.Fatal(err)
				}
			default:
				t.Error(strings.TrimSpace(line))
			}
		}
		if told := len(parsed.Refusals) + unresolved; missing > told || missing*8 > checked || checked < 300 {
			t.Errorf("%d of %d are missing, and %d are told of", missing, checked, told)
		}
	})
}
