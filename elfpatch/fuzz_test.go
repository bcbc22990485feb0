package elfpatch

// This file fuzzes all that reads ELF files. The seeds are real files: what the linker writes, in each layout, objects with
// everything that the tests have, and what gcc makes of the tests' sources where there is one.

import (
	"debug/elf"
	"os"
	"os/exec"
	"testing"
)

// seedObjects are object files.
func seedObjects(f *testing.F) [][]byte {
	everything, _, _, _ := everyRelocation(f)
	calls := testObject(f, "calls.o", []ObjectSymbol{{Name: "a", Section: 1, Bind: global, Type: fn}, {Name: "b", Bind: global}},
		map[int][]Rela{1: {{Type: uint32(elf.R_X86_64_PLT32), Sym: 2}, {Offset: 16, Type: uint32(elf.R_X86_64_GOTPCREL), Sym: 1}},
			2: {{Type: uint32(elf.R_X86_64_64), Sym: 1}}})
	var files [][]byte
	for _, o := range []*Object{smallObject(), calls, everything, assembleNested(f), manyFunctions("f", 2)} {
		files = append(files, writeObject(o))
	}
	if hasGCC() {
		for _, source := range []string{codeSource, otherSource, objectSource} {
			files = append(files, readFile(f, compile(f, f.TempDir(), "seed.o", source, "-c", "-fPIC", "-O1", "-g", "-ffunction-sections")))
		}
	}
	return files
}

// seedImages are shared objects: a shim, an image, and images of both layouts on that one.
func seedImages(f *testing.F) [][]byte {
	link := func(name string, job *Job) *Image {
		m := linkInMemory(f, job)
		m.Path = name
		return m
	}
	lower := link("lower.so", &Job{Objects: []*Object{manyFunctions("f", 2)}, Exports: map[string]string{"found": "f1"}, Note: []byte("note"),
		Sections: []Section{{Name: ".data.x", Writable: true, Data: make([]byte, 3*pageSize),
			Symbols: []Symbol{{Name: "x", Size: 8, Export: true}, {Name: "y", Offset: 16, Size: 8, Export: true}},
			Fixups:  []Fixup{{Target: Address{Symbol: "x", Offset: 8}}}}}})
	x, _ := lower.Lookup("x")
	_, code, _ := lower.Section(".text")
	everything, _, _, _ := everyRelocation(f)
	upper := func(layout Layout) *Job {
		place := Address{Base: lower, Offset: x.Value}
		job := &Job{Layout: layout, Bases: []*Image{lower}, Objects: []*Object{everything, manyFunctions("g", 1)},
			Drop: []Fingerprint{{lower, x.Value, 3 * pageSize}}, Check: []Fingerprint{{lower, code, 100}},
			Slots: []Slot{{Name: "called", Target: place}}, Sections: []Section{distances(place), entries("g0")}}
		if layout == Standalone { // what is left out must not be referred to
			job.Slots[0].Target = Address{Symbol: "g0"}
			job.Sections = []Section{distances(Address{Symbol: "g0"}), entries("g0")}
		} else {
			job.Redirects = []Redirect{{lower, "imported", "g0"}}
		}
		return job
	}
	thin, standalone := link("thin.so", upper(Thin)), link("standalone.so", upper(Standalone))
	files := [][]byte{smallImage(f), lower.Data, thin.Data, standalone.Data}
	if hasGCC() {
		for _, option := range []string{"-Wl,--hash-style=gnu", "-Wl,--hash-style=sysv", "-Wl,-z,pack-relative-relocs"} {
			files = append(files, readFile(f, library(f, option)))
		}
	}
	return files
}

// hasGCC says whether there are seeds of gcc's making too: fuzzing goes without.
func hasGCC() bool {
	_, err := exec.LookPath("gcc")
	return err == nil
}

func readFile(f *testing.F, path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// FuzzImage reads damaged shared objects.
func FuzzImage(f *testing.F) {
	for _, file := range seedImages(f) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("fuzz.so", data)
		useAll(m, err)
		if err == nil && len(m.Relocs()) > len(data)/8*2 {
			t.Errorf("%d relocations in %d bytes", len(m.Relocs()), len(data))
		}
	})
}

// FuzzObject reads damaged object files.
func FuzzObject(f *testing.F) {
	for _, file := range seedObjects(f) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseObject("fuzz.o", data)
		if err != nil {
			return
		}
		for i := range o.Sections {
			for _, r := range o.Sections[i].Relas {
				_ = o.Symbols[r.Sym]
			}
		}
		for _, s := range o.Symbols {
			if s.Section >= 0 {
				_ = o.Sections[s.Section]
			}
		}
	})
}

// FuzzLink links damaged objects: they are refused or linked, and nothing panics.
func FuzzLink(f *testing.F) {
	for _, file := range seedObjects(f) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseObject("fuzz.o", data)
		if err != nil {
			return
		}
		for i := range o.Sections {
			if o.Sections[i].Size > 1<<20 {
				return // a large .bss, say, is no fault
			}
		}
		m := newMemory()
		if _, err := Write(m, &Job{Objects: []*Object{o, manyFunctions("g", 1)}, Slots: []Slot{{Name: "called", Target: Address{Symbol: "g0"}}}}); err != nil {
			return
		}
		if _, err := Parse("fuzz.so", m.data); err != nil {
			t.Errorf("what was linked cannot be read: %v", err)
		}
	})
}

// FuzzBase builds on damaged bases, in both layouts. Large addresses are the base's right, so files are not kept whole.
func FuzzBase(f *testing.F) {
	for _, file := range seedImages(f) {
		m, err := Parse("seed.so", file)
		if err != nil {
			f.Fatal(err)
		}
		addr := uint64(0x3000)
		if x, ok := m.Lookup("x"); ok {
			addr = x.Value
		}
		f.Add(file, addr, uint64(pageSize))
	}
	f.Fuzz(func(t *testing.T, file []byte, addr, size uint64) {
		m, err := Parse("fuzz.so", file)
		if err != nil {
			return
		}
		for _, layout := range []Layout{Thin, Standalone} {
			place := Address{Base: m, Offset: addr}
			Write(discard{}, &Job{Layout: layout, Bases: []*Image{m}, Objects: []*Object{manyFunctions("g", 1)},
				Drop: []Fingerprint{{m, addr, size}}, Check: []Fingerprint{{m, addr, size % 100}},
				Slots: []Slot{{Name: "imported", Target: place}}, Sections: []Section{distances(place), entries("g0")}})
		}
	})
}

// discard is a file that nobody will read.
type discard struct{}

func (discard) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
