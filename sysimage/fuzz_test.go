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

// seeds are edits of what has the given size: none, and one of each part of it.
func seeds(size int) (list [][]byte) {
	list = append(list, nil)
	for _, value := range []uint32{0, 1, 1 << 20, 1 << 31, ^uint32(0)} {
		for at := 0; at < size; at += max(4, size/16&^3) {
			list = append(list, le.AppendUint32(le.AppendUint32(nil, uint32(at)), value))
		}
	}
	return list
}

// A fuzzBase is an image without errors, opened, and a heap that can be chained to it.
type fuzzBase struct {
	layout *testLayout
	image  *testImage
	tables testTables
	base   *Base
	fresh  []byte
	index  *Index
}

// fuzzBases makes one for each layout; the inputs of tests name them by number.
func fuzzBases(f *testing.F) (list []fuzzBase) {
	for _, l := range testLayouts {
		m := newTestBase(l)
		im, err := elfpatch.Parse("base.so", m.file())
		if err != nil {
			f.Fatal(err)
		}
		b, err := Open(im)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, fuzzBase{l, m, m.tables(m), b, newHeapOn(l, b).bytes(), newIndex(l, "")})
	}
	return list
}

// Heaps with errors are opened, checked, and chained: with errors, without panics.
func FuzzHeap(f *testing.F) {
	bases := fuzzBases(f)
	for i, b := range bases {
		for _, edits := range seeds(len(b.fresh)) {
			f.Add(uint8(i), edits, uint32(0))
		}
		f.Add(uint8(i), []byte{}, uint32(100))
	}
	f.Fuzz(func(t *testing.T, layout uint8, edits []byte, cut uint32) {
		b := bases[int(layout)%len(bases)]
		spoil := func(blob []byte) []byte { return edit(blob[:len(blob)-int(cut)%len(blob)], edits) }
		m := *b.image
		m.blob = spoil(b.image.heap.bytes())
		openSpoiled(t, m.file())
		if _, err := b.base.Chain(spoil(b.fresh), b.index); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("error %v is of no kind", err)
		}
	})
}

// Tables with errors.
func FuzzTables(f *testing.F) {
	bases := fuzzBases(f)
	for i, b := range bases {
		for _, edits := range seeds(len(b.tables.data)) {
			f.Add(uint8(i), edits)
		}
	}
	f.Fuzz(func(t *testing.T, layout uint8, edits []byte) {
		b := bases[int(layout)%len(bases)]
		tables := b.tables
		tables.data = edit(tables.data, edits)
		if spoiled := openSpoiled(t, b.image.fileWith(tables)); spoiled != nil {
			spoiled.Chain(slices.Clone(b.fresh), b.index)
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
	b.Index()
	return b
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte("fvar\tjulia_f_1\nfvar\t@3\ngvar\tx\nused\t2\ncode\t-1\t0\n"))
	f.Add([]byte("entry\tf=jlcapi_f_3\ncode\t-2\t0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := ParseIndex("index.txt", text); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v is of no kind", err)
		}
	})
}
