package sysimage

// This file chains a heap to a system image of Julia 1.10.
//
// The process that serialised the heap was started from the base image. It generated code for what is new itself, and had
// the heap serialised as one without native code: its code instances are without code, and there are no records. What
// goes where is learned from lists that the process has planted, as an svec in place of the root task's local storage.
// Each is an svec or a Vector{Any}; what a Vector{Any} holds of type Ptr gets lost, unless it is null:
//
//	1 code instances, 2 cell contents, 3 modules of base.index, in its order
//	4 new code instances, in the order of the lines "code" of index.txt
//	5 contents of new cells, in the order of the lines "gvar": the words are what gvar_record wants
//
// All entries of the base keep their index; new ones come after them.

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"chainbuild/elfpatch"
)

// A merge110 is the work of one chaining.
type merge110 struct {
	*image110
	index *Index
	blob  *blob110 // the new one

	// code and modules are the new offsets of the elements of Base.Code and Base.Modules, data the new references to those of
	// Base.data. fresh are the offsets of the elements of Index.Code, contents the references for Index.Globals.
	code, modules, fresh []uint32
	data, contents       []uint64
	// planted are the words of the new heap that only served to find them.
	planted []extent
	// relocs are words of the new heap that have become references.
	relocs []uint32
	// symbols are names that the new blob lacks, numbered from those that it has.
	symbols []string
	// functions are the symbols of the new functions in the order of their indices.
	functions []string
	// used are the base's functions that get a slot, ascending.
	used []int
}

func (m *image110) chain(blob []byte, index *Index) (*Merged, error) {
	parsed, err := parseBlob110(blob)
	if err != nil {
		return nil, fmt.Errorf("new heap: %w", err)
	}
	c := &merge110{image110: m, index: index, blob: parsed}
	for _, step := range []func() error{c.findPlanted, c.restoreInvoke} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	functions, err := c.functionRecords()
	if err != nil {
		return nil, err
	}
	globals, err := c.globalRecords()
	if err != nil {
		return nil, err
	}
	if c.used, err = c.base.used(index); err != nil {
		return nil, err
	}
	return c.merged(c.assemble(globals, functions))
}

// findPlanted follows the root task's local storage to the lists.
func (c *merge110) findPlanted() error {
	missing := fmt.Errorf("%w: the new heap does not lead to the base's objects; keep the scratch folder and report this", ErrDamaged)
	svec, ok := c.blob.heapObject(c.blob.tls(), 8)
	if !ok {
		return missing
	}
	lists, ok := c.blob.list(svec)
	if !ok || lists.size < 8*5 {
		return missing
	}
	c.planted = append(c.planted, extent{lists.start, 8 * 5})
	words := make([][]uint64, 5)
	for i, count := range []int{len(c.base.Code), len(c.base.data), len(c.base.Modules), len(c.index.Code), len(c.index.Globals)} {
		vector, ok := c.blob.object(uint32(lists.start+8*i), 0)
		if !ok {
			return missing
		}
		elements, ok := c.blob.list(vector)
		if !ok || elements.size != 8*count {
			return fmt.Errorf("%w: list %d of the new heap has not %d elements; keep the scratch folder and report this",
				ErrDamaged, i+1, count)
		}
		c.planted = append(c.planted, elements)
		words[i] = c.blob.offsets(elements)
	}
	c.data, c.contents = words[1], words[4]
	for i, ref := range c.data {
		if _, ok := c.blob.place(ref); !ok {
			return fmt.Errorf("%w: element %d of the new heap's list of cell contents is no object", ErrDamaged, i)
		}
	}
	if c.code, ok = c.objects(words[0], root110CodeInstance, codeSize110); !ok {
		return fmt.Errorf("%w: the new heap's list of code instances has one that is none", ErrDamaged)
	}
	if c.modules, ok = c.objects(words[2], root110Module, moduleSize110); !ok {
		return fmt.Errorf("%w: the new heap's list of modules has one that is none", ErrDamaged)
	}
	if c.fresh, ok = c.objects(words[3], root110CodeInstance, codeSize110); !ok {
		return fmt.Errorf("%w: the new heap's list of new code instances has one that is none", ErrDamaged)
	}
	return nil
}

// objects follows references to objects of a type.
func (c *merge110) objects(words []uint64, root, size int) (offsets []uint32, ok bool) {
	for _, ref := range words {
		offset, ok := c.blob.heapObject(ref, size)
		if !ok || !c.blob.is(offset, root, size) {
			return nil, false
		}
		offsets = append(offsets, offset)
	}
	return offsets, true
}

// restoreInvoke repeats the calling conventions that the base's blob has for code instances without a wrapper of their
// own.
func (c *merge110) restoreInvoke() error {
	for i, code := range c.base.Code {
		was := c.image110.blob.word(code.Offset + codeInvoke110)
		if was == 0 || c.blob.word(c.code[i]+codeInvoke110) != 0 {
			continue
		}
		if kind, n := split110(was); kind != kind110Function || n == 0 || n > max110Function {
			return fmt.Errorf("%w: the code instance at offset %d of the base's heap has no calling convention", ErrDamaged, code.Offset)
		}
		c.setInvoke(c.code[i], was)
	}
	return nil
}

// setInvoke gives a code instance a calling convention.
func (c *merge110) setInvoke(code uint32, ref uint64) {
	c.blob.setWord(code+codeInvoke110, ref)
	c.relocs = append(c.relocs, code+codeInvoke110)
}

// functionRecords returns fptr_record: the base's functions, then the new ones.
func (c *merge110) functionRecords() ([]byte, error) {
	// numbers are the indices in the image of the new functions, 0 for functions of the base, of which 0 is one.
	numbers := make([]int, len(c.index.Functions))
	for i, f := range c.index.Functions {
		if f.Symbol != "" {
			numbers[i] = len(c.base.Functions) + len(c.functions)
			c.functions = append(c.functions, f.Symbol)
		}
	}
	records := make([]byte, 8*(len(c.base.Functions)+len(c.functions)))
	for i, code := range c.base.Code {
		if code.Invoke >= 0 {
			le.PutUint64(records[8*code.Invoke:], record110(c.code[i], true))
		}
		if code.Spec >= 0 {
			le.PutUint64(records[8*code.Spec:], record110(c.code[i], false))
		}
	}
	set := func(code IndexCode, function int, wrapper bool, offset uint32) error {
		if function >= len(numbers) || numbers[function] == 0 && len(c.base.Functions) > 0 {
			return fmt.Errorf("%w: %s gives a code instance function %d, which is not a new one", ErrDamaged, c.index.Name, function)
		}
		record := records[8*numbers[function]:]
		if le.Uint64(record) != 0 {
			return fmt.Errorf("%w: %s gives function %s to two code instances", ErrDamaged, c.index.Name, c.index.Functions[function].Symbol)
		}
		le.PutUint64(record, record110(offset, wrapper))
		return nil
	}
	for i, code := range c.index.Code {
		offset := c.fresh[i]
		switch code.Invoke {
		case InvokeBoxed, InvokeParameters:
			convention := uint64(conventionBoxed)
			if code.Invoke == InvokeParameters {
				convention = conventionParameters
			}
			if c.blob.word(offset+codeInvoke110) != 0 {
				return nil, fmt.Errorf("%w: new code instance %d of the new heap can be called already", ErrDamaged, i)
			}
			c.setInvoke(offset, ref110(kind110Function, convention))
		default:
			if err := set(code, code.Invoke, true, offset); err != nil {
				return nil, err
			}
		}
		if code.Spec >= 0 {
			if err := set(code, code.Spec, false, offset); err != nil {
				return nil, err
			}
		}
	}
	return records, nil
}

// globalRecords returns gvar_record: the base's cells, then the new ones.
func (c *merge110) globalRecords() ([]byte, error) {
	names, err := c.blob.parseSymbols()
	if err != nil {
		return nil, fmt.Errorf("new heap: %w", err)
	}
	numbers := make(map[string]int, len(names))
	for i, name := range names {
		numbers[string(name)] = i
	}
	out := make([]byte, 0, 8*(len(c.base.Globals)+len(c.index.Globals)))
	for _, g := range c.base.Globals {
		code := g.Code
		switch g.Kind {
		case GlobalData:
			i, _ := slices.BinarySearch(c.base.data, g.Offset)
			code = c.data[i]
		case GlobalSymbol:
			n, ok := numbers[g.Name]
			if !ok {
				n = len(names) + len(c.symbols)
				numbers[g.Name] = n
				c.symbols = append(c.symbols, g.Name)
			}
			code = ref110(kind110Symbol, uint64(n))
		}
		out = le.AppendUint64(out, code)
	}
	check := &image110{blob: c.blob, names: names}
	for i, code := range c.contents {
		if _, ok := check.readGlobal(code); !ok {
			return nil, fmt.Errorf("%w: the new heap has nothing for cell %s", ErrDamaged, c.index.Globals[i])
		}
		out = le.AppendUint64(out, code)
	}
	return out, nil
}

// assemble puts the blob together. Objects and constants, most of it, stay where they are.
func (c *merge110) assemble(globals, functions []byte) []byte {
	p := c.blob
	relocs := c.relocations()
	tail := slices.Clone(p.tail.of(p.data))
	if !c.index.KeepRoots {
		for _, e := range c.planted {
			clear(e.of(p.data))
		}
		le.PutUint64(tail[tail110TLS:], ref110(kind110Tag, tag110Nothing))
	}
	le.PutUint32(tail[tail110Cells:], uint32(len(globals)/8))
	symbols := slices.Clone(p.symbols.of(p.data))
	for _, name := range c.symbols {
		symbols = le.AppendUint32(symbols, uint32(len(name)))
		symbols = append(symbols, name...)
		symbols = append(symbols, 0)
	}
	// All that comes from behind the constants has been copied.
	added := len(symbols) + len(relocs) + len(globals) + len(functions) + len(tail) + 4*16
	out := slices.Grow(p.data[:p.constants.end()], added)
	for _, section := range [][]byte{symbols, relocs, globals, functions} {
		out = le.AppendUint64(out, uint64(len(section)))
		out = append(padTo8(out), section...)
	}
	return append(padTo8(out), tail...)
}

func padTo8(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }

// relocations returns the section of relocations, with words that have become references, and without the planted ones
// unless these stay.
func (c *merge110) relocations() []byte {
	p := c.blob
	list := p.references.of(p.data)
	out := make([]byte, 0, p.relocs.size+10*len(c.relocs))
	out = append(out, p.types.of(p.data)...)
	out = append(out, 0)

	var forgotten []extent
	if !c.index.KeepRoots {
		forgotten = c.planted
	}
	isForgotten := within(forgotten)
	// from is where in list those bytes start that are still to be copied, last the position of the relocation that was
	// kept last. What follows one that was left out is written anew.
	at, from := 0, 0
	word, last, gap := uint64(0), uint64(0), false
	for at < len(list) {
		start := at
		delta, n := binary.Uvarint(list[at:])
		at += n
		word += delta
		switch {
		case isForgotten(word):
			out = append(out, list[from:start]...)
			from, gap = at, true
			continue
		case gap:
			out = binary.AppendUvarint(out, word-last)
			from, gap = at, false
		}
		last = word
	}
	out = append(out, list[from:]...)
	for _, word := range c.relocs {
		out = binary.AppendUvarint(out, uint64(word)-last)
		last = uint64(word)
	}
	out = append(out, 0)
	return append(out, p.data[p.finish.start-8:p.finish.end()]...)
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
func (c *merge110) merged(blob []byte) (*Merged, error) {
	out := &Merged{
		Exports: c.index.Entries,
		Aliases: c.runtimeData(),
		Slots:   c.base.slots(c.used),
		Note:    Note{Format: c.base.Format, Functions: len(c.functions), Globals: len(c.index.Globals)},
		bases:   c.base.Layers,
	}
	for _, im := range c.base.Layers {
		out.Note.Bases = append(out.Note.Bases, identify(im))
		out.Check = append(out.Check, fingerprints(im, c.tableRange(im))...)
		out.Drop = append(out.Drop, heapRange(im)...)
	}
	out.Sections = append(c.tables(uint64(len(blob))), cells(c.index.Globals), heap(blob))
	var err error
	if out.thin, err = c.startup(elfpatch.Thin); err != nil {
		return nil, err
	}
	out.standalone, err = c.startup(elfpatch.Standalone)
	return out, err
}

// tableRange is a table of functions of a layer, which no other build of it has.
func (m *image110) tableRange(im *elfpatch.Image) []elfpatch.Fingerprint {
	for _, s := range m.shards {
		if at := s.pointers[shardFunctions]; at.Base == im {
			return []elfpatch.Fingerprint{{Base: im, Addr: at.Offset, Size: 4 + uint64(len(s.functions))}}
		}
	}
	return nil
}
