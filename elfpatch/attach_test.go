package elfpatch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Libraries that export the same names, as package images do; what they are for is not exported.
const attachedSource = `
char data[] = "TEXT";
int size = sizeof data;
static __attribute__((noinline)) int secret(int x) { return x * FACTOR; }
static int (*volatile keep)(int) = secret;
int common(int x) { return keep(x); }
`

// The host calls the functions that the image's table leads to.
const attachHost = `
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
	void *image = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!image) { puts(dlerror()); return 2; }
	int (**table)(int) = dlsym(image, "table");
	int (*called)(int) = dlsym(image, "call");
	for (int i = 0; table[i]; i++) printf("%d ", table[i](10));
	printf("%d\n", called(1));
	return 0;
}
`

const attachCaller = `
extern int f_attached(int);
int call(int x) { return f_attached(x) + 1; }
`

// attachFixture links an image that leads into two libraries by a table and by a slot.
func attachFixture(t *testing.T, layout Layout) (folder, image, host string, link func()) {
	folder = t.TempDir()
	library := func(name string, factor int) string {
		source := strings.NewReplacer("TEXT", name, "FACTOR", fmt.Sprint(factor)).Replace(attachedSource)
		return compile(t, folder, name+".so", source, "-shared", "-fPIC", "-O1")
	}
	base := library("lowest", 2)
	paths := []string{library("first", 3), library("second", 5)}
	code := compile(t, folder, "caller.o", attachCaller, "-c", "-fPIC", "-O1")
	host = compile(t, folder, "host", attachHost, "-ldl")
	image = filepath.Join(folder, "image.so")
	return folder, image, host, func() {
		below := openImage(t, base)
		object := parseObject(t, code, code)
		job := &Job{Layout: layout, Bases: []*Image{below}, Objects: []*Object{object}, Exports: map[string]string{"call": "call"}}
		table := Section{Name: ".data.table", Align: 8, Writable: true, Data: make([]byte, 8*(len(paths)+1)),
			Symbols: []Symbol{{Name: "table", Size: uint64(8 * len(paths)), Export: true}}}
		next := below.EndAddr()
		for i, path := range paths {
			m := openImage(t, path)
			m.Move(alignUp(next, pageSize))
			next = m.EndAddr()
			secret := Address{Base: m, Offset: symbolAddr(t, path, "secret") + m.Moved()}
			table.Fixups = append(table.Fixups, Fixup{Offset: uint64(8 * i), Kind: Abs64, Target: secret})
			if i == 1 {
				job.Slots = []Slot{{Name: "f_attached", Target: secret}}
			}
			data, _ := m.Lookup("data")
			job.Attached = append(job.Attached, m)
			job.Check = append(job.Check, Fingerprint{Base: m, Addr: data.Value, Size: 6})
		}
		job.Sections = []Section{table}
		f, err := os.Create(image)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := Write(f, job); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAttached(t *testing.T) {
	for _, layout := range []Layout{Thin, Standalone} {
		t.Run(layout.String(), func(t *testing.T) {
			folder, image, host, link := attachFixture(t, layout)
			link()
			readelfAccepts(t, image)
			const want = "30 50 6\n"
			if out, err := exec.Command(host, image).CombinedOutput(); err != nil || string(out) != want {
				t.Fatalf("%v, %q instead of %q", err, out, want)
			}
			// Another one of the same name, and none.
			for _, broken := range []struct{ source, want string }{
				{strings.NewReplacer("TEXT", "others", "FACTOR", "7").Replace(attachedSource), "first.so was made again"},
				{"", "first.so, which is not there"},
			} {
				os.Remove(filepath.Join(folder, "first.so"))
				if broken.source != "" {
					compile(t, folder, "first.so", broken.source, "-shared", "-fPIC", "-O1")
				}
				out, err := exec.Command(host, image).CombinedOutput()
				var exit *exec.ExitError
				switch {
				case layout == Standalone:
					if string(out) != want {
						t.Errorf("without its library the standalone image gives %q, %v", out, err)
					}
				case !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), broken.want) || strings.Count(string(out), "\n") != 1:
					t.Errorf("%v, %q instead of a line with %q", err, out, broken.want)
				}
			}
		})
	}
}

// A thin image on a thin one, and a standalone one that carries both with what they attach.
func TestAttachedBelow(t *testing.T) {
	_, image, host, link := attachFixture(t, Thin)
	link()
	lower := openImage(t, image)
	layers := []*Image{lower, openImage(t, lower.Needed()[0])}
	var attached []*Image
	next := layers[1].EndAddr()
	for _, name := range []string{"first.so", "second.so"} {
		m := openImage(t, filepath.Join(filepath.Dir(image), name))
		m.Move(alignUp(next, pageSize))
		next = m.EndAddr()
		attached = append(attached, m)
	}
	lower.Move((&Job{Bases: layers[1:], Attached: attached}).Moved())
	for _, layout := range []Layout{Thin, Standalone} {
		table := Section{Name: ".data.above", Align: 8, Writable: true, Data: make([]byte, 8),
			Symbols: []Symbol{{Name: "above", Size: 8, Export: true}},
			Fixups:  []Fixup{{Kind: Abs64, Target: Address{Base: attached[0], Offset: symbolAddr(t, attached[0].Path, "secret") + attached[0].Moved()}}}}
		upper := filepath.Join(filepath.Dir(image), layout.String()+".so")
		f, err := os.Create(upper)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Write(f, &Job{Layout: layout, Bases: layers, Attached: attached, Sections: []Section{table}})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(host, upper).CombinedOutput(); err != nil || string(out) != "30 50 6\n" {
			t.Errorf("%v: %v, %q", layout, err, out)
		}
	}
}

// A standalone image has the lines of the libraries that it carries.
func TestAttachedLines(t *testing.T) {
	addr2line := tool(t, "addr2line")
	folder := t.TempDir()
	library := func(name, flag string) string {
		source := "#line 70 \"" + name + ".jl\"\n" + strings.NewReplacer("TEXT", name, "FACTOR", "3").Replace(attachedSource)
		return compile(t, folder, name+".so", source, "-shared", "-fPIC", "-O0", "-gdwarf-4", "-fno-var-tracking", flag)
	}
	base := openImage(t, library("lowest", "-O0"))
	m := openImage(t, library("first", "-gpubnames"))
	m.Move(alignUp(base.EndAddr(), pageSize))
	path := filepath.Join(folder, "image.so")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Write(f, &Job{Layout: Standalone, Bases: []*Image{base}, Attached: []*Image{m}})
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []*Image{base, m} {
		addr := symbolAddr(t, of.Path, "secret") + of.Moved()
		want := strings.TrimSuffix(filepath.Base(of.Path), ".so") + ".jl:73"
		if out := run(t, addr2line, "-f", "-e", path, fmt.Sprintf("%#x", addr)); !strings.Contains(out, "secret") || !strings.Contains(out, want) {
			t.Errorf("%#x is %q instead of %s", addr, out, want)
		}
	}
}

func FuzzDebugFields(f *testing.F) {
	f.Add([]byte{12, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0}, []byte{1, 0x11, 0, 0x10, 0x17, 0x11, 1, 0, 0, 0}, []byte{2, 0, 0, 0, 4, 0}, make([]byte, 32))
	f.Fuzz(func(t *testing.T, info, abbrev, lines, ranges []byte) {
		contents := map[string][]byte{".debug_info": info, ".debug_abbrev": abbrev, ".debug_line": lines, ".debug_ranges": ranges}
		fields, err := debugFieldsOf(contents)
		if err != nil {
			return
		}
		if err := shiftDebug("fuzzed", contents, fields.encode(), map[string]uint64{addressTarget: 1, ".debug_str": 1}); errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
}

// What has no search table is listed from the frames themselves, as the system's linker lists it.
func TestFramesWithoutTable(t *testing.T) {
	folder := t.TempDir()
	source := strings.NewReplacer("TEXT", "t", "FACTOR", "3").Replace(attachedSource)
	with := openImage(t, compile(t, folder, "with.so", source, "-shared", "-fPIC"))
	without := openImage(t, compile(t, folder, "without.so", source, "-shared", "-fPIC", "-Wl,--no-eh-frame-hdr"))
	want, err := with.Frames()
	if err != nil || len(want) == 0 {
		t.Fatalf("%d frames, %v", len(want), err)
	}
	got, err := without.Frames()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d frames instead of %d, %v", len(got), len(want), err)
	}
	for i, frame := range got {
		if table, err := without.Bytes(frame.Addr, 4); err != nil || le.Uint32(table) == 0 {
			t.Errorf("frame %d is at %#x, where there is none: %v", i, frame.Addr, err)
		}
		if text, err := without.Bytes(frame.PC, 1); err != nil || len(text) == 0 {
			t.Errorf("frame %d is of code at %#x, where there is none", i, frame.PC)
		}
	}
}
