package sysimage

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// packageFile is what jl_system_image_data of a package image leads to, with a blob of the given size.
func packageFile(checksum uint64, size int) []byte {
	b := append(slices.Clone(packageMagic), 12, 0, 0xff, 0xfe, 8)
	for _, text := range []string{"Linux", "x86_64", "1.12.5", "master", "5fe89b8ddc"} {
		b = append(append(b, text...), 0)
	}
	b = append(b, 1)
	at := len(b) + 24
	start := alignInt(at, 64)
	for _, n := range []uint64{checksum, uint64(start), uint64(start + size)} {
		b = le.AppendUint64(b, n)
	}
	return append(b, make([]byte, start-at+size)...)
}

func TestPackageHeader(t *testing.T) {
	file := packageFile(0xfafbfcfd12345678, 100)
	h, err := readPackageHeader(file)
	if err != nil {
		t.Fatal(err)
	}
	if h.checksum != 0xfafbfcfd12345678 || h.start%64 != 0 || h.end-h.start != 100 || h.end != uint64(len(file)) || h.size > h.start {
		t.Errorf("%+v for %d bytes", h, len(file))
	}
	for n := range int(h.size) {
		if _, err := readPackageHeader(file[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
	other := bytes.Replace(file, []byte("jli"), []byte("jlx"), 1)
	if _, err := readPackageHeader(other); !errors.Is(err, ErrDamaged) {
		t.Errorf("another magic: %v", err)
	}
}

func FuzzPackageHeader(f *testing.F) {
	f.Add(packageFile(1, 10))
	f.Add(packageFile(1<<63, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readPackageHeader(data)
		if err == nil && (h.start > h.end || h.end > uint64(len(data)) || h.size > h.start) {
			t.Errorf("%+v of %d bytes", h, len(data))
		}
	})
}

// packageTail is the tail of a package image with lists of the given lengths.
func packageTail(refs int, lists [4]int, external uint32) []byte {
	b := make([]byte, 8*refs)
	for _, n := range lists {
		b = le.AppendUint32(b, uint32(n))
		b = append(b, make([]byte, 4*n)...)
	}
	return le.AppendUint32(b, external)
}

func TestPackageTail(t *testing.T) {
	for _, l := range layouts {
		if !l.packages {
			continue
		}
		tail := packageTail(l.packageRefs, [4]int{2, 0, 1, 3}, 4)
		image := func(tail []byte) *packageImage {
			data := append(make([]byte, 8*6), tail...)
			return &packageImage{cells: make([]uint64, 6), heap: &heap{layout: l, data: data, globals: extent{0, 48}, tail: extent{48, len(tail)}}}
		}
		p := image(tail)
		if err := p.readTail(); err != nil || p.external != 4 {
			t.Errorf("%s: %d, %v", l.julia, p.external, err)
		}
		for n := range tail {
			if err := image(tail[:n]).readTail(); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: cut off after %d bytes: %v", l.julia, n, err)
			}
		}
		if err := image(packageTail(l.packageRefs, [4]int{}, 7)).readTail(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: more cells than there are: %v", l.julia, err)
		}
		huge := packageTail(l.packageRefs, [4]int{}, 0)
		le.PutUint32(huge[8*l.packageRefs:], 1<<31)
		if err := image(huge).readTail(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: a list longer than the tail: %v", l.julia, err)
		}
	}
}

func TestHeldIndex(t *testing.T) {
	index, err := ParseIndex("index.txt", []byte("held\t3\nheld\t0\nlink\t2\t77\ncode\t-1\t0\n"))
	if err != nil || !slices.Equal(index.Held, []int{3, 0}) || !slices.Equal(index.Links, []IndexLink{{2, 77}}) {
		t.Errorf("%+v, %v", index, err)
	}
	for _, wrong := range []string{"held\t-1\n", "held\tx\n", "link\t2\n", "link\t2\t-1\n", "link\t\t1\n"} {
		if _, err := ParseIndex("index.txt", []byte(wrong)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
