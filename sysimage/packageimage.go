package sysimage

// This file reads package images: what Pkg has compiled of a package, from Julia 1.9 on. A package image is a shared object like a system image,
// with the same tables of functions and cells and the same exported names. Its blob has a header before it and refers to objects of other images.
// jl_restore_package_image_from_file in src/staticdata.c loads it, jl_read_verify_header in src/staticdata_utils.c reads the header:
//
//	8 bytes  magic: fb 6a 6c 69 0d 0a 1a 0a
//	2, 2, 1  version of the format, ff fe, size of a pointer
//	5 texts  system, processor, version, branch and commit of the Julia, each ended by a zero byte
//	1        1: there is native code
//	8        checksum: crc32c of the blob, below fafbfcfd
//	8, 8     where the blob starts and ends, counted from jl_system_image_data
//
// The blob has the sections of heap.go. Its tail begins with some references (layout.packageRefs); then come four lists of u32, each behind its
// number as u32; then the index of the first cell that holds no object but the address of a function of another image, as u32.
//
// When a process has loaded a package image with its code, the code instances of its blob have pointers to its functions, and its cells hold their
// objects. So the process that a heap is taken of tells what the cells hold, and this file tells where they are, and which functions
// the code instances have (packages.go).

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"chainbuild/elfpatch"
)

// ErrPackageImage is wrapped by errors that say why the code of a package image cannot be taken over.
var ErrPackageImage = errors.New("its native code cannot be used")

// A PackageIdentity says which package image an image uses, and where its addresses are.
type PackageIdentity struct {
	Path string `json:"path"`
	// Moved is what virtual addresses of the file are less than those that the image has for it.
	Moved uint64 `json:"moved"`
	// Checksum is that of the header.
	Checksum uint64 `json:"checksum"`
}

// A packageImage is a package image whose native code is to be taken over.
type packageImage struct {
	// base is the package image alone, read as system images are.
	base   *Base
	image  *elfpatch.Image
	tables *shardTables
	heap   *heap // only its sections are known
	// targets are those that it has code for, functions its functions, cells the virtual addresses of its cells.
	targets   []Target
	functions []Function
	cells     []uint64
	// code are its code instances, with offsets in its blob.
	code []packageCode
	// external is the index of the first cell for a function of another image.
	external int
	// data is the virtual address of the header.
	data   uint64
	header packageHeader
}

// A packageCode is a code instance, and the calling convention that the blob gives it, 0 for none.
type packageCode struct {
	CodeInstance
	convention uint64
}

// A packageHeader is what the header of a package image says.
type packageHeader struct {
	checksum   uint64
	start, end uint64 // of the blob
	size       uint64 // of the header itself
}

var packageMagic = []byte{0xfb, 'j', 'l', 'i', '\r', '\n', 0x1a, '\n'}

// readPackageHeader reads the header at the start of what jl_system_image_data leads to.
func readPackageHeader(data []byte) (h packageHeader, err error) {
	damaged := fmt.Errorf("%w: the header of the package image is not one", ErrDamaged)
	if !bytes.HasPrefix(data, packageMagic) {
		return h, damaged
	}
	at := len(packageMagic) + 5
	for range 5 {
		if at > len(data) {
			return h, damaged
		}
		n := bytes.IndexByte(data[at:], 0)
		if n < 0 {
			return h, damaged
		}
		at += n + 1
	}
	if at+25 > len(data) {
		return h, damaged
	}
	h = packageHeader{le.Uint64(data[at+1:]), le.Uint64(data[at+9:]), le.Uint64(data[at+17:]), uint64(at + 25)}
	if h.start < h.size || h.start > h.end || h.end > uint64(len(data)) {
		return h, damaged
	}
	return h, nil
}

// packageData is what jl_system_image_data of a package image leads to: the header and the blob, with what lies between.
func packageData(im *elfpatch.Image) (data []byte, at uint64, err error) {
	start, ok := im.Lookup("jl_system_image_data")
	size, ok2 := im.Lookup("jl_system_image_size")
	if !ok || !ok2 {
		return nil, 0, fmt.Errorf("%s: %w: it is no package image", im.Path, ErrPackageImage)
	}
	field, err := im.Bytes(size.Value, 8)
	if err == nil {
		data, err = im.Bytes(start.Value, le.Uint64(field))
	}
	return data, start.Value, err
}

// openPackage opens the package image at path for an image of layout l, at virtual addresses from at on.
func openPackage(l *layout, path string, at uint64) (*packageImage, error) {
	im, err := elfpatch.Open(path)
	if err != nil {
		return nil, err
	}
	im.Move(at)
	p, err := readPackage(l, im)
	if err != nil {
		im.Close()
		return nil, err
	}
	return p, nil
}

// readPackage reads a package image. It has no functions if it was made without native code.
func readPackage(l *layout, im *elfpatch.Image) (*packageImage, error) {
	// What reads tables of a system image reads those of a package image.
	b := &Base{Layers: []*elfpatch.Image{im}, layout: l}
	read, err := l.tables(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", im.Path, err)
	}
	tables, ok := read.(*shardTables)
	if !ok {
		return nil, fmt.Errorf("%s: %w: images of Julia %s have no tables for it", im.Path, ErrPackageImage, l.julia)
	}
	p := &packageImage{base: b, image: im, tables: tables, targets: b.Targets, functions: b.Functions, cells: tables.cells()}
	data, at, err := packageData(im)
	if err != nil {
		return nil, err
	}
	p.data = at
	if p.header, err = readPackageHeader(data); err != nil {
		return nil, fmt.Errorf("%s: %w", im.Path, err)
	}
	p.heap = &heap{layout: l, data: data[p.header.start:p.header.end], shift: shiftV10}
	for _, step := range []func() error{p.heap.parseSections, p.readTail, p.readCode} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", im.Path, err)
		}
	}
	return p, nil
}

// readTail reads where cells for functions of other images begin.
func (p *packageImage) readTail() error {
	tail := p.heap.tail.of(p.heap.data)
	at := p.heap.layout.packageRefs * p.heap.form.width
	number := func() (n uint64, ok bool) {
		if at+4 > len(tail) {
			return 0, false
		}
		at += 4
		return uint64(le.Uint32(tail[at-4:])), true
	}
	ok := true
	for list := 0; ok && list < 4; list++ {
		var n uint64
		if n, ok = number(); ok && n > uint64(len(tail))/4 {
			ok = false
		}
		at += 4 * int(n)
	}
	external, ok2 := number()
	if !ok || !ok2 || external > uint64(len(p.cells)) || p.heap.cellRecords() != len(p.cells) {
		return fmt.Errorf("%w: the end of its blob does not fit its %d cells", ErrDamaged, len(p.cells))
	}
	p.external = int(external)
	return nil
}

// readCode reads fptr_record, and how code instances without a wrapper are called.
func (p *packageImage) readCode() error {
	h := p.heap
	records := h.numbers(h.functions)
	if len(records) > len(p.functions) {
		return fmt.Errorf("%w: its blob names %d functions, of which there are %d", ErrDamaged, len(records), len(p.functions))
	}
	var list []CodeInstance
	for i, entry := range records {
		offset, wrapper, ok := h.functionRecord(entry)
		if !ok {
			continue
		}
		if offset > uint64(h.objects.size) || !h.inHeap(uint32(offset), h.code.size) {
			return fmt.Errorf("%w: the record of function %d leads to no code instance", ErrDamaged, i)
		}
		c := CodeInstance{Offset: uint32(offset), Invoke: -1, Spec: int32(i)}
		if wrapper {
			c.Invoke, c.Spec = c.Spec, -1
		}
		list = append(list, c)
	}
	list, err := mergeCode(list)
	if err != nil {
		return err
	}
	for _, c := range list {
		code := packageCode{CodeInstance: c}
		if kind, n := h.split(h.word(c.Offset + h.code.invoke)); kind == refFunction {
			code.convention = n
		}
		p.code = append(p.code, code)
	}
	return nil
}

// identity is how an image that uses p's code names it.
func (p *packageImage) identity() PackageIdentity {
	return PackageIdentity{Path: p.image.Path, Moved: p.image.Moved(), Checksum: p.header.checksum}
}

// openNoted opens the package images that a thin image uses.
func openNoted(im *elfpatch.Image) (list []*elfpatch.Image, err error) {
	note, err := readNote(im)
	if err != nil || note == nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeAll(list)
			list = nil
		}
	}()
	for _, id := range note.Packages {
		p, err := elfpatch.Open(id.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return list, fmt.Errorf("%s uses the code of the package image %s, which is not there any more: build it again", im.Path, id.Path)
		}
		if err != nil {
			return list, err
		}
		list = append(list, p)
		data, _, err := packageData(p)
		if err != nil {
			return list, err
		}
		if h, err := readPackageHeader(data); err != nil || h.checksum != id.Checksum {
			return list, fmt.Errorf("%s was built with the code of the package image %s, which is another one since: build it again", im.Path, id.Path)
		}
		if err := move(p, im, id.Moved); err != nil {
			return list, err
		}
	}
	return list, nil
}

// isWritable says that the cells of a package image can be written to.
func (p *packageImage) isWritable() bool {
	return !slices.ContainsFunc(p.cells, func(addr uint64) bool { return !p.base.inSegment(addr, 8, pfWrite) })
}
