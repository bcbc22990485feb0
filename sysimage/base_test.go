package sysimage

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

func TestOpenTestBase(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		b := openTest(t, newTestBase(l).write(t, t.TempDir()))
		if err := b.Check(); err != nil {
			t.Error(err)
		}
		kinds := []GlobalKind{GlobalData, GlobalData, GlobalSymbol, GlobalSymbol, GlobalTag, GlobalData, GlobalData}
		data := 3
		if l == test1_5 {
			kinds[1], data = GlobalBinding, 2
			kinds = append(kinds, GlobalBinding, GlobalZero, GlobalZero)
			if g := b.Globals[7]; b.Modules[g.Module].Name != "Points" || g.Name != "z" {
				t.Errorf("cell 7 is bound to %s.%s", b.Modules[g.Module].Name, g.Name)
			}
		}
		if b.Format != l.julia || len(b.Functions) != 6 || len(b.Globals) != len(kinds) || len(b.Code) != 3 || len(b.Modules) != 3 {
			t.Errorf("format %s, %d functions, %d globals, %d code instances, %d modules",
				b.Format, len(b.Functions), len(b.Globals), len(b.Code), len(b.Modules))
		}
		for i, want := range [][]uint64{
			{testCodeAt(0, 0), testCodeAt(0, 0), testCodeAt(0, 0)}, {testCodeAt(1, 0), testCodeAt(1, 1), testCodeAt(1, 2)},
			{testCodeAt(2, 0), testCodeAt(2, 1), testCodeAt(2, 1)}, {testCodeAt(3, 0), testCodeAt(3, 1), testCodeAt(3, 2)},
		} {
			if got := b.Functions[i].Variants; !slices.Equal(got, want) {
				t.Errorf("function %d is at %#x, want %#x", i, got, want)
			}
		}
		for i, g := range b.Globals {
			if g.Kind != kinds[i] {
				t.Errorf("cell %d is of kind %d, want %d", i, g.Kind, kinds[i])
			}
		}
		if len(b.data) != data || b.Globals[2].Name != "only_in_base" {
			t.Errorf("%d objects in cells, cell 2 %+v", len(b.data), b.Globals[2])
		}
		if want := []CodeInstance{{b.Code[0].Offset, 0, 1}, {b.Code[1].Offset, -1, 2}, {b.Code[2].Offset, -1, 3}}; !slices.Equal(b.Code, want) {
			t.Errorf("code %v, want %v", b.Code, want)
		}
		if m := b.Modules[1]; m.Name != "Base" || b.Modules[m.Parent].Name != "Main" || m.Bindings != 2 {
			t.Errorf("module %+v", m)
		}
		if b.Targets[1].Name != "cpu1" || !b.Targets[1].Complete || b.Targets[2].Complete || b.Targets[2].Fallback != 1 {
			t.Errorf("targets %+v", b.Targets)
		}
	})
}

func TestTopLevel(t *testing.T) {
	m := newTestBase(test1_10)
	m.heap.module("Inner", "Points")
	m.heap.module("Innermost", "Inner")
	b := openTest(t, m.write(t, t.TempDir()))
	for i, module := range b.Modules {
		want := map[string]string{"Inner": "Points", "Innermost": "Points"}[module.Name]
		if got := b.Modules[b.TopLevel(i)].Name; got != cmp.Or(want, module.Name) {
			t.Errorf("module %s belongs to %s", module.Name, got)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	// modern is an image of which no more than the names of its tables is known.
	modern := func(needed string) func() []byte {
		return func() []byte {
			return (&testELF{
				segments: []testSegment{{0x1000, elf.PF_R, make([]byte, 64)}},
				symbols: []elfpatch.Symbol{{Name: "jl_image_pointers", Offset: 0x1000}, {Name: "jl_system_image_data", Offset: 0x1010},
					{Name: "jl_system_image_size", Offset: 0x1008}},
				needed: needed,
			}).file()
		}
	}
	for _, test := range []struct {
		name string
		file func() []byte
		want error
		text string
	}{
		{"no.so", func() []byte { return (&testELF{symbols: []elfpatch.Symbol{{Name: "x", Offset: 0x10}}}).file() },
			ErrNotSystemImage, "give the sys.so of a Julia"},
		{"modern.so", modern(""), ErrUnknownFormat, "use an image made by Julia 1.5, 1.10 or 1.12"},
		{"julia-1.11.so", modern("libjulia.so.1.11"), ErrUnknownFormat, "it was made by Julia 1.11; use an image made by Julia 1.5, 1.10 or 1.12"},
		{"julia-1.13.so", modern("libjulia.so.1.13.2"), ErrUnknownFormat, "it was made by Julia 1.13; use an image made by Julia 1.5, 1.10 or 1.12"},
		{"text.so", func() []byte { return []byte("#!/bin/sh\n") }, elfpatch.ErrNotELF, "text.so"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := OpenFile(writeTestFile(t, filepath.Join(dir, test.name), test.file()))
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), test.name) {
				t.Errorf("error %v, want %v with %q", err, test.want, test.text)
			}
		})
	}
}

// An image of a patch release is one of its series.
func TestOpenPatchRelease(t *testing.T) {
	for _, needed := range []string{"libjulia.so.1", "libjulia.so.1.10", "libjulia.so.1.10.0", "libjulia.so.1.10.11"} {
		m := newTestBase(test1_10)
		m.needed = needed
		openTest(t, m.write(t, t.TempDir()))
	}
}

// A note that moves its image to where no image can be is damage.
func TestOpenFileMovedAstray(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, newTestBase(test1_12).write(t, dir))
	path := filepath.Join(dir, "thin.so")
	chainTest(t, test1_12, b, path, "", elfpatch.Thin)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	field := []byte(`"moved":`)
	if bytes.Count(image, field) != 1 {
		t.Fatalf("the note of the image says %d times where it is moved to", bytes.Count(image, field))
	}
	at := bytes.Index(image, field) + len(field)
	image[at+bytes.IndexAny(image[at:], ",}")-1] ^= 1 // its last digit
	writeTestFile(t, path, image)
	if _, err := OpenFile(path); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "thin.so") {
		t.Errorf("the error is %v", err)
	}
}

// A base that was written anew is another one. The second time it reaches into the addresses of the image on top of it.
func TestOpenFileOtherBase(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		for _, objects := range []int{1, 1 << 16} {
			dir := t.TempDir()
			base := newTestBase(l)
			b := openTest(t, base.write(t, dir))
			path := filepath.Join(dir, "thin.so")
			chainTest(t, l, b, path, "", elfpatch.Thin)
			openTest(t, path)
			for range objects {
				base.heap.value()
			}
			base.write(t, dir)
			_, err := OpenFile(path)
			if !errors.Is(err, ErrOtherBase) || !strings.Contains(err.Error(), "base.so") || !strings.Contains(err.Error(), "thin.so") {
				t.Errorf("error %v, want %v that names both files", err, ErrOtherBase)
			}
		}
	})
}
