package sysimage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/elfpatch"

	"golang.org/x/arch/x86/x86asm"
)

// The functions for backtraces run here in an image on a base that calls a runtime written for the test: it says of
// every address what its caller has asked it to say.

const runtimeSource = `
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
typedef struct symbol { void *left, *right; uintptr_t hash; char name[]; } symbol;
typedef struct svec { uintptr_t length; void *data[]; } svec;
static char true_object, false_object, nothing;
void *jl_true = &true_object, *jl_false = &false_object, *jl_nothing = &nothing;
symbol *jl_symbol_n(const char *name, size_t length) {
	symbol *s = calloc(1, sizeof(symbol) + length + 1);
	memcpy(s->name, name, length);
	return s;
}
svec *frames; // what the next call returns
int skipped; // its second argument
svec *jl_lookup_code_address(void *address, int skip) { skipped = skip; return frames; }
void *jl_load_and_lookup(const char *library, const char *name, void **handle) { return dlsym(*handle, name); }
`

const testBaseSource = `
void *jl_load_and_lookup(const char *library, const char *name, void **handle);
char jl_sysimg_fvars_base;
void *base_lookup(const char *name, void *handle) { return jl_load_and_lookup(0, name, &handle); }
int base_function(int x) { return x; }
`

// Compiled code of an image: two functions of the table around one that is in none.
const testImageSource = `
#define LONG __asm__ volatile(".skip 300, 0x90")
int first(int x) { LONG; return x + 1; }
int unlisted(int x) { LONG; return x + 2; }
int second(int x) { LONG; return x + 3; }
`

// testLookupDriver loads the image that its first argument names. The others are groups of an address (the name of a
// function of the image, or "elsewhere") and frames as line:name, separated by "--". It prints the frames that a lookup
// by the base gives.
const testLookupDriver = `
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct symbol { void *left, *right; uintptr_t hash; char name[]; } symbol;
typedef struct svec { uintptr_t length; void *data[]; } svec;
extern symbol *jl_symbol_n(const char *, size_t);
extern void *jl_true, *jl_false, *jl_nothing;
extern svec *frames;
extern int skipped;
int main(int argc, char **argv) {
	void *image = dlopen(argv[1], RTLD_NOW);
	if (!image) { printf("%s\n", dlerror()); return 1; }
	void *self = dlopen(NULL, RTLD_NOW);
	void *(*base_lookup)(const char *, void *) = dlsym(image, "base_lookup");
	void **functions = dlsym(image, "functions");
	if (base_lookup("main", self) != dlsym(self, "main") || base_lookup("jl_lookup_code_addres", self) ||
	    base_lookup("jl_lookup_code_address2", self))
		printf("other names are not looked up\n");
	svec *(*lookup)(void *, int) = base_lookup("jl_lookup_code_address", self);
	for (int i = 2; i < argc; i++) {
		char *address = (char *)main;
		for (int f = 0; f < 3; f++)
			if (!strcmp(argv[i], ((const char *[]){"first", "unlisted", "second"})[f]))
				address = (char *)functions[f] + 150;
		frames = calloc(1, 1000);
		for (i++; i < argc && strcmp(argv[i], "--"); i++) {
			char *name = strchr(argv[i], ':') + 1;
			int64_t *line = malloc(8);
			*line = atol(argv[i]);
			svec *frame = calloc(1, 100);
			frame->length = 6;
			frame->data[0] = jl_symbol_n(name, strlen(name));
			frame->data[1] = jl_symbol_n("file", 4);
			frame->data[2] = line;
			frame->data[3] = jl_nothing;
			frame->data[4] = jl_true;
			frame->data[5] = i + 1 < argc && strcmp(argv[i + 1], "--") ? jl_true : jl_false;
			frames->data[frames->length++] = frame;
		}
		svec *got = lookup(address, 1);
		printf("%d", skipped);
		for (uintptr_t n = 0; n < got->length; n++) {
			svec *frame = got->data[n];
			void *is_c = frame->data[4];
			printf(" %s,%s", ((symbol *)frame->data[0])->name, is_c == jl_true ? "C" : is_c == jl_false ? "Julia" : "?");
			if (frame->data[3] != jl_nothing) printf(",%p", frame->data[3]);
			if (strcmp(((symbol *)frame->data[1])->name, "file") || frame->length != 6) printf(" spoiled");
		}
		printf("\n");
	}
	return 0;
}
`

// gcc compiles source to a file in folder and skips the test without a compiler.
func gcc(t *testing.T, folder, name, source string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: this test needs gcc on the PATH")
	}
	input, output := filepath.Join(folder, name+".c"), filepath.Join(folder, name)
	if err := os.WriteFile(input, []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, append([]string{"-o", output, input}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return output
}

// hookObject assembles the hooks.
func hookObject(t *testing.T, tables backtraceTables) *elfpatch.Object {
	t.Helper()
	a := new(elfpatch.Asm)
	assembleLookupHook(a)
	assembleBacktraceHook(a, tables)
	o, err := a.Object("hooks")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBacktraceHooks(t *testing.T) {
	folder := t.TempDir()
	runtime := gcc(t, folder, "libruntime.so", runtimeSource, "-shared", "-fPIC")
	base, err := elfpatch.Open(gcc(t, folder, "libbase.so", testBaseSource, "-shared", "-fPIC", "-Wl,-z,now,-z,relro",
		runtime, "-Wl,--no-as-needed", "-lgcc_s"))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	driver := gcc(t, folder, "driver", testLookupDriver, "-rdynamic", runtime, "-ldl")
	code, err := os.ReadFile(gcc(t, folder, "image.o", testImageSource, "-c", "-fPIC", "-O1"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := elfpatch.ParseObject("image.o", code)
	if err != nil {
		t.Fatal(err)
	}
	address := func(name string) elfpatch.Address {
		s, ok := base.Lookup(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		return elfpatch.Address{Base: base, Offset: s.Value}
	}

	// The functions of the image are numbers 1 to 3 of the table; number 2 has no record.
	const records = 24
	blob := make([]byte, records+4*8)
	le.PutUint64(blob[records+8:], 0x1001)
	le.PutUint64(blob[records+24:], 0x1003)
	origin := address("jl_sysimg_fvars_base")
	distances := &table{anchor: origin, section: elfpatch.Section{Name: tableSection, Align: 8, Writable: true}}
	distances.uint32(4)
	distances.diff(address("base_function"))
	for _, name := range []string{"first", "unlisted", "second"} {
		distances.diff(elfpatch.Address{Symbol: name})
	}
	distances.end("jl_sysimg_fvars_offsets", 0)
	cells := func(targets ...elfpatch.Address) (fixups []elfpatch.Fixup) {
		for i, a := range targets {
			fixups = append(fixups, elfpatch.Fixup{Offset: 8 * uint64(i), Kind: elfpatch.Abs64, Target: a})
		}
		return fixups
	}
	hooks := hookObject(t, backtraceTables{ranges: 2, first: 1, count: 4, records: records})
	job := &elfpatch.Job{
		Bases:   []*elfpatch.Image{base},
		Objects: []*elfpatch.Object{object, hooks},
		Sections: []elfpatch.Section{
			distances.section,
			{Name: heapSection, Align: 16, Writable: true, Data: blob,
				Symbols: []elfpatch.Symbol{{Name: "jl_system_image_data", Size: 8}}},
			{Name: backtraceSection, Align: 8, Writable: true, Data: make([]byte, 40),
				Symbols: []elfpatch.Symbol{{Name: backtraceOrigin}, {Name: backtraceRanges, Offset: 8}},
				Fixups: cells(origin, origin, origin, elfpatch.Address{Symbol: elfpatch.CodeStart},
					elfpatch.Address{Symbol: elfpatch.CodeEnd})},
			{Name: ".data.functions", Align: 8, Writable: true, Data: make([]byte, 24),
				Symbols: []elfpatch.Symbol{{Name: "functions", Size: 24, Export: true}},
				Fixups: cells(elfpatch.Address{Symbol: "first"}, elfpatch.Address{Symbol: "unlisted"},
					elfpatch.Address{Symbol: "second"})},
		},
		Redirects: []elfpatch.Redirect{{Base: base, Symbol: lookupImport, To: lookupHook}},
	}
	path := filepath.Join(folder, "image.so")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := elfpatch.Write(f, job); err != nil {
		t.Fatal(err)
	}

	long := strings.Repeat("long", 100)
	cases := []struct{ asked, want string }{
		// Addresses of others are the real function's business, with its arguments.
		{"elsewhere 3:f;", "1 f;,C"},
		{"elsewhere 3:f; -1:julia_f_1", "1 f;,C julia_f_1,C"},
		// A function's own frame, and inlined ones.
		{"first 3:f", "0 f,Julia,0x1001"},
		{"second 0:f", "0 f,Julia,0x1003"},
		{"first 3:a;b", "0 a;b,Julia,0x1001"},
		{"second 3:in; 4:ner;more; 5: 6:; 7:outer", "0 in,Julia ner,Julia ,C ,Julia outer,Julia,0x1003"},
		{"second 3:plain 7:outer", "0 plain,Julia outer,Julia,0x1003"},
		{"first 3:" + long + "; 7:outer", "0 " + long + ",Julia outer,Julia,0x1001"},
		{"first 3:f; 4:", "0 f,Julia ,C,0x1001"},
		// No method instance: no record.
		{"unlisted 3:in; 4:f", "0 in,Julia f,Julia"},
		{"first", "0"},
	}
	for _, name := range []string{
		"julia_f_12", "japi1_f_1", "japi3_f_1", "jsys1_+_1", "jlsys_#f#2_33", "julia___1", "julia_f_", "julia_f;_1",
		"julia_" + long + "_9", "julia_f_1_", "julia_a_b_1",
		"julia_f", "julia_f_x", "julia_f_1x", "julia_", "julia__1", "julia_1", "julia", "jfptr_f_1", "j", "",
		"xulia_f_1", "juliaXf_1", "julia_f_/", "julia_f_:",
	} {
		want := name + ",C"
		if clean, ok := demangled(name); ok {
			want = clean + ",Julia"
		}
		cases = append(cases, struct{ asked, want string }{"first -1:" + name, "0 " + want + ",0x1001"})
	}
	args := []string{path}
	var want strings.Builder
	for i, c := range cases {
		if i > 0 {
			args = append(args, "--")
		}
		args = append(args, strings.Split(c.asked, " ")...)
		fmt.Fprintln(&want, c.want)
	}
	out, err := exec.Command(driver, args...).CombinedOutput()
	if err != nil || string(out) != want.String() {
		t.Errorf("%v, got\n%swant\n%s", err, out, want.String())
	}
}

// demangled is jl_demangle.
func demangled(name string) (string, bool) {
	for _, prefix := range manglings {
		rest, ok := strings.CutPrefix(name, prefix)
		i := strings.LastIndexByte(rest, '_')
		if ok && i > 0 && strings.Trim(rest[i+1:], "0123456789") == "" {
			return rest[:i], true
		}
	}
	return "", false
}

// TestHooksDisassemble looks at the hooks as a processor does.
func TestHooksDisassemble(t *testing.T) {
	o := hookObject(t, backtraceTables{ranges: 3, first: 21316, count: 30000, records: 127 << 20})
	count := map[string]int{}
	undefined := map[string]bool{}
	for _, s := range o.Symbols[1:] {
		if s.Section == elfpatch.SectionUndefined {
			undefined[s.Name] = true
			continue
		}
		if s.Size == 0 {
			continue // of a section
		}
		code := o.Sections[s.Section].Data[s.Value : s.Value+s.Size]
		for at := 0; at < len(code); {
			i, err := x86asm.Decode(code[at:], 64)
			if err != nil {
				t.Fatalf("%s at %#x: %v", s.Name, at, err)
			}
			count[s.Name+" "+i.Op.String()]++
			at += i.Len
			if distance, ok := i.Args[0].(x86asm.Rel); ok && uint(at+int(distance)) >= uint(len(code)) {
				t.Errorf("%s before %#x jumps out of the function: %v", s.Name, at, i)
			}
		}
	}
	for what, want := range map[string]int{
		lookupHook + " CALL": 0, lookupHook + " PUSH": 0, lookupHook + " RET": 1,
		backtraceHook + " CALL": 3, backtraceHook + " PUSH": 5, backtraceHook + " POP": 5, backtraceHook + " RET": 1,
	} {
		if count[what] != want {
			t.Errorf("%s: %d, want %d", what, count[what], want)
		}
	}
	for _, name := range []string{backtraceImport, lookupImport, "jl_symbol_n", "jl_false", "_Unwind_Find_FDE",
		"jl_sysimg_fvars_offsets", "jl_system_image_data", backtraceOrigin, backtraceRanges} {
		if !undefined[name] {
			t.Errorf("%s is not referred to", name)
		}
		delete(undefined, name)
	}
	if len(undefined) > 0 {
		t.Errorf("unexpected: %v", undefined)
	}
}
