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
	base := openValid(f, valid.file())
	h := newHeapOn(base)
	fuzzBlob(f, base, h.index(""), valid.heap.blob(), h.blob(), func(blob []byte) []byte {
		spoiled := newTestBase()
		spoiled.blob = blob
		return spoiled.file()
	})
}

// Tables with errors.
func FuzzTables(f *testing.F) {
	valid := newTestBase().tables()
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, edits []byte) {
		m := newTestBase()
		if b := openSpoiled(t, m.fileWith(testTable{edit(valid.data, edits), valid.symbols})); b != nil {
			h := newHeapOn(b)
			b.Chain(h.blob(), h.index(""))
		}
	})
}

// The same for images of Julia 1.10.
func FuzzBlob110(f *testing.F) {
	valid := newTestBase110()
	base := openValid(f, valid.file())
	h := newHeap110On(base)
	fuzzBlob(f, base, h.index(""), valid.heap.blob(), h.blob(), func(blob []byte) []byte {
		spoiled := newTestBase110()
		spoiled.blob = blob
		return spoiled.file()
	})
}

func FuzzTables110(f *testing.F) {
	valid := newTestBase110().tables()
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, edits []byte) {
		spoiled := valid
		spoiled.data = edit(valid.data, edits)
		if b := openSpoiled(t, newTestBase110().fileWith(spoiled)); b != nil {
			h := newHeap110On(b)
			b.Chain(h.blob(), h.index(""))
		}
	})
}

// openValid opens an image without errors.
func openValid(f *testing.F, file []byte) *Base {
	im, err := elfpatch.Parse("base.so", file)
	if err != nil {
		f.Fatal(err)
	}
	base, err := Open(im)
	if err != nil {
		f.Fatal(err)
	}
	return base
}

// fuzzBlob spoils blob, of which file makes an image, and fresh, a heap that is chained to base.
func fuzzBlob(f *testing.F, base *Base, index *Index, blob, fresh []byte, file func(blob []byte) []byte) {
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255}, uint32(0))
	f.Add([]byte{0, 16, 0, 0, 0, 0, 0, 32}, uint32(100))
	f.Fuzz(func(t *testing.T, edits []byte, cut uint32) {
		openSpoiled(t, file(edit(blob[:len(blob)-int(cut)%len(blob)], edits)))
		if _, err := base.Chain(edit(fresh[:len(fresh)-int(cut)%len(fresh)], edits), index); err != nil &&
			!errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("error %v is of no kind", err)
		}
	})
}

// openSpoiled opens and checks an image that may have errors, and returns nil if it cannot be opened.
func openSpoiled(t *testing.T, file []byte) *Base {
	im, err := elfpatch.Parse("spoiled.so", file)
	if err != nil {
		return nil
	}
	b, err := Open(im)
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("error %v is of no kind", err)
		}
		return nil
	}
	b.Check()
	b.Packages()
	b.Index()
	return b
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte("fvar\tjulia_f_1\nfvar\t@3\ngvar\tx\nused\t2\ncode\t-1\t0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := ParseIndex("index.txt", text); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v is of no kind", err)
		}
	})
}
