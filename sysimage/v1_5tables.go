package sysimage

// This file merges the tables of a system image of Julia 1.5 with those of what is chained to it. Their layout is at the
// top of v1_5.go.
//
// New functions have one variant, which serves on all targets: it is in the tables of each complete target. A function of
// the base that new code calls, and that has several variants, is called through a slot of the new image; so it has to be
// in jl_dispatch_reloc_slots, and in the list of functions to fill slots with of every target.
//
// Offsets of the base's functions and cells are repeated as they are where they lie in the layer that offsets count
// from. Those that lie in another layer are left to the link, as new ones are.

import (
	"strings"

	"chainbuild/elfpatch"
)

// tables returns the sections of the merged tables of an image whose blob has the given size in bytes.
func (c *merge15) tables(blobSize uint64) []elfpatch.Section {
	var switched []int // functions that need a slot filled
	for _, i := range c.used {
		if !c.base.Functions[i].single() {
			switched = append(switched, i)
		}
	}
	functions := &table{anchor: c.functionsBase}
	start := functions.begin()
	functions.uint32(uint32(len(c.base.Functions) + len(c.functions)))
	c.baseFunctions(functions, c.image15.functions)
	c.newFunctions(functions)
	functions.end("jl_sysimg_fvars_offsets", start)
	clones := c.cloneTables(functions, switched)

	globals := &table{section: functions.section, anchor: c.globalsBase}
	start = globals.begin()
	globals.uint32(uint32(len(c.base.Globals) + len(c.index.Globals)))
	for i := range c.base.Globals {
		c.baseOffset(globals, at32(c.image15.globals, i), c.global)
	}
	for _, name := range c.index.Globals {
		globals.diff(elfpatch.Address{Symbol: name})
	}
	globals.end("jl_sysimg_gvars_offsets", start)
	c.slotTable(globals, switched)

	globals.section.Name, globals.section.Align, globals.section.Writable = tableSection, 8, true
	return []elfpatch.Section{globals.section, c.constants(clones, blobSize)}
}

// baseFunctions repeats offsets of functions of the base.
func (c *merge15) baseFunctions(t *table, offsets []byte) {
	if len(c.base.Layers) == 1 {
		t.section.Data = append(t.section.Data, offsets...)
		return
	}
	for i := range len(offsets) / 4 {
		c.baseOffset(t, at32(offsets, i), c.function)
	}
}

// newFunctions appends the offsets of the new functions.
func (c *merge15) newFunctions(t *table) {
	for _, f := range c.functions {
		t.diff(elfpatch.Address{Symbol: f.symbol})
	}
}

// baseOffset repeats an offset of the base; address says what it stands for.
func (c *merge15) baseOffset(t *table, offset uint32, address func(uint32) uint64) {
	if len(c.base.Layers) > 1 {
		if target, ok := c.base.Locate(address(offset)); ok && target.Base != t.anchor.Base {
			t.diff(target)
			return
		}
	}
	t.uint32(offset)
}

// cloneTables appends jl_dispatch_fvars_offsets to t and returns jl_dispatch_fvars_idxs. The functions in switched are
// added to the list of each target.
func (c *merge15) cloneTables(t *table, switched []int) (indices []byte) {
	start := t.begin()
	for i, target := range c.clones {
		head := len(indices)
		indices = le.AppendUint32(indices, 0) // the count, when it is known
		if !target.complete {
			indices = le.AppendUint32(indices, uint32(target.fallback))
		} else if i != 0 {
			c.baseFunctions(t, target.offsets)
			c.newFunctions(t)
		}
		count := uint32(0)
		// add lists a function, with its code if the target is not complete.
		add := func(index uint32, offset uint32) {
			indices = le.AppendUint32(indices, index)
			if !target.complete {
				c.baseOffset(t, offset, c.function)
			}
			count++
		}
		rest := switched
		for j := range len(target.indices) / 4 {
			entry, offset := at32(target.indices, j), uint32(0)
			if !target.complete {
				offset = at32(target.offsets, j)
			}
			for len(rest) > 0 && uint32(rest[0]) < entry&^indexFlag {
				add(c.listed(target, rest[0]))
				rest = rest[1:]
			}
			if len(rest) > 0 && uint32(rest[0]) == entry&^indexFlag {
				if !target.complete {
					entry |= indexFlag
				}
				rest = rest[1:]
			}
			add(entry, offset)
		}
		for _, index := range rest {
			add(c.listed(target, index))
		}
		if target.complete {
			count |= indexFlag
		}
		le.PutUint32(indices[head:], count)
	}
	t.end("jl_dispatch_fvars_offsets", start)
	return indices
}

// listed is how a function that a target has no entry for is added to its list: with the code that serves there anyway.
func (c *merge15) listed(target clones, index int) (entry, offset uint32) {
	if target.complete {
		return uint32(index), 0
	}
	return uint32(index) | indexFlag, at32(c.clones[target.fallback].offsets, index)
}

// slotTable appends jl_dispatch_reloc_slots: the base's slots and one for each function in switched, by function index.
func (c *merge15) slotTable(t *table, switched []int) {
	start := t.begin()
	t.uint32(uint32(len(c.slots)/8 + len(switched)))
	add := func(index int) {
		t.uint32(uint32(index))
		t.diff(elfpatch.Address{Symbol: elfpatch.SlotSymbol(BaseSymbol(index))})
	}
	for i := range len(c.slots) / 8 {
		index, offset := at32(c.slots, 2*i), at32(c.slots, 2*i+1)
		for len(switched) > 0 && uint32(switched[0]) < index {
			add(switched[0])
			switched = switched[1:]
		}
		t.uint32(index)
		c.baseOffset(t, offset, c.global)
	}
	for _, index := range switched {
		add(index)
	}
	t.end("jl_dispatch_reloc_slots", start)
}

// constants holds the tables that do not depend on where things end up.
func (c *merge15) constants(indices []byte, blobSize uint64) elfpatch.Section {
	t := &table{section: elfpatch.Section{Name: constantSection, Align: 8}}
	start := t.begin()
	t.section.Data = append(t.section.Data, indices...)
	t.end("jl_dispatch_fvars_idxs", start)
	start = t.begin()
	t.section.Data = le.AppendUint64(t.section.Data, blobSize)
	t.end("jl_system_image_size", start)
	start = t.begin()
	t.section.Data = le.AppendUint64(t.section.Data, c.nameCounter())
	t.end("jl_globalUnique", start)
	return t.section
}

// nameCounter is more than any number at the end of a name of the base or of a new function.
func (c *merge15) nameCounter() uint64 {
	counter := c.base.NameCounter
	for _, f := range c.functions {
		digits := f.symbol[strings.LastIndexByte(f.symbol, '_')+1:]
		if n, ok := parseNumber([]byte(digits)); ok {
			counter = max(counter, uint64(n)+1)
		}
	}
	return counter
}

// tableRange is the table of functions of a layer, where the loader does not write to it: thin ones have distances in it.
func tableRange(im *elfpatch.Image) []elfpatch.Fingerprint {
	sym, ok := im.Lookup("jl_sysimg_fvars_offsets")
	if !ok || basePath(im) != "" {
		return nil
	}
	n, err := im.Bytes(sym.Value, 4)
	if err != nil {
		return nil
	}
	return []elfpatch.Fingerprint{{Base: im, Addr: sym.Value, Size: 4 + 4*uint64(le.Uint32(n))}}
}
