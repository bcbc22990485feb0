package sysimage

// This file merges the tables of a system image of Julia 1.10 with those of what is chained to it. Their layout is at the
// top of v1_10.go.
//
// The shards of the base are repeated as they are: pointers to its tables. After them come
//
//   - a shard for the new functions and cells. New functions have one variant, which serves on all targets.
//   - a shard for each shard of the base that has functions with several variants which new code calls. Those are called
//     through slots of the new image, which the loader fills if they are slots of some shard. So the shard has these
//     functions once more, each with the variants that the loader chooses anyway, and the slots for them.
//
// Offsets count from a place of the library that they lead into. So they need no work when the image is loaded.

import (
	"chainbuild/elfpatch"
)

// Symbols of sections of tables, by which fields lead to them.
const (
	constantSymbol = "constant.tables"
	pointerSymbol  = "pointer.tables"
)

// A shardWriter writes tables of new shards and remembers where they are.
type shardWriter struct {
	*table
	shards [][]elfpatch.Address
}

// here is the place of what comes next.
func (w *shardWriter) here() elfpatch.Address {
	return elfpatch.Address{Symbol: constantSymbol, Offset: uint64(w.begin())}
}

// counted appends a table with its number of entries, of fields each.
func (w *shardWriter) counted(n int, entry func(i int)) elfpatch.Address {
	at := w.here()
	w.uint32(uint32(n))
	for i := range n {
		entry(i)
	}
	return at
}

// plain appends a table without a count.
func (w *shardWriter) plain(n int, entry func(i int)) elfpatch.Address {
	at := w.here()
	for i := range n {
		entry(i)
	}
	return at
}

// tables returns the sections of the merged tables of an image whose blob has the given size in bytes.
func (c *merge110) tables(blobSize uint64) []elfpatch.Section {
	w := &shardWriter{table: &table{section: elfpatch.Section{Name: constantSection, Align: 8}}}
	for _, s := range c.shards {
		w.shards = append(w.shards, s.pointers)
	}
	c.newShard(w)
	for i, functions := range c.switched() {
		c.slotShard(w, c.shards[i].pointers[shardFunctionBase], functions)
	}

	header := w.here()
	for _, n := range []int{version110, len(w.shards), len(c.base.Functions) + len(c.functions), len(c.base.Globals) + len(c.index.Globals)} {
		w.uint32(uint32(n))
	}
	start := w.begin()
	w.section.Data = le.AppendUint64(w.section.Data, blobSize)
	w.end("jl_system_image_size", start)
	w.section.Symbols = append(w.section.Symbols, elfpatch.Symbol{Name: constantSymbol, Size: uint64(len(w.section.Data))})

	pointers := &table{section: elfpatch.Section{Name: tableSection, Align: 8, Writable: true}}
	for _, shard := range w.shards {
		for _, to := range shard {
			pointers.pointer(to)
		}
	}
	pointers.section.Symbols = []elfpatch.Symbol{{Name: pointerSymbol, Size: uint64(len(pointers.section.Data))}}
	start = pointers.begin()
	for _, to := range []elfpatch.Address{header, {Symbol: pointerSymbol}, c.ptls, c.smallTypeof, c.targetData} {
		pointers.pointer(to)
	}
	pointers.end("jl_image_pointers", start)
	return []elfpatch.Section{w.section, pointers.section}
}

// newShard appends the shard of the new functions and cells.
func (c *merge110) newShard(w *shardWriter) {
	code := elfpatch.Address{Symbol: elfpatch.CodeStart}
	shard := make([]elfpatch.Address, shardPointers110)
	shard[shardFunctionBase] = code
	w.anchor = code
	shard[shardFunctions] = w.counted(len(c.functions), func(i int) { w.diff(elfpatch.Address{Symbol: c.functions[i]}) })
	shard[shardFunctionIndices] = w.plain(len(c.functions), func(i int) { w.uint32(uint32(len(c.base.Functions) + i)) })
	shard[shardGlobalBase] = elfpatch.Address{Symbol: cellsSymbol}
	shard[shardGlobals] = w.counted(len(c.index.Globals), func(i int) { w.uint32(uint32(8 * i)) })
	shard[shardGlobalIndices] = w.plain(len(c.index.Globals), func(i int) { w.uint32(uint32(len(c.base.Globals) + i)) })
	shard[shardSlots] = w.counted(0, nil)
	shard[shardCloneOffsets] = w.here()
	// Other targets than the first have no code of their own and fall back to that.
	shard[shardCloneIndices] = w.here()
	for i := range c.base.Targets {
		if i == 0 {
			w.uint32(indexFlag)
			continue
		}
		w.uint32(0)
		w.uint32(0)
	}
	w.shards = append(w.shards, shard)
}

// switched lists, by shard of the base, the functions with several variants that new code calls.
func (c *merge110) switched() [][]int {
	functions := make([][]int, len(c.shards))
	for _, i := range c.used {
		if !c.base.Functions[i].single() {
			functions[c.owners[i]] = append(functions[c.owners[i]], i)
		}
	}
	return functions
}

// slotShard appends a shard that has slots of functions of the base filled, which lie in the layer of origin.
func (c *merge110) slotShard(w *shardWriter, origin elfpatch.Address, functions []int) {
	if len(functions) == 0 {
		return
	}
	n := len(functions)
	slot := func(i int) elfpatch.Address {
		return elfpatch.Address{Symbol: elfpatch.SlotSymbol(BaseSymbol(functions[i]))}
	}
	variant := func(target int) func(int) {
		return func(i int) { w.uint32(uint32(c.base.Functions[functions[i]].Variants[target] - origin.Offset)) }
	}
	shard := make([]elfpatch.Address, shardPointers110)
	shard[shardFunctionBase] = origin
	shard[shardFunctions] = w.counted(n, variant(0))
	shard[shardFunctionIndices] = w.plain(n, func(i int) { w.uint32(uint32(functions[i])) })
	shard[shardGlobalBase] = slot(0)
	shard[shardGlobals] = w.counted(0, nil)
	shard[shardGlobalIndices] = w.here()
	w.anchor = slot(0)
	shard[shardSlots] = w.counted(n, func(i int) {
		w.uint32(uint32(i))
		w.diff(slot(i))
	})
	shard[shardCloneOffsets] = w.here()
	for t := range c.base.Targets[1:] {
		for i := range n {
			variant(t + 1)(i)
		}
	}
	shard[shardCloneIndices] = w.here()
	for range c.base.Targets {
		w.uint32(uint32(n) | indexFlag)
		for i := range n {
			w.uint32(uint32(i))
		}
	}
	w.shards = append(w.shards, shard)
}
