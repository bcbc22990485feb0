package sysimage_test

// Tests of package anatomy with images that the helpers of this package make.

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/anatomy"
	"chainbuild/sysimage"
)

func openFixture(t testing.TB, file []byte) *sysimage.Base {
	t.Helper()
	im, err := elfpatch.Parse("fixture.so", file)
	if err != nil {
		t.Fatal(err)
	}
	image, err := sysimage.Open(im)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// eachFixture runs a test for the image of each version.
func eachFixture(t *testing.T, test func(t *testing.T, image *sysimage.Base)) {
	for _, series := range sysimage.Series() {
		t.Run(series, func(t *testing.T) { test(t, openFixture(t, sysimage.FixtureFile(series))) })
	}
}

// thing finds a thing of a package.
func thing(a *anatomy.Anatomy, pkg, module, name string) *anatomy.Thing {
	for _, p := range a.Packages {
		for _, m := range p.Modules {
			for _, t := range m.Things {
				if p.Name == pkg && m.Name == module && t.Name == name {
					return t
				}
			}
		}
	}
	return nil
}

func TestAnatomyOwners(t *testing.T) {
	eachFixture(t, func(t *testing.T, image *sysimage.Base) {
		a, err := anatomy.Read(image)
		if err != nil {
			t.Fatal(err)
		}
		checkSums(t, a, int64(len(image.Layers[0].Data)))
		// Functions have 16 bytes each, the last one reaches to the end of the code.
		for _, want := range []struct {
			pkg, module, name string
			code              int64
			functions         int
		}{
			{"Points", "Points", "g", 32, 2}, {"Points", "Base", "f(::Any)", 0x1000 - 32, 1}, {"Base", "Base", "f(::Any)", 0, 0}, {"Lines", "Lines", "h", 0, 0},
		} {
			got := thing(a, want.pkg, want.module, want.name)
			if got == nil || got.Kind != anatomy.ThingMethod || got.Sizes[anatomy.Code] != want.code || got.Functions != want.functions {
				t.Errorf("%s has %+v of %s in %s, want %d bytes of code and %d functions", want.pkg, got, want.name, want.module, want.code, want.functions)
			}
		}
		if g := thing(a, "Points", "Points", "g"); g != nil && (g.File != "/home/me/Points/src/Points.jl" || g.Line != 11) {
			t.Errorf("g is at %s:%d", g.File, g.Line)
		}
		// A String of 23 bytes or more has a length, its bytes and a zero; in Julia 1.5 it lies among the objects.
		holds := func(pkg, name string) bool {
			v := thing(a, pkg, pkg, name)
			if v == nil {
				t.Fatalf("%s has no variable %s", pkg, name)
			}
			return v.Sizes[anatomy.Constants] >= 32 || image.Format == "1.5" && v.Sizes[anatomy.HeapObjects] >= 48+32
		}
		for _, want := range []struct {
			pkg, name string
			holds     bool
		}{{"Base", "shared", true}, {"Points", "shared", false}, {"Points", "mine", true}, {"Lines", "mine", false}} {
			if holds(want.pkg, want.name) != want.holds {
				t.Errorf("%s.%s holds the String: %v", want.pkg, want.name, !want.holds)
			}
		}
		native := thing(a, "(held by native code)", "", "(held by native code)")
		if native == nil || native.Sizes.Heap() < 48 {
			t.Errorf("native code alone holds %+v", native)
		}
	})
}

// checkSums sees to it that all parts add up to the file.
func checkSums(t *testing.T, a *anatomy.Anatomy, size int64) {
	t.Helper()
	var all anatomy.Sizes
	for _, p := range a.Packages {
		var ofPackage anatomy.Sizes
		for _, m := range p.Modules {
			var ofModule anatomy.Sizes
			for _, thing := range m.Things {
				ofModule = sum(ofModule, thing.Sizes)
			}
			var types int64
			for _, typ := range m.Types {
				types += typ.Bytes
			}
			if ofModule != m.Sizes || types != m.Sizes.Heap() {
				t.Errorf("the things of %s for %s take %v, its types %d, it takes %v", m.Name, p.Name, ofModule, types, m.Sizes)
			}
			ofPackage = sum(ofPackage, m.Sizes)
		}
		if ofPackage != p.Sizes {
			t.Errorf("the modules of %s take %v, it takes %v", p.Name, ofPackage, p.Sizes)
		}
		all = sum(all, p.Sizes)
	}
	if all != a.Sizes || all.Total() != size || a.Bytes != size {
		t.Errorf("packages take %v, %d bytes, the image %v, the file %d", all, all.Total(), a.Sizes, size)
	}
}

func sum(a, b anatomy.Sizes) anatomy.Sizes {
	for k, n := range b {
		a[k] += n
	}
	return a
}

func TestAnatomyPaths(t *testing.T) {
	eachFixture(t, func(t *testing.T, image *sysimage.Base) {
		audit, err := anatomy.Paths(image, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []anatomy.Finding{
			{Path: "/usr/local/points.so", Class: anatomy.ClassLibrary, Holder: "String", Route: "Points.config[2]", Package: "Points"},
			{Path: "/data/points/config.ini", Class: anatomy.ClassPath, Holder: "String", Route: "Points.config[1]", Package: "Points"},
			{Path: "/home/me/Points/src/Points.jl", Class: anatomy.ClassSource, Holder: "Symbol", Route: "Points.g, Method.file", Package: "Points"},
		}
		if !slices.Equal(audit.Findings, want) {
			t.Errorf("it finds %+v\nwant %+v", audit.Findings, want)
		}
		if ties := audit.Ties(); !slices.Equal(ties, want[:2]) {
			t.Errorf("what ties it is %+v", ties)
		}
		// What Julia's own image has is Julia's.
		if audit, err = anatomy.Paths(image, image); err != nil || len(audit.Ties()) != 0 || audit.Findings[0].Class != anatomy.ClassJulia {
			t.Errorf("of Julia's own image it finds %+v (%v)", audit.Findings, err)
		}
	})
}

// Images with errors are taken apart: with errors, without panics, and with sums that hold.
func FuzzAnatomy(f *testing.F) {
	var files [][]byte
	for i, series := range sysimage.Series() {
		files = append(files, sysimage.FixtureFile(series))
		f.Add(uint8(i), []byte{})
		for at := 0; at < len(files[i]); at += 512 {
			f.Add(uint8(i), []byte{byte(at), byte(at >> 8), byte(at >> 16), 0, 1, 2, 0, 0})
		}
	}
	f.Fuzz(func(t *testing.T, series uint8, edits []byte) {
		file := slices.Clone(files[int(series)%len(files)])
		for ; len(edits) >= 8; edits = edits[8:] {
			at := (int(edits[0]) | int(edits[1])<<8 | int(edits[2])<<16) % (len(file) - 3)
			copy(file[at:at+4], edits[4:8])
		}
		im, err := elfpatch.Parse("spoiled.so", file)
		if err != nil {
			return
		}
		image, err := sysimage.Open(im)
		if err != nil {
			return
		}
		a, err := anatomy.Read(image)
		if err == nil {
			checkSums(t, a, int64(len(file)))
			a.Beyond(a, true)
			a.Fold(3)
			checkSums(t, a, int64(len(file)))
		} else if !errors.Is(err, sysimage.ErrDamaged) && !errors.Is(err, elfpatch.ErrDamaged) && !strings.Contains(err.Error(), ".eh_frame_hdr") {
			t.Errorf("error %v is of no kind", err)
		}
		anatomy.Paths(image, nil)
		sysimage.UseObjects(image)
	})
}
