package elfpatch

// These tests look at linked images with the eyes of others: the system's linker, unwinder and debugging tools.

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tortureSource has what compilers make of C++: inline functions in COMDAT groups, virtual tables, static constructors
// and destructors, exceptions through several frames, switches by table, thunks, weak and common symbols.
const tortureSource = `
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
struct Shape { virtual ~Shape() {} virtual int area(int) const = 0; };
struct Square : Shape { int area(int x) const override { return x * x; } };
struct Strange : Shape { int area(int x) const override; };
template <class T> T twice(T x) { static int calls; calls++; return x + x + calls; }
inline std::string greeting(int n) { return std::string(n, 'x') + "!"; }
int far_away(int a);
extern int order; // of constructors
`

const tortureA = tortureSource + `
int order;
__attribute__((constructor)) static void construct_last() { order = order * 10 + 9; }
__attribute__((constructor(300))) static void construct_third() { order = order * 10 + 3; }
__attribute__((constructor(101))) static void construct_first() { order = order * 10 + 1; }
extern "C" int constructed(int a, int b) { return order; }
static std::string made = greeting(30); // longer than what fits into the object itself
struct Counter { int n = 3; ~Counter() { n = 0; } };
static Counter counter;
static int chosen(int x) {
	switch (x) { case 0: return 3; case 1: return 14; case 2: return 15; case 3: return 92; case 4: return 65; case 5: return 35; case 6: return 89; }
	return -1;
}
int Strange::area(int x) const { return chosen(x) + far_away(x); }
extern "C" int catches(int a, int b) {
	try { return twice(far_away(a * 100)); }
	catch (const std::runtime_error &e) { return std::string(e.what()).size() * 10 + b; }
}
extern "C" int shapes(int a, int b) {
	Shape *s[] = { new Square, new Strange };
	int n = s[a & 1]->area(b % 7) + s[b & 1]->area(a % 7) + (int)made.size() + counter.n;
	delete s[0]; delete s[1];
	return n;
}
__attribute__((weak)) int preferred() { return 1; }
extern "C" int weak(int a, int b) { return preferred() + twice(a) + twice((long)b); }
`

const tortureB = tortureSource + `
int tentative[10];
__attribute__((constructor(200))) static void construct_second() { order = order * 10 + 2; }
int preferred() { return 2; }
static const char *const words[] = { "zero", "one", "two", "three" };
extern "C" int text(int a, int b) { return words[a & 3][b & 1] + (int)greeting(b).size(); }
__attribute__((noinline)) int far_away(int a) {
	if (a > 100) throw std::runtime_error("too far, by " + std::to_string(a));
	return twice(a) + tentative[a % 10]++;
}
`

var tortureEntries = []string{"catches", "shapes", "weak", "text", "constructed"}

// TestAgainstSystemLinker links the same objects with the system's linker and with Write, as they come and with a section
// for each function, and compares what their functions give.
func TestAgainstSystemLinker(t *testing.T) {
	tool(t, "g++")
	driver := compile(t, t.TempDir(), "driver", driverSource, "-Wl,--no-as-needed", "-lstdc++", "-ldl")
	for _, flags := range []string{"-O0 -g", "-O2 -ffunction-sections -fdata-sections -fno-plt", "-Os -mcmodel=large"} {
		t.Run(flags, func(t *testing.T) {
			folder := t.TempDir()
			var objects []*Object
			arguments := []string{"-shared", "-o", filepath.Join(folder, "system.so")}
			for i, source := range []string{tortureA, tortureB} {
				input, output := filepath.Join(folder, fmt.Sprint(i, ".cc")), filepath.Join(folder, fmt.Sprint(i, ".o"))
				write(t, input, source)
				run(t, "g++", append(strings.Fields(flags), "-c", "-fPIC", "-o", output, input)...)
				objects = append(objects, parseObject(t, output, output))
				arguments = append(arguments, output)
			}
			table := filepath.Join(folder, "table.cc")
			write(t, table, fmt.Sprintf(`extern "C" { int %s(int, int);
				int (*entries[])(int, int) = { %s }; unsigned long entry_count = %d; }`,
				strings.Join(tortureEntries, "(int, int), "), strings.Join(tortureEntries, ", "), len(tortureEntries)))
			run(t, "g++", append(arguments, "-fPIC", table)...)

			ours := filepath.Join(folder, "ours.so")
			f, err := os.Create(ours)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := Write(f, &Job{Objects: objects, Sections: []Section{entries(tortureEntries...)}}); err != nil {
				t.Fatal(err)
			}
			checkReadelf(t, ours)
			want, got := run(t, driver, filepath.Join(folder, "system.so")), run(t, driver, ours)
			if got != want || strings.Count(got, "\n") != len(tortureEntries) {
				t.Errorf("the system's linker:\n%s\nWrite:\n%s", want, got)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestLines asks addr2line about every function of every layer: a standalone image has to tell the same of it as the
// layer itself, since nothing moved.
func TestLines(t *testing.T) {
	tool(t, "addr2line")
	b := newLoadBench(t)
	second := b.open(t, "second.so", b.job(t, Thin))
	third := b.open(t, "third.so", b.upper(t, Thin, "code_misc", second, b.base))
	merged := b.link(t, "merged.so", b.upper(t, Standalone, "upper_misc", third, second, b.base))
	for _, test := range []struct {
		layer     *Image
		functions []string
	}{
		{b.base, []string{"hidden_add", "hidden_mul", "exported"}},
		{second, []string{"code_add", "code_misc", "square", "other"}},
		{third, []string{"upper_misc", "upper_add", "upper_read"}},
	} {
		for _, name := range test.functions {
			addr := staticAddr(t, test.layer, name)
			ask := func(path string, addr uint64) string {
				return run(t, "addr2line", "-f", "-e", path, fmt.Sprintf("%#x", addr))
			}
			want, got := ask(test.layer.Path, addr-test.layer.Moved()), ask(merged, addr)
			if got != want || !strings.HasPrefix(want, name+"\n") || strings.Contains(want, "?") {
				t.Errorf("%s: %q says addr2line, and in the standalone image %q", name, want, got)
			}
		}
	}
}

const walkBase = `
__attribute__((noinline)) static int through(int (*f)(int, int), int a, int b) { return f(a, b) + 1; }
int keep(int (*f)(int, int)) { return through(f, 1, 2); }
`

// walkCode counts the frames between itself and main, which the driver calls from.
const walkCode = `
#include <unwind.h>
#include <dlfcn.h>
#include <string.h>
extern int base_through(int (*f)(int, int), int, int);
static _Unwind_Reason_Code count(struct _Unwind_Context *c, void *n) { ++*(int *)n; return _URC_NO_REASON; }
__attribute__((noinline)) static int inner(int a, int b) { int n = 0; _Unwind_Backtrace(count, &n); return n * 100; }
int direct(int a, int b) { return inner(a, b) + 1; }
int through_base(int a, int b) { return base_through(inner, a, b) + 1; }
int twice_through_base(int a, int b) { return base_through(through_base, a, b) + 1; }
`

// TestUnwind walks the stack through functions of the image, its stubs and the base.
func TestUnwind(t *testing.T) {
	b := newLoadBench(t)
	base := openImage(t, compile(t, b.folder, "libwalk.so", walkBase, "-shared", "-fPIC", "-O1"))
	object := compileObject(t, b.folder, "walk.o", walkCode, "-fno-optimize-sibling-calls")
	for name, layout := range map[string]Layout{"walk-thin.so": Thin, "walk-standalone.so": Standalone} {
		path := b.link(t, name, &Job{Layout: layout, Bases: []*Image{base}, Objects: []*Object{object},
			Slots:    []Slot{{Name: "base_through", Target: inBase(t, base, "through")}},
			Sections: []Section{entries("direct", "through_base", "twice_through_base")}})
		var counts [3]int
		for i, line := range strings.Split(strings.TrimSpace(b.load(t, path)), "\n") {
			fmt.Sscan(line, &counts[i])
		}
		frames := [3]int{counts[0] / 100, counts[1] / 100, counts[2] / 100}
		// direct → inner is one more than its caller; the ways through the base have "through" and "through_base" in between.
		if frames[0] < 3 || frames[1] != frames[0]+1 || frames[2] != frames[0]+3 {
			t.Errorf("%s: %v frames", name, frames)
		}
	}
}

// TestDebugger stops in a function of the base and looks for the way there.
func TestDebugger(t *testing.T) {
	tool(t, "gdb")
	b := newLoadBench(t)
	for name, layout := range map[string]Layout{"thin.so": Thin, "standalone.so": Standalone} {
		job := b.job(t, layout)
		job.Check = nil // a breakpoint is another build
		path := b.link(t, name, job)
		out := run(t, "gdb", "-nx", "-batch", "-ex", "set breakpoint pending on", "-ex", "set confirm off", "-ex", "break hidden_add", "-ex", "run", "-ex", "bt",
			"--args", b.driver, path)
		for _, want := range []string{"#0  hidden_add (a=3, b=4) at ", "libbase.so.c:", "in code_add (", "code.o.c:", "in main ("} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: gdb does not say %q:\n%s", name, want, out)
			}
		}
	}
}

// TestOtherBuild puts another build of the base into the place of the one that an image was built on.
func TestOtherBuild(t *testing.T) {
	b := newLoadBench(t)
	thin := b.open(t, "thin.so", b.job(t, Thin))
	path := thin.Path
	upper := b.link(t, "upper.so", b.upper(t, Thin, "code_misc", thin, b.base))
	original, err := os.ReadFile(b.base.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b.base.Path, b.base.Path+".old"); err != nil {
		t.Fatal(err)
	}
	for change, source := range map[string]string{
		"a constant in a function": strings.Replace(baseSource, "return a * b;", "return a * b * 2;", 1),
		"one more export":          baseSource + "int extra[100] = {1};",
	} {
		compile(t, b.folder, "libbase.so", source, "-shared", "-fPIC", "-O1", "-g", "-Wl,-soname,libbase.so")
		for _, image := range []string{path, upper} {
			command := exec.Command(b.driver, image)
			var out, message bytes.Buffer
			command.Stdout, command.Stderr = &out, &message
			err := command.Run()
			if command.ProcessState.ExitCode() != 1 || out.Len() > 0 || strings.Count(message.String(), "\n") != 1 ||
				!strings.Contains(message.String(), "built on another build of "+b.base.Path) {
				t.Errorf("%s, %s: %v, %q, %q", change, filepath.Base(image), err, message.String(), out.String())
			}
		}
	}
	if err := os.WriteFile(b.base.Path, original, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := b.load(t, path); got != jobOutput {
		t.Errorf("with the old base back, the image gives %s", got)
	}
}
