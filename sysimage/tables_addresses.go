package sysimage

// This file is the form of shards of Julia 1.12: as tables_shards.go has them, but with addresses of functions, which the dynamic loader
// fills in, and 8 pointers per shard. Offsets are int32 and count from the start of the table that they are in.
//
//	   0 fvar_count       u64 n
//	   8 fvar_ptrs        n pointers to functions: target 0's code
//	  16 fvar_idxs        n × u32 index of the function in the image
//	  24 gvar_offsets     u32 m, then m offsets of 8 byte cells
//	  32 gvar_idxs        m × u32 index of the cell in the image
//	  40 clone_slots      u32 s, then s × {u32 number of the function in the shard, i32 offset of a cell}, ascending
//	  48 clone_ptrs       pointers to functions per target, as readClones describes them
//	  56 clone_idxs       numbers of functions in the shard per target, as readClones describes them
//
// The loader (parse_sysimg in src/processor.cpp) makes tables of its own of them. In these, cells are int32 distances from the
// header of the topmost image.

import (
	"fmt"
	"slices"

	"chainbuild/elfpatch"
)

// Pointers of a shard of this form.
const (
	addressCount = iota
	addressFunctions
	addressFunctionIndices
	addressCells
	addressCellIndices
	addressSlots
	addressClones
	addressCloneIndices
	addressPointers
)

var addressShards = &shardForm{
	pointers: addressPointers, functionIndices: addressFunctionIndices, cellIndices: addressCellIndices, cloneIndices: addressCloneIndices,
	read: readAddressShard, newShard: (*shardMerge).newAddressShard, slotShard: (*shardMerge).addressSlotShard,
	retarget: (*shardMerge).retargetAddresses, distances: addressDistances,
}

func readAddressShards(b *Base) (tables, error) { return readShards(b, addressShards) }

func readAddressShard(b *Base, pointers []elfpatch.Address, targets int) (shard, error) {
	s := shard{pointers: pointers}
	table := func(name string, pointer int) *tableReader { return &tableReader{name: name, at: pointers[pointer]} }
	count, cells, slots := table("fvar_count", addressCount), table("gvar_offsets", addressCells), table("clone_slots", addressSlots)
	functionIndices, cellIndices := table("fvar_idxs", addressFunctionIndices), table("gvar_idxs", addressCellIndices)
	n := count.count(1)
	if count.number() != 0 {
		return s, fmt.Errorf("%w: table %s has 4 billion entries", ErrDamaged, count.name)
	}
	s.functionIndices = functionIndices.numbers(n)
	s.cells, _ = cells.places(pointers[addressCells].Offset)(cells.count(1))
	s.cellIndices = cellIndices.numbers(uint32(len(s.cells)))
	s.slots = slots.slots(pointers[addressSlots].Offset)
	for _, r := range []*tableReader{count, cells, slots, functionIndices, cellIndices} {
		if r.err != nil {
			return s, r.err
		}
	}
	s.constant = constantTable(pointers[addressCells], len(s.cells))
	first, err := b.addresses(pointers[addressFunctions], n)
	if err != nil {
		return s, err
	}
	at := pointers[addressClones]
	s.clones, err = readClones(table("clone_idxs", addressCloneIndices), func(n uint32) ([]uint64, error) {
		list, err := b.addresses(at, n)
		at.Offset += 8 * uint64(n)
		return list, err
	}, first, targets)
	return s, err
}

// addresses reads n pointers in a row as virtual addresses.
func (b *Base) addresses(at elfpatch.Address, n uint32) ([]uint64, error) {
	if n == 0 {
		return nil, nil
	}
	if _, err := at.Base.Bytes(at.Offset, 8*uint64(n)); err != nil {
		return nil, fmt.Errorf("%w: a table of functions reaches beyond its segment", ErrDamaged)
	}
	pointers, err := b.pointers(at, int(n))
	if err != nil {
		return nil, err
	}
	list := make([]uint64, n)
	for i, to := range pointers {
		list[i] = to.Offset
	}
	return list, nil
}

// number appends a table with one number of 8 bytes.
func (w *shardMerge) number(n int) elfpatch.Address {
	at := w.here()
	w.section.Data = le.AppendUint64(w.section.Data, uint64(n))
	return at
}

// addressTable appends a table of n pointers.
func (w *shardMerge) addressTable(n int, to func(i int) elfpatch.Address) elfpatch.Address {
	at := elfpatch.Address{Symbol: pointerSymbol, Offset: uint64(w.pointers.begin())}
	for i := range n {
		w.pointers.pointer(to(i))
	}
	return at
}

func (w *shardMerge) newAddressShard() {
	functions, cells := w.functions, w.index.Globals
	s := make([]elfpatch.Address, addressPointers)
	s[addressCount] = w.number(len(functions))
	s[addressFunctions] = w.addressTable(len(functions), func(i int) elfpatch.Address { return elfpatch.Address{Symbol: functions[i].symbol} })
	s[addressFunctionIndices] = w.plain(len(functions), func(i int) { w.uint32(uint32(len(w.base.Functions) + i)) })
	w.anchor = w.here()
	s[addressCells] = w.counted(len(cells), func(i int) { w.diff(elfpatch.Address{Symbol: cellsSymbol, Offset: 8 * uint64(i)}) })
	s[addressCellIndices] = w.plain(len(cells), func(i int) { w.uint32(uint32(len(w.base.Globals) + i)) })
	s[addressSlots] = w.entryTable(w.here())
	s[addressClones] = w.addressTable(len(functions)*w.furtherTargets(), w.furtherVariant)
	s[addressCloneIndices] = w.newVariants()
	w.all = append(w.all, s...)
}

func (w *shardMerge) addressSlotShard(_ []elfpatch.Address, functions []int) {
	n, targets := len(functions), len(w.variants.Targets)
	variant := func(target, i int) elfpatch.Address { return w.located(w.baseVariant(functions[i], target)) }
	s := make([]elfpatch.Address, addressPointers)
	s[addressCount] = w.number(n)
	s[addressFunctions] = w.addressTable(n, func(i int) elfpatch.Address { return variant(0, i) })
	s[addressFunctionIndices] = w.plain(n, func(i int) { w.uint32(uint32(functions[i])) })
	s[addressCells] = w.counted(0, nil)
	s[addressCellIndices] = w.here()
	s[addressSlots] = w.slotTable(functions, w.here())
	s[addressClones] = w.addressTable((targets-1)*n, func(i int) elfpatch.Address { return variant(1+i/n, i%n) })
	s[addressCloneIndices] = w.allVariants(n)
	w.all = append(w.all, s...)
}

func (w *shardMerge) retargetAddresses(s shard) {
	r := w.retargeted(s)
	pointers := slices.Clone(s.pointers)
	if w.variants.from[0] != 0 {
		pointers[addressFunctions] = w.addressTable(len(r.code), func(i int) elfpatch.Address { return w.located(r.code[i]) })
	}
	pointers[addressClones] = w.addressTable(len(r.clones), func(i int) elfpatch.Address { return w.located(r.clones[i]) })
	pointers[addressCloneIndices] = r.indices
	w.all = append(w.all, pointers...)
}

// located is a place of the base.
func (w *shardMerge) located(addr uint64) elfpatch.Address {
	at, _ := w.base.Locate(addr)
	return at
}

// addressDistances: the loader counts cells from the header, which lies beside the image's own cells.
func addressDistances(t *table, base []elfpatch.Address) {
	t.anchor = base[addressCells]
	t.diff(elfpatch.Address{Symbol: cellsSymbol})
}
