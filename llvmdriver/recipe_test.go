package llvmdriver

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chainbuild/julia"
	"chainbuild/objcache"
)

// An object may be used again as long as nothing of this has changed.
func TestKey(t *testing.T) {
	t.Setenv("JULIA_LLVM_ARGS", "")
	dir := t.TempDir()
	in := julia.Installation{Version: "1.5.3", LibJulia: filepath.Join(dir, "libjulia.so"), LibLLVM: filepath.Join(dir, "libLLVM.so")}
	for _, path := range []string{in.LibJulia, in.LibLLVM} {
		if err := os.WriteFile(path, []byte("code"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type inputs struct {
		julia   julia.Installation
		series  string
		target  Target
		bitcode string
	}
	hash := func(i inputs) *objcache.Hash {
		t.Helper()
		series, err := (&julia.Installation{Version: i.series}).Series()
		if err != nil {
			t.Fatal(err)
		}
		recipe, err := NewRecipe(&i.julia, series.Sources(), i.target)
		if err != nil {
			t.Fatal(err)
		}
		return recipe.Hash([]byte(i.bitcode))
	}
	same := inputs{in, "1.5.3", Target{CPU: "haswell", Features: "+fma", Option: "haswell,+fma", OptLevel: 2}, "bitcode"}
	before := hash(same)
	if again := hash(same); again.Key() != before.Key() {
		t.Errorf("nothing has changed but %v", objcache.Changes(before.Inputs(), again.Inputs()))
	}
	// Where Julia is, and how the target was written, does not matter.
	moved := same
	moved.julia.Executable, moved.julia.Image, moved.target.Option = "/elsewhere/julia", "/elsewhere/sys.so", "haswell,fma"
	if hash(moved).Key() != before.Key() {
		t.Errorf("Julia's place changes %v", objcache.Changes(before.Inputs(), hash(moved).Inputs()))
	}
	other := filepath.Join(dir, "other.so")
	if err := os.WriteFile(other, []byte("other code"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*inputs){
		"code":               func(i *inputs) { i.bitcode += " " },
		"libjulia":           func(i *inputs) { i.julia.LibJulia = other },
		"libLLVM":            func(i *inputs) { i.julia.LibLLVM = other },
		"Julia":              func(i *inputs) { i.julia.Version = "1.5.4" },
		"compile worker":     func(i *inputs) { i.series = "1.10.8" },
		"optimisation level": func(i *inputs) { i.target.OptLevel = 3 },
		"processor":          func(i *inputs) { i.target.CPU = "skylake" },
		"features":           func(i *inputs) { i.target.Features = "" },
		"JULIA_LLVM_ARGS":    func(*inputs) { t.Setenv("JULIA_LLVM_ARGS", "-unroll-count=2") },
	} {
		now := same
		change(&now)
		after := hash(now)
		t.Setenv("JULIA_LLVM_ARGS", "")
		changes := objcache.Changes(before.Inputs(), after.Inputs())
		if after.Key() == before.Key() || len(changes) != 1 || changes[0].Name != name {
			t.Errorf("%s: what changes the key is %v", name, changes)
		}
	}
	// This machine's processor has a name that says nothing about it.
	native := same
	native.target.CPU = "native"
	changes := objcache.Changes(before.Inputs(), hash(native).Inputs())
	if len(changes) != 2 || changes[1].Name != "this machine's processor" {
		t.Errorf("for the machine's own processor the key changes by %v", changes)
	}
	in.LibLLVM = filepath.Join(dir, "gone.so")
	series, err := in.Series()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewRecipe(&in, series.Sources(), same.target); err == nil || !strings.Contains(err.Error(), "gone.so") {
		t.Errorf("a library that is not there: %v", err)
	}
}

func TestHostProcessor(t *testing.T) {
	if got := hostProcessor(); !strings.Contains(got, "flags ") || strings.Contains(got, "\n") || strings.Contains(got, "MHz") {
		t.Errorf("this machine's processor is %q", got)
	}
}

// A build id tells builds of a library apart wherever they are; one without is told apart by its file.
func TestLibraryID(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "library.so")
	id := func() string {
		t.Helper()
		id, isBuildID, err := libraryID(path)
		if err != nil || isBuildID == strings.Contains(id, " bytes, of ") {
			t.Fatalf("whether %q is a build id: %v (%v)", id, isBuildID, err)
		}
		return id
	}
	if err := os.WriteFile(path, []byte("library"), 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.Date(2026, 1, 31, 14, 5, 0, 0, time.UTC)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
	if got, want := id(), path+", 7 bytes, of 2026-01-31 14:05:00 +0000 UTC"; got != want {
		t.Errorf("the id is %q, not %q", got, want)
	}
	before := id()
	if err := os.Chtimes(path, when, when.Add(time.Nanosecond)); err != nil {
		t.Fatal(err)
	}
	if id() == before {
		t.Error("a file that was written again has the same id")
	}
	if _, _, err := libraryID(filepath.Join(dir, "gone.so")); err == nil {
		t.Error("a library that is not there has an id")
	}

	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no gcc")
	}
	cmd := exec.Command(gcc, "-shared", "-o", path, "-x", "c", "-", "-Wl,--build-id=0x0123456789abcdef")
	cmd.Stdin = strings.NewReader("int x;")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := id(); got != hex.EncodeToString([]byte{1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}) {
		t.Errorf("the id is %q", got)
	}
}

// A computation says all that its key is made of, and nothing of this machine's folders.
func TestComputation(t *testing.T) {
	t.Setenv("JULIA_LLVM_ARGS", "-unroll-count=2")
	dir := t.TempDir()
	for _, version := range []string{"1.5.3", "1.10.8"} {
		in := julia.Installation{Executable: dir + "/julia", Version: version, LibJulia: filepath.Join(dir, "libjulia.so"), LibLLVM: filepath.Join(dir, "libLLVM.so")}
		for _, path := range []string{in.LibJulia, in.LibLLVM} {
			if err := os.WriteFile(path, []byte("code"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		series, err := in.Series()
		if err != nil {
			t.Fatal(err)
		}
		recipe, err := NewRecipe(&in, series.Sources(), Target{CPU: "haswell", Features: "+fma", Option: "haswell,fma", OptLevel: 2})
		if err != nil {
			t.Fatal(err)
		}
		key := recipe.Hash([]byte("bitcode")).Key()
		c := recipe.Computation(key, []byte("bitcode"))
		if c.Key != key || string(c.Files["code.bc"]) != "bitcode" || string(c.Files["request.txt"]) != "emit\tcode.bc\tcode.o\t2\thaswell\t+fma\n" || c.Output != "code.o" {
			t.Errorf("the computation is %+v", c)
		}
		if c.Files["worker/compile/emit.jl"] == nil || c.Files["worker/compile/passes.jl"] == nil || c.Files["worker/front.jl"] != nil {
			t.Error("the files are not those of the compile worker")
		}
		command := strings.Join(c.Arguments, " ")
		if strings.Contains(command, dir) || strings.Contains(command, "-C haswell,+fma") != series.CompilesForProcess || !strings.HasSuffix(command, " worker/compile/emit.jl") {
			t.Errorf("the command is %s", command)
		}
		if c.Environment["JULIA_LLVM_ARGS"] != "-unroll-count=2" || c.Platform["Julia"] != version || c.Platform["libLLVM"] == "" {
			t.Errorf("the environment is %v, the platform %v", c.Environment, c.Platform)
		}
	}
}
