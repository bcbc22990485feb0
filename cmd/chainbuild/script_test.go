package main

// End-to-end tests: testdata/script/*.txt, each a terminal session with the command (see testscript's documentation for
// the language). They run this test binary under the name chainbuild.
//
// Scripts in script/julia need a real Julia: it is $JULIA in them and what chainbuild finds by itself; $IMAGE is the image
// that it starts from, $LIBJULIA and $LIBLLVM its libraries. $JULIA2 is another Julia, where the condition [second] holds. [julia:1.5]
// holds for releases of that series.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/policytest"
	"chainbuild/julia"
	"chainbuild/objcache"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"chainbuild": main})
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: func(env *testscript.Env) error { return isolate(env) },
		Cmds:  commands,
	})
}

func TestScriptJulia(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		in, err := julia.Find(t.Context(), executable)
		if err != nil {
			t.Fatal(err)
		}
		// The scripts share what is made once per base. Those about the cache name one of their own.
		cache := filepath.Join(t.TempDir(), "cache")
		testscript.Run(t, testscript.Params{
			Dir: "testdata/script/julia",
			Setup: func(env *testscript.Env) error {
				env.Setenv(objcache.Environment, cache)
				env.Setenv("JULIA", executable)
				env.Setenv(julia.Environment, executable)
				env.Setenv("IMAGE", in.Image)
				env.Setenv("LIBJULIA", in.LibJulia)
				env.Setenv("LIBLLVM", in.LibLLVM)
				env.Setenv("SERIES", in.Version[:strings.LastIndexByte(in.Version, '.')])
				env.Setenv("JULIA2", another(executable))
				return isolate(env)
			},
			Cmds: commands,
			Condition: func(name string) (bool, error) {
				if series, ok := strings.CutPrefix(name, "julia:"); ok {
					return strings.HasPrefix(in.Version, series+"."), nil
				}
				if name != "second" {
					return false, fmt.Errorf("unknown condition %q", name)
				}
				return another(executable) != "", nil
			},
		})
	})
}

// another is a Julia of CHAINBUILD_JULIA that is not the given one, "" if there is none.
func another(executable string) string {
	for _, name := range filepath.SplitList(os.Getenv(julia.Environment)) {
		if path, err := exec.LookPath(name); err == nil && path != executable {
			return path
		}
	}
	return ""
}

// isolate keeps a script from the depot and the julia of whoever runs the tests, and has its intermediate files in a
// folder of its own, $TMPDIR, so that it can see whether they are gone.
func isolate(env *testscript.Env) error {
	env.Setenv(continuousIntegration, "true") // nothing goes on behind a script
	home, temporary := filepath.Join(env.WorkDir, "home"), filepath.Join(env.WorkDir, "tmp")
	env.Setenv("HOME", home)
	env.Setenv("TMPDIR", temporary)
	for _, dir := range []string{home, temporary} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

var commands = map[string]func(*testscript.TestScript, bool, []string){
	"exits":     exits,
	"oneline":   oneLine,
	"empty":     empty,
	"truncate":  truncate,
	"setbyte":   setByte,
	"waitfor":   waitFor,
	"waitline":  waitLine,
	"noprocess": noProcess,
	"flags":     flagsOf,
	"wasm":      writeWasm,
}

var (
	sectionLine = regexp.MustCompile(`^(\S.*:)$`)
	flagLine    = regexp.MustCompile(`^ +(?:-\w, )?--([\w-]+) `)
)

// flagsOf checks that the help that the last command printed has exactly these flags in these sections: flags 'title: name…' …
func flagsOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: flags 'title: name…'…")
	}
	var sections []string
	title := ""
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		line = strings.TrimSuffix(line, "\n")
		if match := sectionLine.FindStringSubmatch(line); match != nil {
			title = match[1]
		} else if match := flagLine.FindStringSubmatch(line); match != nil {
			if title != "" {
				sections = append(sections, title)
				title = ""
			}
			if len(sections) == 0 {
				ts.Fatalf("the flag --%s is in no section", match[1])
			}
			sections[len(sections)-1] += " " + match[1]
		}
	}
	if !slices.Equal(sections, args) {
		ts.Fatalf("the help has the flags\n%s", strings.Join(sections, "\n"))
	}
}

// waitFor waits until a process has a folder in its command line: where it is the temporary one, the front worker of a build runs.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor folder")
	}
	for range 6000 {
		if process(ts, ts.MkAbs(args[0])) != "" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("no process has begun that uses %s", args[0])
}

// waitLine waits until a file matches a pattern a number of times: waitline file count pattern
func waitLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: waitline file count pattern")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	var text []byte
	for range 1200 {
		text, _ = os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		if len(pattern.FindAll(text, count)) == count {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("in two minutes %s does not match %q %d times:\n%s", args[0], args[2], count, text)
}

// noProcess checks that no process has a string in its command line.
func noProcess(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: noprocess text")
	}
	if found := process(ts, args[0]); found != "" {
		ts.Fatalf("there is still a process: %s", found)
	}
}

// process describes a process that has the text in its command line, "" if there is none.
func process(ts *testscript.TestScript, text string) string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, file := range files {
		// Processes may end meanwhile.
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), text) {
			return fmt.Sprintf("%s: %q", file, line)
		}
	}
	return ""
}

// exits runs a command and checks its exit code: exits 2 chainbuild arguments…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command arguments…")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("the exit code is %d, not %s", code, args[0])
	}
}

// setByte changes one byte of a file: setbyte file offset value
func setByte(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: setbyte file offset value")
	}
	offset, err := strconv.ParseInt(args[1], 0, 64)
	ts.Check(err)
	value, err := strconv.ParseUint(args[2], 0, 8)
	ts.Check(err)
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	_, err = file.WriteAt([]byte{byte(value)}, offset)
	ts.Check(errors.Join(err, file.Close()))
}

// oneLine checks that the last command printed exactly one line on standard error.
func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: oneline")
	}
	if text := ts.ReadFile("stderr"); strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "chainbuild: ") {
		ts.Fatalf("standard error is not one line of chainbuild's:\n%s", text)
	}
}

// empty checks that nothing is in a folder.
func empty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: empty folder")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) != 0 {
		ts.Fatalf("%s is not empty: %v", args[0], entries)
	}
}

// truncate shortens a file to half of its length.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: truncate file")
	}
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()/2))
}

// writeWasm writes a policy, which answers with the text of a file, or fails: wasm file answer|-traps
func writeWasm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: wasm file answer|-traps")
	}
	var m policytest.Module
	switch args[1] {
	case "-traps":
		m.Body = policytest.Traps
	default:
		m.Answer = ts.ReadFile(args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), m.Bytes(), 0o600))
}
