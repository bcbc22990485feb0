package julia

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chainbuild/internal/juliatest"
)

// description is what the fake julia of these tests says about itself. DIR stands for its folder.
const description = `version	1.5.3
bindir	DIR
image	DIR/sys.so
cpu_name	haswell
word_size	64
stdlib_dir	DIR/stdlib
incremental_offset	176
incremental_size	1
depot_path	/home/someone/.julia
depot_path	DIR/share
library	DIR/libjulia.so.1.5
library	DIR/libLLVM-9.so.1
`

// fakeJulia makes a script that describes itself and counts how often it is asked, and the files it speaks of.
func fakeJulia(t *testing.T, dir string) (path string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sys.so", "libjulia.so.1.5", "libLLVM-9.so.1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(dir, "julia")
	script := "#!/bin/sh\necho asked >> '" + dir + "/asked'\ncat <<'END'\n" + strings.ReplaceAll(description, "DIR", dir) + "END\n"
	if err := juliatest.WriteProgram(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func timesAsked(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "asked")
}

// isolate keeps the tests from the user's julia and depot.
func isolate(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("JULIA_DEPOT_PATH", "")
	t.Setenv(Environment, "")
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Chdir(t.TempDir())
	if path, err := locate(""); err == nil {
		t.Skipf("SKIPPED, NOT TESTED: there is a julia in the system's folders or above the tests' own, %s", path)
	}
}

func TestFindOrder(t *testing.T) {
	isolate(t)
	if _, err := Find(t.Context(), ""); !errors.Is(err, ErrNotFound) {
		t.Fatalf("Find returned %v where there is no julia", err)
	}
	root := t.TempDir()
	find := func(explicit, want string) {
		t.Helper()
		in, err := Find(t.Context(), explicit)
		if err != nil {
			t.Fatal(err)
		}
		if in.Executable != want {
			t.Errorf("Find chose %s, not %s", in.Executable, want)
		}
	}

	checkout := fakeJulia(t, filepath.Join(root, ".toolchain"))
	below := filepath.Join(root, "below", "further")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	find("", checkout)

	onPath := fakeJulia(t, filepath.Join(root, "path"))
	t.Setenv("PATH", filepath.Dir(onPath)+":/usr/bin:/bin")
	find("", onPath)

	first := fakeJulia(t, filepath.Join(root, "first"))
	t.Setenv(Environment, ":"+first+":"+onPath)
	find("", first)

	explicit := fakeJulia(t, filepath.Join(root, "explicit"))
	find(explicit, explicit)
	find("julia", onPath)
	t.Chdir(filepath.Dir(explicit))
	find("./julia", explicit)
}

func TestFindRefuses(t *testing.T) {
	isolate(t)
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := juliatest.WriteProgram(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct{ path, says string }{
		{filepath.Join(dir, "nowhere"), "no such file"},
		{"no-such-julia", "executable file not found"},
		{dir, "--julia names " + dir},
		{script("fails", "echo loading >&2; echo 'cannot open libjulia' >&2; exit 127"), "exit status 127: cannot open libjulia"},
		{script("silent", ""), "no version, no bindir, no image, no libjulia, no libLLVM, no incremental_size"},
		{script("odd", "echo 'word_size\tmany'"), `word_size is "many"`},
	}
	for _, test := range tests {
		if _, err := Find(t.Context(), test.path); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Find(%q) returned %v, which does not say %q", test.path, err, test.says)
		}
	}
}

func TestDescription(t *testing.T) {
	isolate(t)
	dir := t.TempDir()
	in, err := Find(t.Context(), fakeJulia(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if in.Version != "1.5.3" || in.Image != dir+"/sys.so" || in.LibJulia != dir+"/libjulia.so.1.5" || in.LibLLVM != dir+"/libLLVM-9.so.1" ||
		in.CPUName != "haswell" || in.WordSize != 64 || in.IncrementalOffset != 176 || in.IncrementalSize != 1 ||
		len(in.DepotPaths) != 2 || in.StdlibDir != dir+"/stdlib" || in.BinDir != dir {
		t.Errorf("the installation is %+v", in)
	}
}

// Where Julia 1.9 and later keep their code.
func TestDescriptionInternalLibrary(t *testing.T) {
	for _, order := range [][]string{{"/a/libjulia.so.1.10", "/a/libjulia-internal.so.1.10"}, {"/a/libjulia-internal.so.1.10", "/a/libjulia.so.1.10"}} {
		var in Installation
		for _, path := range append(order, "/a/libjulia-codegen.so.1.10") {
			in.addLibrary(path)
		}
		if in.LibJulia != "/a/libjulia-internal.so.1.10" {
			t.Errorf("of %q, %s was taken for libjulia", order, in.LibJulia)
		}
	}
}

func TestFindRemembers(t *testing.T) {
	isolate(t)
	dir := t.TempDir()
	path := fakeJulia(t, dir)
	asked := func(want int, why string) {
		t.Helper()
		if _, err := Find(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		if got := timesAsked(t, dir); got != want {
			t.Errorf("the julia was asked %d times, not %d: %s", got, want, why)
		}
	}
	asked(1, "nothing is known yet")
	asked(1, "all is known")
	if files, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".julia", "chainbuild", "julia-*.json")); len(files) != 1 {
		t.Errorf("the depot holds %q", files)
	}
	if err := os.WriteFile(filepath.Join(dir, "libjulia.so.1.5"), []byte("another build"), 0o644); err != nil {
		t.Fatal(err)
	}
	asked(2, "libjulia has changed")
	asked(2, "all is known again")
	depot := t.TempDir()
	t.Setenv("JULIA_DEPOT_PATH", depot+":")
	asked(3, "the depots are others")
	asked(3, "it is remembered in the first depot")

	// Damage, and a depot that is no folder.
	files, _ := filepath.Glob(filepath.Join(depot, "chainbuild", "julia-*.json"))
	for _, file := range files {
		if err := os.WriteFile(file, []byte(`{"answer":`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	asked(4, "what was remembered is damaged")
	notDir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notDir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JULIA_DEPOT_PATH", notDir)
	asked(5, "the depots are others")
	asked(5, "it is remembered in the cache folder")
	t.Setenv("XDG_CACHE_HOME", notDir)
	t.Setenv("JULIA_DEPOT_PATH", notDir+":")
	asked(6, "there is no place to remember it in")
	asked(7, "there is still none")
}

// A program that starts one of several Julias is asked each time.
func TestFindDoesNotRememberLaunchers(t *testing.T) {
	in := Installation{Executable: "/bin/sh", BinDir: "/opt/julia/bin"}
	if in.isItself() {
		t.Error("a program outside of Sys.BINDIR was taken for the julia itself")
	}
	// A program that is no script, reached through a link as a julia on PATH may be.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "bin", "julia")
	link := filepath.Join(dir, "julia")
	if err := errors.Join(os.Mkdir(filepath.Dir(program), 0o755), juliatest.WriteProgram(program, []byte("\x7fELF"), 0o755), os.Symlink(program, link)); err != nil {
		t.Fatal(err)
	}
	in = Installation{Executable: link, BinDir: filepath.Dir(program)}
	if !in.isItself() {
		t.Error("a program in Sys.BINDIR was taken for a launcher")
	}
	in.BinDir = dir
	if in.isItself() {
		t.Error("a link in Sys.BINDIR to a program elsewhere was taken for the julia itself")
	}
}

// hangingJulia makes a script that says its process id in a file and never answers.
func hangingJulia(t *testing.T) (path, pid string) {
	t.Helper()
	dir := t.TempDir()
	path, pid = filepath.Join(dir, "julia"), filepath.Join(dir, "pid")
	// The sleep is a process of its own, which has to go too.
	script := "#!/bin/sh\nsleep 600 &\necho $! > '" + pid + ".new'\nmv '" + pid + ".new' '" + pid + "'\nwait\n"
	if err := juliatest.WriteProgram(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, pid
}

// gone waits until there is no process with the id in the file, or until it is dead and only waits to be reaped.
func gone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		status, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(text)), "status"))
		if err != nil || strings.Contains(string(status), "\nState:\tZ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s is still there", text)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestFindEndsWithItsContext(t *testing.T) {
	isolate(t)
	path, pid := hangingJulia(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	go func() {
		for {
			if _, err := os.Stat(pid); err == nil {
				cancel(stopped)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	began := time.Now()
	if _, err := Find(ctx, path); !errors.Is(err, stopped) {
		t.Errorf("Find returned %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	gone(t, pid)
}

func TestFindLosesItsPatience(t *testing.T) {
	isolate(t)
	path, _ := hangingJulia(t)
	if _, err := describe(t.Context(), path, 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), path+" does not answer: name another julia with --julia") {
		t.Errorf("describe returned %v", err)
	}
}
