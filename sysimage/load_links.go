package sysimage

// This file fills the cells of package images that hold addresses of functions of other images: links.
//
// Julia's loader fills such a cell when it loads a package image, from the code instance in the image that the function is in. In an image that has
// taken the code over, all functions are in one list, and the image's startup code fills the cells from that (load_register.go). A table of links
// is, ascending by function, and exported under a name that begins with linksPrefix, since a standalone image does it for the thin ones in it:
//
//	8  address of the cell, 0 at the end
//	8  index of the function

import (
	"strconv"

	"chainbuild/elfpatch"
)

// linksPrefix begins the names of tables of links. The rest tells thin images of a chain apart: their number.
const linksPrefix = "chainbuild_links_"

// A functionList is where the list of functions that the loader registers (jl_image_fptrs_t in src/processor.h) has what, in bytes. Variants that it
// has chosen for single functions are in lists of their own, by index, ascending.
type functionList struct {
	code                                  int32
	variants, variantCode, variantIndices int32
	// distances: code is int32 distances from what is at 0, and not pointers.
	distances bool
}

// distanceList is that of Julia 1.10, addressList that of Julia 1.12.
var (
	distanceList = functionList{code: 16, variants: 24, variantCode: 32, variantIndices: 40, distances: true}
	addressList  = functionList{code: 8, variants: 16, variantCode: 24, variantIndices: 32}
)

// links lists the tables of links in the layers.
func (b *Base) links() []elfpatch.Address { return b.exported(linksPrefix) }

// linkTable appends the table of the links to t and returns its place, the zero Address if there are none.
func (c *chaining) linkTable(t *table) elfpatch.Address {
	if len(c.index.Links) == 0 {
		return elfpatch.Address{}
	}
	name := linksPrefix + strconv.Itoa(len(c.base.links())+1)
	start := t.begin()
	for _, link := range c.index.Links {
		t.pointer(c.index.Packages.cellAt(link.Cell))
		t.section.Data = le.AppendUint64(t.section.Data, uint64(link.Function))
	}
	t.section.Data = append(t.section.Data, make([]byte, 16)...)
	t.end(name, start)
	return elfpatch.Address{Symbol: name}
}

// assembleLinks fills the cells of the table whose address row points to, from the list of functions at functions.
func (form functionList) assembleLinks(a *elfpatch.Asm, row, functions elfpatch.Reg) {
	const (
		link, index, value = elfpatch.RDI, elfpatch.RAX, elfpatch.RCX
		variant, left, r   = elfpatch.RDX, elfpatch.RSI, elfpatch.R8
		code, cell         = elfpatch.R9, elfpatch.R10
		start              = elfpatch.R11
		mask               = 0x7fffffff // without the bit that asks for slots to be filled
	)
	again, done, search, store := a.NewLabel(), a.NewLabel(), a.NewLabel(), a.NewLabel()
	// load reads an entry of a list of code.
	size := int32(8)
	load := func(from elfpatch.Mem) { a.Load(value, from) }
	if form.distances {
		size = 4
		load = func(from elfpatch.Mem) {
			a.LoadSigned32(value, from)
			a.Add(value, start)
		}
		a.Load(start, elfpatch.At(functions, 0))
	}
	a.Load(link, elfpatch.At(row, 0))
	a.Load(variant, elfpatch.At(functions, form.variantIndices))
	a.Load(code, elfpatch.At(functions, form.variantCode))
	a.Load32(left, elfpatch.At(functions, form.variants))
	a.Bind(again)
	a.Load(cell, elfpatch.At(link, 0))
	a.Test(cell, cell)
	a.Jump(elfpatch.Equal, done)
	a.Load(index, elfpatch.At(link, 8))
	a.Load(value, elfpatch.At(functions, form.code))
	load(elfpatch.AtIndex(value, index, uint8(size), 0))
	a.Bind(search)
	a.Test(left, left)
	a.Jump(elfpatch.Equal, store)
	a.Load32(r, elfpatch.At(variant, 0))
	a.AndImm(r, mask)
	a.Compare(r, index)
	a.Jump(elfpatch.Above, store)
	past := a.NewLabel()
	a.Jump(elfpatch.NotEqual, past)
	load(elfpatch.At(code, 0))
	a.Go(store)
	a.Bind(past)
	a.AddImm(variant, 4)
	a.AddImm(code, size)
	a.SubImm(left, 1)
	a.Go(search)
	a.Bind(store)
	a.Store(elfpatch.At(cell, 0), value)
	a.AddImm(link, 16)
	a.Go(again)
	a.Bind(done)
}
