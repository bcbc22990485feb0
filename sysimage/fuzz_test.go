package sysimage

import (
	"errors"
	"slices"
	"testing"

	"chainbuild/elfpatch"
)

// edit overwrites 4 byte fields of a copy of data: 8 bytes of edits are the place of one, modulo the size, and its value.
// Random bytes alone would hardly ever get beyond the first size field.
func edit(data, edits []byte) []byte {
	data = slices.Clone(data)
	for ; len(edits) >= 8 && len(data) >= 4; edits = edits[8:] {
		at := int(le.Uint32(edits)) % (len(data) - 3)
		copy(data[at:at+4], edits[4:8])
	}
	return data
}

// Heaps with errors are opened, checked, and chained: with errors, without panics.
func FuzzBlob(f *testing.F) {
	valid := newTestBase()
	im, err := elfpatch.Parse("base.so", valid.file())
	if err != nil {
		f.Fatal(err)
	}
	base, err := Open(im)
	if err != nil {
		f.Fatal(err)
	}
	h := newHeapOn(base)
	index := h.index("")
	blob, fresh := valid.heap.blob(), h.blob()
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255}, uint32(0))
	f.Add([]byte{0, 16, 0, 0, 0, 0, 0, 32}, uint32(100))
	f.Fuzz(func(t *testing.T, edits []byte, cut uint32) {
		spoiled := newTestBase()
		spoiled.blob = edit(blob[:len(blob)-int(cut)%len(blob)], edits)
		if im, err := elfpatch.Parse("spoiled.so", spoiled.file()); err == nil {
			if b, err := Open(im); err == nil {
				b.Check()
				b.Packages()
				b.Index()
			} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknownFormat) {
				t.Errorf("error %v is of no kind", err)
			}
		}
		if _, err := base.Chain(edit(fresh[:len(fresh)-int(cut)%len(fresh)], edits), index); err != nil &&
			!errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("error %v is of no kind", err)
		}
	})
}

// Tables with errors.
func FuzzTables(f *testing.F) {
	valid := newTestBase().tables()
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, edits []byte) {
		m := newTestBase()
		if im, err := elfpatch.Parse("spoiled.so", m.fileWith(testTable{edit(valid.data, edits), valid.symbols})); err == nil {
			if b, err := Open(im); err == nil {
				b.Check()
				b.Packages()
				h := newHeapOn(b)
				b.Chain(h.blob(), h.index(""))
			} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknownFormat) {
				t.Errorf("error %v is of no kind", err)
			}
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte("fvar\tjulia_f_1\nfvar\t@3\ngvar\tx\nused\t2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := ParseIndex("index.txt", text); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v is of no kind", err)
		}
	})
}
