package sysimage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// The code for loading runs here in images on a base that calls a runtime written for the test: jl_register_fptrs, which
// notes what it is called with, and a trampoline for it, of the given instructions.

const registerSource = `
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
static void impl(uint64_t image, void *functions, void *instances, size_t n) {
	printf(" register(%%s,%%lu,%%lu,%%lu)", "", (unsigned long)functions, (unsigned long)instances, (unsigned long)n);
	extern void noted(uint64_t);
	noted(image);
}
__attribute__((visibility("hidden"))) void *jl_register_fptrs_addr = impl;
__asm__(".text\n.globl jl_register_fptrs\n.type jl_register_fptrs,@function\njl_register_fptrs:\n %s\n.size jl_register_fptrs,.-jl_register_fptrs\n");
`

const trampoline = `mov jl_register_fptrs_addr(%%rip),%%r11\n jmpq *%%r11\n ud2`

// The base's variables of the runtime. No constructor fills them: those of a base do not run in a standalone image.
const variablesSource = `
#include <stdint.h>
#define FOUR(i) (void *)(i), (void *)(i + 1), (void *)(i + 2), (void *)(i + 3)
#define SIXTEEN(i) FOUR(i), FOUR(i + 4), FOUR(i + 8), FOUR(i + 12)
void *func_slot = (void *)0x1001, *key_slot = (void *)0x1002, *offset = (void *)0x1003;
void *small_typeof[128] = {SIXTEEN(0x2000), SIXTEEN(0x2010), SIXTEEN(0x2020), SIXTEEN(0x2030), SIXTEEN(0x2040),
	SIXTEEN(0x2050), SIXTEEN(0x2060), SIXTEEN(0x2070)};
`

// New code: whether the image's variables are those of the base.
const newCodeSource = `
#include <stdint.h>
#define HIDDEN __attribute__((visibility("hidden")))
extern HIDDEN void *jl_pgcstack_func_slot, *jl_pgcstack_key_slot, *jl_tls_offset, *jl_small_typeof[128];
int NAME(void) {
	int good = jl_pgcstack_func_slot == (void *)0x1001 && jl_pgcstack_key_slot == (void *)0x1002 && jl_tls_offset == (void *)0x1003;
	for (intptr_t i = 0; i < 128; i++) good = good && jl_small_typeof[i] == (void *)(0x2000 + i);
	return good;
}
`

// registerDriver loads the image that its first argument names and calls jl_register_fptrs twice: for the image, or, with a
// second argument, first for no image. It says which libraries were noted, and what the functions check1 and so on say
// before and after.
const registerDriver = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
extern void jl_register_fptrs(uint64_t, long, long, long);
void noted(uint64_t image) {
	Dl_info info;
	const char *name = "no image";
	if (image > 4096 && dladdr((void *)(uintptr_t)image, &info)) name = strrchr(info.dli_fname, '/') + 1;
	printf("=%s", name);
}
static void checks(void *image) {
	for (int i = 1; i < 5; i++) {
		char name[] = "check0";
		name[5] += i;
		int (*check)(void) = dlsym(image, name);
		if (check) printf(" %s=%d", name, check());
	}
	printf("\n");
}
int main(int argc, char **argv) {
	void *image = dlopen(argv[1], RTLD_NOW);
	if (!image) { printf("%s\n", dlerror()); return 1; }
	Dl_info info;
	dladdr(dlsym(image, "jl_image_pointers"), &info);
	checks(image);
	if (argc > 2) { jl_register_fptrs(1, 4, 5, 6); checks(image); }
	jl_register_fptrs((uint64_t)(uintptr_t)info.dli_fbase, 1, 2, 3); checks(image);
	jl_register_fptrs((uint64_t)(uintptr_t)info.dli_fbase, 7, 8, 9); checks(image);
	return 0;
}
`

// A startupBench makes images with nothing but code for loading and code that looks at the variables.
type startupBench struct {
	folder    string
	sources   []elfpatch.Address
	announces bool // with the patch image-layers
}

func newStartupBench(t *testing.T, trampoline string) (b *startupBench, driver string, base *elfpatch.Image) {
	return newStartupBenchOn(t, fmt.Sprintf(registerSource, trampoline))
}

// newStartupBenchOn is newStartupBench with the source of a runtime.
func newStartupBenchOn(t *testing.T, runtimeSource string) (b *startupBench, driver string, base *elfpatch.Image) {
	folder := t.TempDir()
	runtime := gcc(t, folder, "libruntime.so", runtimeSource, "-shared", "-fPIC")
	path := gcc(t, folder, "base.so", variablesSource, "-shared", "-fPIC")
	base = openImage(t, path)
	b = &startupBench{folder: folder}
	for _, name := range []string{"func_slot", "key_slot", "offset", "small_typeof"} {
		s, ok := base.Lookup(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		b.sources = append(b.sources, elfpatch.Address{Base: base, Offset: s.Value})
	}
	return b, gcc(t, folder, "driver", registerDriver, "-rdynamic", runtime, "-ldl", "-Wl,-rpath,"+folder), base
}

func openImage(t *testing.T, path string) *elfpatch.Image {
	t.Helper()
	im, err := elfpatch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// image writes an image on layers, as chaining does, whose code is the function check followed by level.
func (b *startupBench) image(t *testing.T, level int, layout elfpatch.Layout, layers []*elfpatch.Image) *elfpatch.Image {
	t.Helper()
	check := fmt.Sprint("check", level)
	code, err := os.ReadFile(gcc(t, b.folder, check+".o", newCodeSource, "-DNAME="+check, "-c", "-fPIC", "-O1"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := elfpatch.ParseObject(check+".o", code)
	if err != nil {
		t.Fatal(err)
	}
	sources := append([]elfpatch.Address{}, b.sources...)
	for i := range sources {
		sources[i].Base = layers[len(layers)-1]
	}
	below := &Base{Layers: layers, layout: julia1_12, tables: &shardTables{threadCells: sources[:3], smallTypeof: sources[3]}}
	parts, err := loadRegister{}.parts(&chaining{index: &Index{RegistersLayers: b.announces}, base: below}, layout)
	if err != nil {
		t.Fatal(err)
	}
	m := &Merged{bases: layers, thin: parts, standalone: parts, Aliases: loadRegister{}.aliases(below), Exports: map[string]string{check: check},
		Sections: []elfpatch.Section{cellSection(nil), {Name: tableSection, Align: 8, Data: make([]byte, 8),
			Symbols: []elfpatch.Symbol{{Name: "jl_image_pointers", Size: 8, Export: true}}}}}
	job, err := m.Job(layout, []*elfpatch.Object{object})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.folder, fmt.Sprintf("level%d.so", level))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := elfpatch.Write(f, job); err != nil {
		t.Fatal(err)
	}
	im := openImage(t, path)
	im.Move(job.Moved())
	return im
}

// chain writes images of these layouts, each on the one before, and returns the layers of the last.
func (b *startupBench) chain(t *testing.T, base *elfpatch.Image, layouts []elfpatch.Layout) []*elfpatch.Image {
	t.Helper()
	layers := []*elfpatch.Image{base}
	for i, layout := range layouts {
		im := b.image(t, i+1, layout, layers)
		if layout == elfpatch.Thin {
			layers = append([]*elfpatch.Image{im}, layers...)
		} else {
			layers = []*elfpatch.Image{im}
		}
	}
	return layers
}

func TestStartup(t *testing.T) {
	const thin, standalone = elfpatch.Thin, elfpatch.Standalone
	register := func(numbers string, names ...string) (text string) {
		for _, name := range names {
			text += " register(," + numbers + ")=" + name
		}
		return text
	}
	checks := func(good, levels int) (text string) {
		for i := range levels {
			text += fmt.Sprintf(" check%d=%d", i+1, good)
		}
		return text + "\n"
	}
	for _, test := range []struct {
		name       string
		trampoline string
		layouts    []elfpatch.Layout
		registered []string // for a call for the image
	}{
		{"thin", trampoline, []elfpatch.Layout{thin}, []string{"level1.so", "base.so"}},
		{"with endbr64", `endbr64\n ` + trampoline, []elfpatch.Layout{thin}, []string{"level1.so", "base.so"}},
		{"standalone", trampoline, []elfpatch.Layout{standalone}, []string{"level1.so"}},
		{"chain of thin ones", trampoline, []elfpatch.Layout{thin, thin, thin}, []string{"level3.so", "level2.so", "level1.so", "base.so"}},
		{"standalone from thin ones", trampoline, []elfpatch.Layout{thin, thin, standalone}, []string{"level3.so"}},
		{"thin on standalone from thin", trampoline, []elfpatch.Layout{thin, standalone, thin}, []string{"level3.so", "level2.so"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, driver, base := newStartupBench(t, strings.ReplaceAll(test.trampoline, "%%", "%"))
			layers := b.chain(t, base, test.layouts)
			n := len(test.layouts)
			before := ""
			for i, layout := range test.layouts {
				// Code of a standalone image has the variables of the base itself.
				good := 0
				if layout == standalone {
					good = 1
				}
				before += fmt.Sprintf(" check%d=%d", i+1, good)
			}
			want := before + "\n" + register("1,2,3", test.registered...) + checks(1, n) + register("7,8,9", test.registered[0]) + checks(1, n)
			if got := runDriver(t, driver, layers[0].Path); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			// A call for another image: the system image's code is not used. The call is passed on, and that was it.
			want = before + "\n" + register("4,5,6", "no image") + checks(1, n) + register("1,2,3", test.registered[0]) + checks(1, n) +
				register("7,8,9", test.registered[0]) + checks(1, n)
			if got := runDriver(t, driver, layers[0].Path, "other"); got != want {
				t.Errorf("with a call for another image, got\n%swant\n%s", got, want)
			}
		})
	}
}

// announceSource is a runtime with the patch image-layers. It notes what is registered, and gives the libraries their variables as the loader does.
const announceSource = `
#include <stdint.h>
#include <stdio.h>
#include <string.h>
extern void noted(uint64_t);
static void **typeofs[64], *values[128];
static int n;
void jl_register_fptrs(uint64_t image, void *functions, void *instances, size_t count) {
	for (int i = 0; i < n; i++) memcpy(typeofs[i], values, sizeof values);
	n = 0;
	printf(" register");
	noted(image);
}
int jl_register_image_layer(uint64_t base, void ***variables, void **small_typeof) {
	for (intptr_t i = 0; i < 128; i++) values[i] = (void *)(0x2000 + i);
	printf(" layer%%s", variables ? "+" : "");
	noted(base);
	if (!variables != !small_typeof || n == 64) return 0;
	if (variables) {
		for (intptr_t i = 0; i < 3; i++) *variables[i] = (void *)(0x1001 + i);
		typeofs[n++] = small_typeof;
	}
	return base && !%s;
}
`

// With the patch, the constructor of each image names its libraries, and nothing is replaced.
func TestStartupAnnounces(t *testing.T) {
	const thin, standalone = elfpatch.Thin, elfpatch.Standalone
	for _, test := range []struct {
		name    string
		layouts []elfpatch.Layout
		said    string
	}{
		{"thin", []elfpatch.Layout{thin}, " layer+=level1.so layer=base.so"},
		{"chain of thin ones", []elfpatch.Layout{thin, thin},
			" layer+=level1.so layer=base.so layer+=level2.so layer=level1.so layer=base.so"},
		{"standalone", []elfpatch.Layout{standalone}, ""},
		{"standalone from thin ones", []elfpatch.Layout{thin, thin, standalone}, " layer+=level3.so layer+=level3.so"},
		{"thin on standalone from thin", []elfpatch.Layout{thin, standalone, thin}, " layer+=level2.so layer+=level3.so layer=level2.so"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, driver, base := newStartupBenchOn(t, fmt.Sprintf(announceSource, "0"))
			b.announces = true
			layers := b.chain(t, base, test.layouts)
			good := ""
			for i := range test.layouts {
				good += fmt.Sprintf(" check%d=1", i+1)
			}
			name := filepath.Base(layers[0].Path)
			lines := strings.Split(runDriver(t, driver, layers[0].Path), "\n")
			// Two calls for the image, as the driver makes them: from the first on, all variables are there.
			if len(lines) != 4 || !strings.HasPrefix(lines[0], test.said+" check1=") ||
				lines[1] != " register="+name+good || lines[2] != lines[1] {
				t.Errorf("got\n%s", strings.Join(lines, "\n"))
			}
		})
	}
	b, driver, base := newStartupBenchOn(t, fmt.Sprintf(announceSource, "1"))
	b.announces = true
	out, err := exec.Command(driver, b.image(t, 1, thin, []*elfpatch.Image{base}).Path).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "more libraries than Julia takes") {
		t.Errorf("where Julia takes no more, %v, %q", err, out)
	}
}

func runDriver(t *testing.T, driver string, args ...string) string {
	t.Helper()
	out, err := exec.Command(driver, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	return string(out)
}

// Other instructions than those that are known are no trampoline.
func TestStartupOtherTrampoline(t *testing.T) {
	for _, other := range []string{"jmpq *jl_register_fptrs_addr(%rip)", "mov jl_register_fptrs_addr(%rip),%r11\\n callq *%r11\\n ret"} {
		b, driver, base := newStartupBench(t, other)
		im := b.image(t, 1, elfpatch.Thin, []*elfpatch.Image{base})
		out, err := exec.Command(driver, im.Path).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.HasPrefix(string(out), "chainbuild: ") ||
			strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %q", other, err, out)
		}
	}
}
