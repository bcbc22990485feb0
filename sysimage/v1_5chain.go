package sysimage

// This file chains a heap to a system image of Julia 1.5.
//
// The process that serialised the heap was started from the base image. It generated code for what is new only, so in
// its heap the code instances of the base are without code, and the records list the new functions and cells alone.
// What the base's functions and cells belong to is known by offsets in the base's blob. Their offsets in the new blob
// are learned from three Vector{Any} that the process has planted: the code instances, cell contents and modules of
// base.index, in its order, as an svec in place of the root task's local storage.
//
// All entries of the base keep their index; new ones come after them. So what the dispatch tables say about the base's
// functions stays true, and its code, which is not touched, finds its cells where they were.

import (
	"fmt"
	"slices"

	"chainbuild/elfpatch"
)

// A merge15 is the work of one chaining.
type merge15 struct {
	*image15
	index *Index
	blob  *blob15 // the new one
	names [][]byte

	// code, data and modules are the new offsets of the elements of Base.Code, Base.data and Base.Modules.
	code, data, modules []uint32
	// planted are the words of the new heap that only served to find them.
	planted []extent
	// relocs are words of the new heap that have become references.
	relocs []uint32
	// symbols are names that the new blob lacks, numbered from those that it has.
	symbols []string
	numbers map[string]uint32
	// functions are the new functions: their symbols and records in the order of their indices.
	functions []newFunction
	// recordsAt is the offset of fptr_record in the completed blob.
	recordsAt int
	// used are the base's functions that get a slot, ascending.
	used []int
}

type newFunction struct {
	symbol string
	entry  uint64
}

func (m *image15) chain(blob []byte, index *Index) (*Merged, error) {
	parsed, err := parseBlob15(blob)
	if err != nil {
		return nil, fmt.Errorf("new heap: %w", err)
	}
	if parsed.shift != m.blob.shift {
		return nil, fmt.Errorf("new heap: %w: it was made by another version of Julia; use the Julia that the base belongs to", ErrDamaged)
	}
	c := &merge15{image15: m, index: index, blob: parsed}
	for _, step := range []func() error{c.findPlanted, c.restoreInvoke, c.mergeFunctions} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if c.used, err = c.base.used(index); err != nil {
		return nil, err
	}
	globals, err := c.mergeGlobals()
	if err != nil {
		return nil, err
	}
	complete, err := c.assemble(globals)
	if err != nil {
		return nil, err
	}
	merged := c.merged(complete)
	merged.thin, err = c.backtraces()
	return merged, err
}

// findPlanted follows the root task's local storage to the three vectors.
func (c *merge15) findPlanted() error {
	missing := fmt.Errorf("%w: the new heap does not lead to the base's objects; keep the scratch folder and report this", ErrDamaged)
	kind, svec := c.blob.split(uint64(c.blob.tls()))
	if kind != refData || !c.blob.is(svec, tagSimpleVector, 8*4) || c.blob.word(svec) < 3 {
		return missing
	}
	c.planted = append(c.planted, extent{int(svec) + 8, 8 * 3})
	for i, list := range []struct {
		offsets *[]uint32
		count   int
	}{{&c.code, len(c.base.Code)}, {&c.data, len(c.base.data)}, {&c.modules, len(c.base.Modules)}} {
		vector, ok := c.blob.object(svec+8+8*uint32(i), 0)
		if !ok {
			return missing
		}
		first, count, ok := c.blob.anyVector(vector)
		if !ok || count != list.count {
			return missing
		}
		c.planted = append(c.planted, extent{int(first), 8 * count})
		*list.offsets = make([]uint32, count)
		for j := range count {
			if (*list.offsets)[j], ok = c.blob.object(first+8*uint32(j), 0); !ok {
				return missing
			}
		}
	}
	for i, offset := range c.code {
		if !c.blob.is(offset, tagCodeInstance, codeSpecptr+8) {
			return fmt.Errorf("%w: element %d of the new heap's list of code instances is none", ErrDamaged, i)
		}
	}
	return nil
}

// restoreInvoke repeats the calling conventions that the base's blob has for code instances without a wrapper of their
// own. They are part of what a heap says about code that was generated for it.
func (c *merge15) restoreInvoke() error {
	for i, code := range c.base.Code {
		was := c.image15.blob.word(code.Offset + codeInvoke)
		if was == 0 || c.blob.word(c.code[i]+codeInvoke) != 0 {
			continue
		}
		if kind, n := c.blob.split(was); kind != refFunction || n > maxFunction {
			return fmt.Errorf("%w: the code instance at offset %d of the base's heap has no calling convention", ErrDamaged, code.Offset)
		}
		c.blob.setWord(c.code[i]+codeInvoke, was)
		c.relocs = append(c.relocs, c.code[i]+codeInvoke)
	}
	return nil
}

// mergeFunctions sorts the new heap's function records into those of new functions, which are kept, and those of
// functions of the base.
func (c *merge15) mergeFunctions() error {
	records := c.blob.functions.of(c.blob.data)
	if len(records)/8 > len(c.index.Functions) {
		return fmt.Errorf("%w: the new heap names %d functions, %s %d", ErrDamaged, len(records)/8, c.index.Name, len(c.index.Functions))
	}
	for i, f := range c.index.Functions {
		entry := uint64(0)
		if i < len(records)/8 {
			entry = le.Uint64(records[8*i:])
		}
		if f.Symbol == "" {
			if f.Base >= len(c.base.Functions) {
				return fmt.Errorf("%w: %s names function %d of the base, which has %d", ErrDamaged, c.index.Name, f.Base, len(c.base.Functions))
			}
			continue
		}
		if r, ok := readRecord(entry); ok && !c.blob.is(r.offset, tagCodeInstance, codeSpecptr+8) {
			return fmt.Errorf("%w: the record of new function %s leads to no code instance", ErrDamaged, f.Symbol)
		}
		c.functions = append(c.functions, newFunction{f.Symbol, entry})
	}
	return nil
}

// mergeGlobals returns gvar_record: the base's cells, then the new ones.
func (c *merge15) mergeGlobals() ([]byte, error) {
	var err error
	if c.names, err = c.blob.parseSymbols(); err != nil {
		return nil, fmt.Errorf("new heap: %w", err)
	}
	c.numbers = make(map[string]uint32, len(c.names))
	for i, name := range c.names {
		c.numbers[string(name)] = uint32(i)
	}
	bindings := make([]map[string]uint32, len(c.modules))
	out := make([]byte, 0, 4*(len(c.base.Globals)+len(c.index.Globals)))
	for _, g := range c.base.Globals {
		code := uint32(g.Code)
		switch g.Kind {
		case GlobalData:
			i, _ := slices.BinarySearch(c.base.data, g.Offset)
			code = c.blob.ref(refData, c.data[i])
		case GlobalSymbol:
			code = c.blob.ref(refSymbol, c.symbolNumber(g.Name))
		case GlobalBinding:
			if bindings[g.Module] == nil {
				if bindings[g.Module], err = c.bindingsOf(g.Module); err != nil {
					return nil, err
				}
			}
			offset, ok := bindings[g.Module][g.Name]
			if !ok {
				return nil, fmt.Errorf("%w: code of the base uses %s.%s, which the new heap lacks; keep the scratch folder and report this",
					ErrDamaged, c.base.Modules[g.Module].Name, g.Name)
			}
			code = c.blob.ref(refData, offset)
		}
		out = le.AppendUint32(out, code)
	}
	records := c.blob.globals.of(c.blob.data)
	if len(records)/4 > len(c.index.Globals) {
		return nil, fmt.Errorf("%w: the new heap fills %d cells, %s names %d", ErrDamaged, len(records)/4, c.index.Name, len(c.index.Globals))
	}
	out = append(out, records...)
	return append(out, make([]byte, 4*len(c.index.Globals)-len(records))...), nil
}

// symbolNumber returns the number of a symbol in the new blob, to which it is added if it lacks it.
func (c *merge15) symbolNumber(name string) uint32 {
	n, ok := c.numbers[name]
	if !ok {
		n = uint32(len(c.names) + len(c.symbols))
		c.numbers[name] = n
		c.symbols = append(c.symbols, name)
	}
	return n
}

// bindingsOf returns the offsets in the new blob of what a module of the base binds.
func (c *merge15) bindingsOf(module int) (map[string]uint32, error) {
	offset := c.modules[module]
	count, ok := c.blob.bindings(offset)
	if !ok {
		return nil, fmt.Errorf("%w: module %s of the base is none in the new heap", ErrDamaged, c.base.Modules[module].Name)
	}
	offsets := make(map[string]uint32, count)
	for i := range count {
		at := bindingAt(offset, i)
		if name, ok := c.blob.symbolAt(at, c.names); ok {
			offsets[name] = at
		}
	}
	return offsets, nil
}

// assemble puts the blob together. Objects and constants, most of it, stay where they are; what comes after them moves up
// by what is added before it.
func (c *merge15) assemble(globals []byte) ([]byte, error) {
	p := c.blob
	tail := slices.Clone(p.tail.of(p.data))
	kept := p.relocs.size - 4
	if !c.index.KeepRoots {
		var err error
		if kept, err = c.forgetPlanted(); err != nil {
			return nil, err
		}
		le.PutUint32(tail[4*tagCount:], p.tags[tagNothing])
	}
	var symbols []byte
	for _, name := range c.symbols {
		symbols = le.AppendUint32(symbols, uint32(len(name)))
		symbols = append(symbols, name...)
		symbols = append(symbols, 0)
	}
	functions := c.functionRecords()

	at := p.symbols.end() + len(symbols) + 4
	relocs := extent{at, kept + 4*len(c.relocs) + 4}
	at = relocs.end() + 4 + len(globals) + 4 + len(functions) + len(tail)
	out := slices.Grow(p.data, max(0, at-len(p.data)))[:p.symbols.end()]
	// The relocations move over themselves, before anything is written to where they were.
	copy(out[relocs.start:relocs.end()], p.relocs.of(p.data)[:kept])
	le.PutUint32(out[p.symbols.start-4:], uint32(p.symbols.size+len(symbols)))
	out = append(out, symbols...)
	out = le.AppendUint32(out, uint32(relocs.size))
	out = out[:relocs.start+kept]
	for _, word := range c.relocs {
		out = le.AppendUint32(out, word)
	}
	out = le.AppendUint32(out, 0)
	out = le.AppendUint32(out, uint32(len(globals)))
	out = append(out, globals...)
	out = le.AppendUint32(out, uint32(len(functions)))
	c.recordsAt = len(out)
	out = append(out, functions...)
	return append(out, tail...), nil
}

// forgetPlanted makes the planted words null and takes them out of the list of relocations. It returns the size of what
// is left of that without the 0 at the end, in bytes.
func (c *merge15) forgetPlanted() (int, error) {
	first, last := c.planted[0].start, c.planted[0].end()
	for _, e := range c.planted {
		clear(e.of(c.blob.data))
		first, last = min(first, e.start), max(last, e.end())
	}
	planted := func(word int) bool {
		return slices.ContainsFunc(c.planted, func(e extent) bool { return word >= e.start && word < e.end() })
	}
	relocs := c.blob.relocs.of(c.blob.data)
	if len(relocs) < 8 || le.Uint32(relocs[len(relocs)-4:]) != 0 {
		return 0, fmt.Errorf("%w: the new heap's list of relocations has no end", ErrDamaged)
	}
	kept := 0
	for i := 0; i < len(relocs)-4; i += 4 {
		word := le.Uint32(relocs[i:])
		// Nearly all words are outside of the range that the planted ones span.
		if int(word) >= first && int(word) < last && planted(int(word)) {
			continue
		}
		if kept != i {
			le.PutUint32(relocs[kept:], word)
		}
		kept += 4
	}
	return kept, nil
}

// functionRecords returns fptr_record: the base's functions, then the new ones.
func (c *merge15) functionRecords() []byte {
	records := make([]byte, 8*(len(c.base.Functions)+len(c.functions)))
	for i, code := range c.base.Code {
		if code.Invoke >= 0 {
			le.PutUint64(records[8*code.Invoke:], codeRecord{c.code[i], true}.entry())
		}
		if code.Spec >= 0 {
			le.PutUint64(records[8*code.Spec:], codeRecord{c.code[i], false}.entry())
		}
	}
	for i, f := range c.functions {
		le.PutUint64(records[8*(len(c.base.Functions)+i):], f.entry)
	}
	return records
}

// merged puts together what goes to the link.
func (c *merge15) merged(blob []byte) *Merged {
	out := &Merged{
		Exports: c.index.Entries,
		Aliases: make(map[string]elfpatch.Address),
		Note:    Note{Format: c.base.Format, Functions: len(c.functions), Globals: len(c.index.Globals)},
		bases:   c.base.Layers,
	}
	for _, im := range c.base.Layers {
		out.Note.Bases = append(out.Note.Bases, identify(im))
		out.Check = append(out.Check, fingerprints(im, tableRange(im))...)
		out.Drop = append(out.Drop, heapRange(im)...)
	}
	// Julia fills these two when it loads an image; each module of new code refers to them.
	for _, name := range []string{"jl_get_ptls_states_slot", "jl_tls_offset"} {
		if at, err := c.base.symbol(name); err == nil {
			out.Aliases[name] = at
		}
	}
	out.Slots = c.base.slots(c.used)
	out.Sections = append(c.tables(uint64(len(blob))), cells(c.index.Globals), heap(blob))
	return out
}
