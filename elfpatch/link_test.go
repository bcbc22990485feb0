package elfpatch

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The load tests link C code in the ways that a job offers, load the result in a process of its own, and have that call
// it. The base library keeps its functions to itself but for "exported": whatever the image calls in it, it has to find
// by address.

const baseSource = `
#include <stdint.h>
int base_state = 40;
const int base_constant = 7;
static int calls;
__attribute__((noinline)) static int hidden_add(int a, int b) { calls++; return a + b + base_state; }
__attribute__((noinline)) static int hidden_mul(int a, int b) { return a * b; }
__attribute__((noinline)) static int hidden_calls(void) { return calls; }
static int (*volatile keep[])(int, int) = { hidden_add, hidden_mul };
int exported(int i, int a, int b) { return i == 2 ? hidden_calls() : keep[i](a, b); }
int overridden(void) { return 1; }
int call_overridden(void) { return overridden(); }
`

const codeSource = `
#include <string.h>
#include <stdlib.h>
#include <stdint.h>
extern int f_add(int, int), f_mul(int, int);
extern int shared_state;
extern int optional(void) __attribute__((weak));
static int counter = 5;
int table[4] = {1, 2, 3, 4};
static int square(int x) { return x * x; }
int (*const functions[])(int) = { square };
const char *names[] = { "one", "two" };
static char zeros[100];
int other(int);
int code_add(int a, int b) { return f_add(a, b) + (optional ? 1000 : 0); }
int code_mul(int a, int b) { int (*volatile f)(int, int) = f_mul; return f(a, b); }
int code_state(void) { return shared_state++; }
int code_misc(int x) {
	char *copy = malloc(10);
	memcpy(copy, names[x & 1], 4);
	int n = strlen(copy) * 10000 + functions[0](x) * 100 + table[x & 3] + counter++ + zeros[x];
	free(copy);
	return n + other(x);
}
`

const otherSource = `
extern int table[4];
int other(int x) { return table[3 - (x & 3)] * 1000000; }
`

// driverSource loads the image that its first argument names and prints what each exported entry of "entries" gives.
const driverSource = `
#include <dlfcn.h>
#include <stdio.h>
#include <stdint.h>
int main(int argc, char **argv) {
	void *h = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!h) { printf("dlopen: %s\n", dlerror()); return 2; }
	int (**entries)(int, int) = dlsym(h, "entries");
	uint64_t *n = dlsym(h, "entry_count");
	if (!entries || !n) { printf("dlsym: %s\n", dlerror()); return 3; }
	for (uint64_t i = 0; i < *n; i++) {
		int first = entries[i](3, 4), second = entries[i](2, 9);
		printf("%d %d\n", first, second);
	}
	int32_t *distances = dlsym(h, "distances"), *count = dlsym(h, "distance_count");
	for (int i = 0; distances && i < *count; i++)
		printf("distance %d\n", ((int (*)(int, int))((char *)entries + distances[i]))(5, 6));
	fflush(stdout);
	return 0;
}
`

// A bench is a folder with a base library, objects and a program that loads images.
type loadBench struct {
	folder, driver string
	base           *Image
	objects        []*Object
}

func newLoadBench(t *testing.T) *loadBench {
	folder := t.TempDir()
	b := &loadBench{folder: folder}
	compile(t, folder, "libbase.so", baseSource, "-shared", "-fPIC", "-O1", "-g", "-Wl,-soname,libbase.so")
	b.base = openImage(t, filepath.Join(folder, "libbase.so"))
	b.driver = compile(t, folder, "driver", driverSource, "-g", "-ldl")
	b.objects = []*Object{compileObject(t, folder, "code.o", codeSource), compileObject(t, folder, "other.o", otherSource)}
	return b
}

func compileObject(t *testing.T, folder, name, source string, args ...string) *Object {
	t.Helper()
	path := compile(t, folder, name, source, append([]string{"-c", "-fPIC", "-O1", "-g"}, args...)...)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o, err := ParseObject(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func openImage(t *testing.T, path string) *Image {
	t.Helper()
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// staticAddr finds a function of a base that only its .symtab names.
func staticAddr(t *testing.T, m *Image, name string) uint64 {
	t.Helper()
	symtab, _, _ := m.Section(".symtab")
	strtab, _, _ := m.Section(".strtab")
	for ; len(symtab) >= symbolSize; symtab = symtab[symbolSize:] {
		if s, _ := stringTable(strtab).at(binary.LittleEndian.Uint32(symtab)); s == name {
			return binary.LittleEndian.Uint64(symtab[8:])
		}
	}
	t.Fatalf("%s has no symbol %s", m.Path, name)
	return 0
}

// entries is a section with the table that the driver calls.
func entries(names ...string) Section {
	s := Section{Name: ".data.entries", Align: 8, Writable: true, Data: make([]byte, 8+8*len(names)), Symbols: []Symbol{
		{Name: "entry_count", Size: 8, Export: true}, {Name: "entries", Offset: 8, Size: uint64(8 * len(names)), Export: true}}}
	binary.LittleEndian.PutUint64(s.Data, uint64(len(names)))
	for i, name := range names {
		s.Fixups = append(s.Fixups, Fixup{Offset: 8 + uint64(i)*8, Kind: Abs64, Target: Address{Symbol: name}})
	}
	return s
}

// distances is a section with distances of functions from the entries.
func distances(targets ...Address) Section {
	s := Section{Name: ".data.distances", Align: 4, Writable: true, Data: make([]byte, 4+4*len(targets)), Symbols: []Symbol{
		{Name: "distance_count", Size: 4, Export: true}, {Name: "distances", Offset: 4, Size: uint64(4 * len(targets)), Export: true}}}
	binary.LittleEndian.PutUint32(s.Data, uint32(len(targets)))
	for i, a := range targets {
		s.Fixups = append(s.Fixups, Fixup{Offset: 4 + uint64(i)*4, Kind: Diff32, Target: a, Anchor: Address{Symbol: "entries"}})
	}
	return s
}

func (b *loadBench) job(t *testing.T, layout Layout) *Job {
	add, mul := staticAddr(t, b.base, "hidden_add"), staticAddr(t, b.base, "hidden_mul")
	text, addr, _ := b.base.Section(".text")
	return &Job{
		Layout: layout, Bases: []*Image{b.base}, Objects: b.objects,
		Sections: []Section{
			entries("code_add", "code_mul", "code_state", "code_misc"),
			distances(Address{Base: b.base, Offset: mul}, Address{Base: b.base, Offset: add}, Address{Symbol: "code_add"}, Address{Base: b.base, Offset: mul}),
		},
		Slots: []Slot{
			{Name: "f_add", Target: Address{Base: b.base, Offset: add}},
			{Name: "f_mul", Target: Address{Base: b.base, Offset: mul}, Fixed: true},
		},
		Aliases: map[string]Address{"shared_state": {Base: b.base, Offset: staticAddr(t, b.base, "base_state")}},
		Check:   []Fingerprint{{b.base, addr, uint64(len(text))}},
		Note:    []byte("a note"),
	}
}

const jobOutput = `47 51
12 18
40 41
1030909 2030409
distance 30
distance 53
distance 53
distance 30
`

// link writes a job to a file of the bench.
func (b *loadBench) link(t *testing.T, name string, job *Job) string {
	t.Helper()
	path := filepath.Join(b.folder, name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Write(f, job)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := f.Stat(); info.Size() != r.Bytes {
		t.Errorf("the file has %d bytes and Write said %d", info.Size(), r.Bytes)
	}
	t.Logf("%s: %+v", name, r)
	return path
}

func (b *loadBench) load(t *testing.T, path string) string {
	t.Helper()
	return run(t, b.driver, path)
}

// checkReadelf has readelf look at everything; it warns about what contradicts itself.
func checkReadelf(t *testing.T, path string) {
	t.Helper()
	out, err := exec.Command(tool(t, "readelf"), "-aW", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if low := strings.ToLower(line); err != nil || strings.Contains(low, "warning") || strings.Contains(low, "error") {
			t.Errorf("readelf %s: %s", filepath.Base(path), line)
		}
	}
}

func TestImageRuns(t *testing.T) {
	b := newLoadBench(t)
	for name, layout := range map[string]Layout{"thin.so": Thin, "standalone.so": Standalone} {
		t.Run(name, func(t *testing.T) {
			path := b.link(t, name, b.job(t, layout))
			checkReadelf(t, path)
			if got := b.load(t, path); got != jobOutput {
				t.Errorf("the image gives\n%s and not\n%s", got, jobOutput)
			}
			if m := openImage(t, path); !bytes.Equal(m.Note(), []byte("a note")) || len(m.BuildID()) != 20 {
				t.Errorf("note %q, build-id %x", m.Note(), m.BuildID())
			}
		})
	}
}
