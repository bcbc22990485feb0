package elfpatch

import (
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Two libraries with what an image may want to reach: exported pins, and a function that is not exported.
const guardBase = `
int NAME_pin(void) { return 1; }
EXTRA
static __attribute__((noinline)) int secret(int x) { return x * FACTOR; }
int NAME_other(int x) { return secret(x) + secret(x + 1); }
void *NAME_where(void) { return secret; }
const char NAME_text[] = "some text that is not a multiple of eight";
`

// The image has fields for its guard to complete, and a constructor that must not run unless the guard agrees.
const guardImageSource = `
#include <stdio.h>
__attribute__((visibility("hidden"))) int fields[6] = {1}; // not in .bss, since the test writes them into the file
int *fields_at(void) { return fields; }
void anchor(void) {}
__attribute__((constructor)) static void construct(void) { puts("constructed"); }
`

// The host says what the fields hold and what they should: addresses of secret or anchor, less each other.
const guardHost = `
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
	setbuf(stdout, 0);
	void *image = dlopen(argv[1], RTLD_NOW);
	if (!image) { puts(dlerror()); return 2; }
	char *one = ((char *(*)(void))dlsym(image, "one_where"))();
	char *two = ((char *(*)(void))dlsym(image, "two_where"))();
	char *anchor = dlsym(image, "anchor");
	int *fields = ((int *(*)(void))dlsym(image, "fields_at"))();
	for (int i = 0; i < 6; i++) printf("%d ", fields[i]);
	puts("");
	printf("%d %d %d %d %d %d \n", (int)(one - anchor), (int)(one - anchor) + 4, (int)(anchor - two), (int)(two - one), 77, 88);
	return 0;
}
`

// A guardFixture is two libraries, the image linked on them and a host, in one folder.
type guardFixture struct {
	folder, image, host string
}

func (f *guardFixture) base(t *testing.T, name, factor, extra string) string {
	source := strings.NewReplacer("NAME", name, "FACTOR", factor, "EXTRA", extra).Replace(guardBase)
	return compile(t, f.folder, name+".so", source, "-shared", "-fPIC", "-O1")
}

// symbolAddr returns the virtual address of a symbol that need not be exported.
func symbolAddr(t *testing.T, path, name string) uint64 {
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == name {
			return s.Value
		}
	}
	t.Fatalf("%s has no symbol %s", path, name)
	return 0
}

// newGuardFixture has the system's linker link an image with the guard. The fields hold differences of virtual addresses.
func newGuardFixture(t *testing.T) *guardFixture {
	f := &guardFixture{folder: t.TempDir()}
	var spec guardSpec
	var paths []string
	for _, name := range []string{"one", "two"} {
		path := f.base(t, name, "3", "")
		m, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		library := guardLibrary{path: path}
		for _, symbol := range []string{name + "_other", name + "_pin", name + "_text"} {
			s, ok := m.Lookup(symbol)
			if !ok {
				t.Fatalf("%s has no %s", path, symbol)
			}
			library.pins = append(library.pins, guardPin{symbol, s.Value})
		}
		text, addr, _ := m.Section(".text")
		library.checks = append(library.checks, guardCheck{addr, text})
		s, _ := m.Lookup(name + "_text")
		for size := range uint64(18) {
			b, err := m.Bytes(s.Value+size%3, size)
			if err != nil {
				t.Fatal(err)
			}
			library.checks = append(library.checks, guardCheck{s.Value + size%3, b})
		}
		spec.libraries = append(spec.libraries, library)
		paths = append(paths, path)
	}
	const one, two = 0, 1
	spec.runs = []guardRun{
		{"fields", 0, 2, one, guardImage}, {"fields", 8, 1, guardImage, two}, {"fields", 12, 1, two, one}, {"fields", 16, 0, one, two},
	}
	object, err := guard(spec)
	if err != nil {
		t.Fatal(err)
	}
	for i := range object.Symbols {
		if s := &object.Symbols[i]; s.Name == ImageStart {
			s.Name = "__ehdr_start" // what the system's linker calls virtual address 0
		}
	}
	guardObject := filepath.Join(f.folder, "guard.o")
	if err := os.WriteFile(guardObject, writeObject(object), 0o666); err != nil {
		t.Fatal(err)
	}
	imageObject := compile(t, f.folder, "image.o", guardImageSource, "-c", "-fPIC")
	f.image = filepath.Join(f.folder, "image.so")
	run(t, "gcc", "-shared", "-o", f.image, guardObject, imageObject, paths[0], paths[1],
		"-Wl,-z,now", "-Wl,-z,noexecstack")
	f.host = compile(t, f.folder, "host", guardHost, "-ldl")

	at := map[string]uint64{"one": symbolAddr(t, paths[0], "secret"), "two": symbolAddr(t, paths[1], "secret"),
		"anchor": symbolAddr(t, f.image, "anchor"), "fields": symbolAddr(t, f.image, "fields")}
	f.patchFields(t, at["fields"], []int64{int64(at["one"] - at["anchor"]), int64(at["one"]-at["anchor"]) + 4,
		int64(at["anchor"] - at["two"]), int64(at["two"] - at["one"]), 77, 88})
	return f
}

// patchFields writes the fields into the image's file.
func (f *guardFixture) patchFields(t *testing.T, addr uint64, values []int64) {
	data, err := os.ReadFile(f.image)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(f.image, data)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Bytes(addr, uint64(4*len(values)))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		le.PutUint32(b[4*i:], uint32(v)) // b is part of data
	}
	if err := os.WriteFile(f.image, data, 0o777); err != nil {
		t.Fatal(err)
	}
}

// load runs the host and returns what it printed and its exit status.
func (f *guardFixture) load() (out string, status int) {
	cmd := exec.Command(f.host, f.image)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(b), exit.ExitCode()
	}
	return string(b), 0
}

func TestGuardCompletesFields(t *testing.T) {
	f := newGuardFixture(t)
	readelfAccepts(t, f.image)
	out, status := f.load()
	lines := strings.Split(out, "\n")
	if status != 0 || len(lines) != 4 || lines[0] != "constructed" || lines[1] != lines[2] {
		t.Errorf("status %d, fields and what they should be:\n%s", status, out)
	}
}

func TestGuardRefusesAnotherBuild(t *testing.T) {
	for _, test := range []struct{ name, base, factor, extra string }{
		{"other code of the same size, first library", "one", "5", ""},
		{"other code of the same size, second library", "two", "5", ""},
		{"symbols elsewhere", "one", "3", "int more(int x) { return x / 7; }"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newGuardFixture(t)
			path := f.base(t, test.base, test.factor, test.extra)
			want := fmt.Sprintf("chainbuild: this image was built on another build of %s: build it again, or put the old %s.so back\n",
				path, test.base)
			if out, status := f.load(); out != want || status != 1 {
				t.Errorf("status %d, got  %swant %s", status, out, want)
			}
			// With the old build back it must load again.
			f.base(t, test.base, "3", "")
			if out, status := f.load(); status != 0 {
				t.Errorf("with the old build back: status %d, %s", status, out)
			}
		})
	}
}

// A difference that does not fit is not stored. Libraries are never that far apart here, so the field is made to start
// close to a limit, on both sides as either may be loaded first.
func TestGuardRefusesDistance(t *testing.T) {
	refused := 0
	for _, start := range []int64{math.MaxInt32, math.MinInt32} {
		f := newGuardFixture(t)
		f.patchFields(t, symbolAddr(t, f.image, "fields"), []int64{start})
		out, status := f.load()
		if status == 1 && strings.HasPrefix(out, "chainbuild: this image was loaded more than 2 GiB away") && strings.HasSuffix(out, "\n") {
			refused++
		} else if status != 0 {
			t.Errorf("status %d: %s", status, out)
		}
	}
	if refused != 1 {
		t.Errorf("%d of the 2 were refused, want 1", refused)
	}
}

func TestGuardHashSeesEveryByte(t *testing.T) {
	for size := range 40 {
		b := make([]byte, size)
		seen := map[uint64]bool{guardHash(b): true}
		for i := range b {
			b[i] = 1
			seen[guardHash(b)] = true
			b[i] = 0
		}
		if len(seen) != size+1 {
			t.Errorf("%d bytes: %d different hashes, want %d", size, len(seen), size+1)
		}
	}
}

func TestGuardDisassembles(t *testing.T) {
	object, err := guard(guardSpec{
		libraries: []guardLibrary{{"/lib/base.so", []guardPin{{"a", 0x100}, {"b", 0x200}}, []guardCheck{{0x300, []byte("text")}}}},
		runs:      []guardRun{{"table", 0, 100, 0, guardImage}},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := disassemble(t, object.Sections[guardText].Data)
	count := map[string]int{}
	for _, line := range lines {
		count[strings.Fields(line)[0]]++
	}
	// Two ways to die, each writing and exiting; one way to return; nothing is called.
	if count["syscall"] != 4 || count["ret"] != 1 || count["call"] != 0 || count["int3"] != 2 {
		t.Errorf("%v", lines)
	}
	var undefined []string
	for _, s := range object.Symbols[1:] {
		if s.Section == SectionUndefined {
			undefined = append(undefined, s.Name)
		}
	}
	if got := strings.Join(undefined, " "); got != "a b table "+ImageStart {
		t.Errorf("undefined symbols: %s", got)
	}
}
