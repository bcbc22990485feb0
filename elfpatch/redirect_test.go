package elfpatch

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const serviceSource = `int service(int a, int b) { return a + b; }`

const servedSource = `
extern int service(int, int);
static int (*volatile kept)(int, int) = service;
int base_call(int a, int b) { return service(a, b); }
int base_kept(int a, int b) { return kept(a, b); }
`

const servingSource = `
extern int service(int, int), base_call(int, int), base_kept(int, int), lower_call(int, int);
static int (*volatile real)(int, int) = service;
int hook(int a, int b) { return real(a, b) * 10 + LEVEL; }
int own_call(int a, int b) { return service(a, b); }
int base_calls(int a, int b) { return base_call(a, b); }
int base_keeps(int a, int b) { return base_kept(a, b); }
int lower_calls(int a, int b) { return lower_call(a, b); }
`

// TestRedirect has images of a chain of four redirect a call of the lowest one, whichever way that was linked. The topmost
// image of those that are loaded gets the calls of all of them; who has kept the function's address still reaches it.
func TestRedirect(t *testing.T) {
	for _, linked := range []struct {
		name, flags string
		readOnly    bool
	}{
		{"bound early", "-Wl,-z,now,-z,relro", true},
		{"bound late", "-Wl,-z,lazy,-z,relro", false},
		{"without stubs", "-fno-plt -Wl,-z,relro", true},
		{"never read-only", "-Wl,-z,now,-z,norelro", false},
	} {
		t.Run(linked.name, func(t *testing.T) {
			folder := t.TempDir()
			b := &loadBench{folder: folder, driver: compile(t, folder, "driver", strings.ReplaceAll(driverSource, "RTLD_NOW", "RTLD_LAZY"), "-ldl")}
			service := compile(t, folder, "libservice.so", serviceSource, "-shared", "-fPIC")
			flags := append([]string{"-shared", "-fPIC", "-O1", service}, strings.Fields(linked.flags)...)
			base := openImage(t, compile(t, folder, "libbase.so", servedSource, flags...))
			found := importEntries(base, "service")
			if len(found) != 1 || isReadOnly(base, found[0]) != linked.readOnly {
				t.Fatalf("imported at %#x, read-only %v", found, !linked.readOnly)
			}
			bases := []*Image{base}
			for level := 2; level <= 4; level++ {
				name := fmt.Sprintf("level%d.so", level)
				image := b.open(t, name, b.serving(t, level, bases))
				path := image.Path
				checkReadelf(t, path)
				want := fmt.Sprintf("7%d 11%[1]d\n", level)
				want += want + "7 11\n"
				if level > 2 {
					want += fmt.Sprintf("7%d 11%[1]d\n", level)
				}
				if got := b.load(t, path); got != want {
					t.Errorf("level %d gives\n%s and not\n%s", level, got, want)
				}
				bases = append([]*Image{image}, bases...)
			}
		})
	}
}

// serving is a job of an image that redirects the service of all that is below it.
func (b *loadBench) serving(t *testing.T, level int, bases []*Image) *Job {
	o := compileObject(t, b.folder, fmt.Sprintf("serving%d.o", level), servingSource, fmt.Sprintf("-DLEVEL=%d", level))
	job := &Job{Bases: bases, Objects: []*Object{o}, Redirects: []Redirect{{nil, "service", "hook"}}}
	for _, m := range bases {
		job.Redirects = append(job.Redirects, Redirect{m, "service", "hook"})
	}
	names, lower := []string{"own_call", "base_calls", "base_keeps"}, "base_call"
	if level > 2 {
		lower = "own_call"
		names = append(names, "lower_calls")
	}
	job.Sections = []Section{entries(names...)}
	job.Slots = []Slot{{Name: "lower_call", Target: Address{Base: bases[0], Offset: staticAddr(t, bases[0], lower)}}}
	return job
}

func TestRedirectRefused(t *testing.T) {
	folder := t.TempDir()
	b := &loadBench{folder: folder}
	service := compile(t, folder, "libservice.so", serviceSource, "-shared", "-fPIC")
	base := openImage(t, compile(t, folder, "libbase.so", servedSource, "-shared", "-fPIC", service))
	for want, change := range map[string]func(*Job){
		"a standalone image cannot redirect": func(j *Job) { j.Layout = Standalone },
		"which nothing defines":              func(j *Job) { j.Redirects[0].To = "missing" },
		"not one of the bases":               func(j *Job) { j.Redirects[0].Base = &Image{Path: filepath.Join(folder, "other.so")} },
	} {
		job := b.serving(t, 2, []*Image{base})
		change(job)
		if _, err := Write(discard{}, job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	// A library that does not import the symbol is no reason to fail.
	job := b.serving(t, 2, []*Image{base})
	job.Redirects = append(job.Redirects, Redirect{base, "nobody imports this", "hook"})
	if _, err := Write(discard{}, job); err != nil {
		t.Error(err)
	}
}

// TestCodeBounds reads the symbols around the code in an image.
func TestCodeBounds(t *testing.T) {
	b := newLoadBench(t)
	for _, layout := range []Layout{Thin, Standalone} {
		job := b.job(t, layout)
		job.Sections = append(job.Sections, Section{Name: ".data.bounds", Align: 8, Writable: true, Data: make([]byte, 8),
			Symbols: []Symbol{{Name: "bounds", Size: 8, Export: true}}, Fixups: []Fixup{
				{Offset: 0, Kind: Diff32, Target: Address{Symbol: CodeStart}, Anchor: Address{Symbol: "bounds"}},
				{Offset: 4, Kind: Diff32, Target: Address{Symbol: CodeEnd}, Anchor: Address{Symbol: "bounds"}},
			}})
		m := openImage(t, b.link(t, fmt.Sprintf("bounds%d.so", layout), job))
		s, _ := m.Lookup("bounds")
		data, err := m.Bytes(s.Value, 8)
		if err != nil {
			t.Fatal(err)
		}
		start, end := s.Value+uint64(int32(le.Uint32(data))), s.Value+uint64(int32(le.Uint32(data[4:])))
		plt, text := sectionRange(t, m, ".plt"), sectionRange(t, m, ".text")
		if start > plt[0] || plt[0]-start > 15 || end != text[1] {
			t.Errorf("the code is said to be from %#x to %#x, but .plt is at %#x and .text at %#x", start, end, plt, text)
		}
	}
}

// sectionRange returns the addresses of the last section of a name: the image's own, which follow those of its bases.
func sectionRange(t *testing.T, m *Image, name string) (bounds [2]uint64) {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Name == name {
			bounds = [2]uint64{s.Addr, s.Addr + s.Size}
		}
	}
	return bounds
}
