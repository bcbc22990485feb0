package sysimage

// This file reads and merges tables that are exported symbols, those of Julia 1.5. CloneCtx::emit_metadata in
// src/llvm-multiversioning.cpp writes them, parse_sysimg in src/processor.cpp and jl_load_sysimg_so in src/staticdata.c read
// them. Places of functions are distances from jl_sysimg_fvars_base, those of cells from jl_sysimg_gvars_base; both are int32.
//
//	jl_sysimg_fvars_offsets    u32 n, then n places of functions: target 0's code. Target 0 is always complete
//	jl_sysimg_gvars_offsets    u32 n, then n places of 8 byte cells
//	jl_dispatch_target_ids     u32 number of targets, then the targets as targets.go describes them
//	jl_dispatch_fvars_idxs     functions per target, as readClones describes them
//	jl_dispatch_fvars_offsets  their places per target, as readClones describes them
//	jl_dispatch_reloc_slots    u32 n, then n × {u32 function index, i32 place of a cell}, ascending by function index:
//	                           cells that calls go through, to be filled with the chosen target's code
//	jl_system_image_size       u64 size of the blob
//	jl_system_image_data       the blob
//	jl_globalUnique            u64: one more than the largest number at the end of a generated name
//
// The loader takes the blob's records for as many functions as there are; the function table may have more entries.
//
// In the merged tables, new functions have one variant, which serves on all targets: it is in the table of each complete
// target. A function of the base that new code calls, and that has several variants, is called through a slot of the new image;
// so it has to be in jl_dispatch_reloc_slots, and in the list of functions to fill slots with of every target. What lies in
// another layer than the one that places are distances from is left to the link, as is what is new.

import (
	"fmt"
	"strings"

	"chainbuild/elfpatch"
)

// symbolTables are tables that are exported symbols.
type symbolTables struct {
	b *Base
	// functionsBase and cellsBase are what places are distances from.
	functionsBase, cellsBase elfpatch.Address
	cellAddrs                []uint64
	slots                    []slot
	// clones are what the tables have per target.
	clones []clones
	// nameCounter is larger than any number that a function's name ends with.
	nameCounter uint64
}

func readSymbolTables(b *Base) (tables, error) {
	m := &symbolTables{b: b}
	var err error
	if m.functionsBase, err = b.symbol("jl_sysimg_fvars_base"); err != nil {
		return nil, err
	}
	if m.cellsBase, err = b.symbol("jl_sysimg_gvars_base"); err != nil {
		return nil, err
	}
	table := func(name string) *tableReader {
		at, err := b.symbol(name)
		return &tableReader{name: name, at: at, err: err}
	}
	functions, cells := table("jl_sysimg_fvars_offsets"), table("jl_sysimg_gvars_offsets")
	slots, unique := table("jl_dispatch_reloc_slots"), table("jl_globalUnique")
	first, _ := functions.places(m.functionsBase.Offset)(functions.count(1))
	m.cellAddrs, _ = cells.places(m.cellsBase.Offset)(cells.count(1))
	m.slots = slots.slots(m.cellsBase.Offset)
	counter := unique.take(2)
	for _, r := range []*tableReader{functions, cells, slots, unique} {
		if r.err != nil {
			return nil, r.err
		}
	}
	m.nameCounter = le.Uint64(counter)

	at, err := b.symbol("jl_dispatch_target_ids")
	if err != nil {
		return nil, err
	}
	if b.Targets, err = readTargets(at, b.layout.features); err != nil {
		return nil, err
	}
	indices, places := table("jl_dispatch_fvars_idxs"), table("jl_dispatch_fvars_offsets")
	if m.clones, err = readClones(indices, places.places(m.functionsBase.Offset), first, len(b.Targets)); err != nil {
		return nil, err
	}
	b.addTargets(m.clones)
	b.Functions = make([]Function, len(first))
	variants := make([]uint64, len(first)*len(b.Targets))
	for t := range b.Targets {
		for i, addr := range chosen(m.clones, t) {
			variants[i*len(b.Targets)+t] = addr
		}
	}
	for i := range b.Functions {
		b.Functions[i].Variants = variants[i*len(b.Targets) : (i+1)*len(b.Targets) : (i+1)*len(b.Targets)]
	}
	return m, nil
}

func (m *symbolTables) cells() []uint64 { return m.cellAddrs }

// check sees to it that cells can be written to, and that slots are cells.
func (m *symbolTables) check() error {
	for i, addr := range m.cellAddrs {
		if !m.b.isCell(addr, m.cellsBase.Offset) {
			return fmt.Errorf("%w: cell %d of native code is at %#x, where nothing can be written to", ErrDamaged, i, addr)
		}
	}
	return m.b.checkSlots(m.slots, m.clones, len(m.b.Functions), m.cellsBase.Offset, "")
}

// A symbolMerge writes the tables of an image on top of another.
type symbolMerge struct {
	*symbolTables
	*chaining
	// switched are functions of the base that need a slot filled, ascending.
	switched []int
}

func (m *symbolTables) merge(c *chaining, blobSize uint64) []elfpatch.Section {
	w := &symbolMerge{symbolTables: m, chaining: c, switched: c.switched()}
	t := &table{section: elfpatch.Section{Name: tableSection, Align: 8, Writable: true}, anchor: m.functionsBase}
	start := t.begin()
	t.uint32(uint32(len(c.base.Functions) + len(c.functions)))
	w.allFunctions(t, m.clones[0].code)
	t.end("jl_sysimg_fvars_offsets", start)
	indices := w.cloneTables(t)

	t.anchor = m.cellsBase
	start = t.begin()
	t.uint32(uint32(len(c.base.Globals) + len(c.index.Globals)))
	for _, addr := range m.cellAddrs {
		w.place(t, addr)
	}
	for _, name := range c.index.Globals {
		t.diff(elfpatch.Address{Symbol: name})
	}
	t.end("jl_sysimg_gvars_offsets", start)
	w.slotTable(t)
	return []elfpatch.Section{t.section, w.constants(indices, blobSize)}
}

// place appends the place of something of the base.
func (w *symbolMerge) place(t *table, addr uint64) {
	if len(w.base.Layers) > 1 {
		if target, ok := w.base.Locate(addr); ok && target.Base != t.anchor.Base {
			t.diff(target)
			return
		}
	}
	t.uint32(uint32(addr - t.anchor.Offset))
}

// allFunctions appends the places of the base's functions and those of the new ones.
func (w *symbolMerge) allFunctions(t *table, code []uint64) {
	for _, addr := range code {
		w.place(t, addr)
	}
	for _, f := range w.functions {
		t.diff(elfpatch.Address{Symbol: f.symbol})
	}
}

// cloneTables appends jl_dispatch_fvars_offsets to t and returns jl_dispatch_fvars_idxs. The functions in switched are
// added to the list of each target.
func (w *symbolMerge) cloneTables(t *table) (indices []byte) {
	start := t.begin()
	for i, target := range w.clones {
		head := len(indices)
		indices = le.AppendUint32(indices, 0) // the count, when it is known
		if !target.complete {
			indices = le.AppendUint32(indices, uint32(target.fallback))
		} else if i != 0 {
			w.allFunctions(t, target.code)
		}
		count := uint32(0)
		// add lists a function, with its code if the target is not complete.
		add := func(entry uint32, addr uint64) {
			indices = le.AppendUint32(indices, entry)
			if !target.complete {
				w.place(t, addr)
			}
			count++
		}
		rest := w.switched
		for j, entry := range target.indices {
			addr := uint64(0)
			if !target.complete {
				addr = target.code[j]
			}
			for len(rest) > 0 && uint32(rest[0]) < entry&^indexFlag {
				add(w.listed(target, rest[0]))
				rest = rest[1:]
			}
			if len(rest) > 0 && uint32(rest[0]) == entry&^indexFlag {
				if !target.complete {
					entry |= indexFlag
				}
				rest = rest[1:]
			}
			add(entry, addr)
		}
		for _, index := range rest {
			add(w.listed(target, index))
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
func (w *symbolMerge) listed(target clones, index int) (entry uint32, addr uint64) {
	if target.complete {
		return uint32(index), 0
	}
	return uint32(index) | indexFlag, w.clones[target.fallback].code[index]
}

// slotTable appends jl_dispatch_reloc_slots: the base's slots and one for each function in switched, by function index.
func (w *symbolMerge) slotTable(t *table) {
	start := t.begin()
	t.uint32(uint32(len(w.slots) + len(w.switched)))
	rest := w.switched
	add := func(index int) {
		t.uint32(uint32(index))
		t.diff(elfpatch.Address{Symbol: elfpatch.SlotSymbol(BaseSymbol(index))})
	}
	for _, s := range w.slots {
		for len(rest) > 0 && uint32(rest[0]) < s.function {
			add(rest[0])
			rest = rest[1:]
		}
		t.uint32(s.function)
		w.place(t, s.cell)
	}
	for _, index := range rest {
		add(index)
	}
	t.end("jl_dispatch_reloc_slots", start)
}

// constants holds the tables that do not depend on where things end up.
func (w *symbolMerge) constants(indices []byte, blobSize uint64) elfpatch.Section {
	t := &table{section: elfpatch.Section{Name: constantSection, Align: 8}}
	start := t.begin()
	t.section.Data = append(t.section.Data, indices...)
	t.end("jl_dispatch_fvars_idxs", start)
	t.blobSize(blobSize)
	start = t.begin()
	t.section.Data = le.AppendUint64(t.section.Data, w.newNameCounter())
	t.end("jl_globalUnique", start)
	return t.section
}

// newNameCounter is more than any number at the end of a name of the base or of a new function.
func (w *symbolMerge) newNameCounter() uint64 {
	counter := w.nameCounter
	for _, f := range w.functions {
		digits := f.symbol[strings.LastIndexByte(f.symbol, '_')+1:]
		if n, ok := parseNumber([]byte(digits)); ok {
			counter = max(counter, uint64(n)+1)
		}
	}
	return counter
}

// fingerprint is the table of functions, where the loader does not write to it: thin images have distances in it.
func (m *symbolTables) fingerprint(im *elfpatch.Image) []elfpatch.Fingerprint {
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
