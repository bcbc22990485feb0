package elfpatch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The load tests link C code in the ways that a job offers, load the result in a process of its own, and have that call
// it. The base library keeps its functions to itself but for "exported": whatever the image calls in it, it has to find
// by address.

const baseSource = `
#include <stdint.h>
#include <string.h>
unsigned long base_length(const char *s) { return strlen(s); } // the base asks for a version of strlen, so the image has to
int base_state = 40;
const int base_constant = 7;
static int calls;
__attribute__((noinline)) static int hidden_add(int a, int b) { calls++; return a + b + base_state; }
__attribute__((noinline)) static int hidden_mul(int a, int b) { return a * b; }
__attribute__((noinline)) static int hidden_calls(void) { return calls; }
static int (*volatile keep[])(int, int) = { hidden_add, hidden_mul };
int exported(int i, int a, int b) { return i == 2 ? hidden_calls() : keep[i](a, b); }
static char heap[3 << 20] = {1}; // what a standalone image leaves out
int heap_byte(int at) { return heap[at]; }
int overridden = 1;
int read_overridden(void) { return overridden; }
`

const codeSource = `
#include <string.h>
#include <stdlib.h>
#include <stdint.h>
extern int f_add(int, int), f_mul(int, int);
extern int shared_state;
extern int optional(void) __attribute__((weak));
extern int (*cell)(int, int) __asm__("slot.f_add");
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
static int replacement(int a, int b) { return a - b; }
int code_switch(int a, int b) { // an entry of its own, since it changes what code_add gives
	int (*before)(int, int) = cell, n;
	cell = replacement;
	n = code_add(a, b) * 1000;
	cell = before;
	return n + code_add(a, b);
}
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
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdint.h>
int main(int argc, char **argv) {
	void *h = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!h) { printf("dlopen: %s\n", dlerror()); return 2; }
	int (**entries)(int, int) = dlsym(h, "entries");
	uint64_t *n = dlsym(h, "entry_count");
	if (!entries || !n) { printf("dlsym: %s\n", dlerror()); return 3; }
	// Tools count addresses from either of these two.
	Dl_info info;
	struct link_map *map;
	if (!dladdr(entries, &info) || dlinfo(h, RTLD_DI_LINKMAP, &map) || (uintptr_t)info.dli_fbase != map->l_addr)
		printf("loaded at %p but its addresses count from %#lx\n", info.dli_fbase, (unsigned long)map->l_addr);
	for (uint64_t i = 0; i < *n; i++) {
		int first = entries[i](3, 4), second = entries[i](2, 9);
		printf("%d %d\n", first, second);
	}
	int32_t *distances = dlsym(h, "distances"), *count = dlsym(h, "distance_count");
	for (int i = 0; distances && i < *count; i++)
		printf("distance %d\n", ((int (*)(int, int))((char *)entries + distances[i]))(5, 6));
	char *origin = dlsym(h, "exported");
	int32_t *from_base = dlsym(h, "from_base");
	for (int i = 0; from_base && i < 2; i++)
		printf("from the base %d\n", ((int (*)(int, int))(origin + from_base[i]))(5, 6));
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
	b.driver = compile(t, folder, "driver", driverSource, "-g", "-ldl", "-Wl,--no-as-needed", "-lgcc_s")
	b.objects = []*Object{compileObject(t, folder, "code.o", codeSource), compileObject(t, folder, "other.o", otherSource)}
	return b
}

func compileObject(t *testing.T, folder, name, source string, args ...string) *Object {
	t.Helper()
	return parseObject(t, name, compile(t, folder, name, source, append([]string{"-c", "-fPIC", "-O1", "-g"}, args...)...))
}

// parseObject parses the object at path, which errors call name.
func parseObject(t *testing.T, name, path string) *Object {
	t.Helper()
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

// open links an image and opens it as a base for others.
func (b *loadBench) open(t *testing.T, name string, job *Job) *Image {
	t.Helper()
	m := openImage(t, b.link(t, name, job))
	m.Move(job.Moved())
	return m
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
			return binary.LittleEndian.Uint64(symtab[8:]) + m.Moved()
		}
	}
	t.Fatalf("%s has no symbol %s", m.Path, name)
	return 0
}

// inBase is the address of a function or variable of a base.
func inBase(t *testing.T, m *Image, name string) Address {
	return Address{Base: m, Offset: staticAddr(t, m, name)}
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

// fromBase is a section with the distances of two functions from an exported one of the base.
func fromBase(anchor, first, second Address) Section {
	return Section{Name: ".data.frombase", Align: 4, Writable: true, Data: make([]byte, 8),
		Symbols: []Symbol{{Name: "from_base", Size: 8, Export: true}},
		Fixups: []Fixup{
			{Offset: 0, Kind: Diff32, Target: first, Anchor: anchor},
			{Offset: 4, Kind: Diff32, Target: second, Anchor: anchor},
		}}
}

func (b *loadBench) job(t *testing.T, layout Layout) *Job {
	add, mul := inBase(t, b.base, "hidden_add"), inBase(t, b.base, "hidden_mul")
	text, addr, _ := b.base.Section(".text")
	return &Job{
		Layout: layout, Bases: []*Image{b.base}, Objects: b.objects,
		Sections: []Section{
			entries("code_add", "code_mul", "code_state", "code_misc", "code_switch"),
			distances(mul, add, Address{Symbol: "code_add"}, mul),
			fromBase(inBase(t, b.base, "exported"), Address{Symbol: "code_add"}, mul),
		},
		Slots: []Slot{
			{Name: "f_add", Target: add},
			{Name: "f_mul", Target: mul, Fixed: true},
		},
		Aliases: map[string]Address{"shared_state": inBase(t, b.base, "base_state")},
		Check:   []Fingerprint{{b.base, addr, uint64(len(text))}},
		Drop:    []Fingerprint{{b.base, staticAddr(t, b.base, "heap"), 3 << 20}},
		Note:    []byte("a note"),
	}
}

const upperSource = `
extern int lower_misc(int, int), f_add(int, int), read_overridden(void);
extern int *lower_table;
int upper_misc(int a, int b) { return lower_misc(a, b) + 1; }
int upper_add(int a, int b) { return f_add(a, b) * 2; }
int upper_read(void) { return read_overridden() + lower_table[1]; }
`

// upper is a job that builds on the image of another: it calls functions of that and of the lowest base, refers to data of
// it, and defines a name that the lowest base exports too.
func (b *loadBench) upper(t *testing.T, layout Layout, function string, bases ...*Image) *Job {
	misc, add := inBase(t, bases[0], function), inBase(t, b.base, "hidden_add")
	table := Section{Name: ".data.table", Align: 8, Writable: true, Data: make([]byte, 16),
		Symbols: []Symbol{{Name: "lower_table", Size: 8}, {Name: "overridden", Offset: 8, Size: 4, Export: true}},
		Fixups:  []Fixup{{Target: inBase(t, bases[len(bases)-2], "table")}}}
	table.Data[8] = byte(70 + len(bases))
	job := &Job{
		Layout: layout, Bases: bases, Objects: []*Object{compileObject(t, b.folder, "upper.o", upperSource)},
		Sections: []Section{
			entries("upper_misc", "upper_add", "upper_read"),
			distances(misc, add, misc, Address{Symbol: "upper_add"}),
			table,
		},
		Slots: []Slot{
			{Name: "lower_misc", Target: misc},
			{Name: "f_add", Target: add},
			{Name: "read_overridden", Target: inBase(t, b.base, "read_overridden")},
		},
	}
	for _, m := range bases {
		text, addr, _ := m.Section(".text")
		job.Check = append(job.Check, Fingerprint{m, addr, uint64(len(text))})
	}
	return job
}

// TestChain builds images on images. What an image gives does not depend on how it and those below were written.
func TestChain(t *testing.T) {
	b := newLoadBench(t)
	second := b.open(t, "second.so", b.job(t, Thin))
	third := b.open(t, "third.so", b.upper(t, Thin, "code_misc", second, b.base))
	fourth := func(layout Layout) *Job { return b.upper(t, layout, "upper_misc", third, second, b.base) }
	merged := b.open(t, "merged.so", b.upper(t, Standalone, "code_misc", second, b.base))

	if size, most := third.EndAddr()-third.Moved(), uint64(len(third.Data))+pageSize*8; third.Moved() < second.EndAddr() || size > most {
		t.Errorf("the third image is moved by %#x, and takes %#x bytes of addresses, where %#x would do", third.Moved(), size, most)
	}

	const common = "94 102\n%d %[1]d\ndistance %d\ndistance 51\ndistance %d\ndistance 102\n" +
		"from the base 51\nfrom the base 30\n" // a table of the image below
	onSecond := "1030910 2030410\n" + fmt.Sprintf(common, 72+2, 3032509, 3032510)
	onThird := "1030911 2030411\n" + fmt.Sprintf(common, 73+2, 3032510, 3032511)
	for _, test := range []struct{ name, path, output string }{
		{"thin on thin", third.Path, onSecond},
		{"standalone of thin", merged.Path, onSecond},
		{"thin on thin on thin", b.link(t, "fourth.so", fourth(Thin)), onThird},
		{"standalone of thin on thin", b.link(t, "merged4.so", fourth(Standalone)), onThird},
		{"thin on standalone", b.link(t, "onmerged.so", b.onMerged(t, merged)), onThird},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkReadelf(t, test.path)
			if got := b.load(t, test.path); got != test.output {
				t.Errorf("the image gives\n%s and not\n%s", got, test.output)
			}
		})
	}
}

// onMerged is the job of upper on an image that holds all that is below it.
func (b *loadBench) onMerged(t *testing.T, merged *Image) *Job {
	base := b.base
	defer func() { b.base = base }()
	b.base = merged
	job := b.upper(t, Thin, "upper_misc", merged, merged, merged) // as many as in a chain
	job.Bases, job.Check = job.Bases[:1], job.Check[:1]
	return job
}

const jobOutput = `47 51
12 18
40 41
1030909 2030409
-951 -6947
distance 30
distance 53
distance 53
distance 30
from the base 53
from the base 30
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
	info, err := f.Stat()
	if err != nil || info.Size() != r.Bytes {
		t.Errorf("the file has %d bytes and Write said %d", info.Size(), r.Bytes)
	}
	if dropped := job.Layout == Standalone && job.Drop != nil; dropped && info.Size() > 1<<20 {
		t.Errorf("the image has %d bytes although what is large was to be left out", info.Size())
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
	var warnings bytes.Buffer
	command := exec.Command(tool(t, "readelf"), "-aW", path)
	command.Stderr = &warnings
	if err := command.Run(); err != nil || warnings.Len() > 0 {
		t.Errorf("%s: %v\n%s", filepath.Base(path), err, warnings.String())
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
