package sysimage

// This file chains a heap to an image.
//
// The process that serialised the heap was started from the base image, and generated code for what is new only. So in its
// heap the code instances of the base are without code. What the base's functions and cells belong to is known by offsets in the
// base's blob. Their offsets in the new blob are learned from lists that the process has planted, as an svec in place of the
// root task's local storage. Each is an svec or a Vector{Any}; what a Vector{Any} holds of type Ptr gets lost, unless it is null:
//
//	1 code instances, 2 cell contents, 3 modules of base.index, in its order
//	and those that tell of what is new (chain_records.go)
//
// All entries of the base keep their index; new ones come after them. So what tables say about the base's functions stays true,
// and its code, which is not touched, finds its cells where they were.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"chainbuild/elfpatch"
)

// A chaining is the work of chaining one heap.
type chaining struct {
	base  *Base
	index *Index
	heap  *heap // the new one

	// code and modules are the new offsets of the elements of Base.Code and Base.Modules, data the new references to those of
	// Base.data. lists are the words of the lists after those.
	code, modules []uint32
	data          []uint64
	lists         [][]uint64
	// planted are the words of the new heap that only served to find them.
	planted []extent
	// relocs are words of the new heap that have become references.
	relocs []uint32
	// symbols are names that the new blob lacks, numbered from those that it has; numbers are those of all symbols.
	symbols []string
	numbers map[string]uint64
	// held are entries of fptr_record for functions of package images, by index.
	held map[int]uint64
	// functions are the new functions in the order of their indices.
	functions []newFunction
	// entries are what C finds where new functions have variants.
	entries []entry
	// recordsAt is the offset of fptr_record in the completed blob.
	recordsAt int
	// used are the base's functions that get a slot, ascending.
	used []int
}

// A newFunction is the symbol that an object defines, and the entry of fptr_record.
type newFunction struct {
	symbol string
	record uint64
}

// chain completes a new heap for an image that is chained to this one. It takes over blob.
func (b *Base) chain(blob []byte, index *Index) (*Merged, error) {
	var written *writtenLists
	if index.Underlay != nil {
		written = index.Underlay.written
	}
	h, err := parseWrittenHeap(b.layout, blob, written)
	if err != nil {
		return nil, fmt.Errorf("new heap: %w", err)
	}
	if h.shift != b.heap.shift {
		return nil, fmt.Errorf("new heap: %w: it was made by another version of Julia; use the Julia that the base belongs to", ErrDamaged)
	}
	if _, ok := b.tables.(*shardTables); index.Variants != nil && !ok {
		return nil, fmt.Errorf("images of Julia %s get new code for one target: leave the others out", b.Format)
	}
	c := &chaining{base: b, index: index, heap: h}
	for _, step := range []func() error{c.findPlanted, c.restoreInvoke} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if c.functions, err = b.layout.records.functions(c); err != nil {
		return nil, err
	}
	if err := c.checkLinks(); err != nil {
		return nil, err
	}
	c.findEntries()
	if c.used, err = b.used(index); err != nil {
		return nil, err
	}
	globals, err := c.globalRecords()
	if err != nil {
		return nil, err
	}
	return c.merged(c.assemble(globals, c.functionRecords()))
}

// findPlanted follows the root task's local storage to the lists.
func (c *chaining) findPlanted() error {
	missing := fmt.Errorf("%w: the new heap does not lead to the base's objects; keep the scratch folder and report this", ErrDamaged)
	h := c.heap
	svec, ok := h.follow(h.storage, 8)
	if !ok {
		return missing
	}
	n := c.base.layout.records.planted()
	lists, ok := h.list(svec)
	if !ok || lists.size < 8*n {
		return missing
	}
	c.planted = append(c.planted, extent{lists.start, 8 * n})
	counts := []int{len(c.base.Code), len(c.base.data), len(c.base.Modules), len(c.index.Held) + len(c.index.Code),
		c.index.Packages.cellCount() + len(c.index.Globals)}[:n]
	words := make([][]uint64, n)
	for i, count := range counts {
		list, ok := h.object(uint32(lists.start+8*i), 0)
		if !ok {
			return missing
		}
		elements, ok := h.list(list)
		if !ok || elements.size != 8*count {
			return fmt.Errorf("%w: list %d of the new heap has not %d elements; keep the scratch folder and report this",
				ErrDamaged, i+1, count)
		}
		c.planted = append(c.planted, elements)
		words[i] = h.numbers(elements)
	}
	if c.code, ok = c.objects(words[0], h.isCode); !ok {
		return fmt.Errorf("%w: the new heap's list of code instances has one that is none", ErrDamaged)
	}
	c.data = words[1]
	for i, ref := range c.data {
		if _, ok := h.place(ref); !ok {
			return fmt.Errorf("%w: element %d of the new heap's list of cell contents is no object", ErrDamaged, i)
		}
	}
	if c.modules, ok = c.objects(words[2], h.isModule); !ok {
		return fmt.Errorf("%w: the new heap's list of modules has one that is none", ErrDamaged)
	}
	c.lists = words[3:]
	return nil
}

// objects follows references to objects of a type.
func (c *chaining) objects(refs []uint64, is func(uint32) bool) (offsets []uint32, ok bool) {
	for _, ref := range refs {
		offset, ok := c.heap.follow(ref, 0)
		if !ok || !is(offset) {
			return nil, false
		}
		offsets = append(offsets, offset)
	}
	return offsets, true
}

// restoreInvoke repeats the calling conventions that the base's blob has for code instances without a wrapper of their
// own. They are part of what a heap says about code that was generated for it.
func (c *chaining) restoreInvoke() error {
	invoke, below := c.base.layout.code.invoke, c.base.heap
	for i, code := range c.base.Code {
		was := below.word(code.Offset + invoke)
		if was == 0 || c.heap.word(c.code[i]+invoke) != 0 {
			continue
		}
		if kind, n := below.split(was); kind != refFunction || n == 0 || n > below.max.function {
			return fmt.Errorf("%w: the code instance at offset %d of the base's heap has no calling convention", ErrDamaged, code.Offset)
		}
		c.setInvoke(c.code[i], was)
	}
	return nil
}

// setInvoke gives a code instance a calling convention.
func (c *chaining) setInvoke(code uint32, ref uint64) {
	word := code + c.heap.code.invoke
	c.heap.setWord(word, ref)
	c.relocs = append(c.relocs, word)
}

// functionRecords returns fptr_record: the base's functions, then the new ones.
func (c *chaining) functionRecords() []byte {
	records := make([]byte, 8*(len(c.base.Functions)+len(c.functions)))
	for i, code := range c.base.Code {
		if code.Invoke >= 0 {
			le.PutUint64(records[8*code.Invoke:], c.heap.makeFunctionRecord(c.code[i], true))
		}
		if code.Spec >= 0 {
			le.PutUint64(records[8*code.Spec:], c.heap.makeFunctionRecord(c.code[i], false))
		}
	}
	for i, record := range c.held {
		le.PutUint64(records[8*i:], record)
	}
	for i, f := range c.functions {
		le.PutUint64(records[8*(len(c.base.Functions)+i):], f.record)
	}
	return records
}

// globalRecords returns gvar_record: the base's cells, then the new ones.
func (c *chaining) globalRecords() ([]byte, error) {
	c.numbers = make(map[string]uint64, len(c.heap.names))
	for i, name := range c.heap.names {
		c.numbers[string(name)] = uint64(i)
	}
	bindings := make([]map[string]uint32, len(c.modules))
	out := make([]byte, 0, c.heap.form.width*(len(c.base.Globals)+len(c.index.Globals)))
	for i, g := range c.base.Globals {
		code := g.Code
		switch g.Kind {
		case GlobalPlanted:
			var err error
			if code, err = c.plantedCell(i - c.index.Packages.firstCell); err != nil {
				return nil, err
			}
		case GlobalData:
			i, _ := slices.BinarySearch(c.base.data, g.Offset)
			code = c.data[i]
		case GlobalSymbol:
			code = c.heap.join(refSymbol, c.symbolNumber(g.Name))
		case GlobalBinding:
			if bindings[g.Module] == nil {
				var err error
				if bindings[g.Module], err = c.bindingsOf(g.Module); err != nil {
					return nil, err
				}
			}
			offset, ok := bindings[g.Module][g.Name]
			if !ok {
				return nil, fmt.Errorf("%w: code of the base uses %s.%s, which the new heap lacks; keep the scratch folder and report this",
					ErrDamaged, c.base.Modules[g.Module].Name, g.Name)
			}
			code = c.heap.join(refData, uint64(offset))
		}
		out = c.heap.form.appendNumber(out, code)
	}
	return c.base.layout.records.cells(c, out)
}

// symbolNumber returns the number of a symbol in the new blob, to which it is added if it lacks it.
func (c *chaining) symbolNumber(name string) uint64 {
	n, ok := c.numbers[name]
	if !ok {
		n = uint64(len(c.heap.names) + len(c.symbols))
		c.numbers[name] = n
		c.symbols = append(c.symbols, name)
	}
	return n
}

// bindingsOf returns the offsets in the new blob of what a module of the base binds, where bindings follow their module.
func (c *chaining) bindingsOf(module int) (map[string]uint32, error) {
	offset := c.modules[module]
	count, ok := inlineBindings(c.heap, offset)
	if !ok {
		return nil, fmt.Errorf("%w: module %s of the base is none in the new heap", ErrDamaged, c.base.Modules[module].Name)
	}
	offsets := make(map[string]uint32, count)
	for i := range count {
		at := bindingAt(offset, i)
		if name, ok := c.heap.symbolAt(at); ok {
			offsets[name] = at
		}
	}
	return offsets, nil
}

// assemble puts the blob together. Objects and constants, most of it, stay where they are.
func (c *chaining) assemble(globals, functions []byte) []byte {
	h, form := c.heap, c.heap.form
	relocs := c.relocations()
	tail := slices.Clone(h.tail.of(h.data))
	storage := h.storage
	if !c.index.KeepRoots {
		for _, e := range c.planted {
			clear(e.of(h.data))
		}
		storage = h.nothing()
	}
	form.setTail(h, tail, storage, len(globals)/form.width)
	symbols := slices.Clone(h.symbols.of(h.data))
	for _, name := range c.symbols {
		symbols = le.AppendUint32(symbols, uint32(len(name)))
		symbols = append(symbols, name...)
		symbols = append(symbols, 0)
	}
	// All that comes from behind the constants has been copied.
	sections := [][]byte{symbols, relocs, globals, functions}
	added := len(tail)
	for _, section := range sections {
		added += len(section) + 16
	}
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&(form.align-1))...) }
	out := slices.Grow(h.data[:h.constants.end()], added)
	for _, section := range sections {
		out = pad(form.appendNumber(out, uint64(len(section))))
		c.recordsAt = len(out)
		out = append(out, section...)
	}
	out = append(pad(out), tail...)
	if c.index.Underlay != nil {
		out = seal(out, c.index.Underlay.checksum)
	}
	return out
}

// relocations returns the section of relocations, with words that have become references, and without the planted ones
// unless these stay.
func (c *chaining) relocations() []byte {
	h, form := c.heap, c.heap.form
	list := h.references.of(h.data)
	out := make([]byte, 0, h.relocs.size+10*len(c.relocs))
	out = append(out, h.data[h.relocs.start:h.references.start]...)

	var forgotten []extent
	if !c.index.KeepRoots {
		forgotten = c.planted
	}
	isForgotten := within(forgotten)
	// from is where in list those bytes start that are still to be copied, last the position of the relocation that was
	// kept last. What follows one that was left out is written anew.
	at, from := 0, 0
	word, last, gap := uint64(0), uint64(0), false
	if h.written != nil {
		// What was planted is new.
		at, word, last = h.written.fresh.at, h.written.fresh.after, h.written.fresh.after
	}
	for at < len(list) {
		start := at
		next, size := form.next(list[at:], word)
		word = next
		at += size
		switch {
		case isForgotten(word):
			out = append(out, list[from:start]...)
			from, gap = at, true
			continue
		case gap:
			out = form.append(out, word, last)
			from, gap = at, false
		}
		last = word
	}
	out = append(out, list[from:]...)
	for _, word := range c.relocs {
		out = form.append(out, uint64(word), last)
		last = uint64(word)
	}
	out = form.append(out, 0, last)
	behind := h.references.end() + len(form.append(nil, 0, 0))
	return append(out, h.data[behind:h.relocs.end()]...)
}

// within returns a function that says whether a position lies in one of the extents, which do not overlap.
func within(list []extent) func(uint64) bool {
	var bounds []uint64 // where an extent starts, where it ends, and so on
	for _, e := range slices.SortedFunc(slices.Values(list), func(a, b extent) int { return cmp.Compare(a.start, b.start) }) {
		bounds = append(bounds, uint64(e.start), uint64(e.end()))
	}
	// The answer is the same between two bounds, and positions mostly ascend.
	from, to, inside := uint64(0), uint64(0), false
	return func(word uint64) bool {
		if word < from || word >= to {
			i, _ := slices.BinarySearch(bounds, word+1)
			from, to, inside = 0, math.MaxUint64, i%2 == 1
			if i > 0 {
				from = bounds[i-1]
			}
			if i < len(bounds) {
				to = bounds[i]
			}
		}
		return inside
	}
}

// merged puts together what goes to the link.
func (c *chaining) merged(blob []byte) (*Merged, error) {
	b := c.base
	out := &Merged{
		Exports: c.index.Entries,
		Aliases: b.layout.load.aliases(b),
		Slots:   b.slots(c.used),
		Note:    Note{Format: b.Format, Functions: len(c.functions), Globals: len(c.index.Globals)},
		bases:   b.Layers, attached: b.Packages,
	}
	if c.index.Underlay != nil {
		out.Note.Constants = append(b.constants(), [2]uint32{uint32(b.heap.objects.end()), uint32(b.heap.constants.end())})
	}
	for _, im := range b.Layers {
		out.Note.Bases = append(out.Note.Bases, identify(im))
		out.Check = append(out.Check, fingerprints(im, b.tables.fingerprint(im))...)
		out.Drop = append(out.Drop, heapRange(im)...)
	}
	if err := c.addPackages(out); err != nil {
		return nil, err
	}
	if err := c.addEntries(out); err != nil {
		return nil, err
	}
	if err := c.addPages(out); err != nil {
		return nil, err
	}
	out.Sections = append(out.Sections, b.tables.merge(c, uint64(len(blob)))...)
	out.Sections = append(out.Sections, cellSection(c.index.Globals), blobSection(blob))
	var err error
	if out.thin, err = b.layout.load.parts(c, elfpatch.Thin); err != nil {
		return nil, err
	}
	out.standalone, err = b.layout.load.parts(c, elfpatch.Standalone)
	return out, err
}

// switched lists the functions of the base with several variants that new code calls, ascending.
func (c *chaining) switched() (list []int) {
	for _, i := range c.used {
		if !c.base.Functions[i].single() {
			list = append(list, i)
		}
	}
	return list
}
