package sysimage

// This file takes over the native code of package images: it makes a Base of a base and of the package images that a process on it has loaded.
//
// In such a Base, the functions and cells of the package images follow those of the base, in the order of the package images, and the shards of
// their tables follow the base's. So what is chained to it calls functions of packages as it calls those of the base. The heap is the base's alone:
// objects of packages are new, and the process plants those that the package images' tables refer to, before what is new besides:
//
//	among the new code instances   those of package images that are valid (lines "held" of index.txt)
//	among the contents of cells    those of all cells of package images; of a cell for a function it is nothing
//
// A cell for a function of another image is filled when all functions are known, by the image's startup code (load_register.go, lines "link").
//
// What the process has to know of the package images it reads from a file, all in words of 4 bytes, little endian:
//
//	"CBPI", "0001"
//	number of package images, and for each of them
//	  its number in the list that the process has given
//	  where its blob starts, in bytes from its jl_system_image_data
//	  number of code instances, of cells, and of those of these that hold objects
//	  per code instance: its offset in the blob, the indices of its wrapper and of its body among all functions, -1 for none
//	  per cell: its distance from jl_system_image_data in bytes

import (
	"bytes"
	"fmt"
	"slices"

	"chainbuild/elfpatch"
)

// Held are package images whose code a process has loaded.
type Held struct {
	// Base is the base with the package images' code.
	Base *Base
	// Index is the file for the process.
	Index []byte

	images []*packageImage
	// code are the code instances of all package images, with functions by their indices in Base.
	code []packageCode
	// firstCell is the index in Base of the first cell, cells the number of cells.
	firstCell, cells int
	// firstFunction is the index in Base of the first function.
	firstFunction int
}

// Hold takes up the package images at paths, which a process on b has loaded with their code. Those without code are left out. An error that
// wraps ErrPackageImage says why the code of one cannot be used. Close closes them.
func (b *Base) Hold(paths []string) (h *Held, err error) {
	h = &Held{firstFunction: len(b.Functions), firstCell: len(b.Globals)}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	if !b.layout.packages {
		return nil, fmt.Errorf("%w in images of Julia %s", ErrPackageImage, b.layout.julia)
	}
	next := uint64(0)
	for _, im := range b.libraries() {
		next = max(next, im.EndAddr())
	}
	const page = 1 << 12
	numbers := []int{}
	for _, path := range slices.Sorted(slices.Values(paths)) {
		number := slices.Index(paths, path)
		p, err := openPackage(b.layout, path, (next+page-1)&^(page-1))
		if err != nil {
			return h, fmt.Errorf("%w: %w", ErrPackageImage, err)
		}
		if len(p.functions) == 0 {
			p.image.Close()
			continue
		}
		h.images, numbers = append(h.images, p), append(numbers, number)
		if err := b.fits(p); err != nil {
			return h, err
		}
		next = p.image.EndAddr()
	}
	h.Base = b.with(h)
	h.writeIndex(numbers)
	return h, nil
}

// Empty says that there is no code in any of the package images.
func (h *Held) Empty() bool { return len(h.images) == 0 }

// Close closes the package images.
func (h *Held) Close() error {
	if h == nil {
		return nil
	}
	var list []*elfpatch.Image
	for _, p := range h.images {
		list = append(list, p.image)
	}
	return closeAll(list)
}

// fits says whether the code of a package image runs wherever that of the base does that a process has chosen. One that was compiled for a single
// processor is for this one, as new code is; another one must be for the base's list.
func (b *Base) fits(p *packageImage) error {
	refuse := func(reason string) error { return fmt.Errorf("%w: %s %s", ErrPackageImage, p.image.Path, reason) }
	if size := p.image.EndAddr() - p.image.Moved(); size > elfpatch.MaxAttached {
		return refuse(fmt.Sprintf("has %d bytes, which is more than the tables of an image can reach", size))
	}
	if !p.isWritable() {
		return refuse("has cells that cannot be written to")
	}
	if bytes.Equal(appendTargets(nil, p.targets), appendTargets(nil, b.Targets)) {
		return nil
	}
	if len(p.targets) != 1 {
		return refuse("has code for " + targetNames(p.targets) + ", the base for " + targetNames(b.Targets))
	}
	for _, s := range p.tables.shards {
		if len(s.slots) > 0 {
			return refuse("has functions that are called through slots")
		}
	}
	return nil
}

// with is the base with the functions, cells and shards of package images.
func (b *Base) with(h *Held) *Base {
	out := *b
	tables := *b.tables.(*shardTables)
	tables.b = &out
	out.Packages, out.Functions, out.Globals = slices.Clone(b.Packages), slices.Clone(b.Functions), slices.Clone(b.Globals)
	tables.shards, tables.owners = slices.Clone(tables.shards), slices.Clone(tables.owners)
	for _, p := range h.images {
		first, cell := len(out.Functions), len(out.Globals)
		out.Packages = append(out.Packages, p.image)
		for _, f := range p.functions {
			variants := f.Variants
			if len(variants) != len(b.Targets) {
				variants = slices.Repeat(variants[:1], len(b.Targets))
			}
			out.Functions = append(out.Functions, Function{variants})
		}
		for _, owner := range p.tables.owners {
			tables.owners = append(tables.owners, len(tables.shards)+owner)
		}
		for _, s := range p.tables.shards {
			s.functionIndices, s.cellIndices = shifted(s.functionIndices, first), shifted(s.cellIndices, cell)
			s.renumbered = true
			if len(s.clones) != len(b.Targets) {
				s.clones = onAll(s.clones[0], len(b.Targets))
				s.spread = true
			}
			tables.shards = append(tables.shards, s)
		}
		for range p.cells {
			out.Globals = append(out.Globals, Global{Kind: GlobalPlanted})
		}
		for _, c := range p.code {
			c.Invoke, c.Spec = shiftedIndex(c.Invoke, first), shiftedIndex(c.Spec, first)
			h.code = append(h.code, c)
		}
		h.cells += len(p.cells)
	}
	tables.cellCount += h.cells
	out.tables = &tables
	return &out
}

func shifted(list []uint32, by int) []uint32 {
	out := make([]uint32, len(list))
	for i, n := range list {
		out[i] = n + uint32(by)
	}
	return out
}

// shiftedIndex is an index of a function, -1 if there is none.
func shiftedIndex(i int32, by int) int32 {
	if i < 0 {
		return i
	}
	return i + int32(by)
}

// onAll are the tables of a shard whose only code serves on each of a number of targets.
func onAll(only clones, targets int) []clones {
	list := []clones{{complete: true, code: only.code}}
	for range targets - 1 {
		list = append(list, clones{})
	}
	return list
}

// writeIndex writes the file for the process, given the numbers of the package images in its list.
func (h *Held) writeIndex(numbers []int) {
	word := func(n int) { h.Index = le.AppendUint32(h.Index, uint32(n)) }
	h.Index = []byte("CBPI0001")
	word(len(h.images))
	code := h.code
	for i, p := range h.images {
		word(numbers[i])
		word(int(p.header.start))
		word(len(p.code))
		word(len(p.cells))
		word(p.external)
		for _, c := range code[:len(p.code)] {
			word(int(c.Offset))
			word(int(c.Invoke))
			word(int(c.Spec))
		}
		code = code[len(p.code):]
		for _, cell := range p.cells {
			word(int(int64(cell - p.data)))
		}
	}
}

// imageCount is the number of package images.
func (h *Held) imageCount() int {
	if h == nil {
		return 0
	}
	return len(h.images)
}

// cellCount is the number of cells of package images.
func (h *Held) cellCount() int {
	if h == nil {
		return 0
	}
	return h.cells
}

// holdCode makes records of the code instances of package images that the process planted, at offsets of the new heap, and gives them the calling
// conventions that the package images' blobs have for them.
func (c *chaining) holdCode(offsets []uint32) error {
	h := c.index.Packages
	c.held = map[int]uint64{}
	set := func(function int32, offset uint32, wrapper bool) bool {
		if function < 0 {
			return true
		}
		_, taken := c.held[int(function)]
		c.held[int(function)] = c.heap.makeFunctionRecord(offset, wrapper)
		return !taken
	}
	for i, offset := range offsets {
		n := c.index.Held[i]
		if h == nil || n >= len(h.code) {
			return fmt.Errorf("%w: %s names code instance %d of package images", ErrDamaged, c.index.Name, n)
		}
		code := h.code[n]
		if !set(code.Invoke, offset, true) || !set(code.Spec, offset, false) {
			return fmt.Errorf("%w: %s names code instance %d of package images twice", ErrDamaged, c.index.Name, n)
		}
		if code.convention == 0 || code.Invoke >= 0 {
			continue
		}
		if c.heap.word(offset+c.heap.code.invoke) != 0 {
			return fmt.Errorf("%w: code instance %d of package images can be called already in the new heap", ErrDamaged, n)
		}
		c.setInvoke(offset, c.heap.join(refFunction, code.convention))
	}
	return nil
}

// plantedCell is the entry of gvar_record of a cell of package images, by its number.
func (c *chaining) plantedCell(number int) (uint64, error) {
	code := c.lists[1][number]
	if _, err := c.heap.global(code, nil); err != nil {
		return 0, fmt.Errorf("the new heap has nothing for cell %d of package images: %w", number, err)
	}
	return code, nil
}

// checkLinks sees to it that links are of cells and functions that there are, and sorts them by function.
func (c *chaining) checkLinks() error {
	for _, link := range c.index.Links {
		if link.Cell >= c.index.Packages.cellCount() || link.Function >= len(c.base.Functions) {
			return fmt.Errorf("%w: %s links cell %d of package images to function %d, of which there are %d and %d", ErrDamaged, c.index.Name,
				link.Cell, link.Function, c.index.Packages.cellCount(), len(c.base.Functions))
		}
	}
	slices.SortStableFunc(c.index.Links, func(a, b IndexLink) int { return a.Function - b.Function })
	return nil
}

// cellAt is where a cell of package images is, by its number.
func (h *Held) cellAt(number int) elfpatch.Address {
	for _, p := range h.images {
		if number < len(p.cells) {
			return elfpatch.Address{Base: p.image, Offset: p.cells[number]}
		}
		number -= len(p.cells)
	}
	return elfpatch.Address{}
}

// addPackages notes which package images the image uses, and has a thin one check them.
func (c *chaining) addPackages(m *Merged) error {
	if c.base.Note != nil {
		m.Note.Packages = slices.Clone(c.base.Note.Packages)
	}
	if h := c.index.Packages; h != nil {
		for _, p := range h.images {
			m.Note.Packages = append(m.Note.Packages, p.identity())
		}
	}
	for _, im := range c.base.Packages {
		data, at, err := packageData(im)
		if err != nil {
			return err
		}
		header, err := readPackageHeader(data)
		if err != nil {
			return err
		}
		// No other build of a package image has its header, with the checksum.
		m.Check = append(m.Check, elfpatch.Fingerprint{Base: im, Addr: at, Size: header.size})
		m.Drop = append(m.Drop, elfpatch.Fingerprint{Base: im, Addr: at, Size: uint64(len(data))})
	}
	return nil
}
