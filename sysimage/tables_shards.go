package sysimage

// This file reads and merges tables that come in shards, of which there are two forms. What Julia 1.12 has otherwise is in
// tables_addresses.go; the rest here is Julia 1.10's. emit_shard_table and its neighbours in
// src/aotcompile.cpp and CloneCtx::emit_metadata in src/llvm-multiversioning.cpp write them, parse_sysimg in src/processor.cpp
// and jl_restore_system_image_data in src/staticdata.c read them. Exported symbols are jl_system_image_data, the blob,
// jl_system_image_size, its size as u64, and
//
//	jl_image_pointers     5 pointers (jl_image_pointers_t of src/processor.h)
//	   0 header           u32 version: 1, u32 number of shards, of functions, of cells
//	   8 shards           9 pointers per shard, see below
//	  16 ptls             3 pointers to 8 byte cells: jl_pgcstack_func_slot, jl_pgcstack_key_slot, jl_tls_offset
//	  24 jl_small_typeof  128 pointers, filled by the loader with the runtime's jl_small_typeof
//	  32 target data      u32 number of targets, then the targets as targets.go describes them
//
// A shard is what one of the threads that compiled the image has made. All offsets are int32.
//
//	   0 fvar_base        what offsets of functions count from
//	   8 fvar_offsets     u32 n, then n offsets of functions: target 0's code. Target 0 is always complete
//	  16 fvar_idxs        n × u32 index of the function in the image
//	  24 gvar_base        what offsets of cells count from
//	  32 gvar_offsets     u32 m, then m offsets of 8 byte cells
//	  40 gvar_idxs        m × u32 index of the cell in the image
//	  48 clone_slots      u32 s, then s × {u32 number of the function in the shard, i32 offset of a cell}, ascending: cells
//	                      that calls go through, to be filled with the chosen target's code
//	  56 clone_offsets    offsets of functions per target, as readClones describes them
//	  64 clone_idxs       numbers of functions in the shard per target, as readClones describes them
//
// Versions of the header do not tell versions of Julia apart: they are 1 in all of them.
//
// A function that is in several shards is what the last of them says. The blob has a record for each cell; it may have
// fewer records of functions than there are functions.
//
// In the merged tables the shards of the base are repeated as they are: pointers to its tables. Where the image has a list of targets of its own
// (variants.go), those of code are written again. After them come
//
//   - a shard for the new functions and cells. New functions have a variant for each target, or one that serves on all.
//   - a shard for each shard of the base that has functions with several variants which new code calls. Those are called
//     through slots of the new image, which the loader fills if they are slots of some shard. So the shard has these
//     functions once more, each with the variants that the loader chooses anyway, and the slots for them.
//
// Offsets count from a place of the library that they lead into. So they need no work when the image is loaded.

import (
	"bytes"
	"fmt"
	"slices"

	"chainbuild/elfpatch"
)

const (
	shardVersion = 1
	// maxShards bounds what a file can make this program allocate; a shard comes with each thread, or each image of a chain.
	maxShards = 1 << 12
)

// A shardForm is a way to write a shard down. Offsets of cells count from origin, a virtual address.
type shardForm struct {
	// pointers is the number of pointers of a shard; of these, the others lead to indices of functions, of cells, and of functions with variants.
	pointers, functionIndices, cellIndices, cloneIndices int
	// read reads a shard of an image with a number of targets.
	read func(b *Base, pointers []elfpatch.Address, targets int) (shard, error)
	// newShard appends the shard of the new functions and cells, slotShard one that has slots of functions of the base filled.
	// origin are the pointers of the shard that has the functions.
	newShard  func(w *shardMerge)
	slotShard func(w *shardMerge, origin []elfpatch.Address, functions []int)
	// retarget appends a shard of the base for the image's targets, which are not those of the base.
	retarget func(w *shardMerge, s shard)
	// distances appends differences that the loader takes, as far as they lead across libraries. base is a shard of the base.
	distances func(t *table, base []elfpatch.Address)
}

// Pointers of a shard.
const (
	shardFunctionBase = iota
	shardFunctions
	shardFunctionIndices
	shardCellBase
	shardCells
	shardCellIndices
	shardSlots
	shardCloneOffsets
	shardCloneIndices
	shardPointers
)

// offsetShards are those of Julia 1.10.
var offsetShards = &shardForm{
	pointers: shardPointers, functionIndices: shardFunctionIndices, cellIndices: shardCellIndices, cloneIndices: shardCloneIndices,
	read: readOffsetShard, newShard: (*shardMerge).newOffsetShard, slotShard: (*shardMerge).offsetSlotShard,
	retarget: (*shardMerge).retargetOffsets, distances: offsetDistances,
}

// shardTables are tables in shards.
type shardTables struct {
	b      *Base
	form   *shardForm
	shards []shard
	// ptls, smallTypeof and targetData are what jl_image_pointers leads to beside the shards; threadCells is what ptls
	// leads to.
	ptls, smallTypeof, targetData elfpatch.Address
	threadCells                   []elfpatch.Address
	// cellCount is the header's number of cells.
	cellCount int
	// owners are, by function index, the last shards that have the function.
	owners []int
}

// A shard is a shard of the tables.
type shard struct {
	// pointers are the shard itself.
	pointers []elfpatch.Address
	// functionIndices are the image's indices of the functions, whose code is that of clones.
	functionIndices []uint32
	// cellIndices are the image's indices of the cells, whose virtual addresses are in cells.
	cellIndices []uint32
	cells       []uint64
	slots       []slot
	// clones are what the tables have per target.
	clones []clones
	// origin is a place from which the distance of each cell is a multiple of 8.
	origin uint64
	// constant is a table that the loader only reads and that no other build has.
	constant elfpatch.Fingerprint
	// renumbered says that pointers do not lead to what functionIndices and cellIndices are, and spread, that they do not lead to what
	// clones are for several targets: the shard is that of a package image (packages.go).
	renumbered, spread bool
}

func readOffsetShards(b *Base) (tables, error) { return readShards(b, offsetShards) }

func readShards(b *Base, form *shardForm) (tables, error) {
	at, err := b.symbol("jl_image_pointers")
	if err != nil {
		return nil, err
	}
	roots, err := b.pointers(at, 5)
	if err != nil {
		return nil, err
	}
	header := &tableReader{name: "jl_image_header", at: roots[0]}
	version, shards, functions, cells := header.number(), header.number(), header.number(), header.number()
	if header.err != nil {
		return nil, header.err
	}
	if version != shardVersion {
		return nil, fmt.Errorf("%w: its tables are of version %d", ErrUnknownFormat, version)
	}
	if shards > maxShards || functions > maxFunctions || cells > 16*maxFunctions {
		return nil, fmt.Errorf("%w: it has %d shards, %d functions, %d cells", ErrUnknownFormat, shards, functions, cells)
	}
	m := &shardTables{b: b, form: form, ptls: roots[2], smallTypeof: roots[3], targetData: roots[4], cellCount: int(cells)}
	if m.threadCells, err = b.pointers(m.ptls, 3); err != nil {
		return nil, err
	}
	if b.Targets, err = readTargets(m.targetData, b.layout.features); err != nil {
		return nil, err
	}
	pointers, err := b.pointers(roots[1], form.pointers*int(shards))
	if err != nil {
		return nil, err
	}
	for list := range slices.Chunk(pointers, form.pointers) {
		s, err := form.read(b, list, len(b.Targets))
		if err != nil {
			return nil, fmt.Errorf("shard %d: %w", len(m.shards), err)
		}
		m.shards = append(m.shards, s)
	}
	if len(m.shards) > 0 {
		b.addTargets(m.shards[0].clones)
	}
	return m, m.readFunctions(int(functions))
}

func readOffsetShard(_ *Base, pointers []elfpatch.Address, targets int) (shard, error) {
	s := shard{pointers: pointers, origin: pointers[shardCellBase].Offset}
	table := func(name string, pointer int) *tableReader { return &tableReader{name: name, at: pointers[pointer]} }
	functions, cells, slots := table("fvar_offsets", shardFunctions), table("gvar_offsets", shardCells), table("clone_slots", shardSlots)
	functionIndices, cellIndices := table("fvar_idxs", shardFunctionIndices), table("gvar_idxs", shardCellIndices)
	code := pointers[shardFunctionBase].Offset
	first, _ := functions.places(code)(functions.count(1))
	s.functionIndices = functionIndices.numbers(uint32(len(first)))
	s.cells, _ = cells.places(s.origin)(cells.count(1))
	s.cellIndices = cellIndices.numbers(uint32(len(s.cells)))
	s.slots = slots.slots(s.origin)
	for _, r := range []*tableReader{functions, cells, slots, functionIndices, cellIndices} {
		if r.err != nil {
			return s, r.err
		}
	}
	s.constant = constantTable(pointers[shardFunctions], len(first))
	var err error
	s.clones, err = readClones(table("clone_idxs", shardCloneIndices), table("clone_offsets", shardCloneOffsets).places(code), first, targets)
	return s, err
}

// constantTable is a table of n entries behind their number.
func constantTable(at elfpatch.Address, n int) elfpatch.Fingerprint {
	return elfpatch.Fingerprint{Base: at.Base, Addr: at.Offset, Size: 4 + 4*uint64(n)}
}

// readFunctions works out which code the loader chooses for each of n functions on each target.
func (m *shardTables) readFunctions(n int) error {
	targets := len(m.b.Targets)
	variants := make([]uint64, n*targets)
	functions := make([]Function, n)
	m.owners = make([]int, n)
	for number, s := range m.shards {
		for t := range targets {
			for i, addr := range chosen(s.clones, t) {
				index := int(s.functionIndices[i])
				if index >= n {
					return fmt.Errorf("%w: shard %d has function %d of %d", ErrDamaged, number, index, n)
				}
				variants[index*targets+t] = addr
				m.owners[index] = number
				functions[index].Variants = variants[index*targets : (index+1)*targets : (index+1)*targets]
			}
		}
	}
	for i, f := range functions {
		if f.Variants == nil {
			return fmt.Errorf("%w: function %d is in no shard", ErrDamaged, i)
		}
	}
	m.b.Functions = functions
	return nil
}

func (m *shardTables) cells() []uint64 {
	addrs := make([]uint64, m.cellCount)
	for _, s := range m.shards {
		for i, index := range s.cellIndices {
			if int(index) < len(addrs) {
				addrs[index] = s.cells[i]
			}
		}
	}
	return addrs
}

// check sees to it that each cell is in one shard and can be written to, and that slots are cells.
func (m *shardTables) check() error {
	seen := make([]bool, m.cellCount)
	for number, s := range m.shards {
		for i, index := range s.cellIndices {
			if int(index) >= m.cellCount || seen[index] || !m.b.isCell(s.cells[i], s.origin) {
				return fmt.Errorf("%w: shard %d has cell %d of native code at %#x", ErrDamaged, number, index, s.cells[i])
			}
			seen[index] = true
		}
		if err := m.b.checkSlots(s.slots, s.clones, len(s.functionIndices), s.origin, fmt.Sprintf(" of shard %d", number)); err != nil {
			return err
		}
	}
	if i := slices.Index(seen, false); i >= 0 {
		return fmt.Errorf("%w: cell %d of native code is in no shard", ErrDamaged, i)
	}
	return nil
}

// fingerprint is a table of offsets.
func (m *shardTables) fingerprint(im *elfpatch.Image) []elfpatch.Fingerprint {
	for _, s := range m.shards {
		if s.constant.Base == im {
			return []elfpatch.Fingerprint{s.constant}
		}
	}
	return nil
}

// Symbols of sections of tables, by which fields lead to them.
const (
	constantSymbol = "constant.tables"
	pointerSymbol  = "pointer.tables"
)

// A shardMerge writes the shards of an image on top of another.
type shardMerge struct {
	*shardTables
	*chaining
	*table
	// pointers is the section of tables of pointers.
	pointers *table
	// all are the pointers of the merged shards.
	all []elfpatch.Address
	// variants are the image's targets, and whose code serves on them.
	variants *Variants
}

func (m *shardTables) merge(c *chaining, blobSize uint64) []elfpatch.Section {
	w := &shardMerge{shardTables: m, chaining: c, table: &table{section: elfpatch.Section{Name: constantSection, Align: 8}},
		pointers: &table{section: elfpatch.Section{Name: tableSection, Align: 8, Writable: true}}}
	w.variants = c.base.OwnVariants()
	if c.index.Variants != nil {
		w.variants = c.index.Variants
	}
	for _, s := range m.shards {
		if s.renumbered {
			s.pointers = w.renumbered(s)
		}
		if w.variants.own(c.base) {
			w.all = append(w.all, s.pointers...)
		} else {
			m.form.retarget(w, s)
		}
	}
	m.form.newShard(w)
	byShard := make([][]int, len(m.shards))
	for _, i := range c.switched() {
		byShard[m.owners[i]] = append(byShard[m.owners[i]], i)
	}
	for i, functions := range byShard {
		if len(functions) > 0 {
			m.form.slotShard(w, m.shards[i].pointers, functions)
		}
	}
	base := c.base
	header := w.here()
	for _, n := range []int{shardVersion, len(w.all) / m.form.pointers, len(base.Functions) + len(c.functions), len(base.Globals) + len(c.index.Globals)} {
		w.uint32(uint32(n))
	}
	w.blobSize(blobSize)
	targetData := w.targetData()
	w.section.Symbols = append(w.section.Symbols, elfpatch.Symbol{Name: constantSymbol, Size: uint64(len(w.section.Data))})

	pointers := w.pointers
	shards := pointers.begin()
	for _, to := range w.all {
		pointers.pointer(to)
	}
	pointers.section.Symbols = []elfpatch.Symbol{{Name: pointerSymbol, Size: uint64(len(pointers.section.Data))}}
	start := pointers.begin()
	for _, to := range []elfpatch.Address{header, {Symbol: pointerSymbol, Offset: uint64(shards)}, m.ptls, m.smallTypeof, targetData} {
		pointers.pointer(to)
	}
	pointers.end("jl_image_pointers", start)
	return []elfpatch.Section{w.section, pointers.section}
}

// here is the place of what comes next.
func (w *shardMerge) here() elfpatch.Address {
	return elfpatch.Address{Symbol: constantSymbol, Offset: uint64(w.begin())}
}

// targetData is the list of targets: that of the base, or a new one where something else is to be read.
func (w *shardMerge) targetData() elfpatch.Address {
	list := appendTargets(nil, w.variants.Targets)
	if bytes.Equal(list, appendTargets(nil, w.base.Targets)) {
		return w.shardTables.targetData
	}
	at := w.here()
	w.section.Data = append(w.section.Data, list...)
	return at
}

// plain appends a table of n entries, counted one with their number before them.
func (w *shardMerge) plain(n int, entry func(i int)) elfpatch.Address {
	at := w.here()
	for i := range n {
		entry(i)
	}
	return at
}

func (w *shardMerge) counted(n int, entry func(i int)) elfpatch.Address {
	at := w.here()
	w.uint32(uint32(n))
	for i := range n {
		entry(i)
	}
	return at
}

// renumbered are the pointers of a shard of a package image, with tables that say what its functions and cells are in the image.
func (w *shardMerge) renumbered(s shard) []elfpatch.Address {
	pointers := slices.Clone(s.pointers)
	pointers[w.form.functionIndices] = w.plain(len(s.functionIndices), func(i int) { w.uint32(s.functionIndices[i]) })
	pointers[w.form.cellIndices] = w.plain(len(s.cellIndices), func(i int) { w.uint32(s.cellIndices[i]) })
	if s.spread {
		at := w.here()
		w.uint32(indexFlag)
		for range s.clones[1:] {
			w.uint32(0)
			w.uint32(0)
		}
		pointers[w.form.cloneIndices] = at
	}
	return pointers
}

func (w *shardMerge) newOffsetShard() {
	functions, cells := w.functions, w.index.Globals
	code := elfpatch.Address{Symbol: elfpatch.CodeStart}
	w.anchor = code
	s := make([]elfpatch.Address, shardPointers)
	s[shardFunctionBase] = code
	s[shardFunctions] = w.counted(len(functions), func(i int) { w.diff(elfpatch.Address{Symbol: functions[i].symbol}) })
	s[shardFunctionIndices] = w.plain(len(functions), func(i int) { w.uint32(uint32(len(w.base.Functions) + i)) })
	s[shardCellBase] = elfpatch.Address{Symbol: cellsSymbol}
	s[shardCells] = w.counted(len(cells), func(i int) { w.uint32(uint32(8 * i)) })
	s[shardCellIndices] = w.plain(len(cells), func(i int) { w.uint32(uint32(len(w.base.Globals) + i)) })
	s[shardSlots] = w.entryTable(elfpatch.Address{Symbol: cellsSymbol})
	w.anchor = code
	s[shardCloneOffsets] = w.plain(len(functions)*w.furtherTargets(), func(i int) { w.diff(w.furtherVariant(i)) })
	s[shardCloneIndices] = w.newVariants()
	w.all = append(w.all, s...)
}

// furtherTargets is how many targets new functions have code of their own for, besides the first.
func (w *shardMerge) furtherTargets() int {
	if w.index.Variants == nil {
		return 0
	}
	return len(w.variants.Targets) - 1
}

// furtherVariant is the variant of a new function for a further target: entry i of all, target by target.
func (w *shardMerge) furtherVariant(i int) elfpatch.Address {
	n := len(w.functions)
	return elfpatch.Address{Symbol: VariantSymbol(w.functions[i%n].symbol, 1+i/n)}
}

// newVariants appends the numbers of cloned functions of the shard of new functions. There is code for all of them on each target, and entries have
// slots; or, where functions have but one variant, it is the first target's, to which the others fall back.
func (w *shardMerge) newVariants() elfpatch.Address {
	at := w.here()
	for i := range w.variants.Targets {
		if i > 0 && w.index.Variants == nil {
			w.uint32(0)
			w.uint32(0)
			continue
		}
		w.uint32(uint32(len(w.entries)) | indexFlag)
		for _, e := range w.entries {
			w.uint32(uint32(e.function))
		}
	}
	return at
}

// entryTable appends the table of slots of the entries, whose offsets count from anchor.
func (w *shardMerge) entryTable(anchor elfpatch.Address) elfpatch.Address {
	w.anchor = anchor
	return w.counted(len(w.entries), func(i int) {
		w.uint32(uint32(w.entries[i].function))
		w.diff(entrySlot(i))
	})
}

// A retargeted is what the tables of a shard of the base say for the image's targets.
type retargeted struct {
	// code is what the first target has, of all functions.
	code []uint64
	// indices are the numbers of cloned functions per target, clones what further targets have.
	indices elfpatch.Address
	clones  []uint64
}

// retargeted works out which code of a shard's functions serves on each target of the image. On further targets, functions fall back to the first
// one's unless their code is another one; functions that have slots never do.
func (w *shardMerge) retargeted(s shard) (r retargeted) {
	slotted := make([]bool, len(s.functionIndices))
	for _, slot := range s.slots {
		slotted[slot.function] = true
	}
	at := w.here()
	for t, from := range w.variants.from {
		code := chosen(s.clones, from)
		if t == 0 {
			r.code = code
		}
		var indices []uint32
		for i := range code {
			switch {
			case slotted[i] && t > 0:
				indices = append(indices, uint32(i)|indexFlag)
			case slotted[i], code[i] != r.code[i]:
				indices = append(indices, uint32(i))
			default:
				continue
			}
			if t > 0 {
				r.clones = append(r.clones, code[i])
			}
		}
		if t == 0 {
			w.uint32(uint32(len(indices)) | indexFlag)
		} else {
			w.uint32(uint32(len(indices)))
			w.uint32(0)
		}
		for _, i := range indices {
			w.uint32(i)
		}
	}
	r.indices = at
	return r
}

func (w *shardMerge) retargetOffsets(s shard) {
	r := w.retargeted(s)
	pointers := slices.Clone(s.pointers)
	origin := pointers[shardFunctionBase].Offset
	if w.variants.from[0] != 0 {
		pointers[shardFunctions] = w.counted(len(r.code), func(i int) { w.uint32(uint32(r.code[i] - origin)) })
	}
	pointers[shardCloneOffsets] = w.plain(len(r.clones), func(i int) { w.uint32(uint32(r.clones[i] - origin)) })
	pointers[shardCloneIndices] = r.indices
	w.all = append(w.all, pointers...)
}

// allVariants appends the numbers of cloned functions of a shard with n functions, all of which have a variant for each target.
func (w *shardMerge) allVariants(n int) elfpatch.Address {
	return w.plain(len(w.variants.Targets)*(n+1), func(i int) {
		if i%(n+1) == 0 {
			w.uint32(uint32(n) | indexFlag)
			return
		}
		w.uint32(uint32(i%(n+1) - 1))
	})
}

// baseVariant is the code of a function of the base that serves on a target of the image.
func (w *shardMerge) baseVariant(function, target int) uint64 {
	return w.base.Functions[function].Variants[w.variants.from[target]]
}

// slotOf is the slot of a function of the base.
func slotOf(function int) elfpatch.Address {
	return elfpatch.Address{Symbol: elfpatch.SlotSymbol(BaseSymbol(function))}
}

// slotTable appends the table of slots of the functions, whose offsets count from anchor.
func (w *shardMerge) slotTable(functions []int, anchor elfpatch.Address) elfpatch.Address {
	w.anchor = anchor
	return w.counted(len(functions), func(i int) {
		w.uint32(uint32(i))
		w.diff(slotOf(functions[i]))
	})
}

func (w *shardMerge) offsetSlotShard(of []elfpatch.Address, functions []int) {
	n, targets := len(functions), len(w.variants.Targets)
	origin := of[shardFunctionBase]
	variant := func(target, i int) { w.uint32(uint32(w.baseVariant(functions[i], target) - origin.Offset)) }
	s := make([]elfpatch.Address, shardPointers)
	s[shardFunctionBase] = origin
	s[shardFunctions] = w.counted(n, func(i int) { variant(0, i) })
	s[shardFunctionIndices] = w.plain(n, func(i int) { w.uint32(uint32(functions[i])) })
	s[shardCellBase] = slotOf(functions[0])
	s[shardCells] = w.counted(0, nil)
	s[shardCellIndices] = w.here()
	s[shardSlots] = w.slotTable(functions, slotOf(functions[0]))
	s[shardCloneOffsets] = w.plain((targets-1)*n, func(i int) { variant(1+i/n, i%n) })
	s[shardCloneIndices] = w.allVariants(n)
	w.all = append(w.all, s...)
}

// offsetDistances: the loader counts all functions from the first one and all cells from the first cell.
func offsetDistances(t *table, base []elfpatch.Address) {
	t.anchor = base[shardFunctionBase]
	t.diff(elfpatch.Address{Symbol: elfpatch.CodeEnd})
	t.anchor = base[shardCellBase]
	t.diff(elfpatch.Address{Symbol: cellsSymbol})
}
