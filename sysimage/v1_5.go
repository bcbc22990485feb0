package sysimage

// This file reads the tables of a system image of Julia 1.5. CloneCtx::emit_metadata in src/llvm-multiversioning.cpp
// writes them, parse_sysimg in src/processor.cpp and jl_load_sysimg_so in src/staticdata.c read them. Each is an exported
// symbol. Offsets of functions count from jl_sysimg_fvars_base, those of cells from jl_sysimg_gvars_base; both are int32.
//
//	jl_sysimg_fvars_offsets    u32 n, then n offsets of functions: target 0's code. Target 0 is always complete
//	jl_sysimg_gvars_offsets    u32 n, then n offsets of 8 byte cells
//	jl_dispatch_target_ids     u32 number of targets, then the targets as targets.go describes them
//	jl_dispatch_fvars_idxs     per target: u32 count, and
//	                           if bit 31 of count is set (all functions were cloned, always so for target 0):
//	                             count × u32 function index, ascending: the functions that slots are to be filled with
//	                           else:
//	                             u32 index of a complete target, whose code serves where this one has none
//	                             count × u32 function index, ascending, bit 31 set if slots are to be filled with it
//	jl_dispatch_fvars_offsets  per target: nothing for target 0, n offsets for other complete targets,
//	                           count offsets for the rest, in the order of their indices
//	jl_dispatch_reloc_slots    u32 n, then n × {u32 function index, i32 offset of a cell}, ascending by function index:
//	                           cells that calls go through, to be filled with the chosen target's code
//	jl_system_image_size       u64 size of the blob
//	jl_system_image_data       the blob
//	jl_globalUnique            u64: one more than the largest number at the end of a generated name
//
// The loader takes the blob's records for as many functions as there are; the function table may have more entries.

import (
	"fmt"
	"slices"
	"sort"

	"chainbuild/elfpatch"
)

// An image15 is a system image of Julia 1.5.
type image15 struct {
	base  *Base
	blob  *blob15
	names [][]byte

	// functionsBase and globalsBase are what offsets count from.
	functionsBase, globalsBase elfpatch.Address
	// functions, globals and slots are tables without their counts.
	functions, globals, slots []byte
	// clones are what the tables have per target.
	clones []clones
}

// openV1_5 reads a system image of Julia 1.5.
func openV1_5(b *Base) (format, error) {
	m := &image15{base: b}
	// The names of tables tell other versions apart before anything is read that they have in another form.
	steps := []func() error{m.readTables, m.readBlob, m.readTargets, m.readModules, m.readGlobals, m.readCode}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.Blob = m.blob.sizes()
	return m, nil
}

func (m *image15) readBlob() error {
	data, err := blobOf(m.base)
	if err != nil {
		return err
	}
	if m.blob, err = parseBlob15(data); err != nil {
		return err
	}
	m.names, err = m.blob.parseSymbols()
	return err
}

// table starts to read an exported table.
func (m *image15) table(name string) *tableReader {
	at, err := m.base.symbol(name)
	return &tableReader{name: name, at: at, err: err}
}

func (m *image15) readTables() error {
	var err error
	if m.functionsBase, err = m.base.symbol("jl_sysimg_fvars_base"); err != nil {
		return err
	}
	if m.globalsBase, err = m.base.symbol("jl_sysimg_gvars_base"); err != nil {
		return err
	}
	functions, globals := m.table("jl_sysimg_fvars_offsets"), m.table("jl_sysimg_gvars_offsets")
	slots, unique := m.table("jl_dispatch_reloc_slots"), m.table("jl_globalUnique")
	n := functions.number()
	if n > maxFunctions {
		return fmt.Errorf("%w: table %s has %d entries", ErrDamaged, functions.name, n)
	}
	m.functions = functions.take(n)
	m.globals = globals.take(globals.number())
	// A pair of fields per slot; a count that overflows by doubling is beyond any file.
	if n = slots.number(); n > 1<<30 {
		return fmt.Errorf("%w: table %s reaches beyond its segment", ErrDamaged, slots.name)
	}
	m.slots = slots.take(2 * n)
	counter := unique.take(2)
	for _, r := range []*tableReader{functions, globals, slots, unique} {
		if r.err != nil {
			return r.err
		}
	}
	m.base.NameCounter = le.Uint64(counter)
	return nil
}

// readTargets reads what the image was compiled for and where each target's code is.
func (m *image15) readTargets() error {
	at, err := m.base.symbol("jl_dispatch_target_ids")
	if err != nil {
		return err
	}
	targets, err := parseTargets(at, x86Features15)
	if err != nil {
		return err
	}
	m.clones, err = readClones(m.table("jl_dispatch_fvars_idxs"), m.table("jl_dispatch_fvars_offsets"), m.functions, len(targets))
	if err != nil {
		return err
	}
	for i, c := range m.clones {
		targets[i].Complete, targets[i].Fallback = c.complete, c.fallback
	}
	m.base.Targets = targets
	m.readFunctions()
	return nil
}

// readFunctions works out which code the loader chooses for each function on each target.
func (m *image15) readFunctions() {
	n, targets := len(m.functions)/4, len(m.clones)
	variants := make([]uint64, n*targets)
	for t := range targets {
		for i, offset := range chosen(m.clones, t) {
			variants[i*targets+t] = m.function(offset)
		}
	}
	m.base.Functions = make([]Function, n)
	for i := range m.base.Functions {
		m.base.Functions[i].Variants = variants[i*targets : (i+1)*targets : (i+1)*targets]
	}
}

// function is the virtual address that an offset of a function stands for.
func (m *image15) function(offset uint32) uint64 {
	return m.functionsBase.Offset + uint64(int64(int32(offset)))
}

// global is the virtual address that an offset of a cell stands for.
func (m *image15) global(offset uint32) uint64 {
	return m.globalsBase.Offset + uint64(int64(int32(offset)))
}

func (m *image15) readModules() error {
	end := uint32(0)
	for _, offset := range m.blob.modules {
		bindings, ok := m.blob.bindings(offset)
		if !ok || offset < end {
			return fmt.Errorf("%w: the module at offset %d of the heap is not one", ErrDamaged, offset)
		}
		name, ok := m.blob.symbolAt(offset, m.names)
		if !ok {
			return fmt.Errorf("%w: the module at offset %d of the heap has no name", ErrDamaged, offset)
		}
		parent, ok := m.blob.object(offset+8, 0)
		index, found := slices.BinarySearch(m.blob.modules, parent)
		if !ok || !found {
			return fmt.Errorf("%w: module %s of the heap has a parent that is no module", ErrDamaged, name)
		}
		m.base.Modules = append(m.base.Modules, Module{offset, name, index, bindings})
		end = bindingAt(offset, bindings) - 8
	}
	return nil
}

// readGlobals reads gvar_record.
func (m *image15) readGlobals() error {
	records := m.blob.globals.of(m.blob.data)
	if len(records) > len(m.globals) {
		return fmt.Errorf("%w: the heap fills %d cells of native code, of which there are %d", ErrDamaged, len(records)/4, len(m.globals)/4)
	}
	m.base.Globals = make([]Global, len(m.globals)/4)
	for i := range len(records) / 4 {
		g, err := m.readGlobal(at32(records, i))
		if err != nil {
			return fmt.Errorf("record of cell %d: %w", i, err)
		}
		m.base.Globals[i] = g
	}
	return nil
}

func (m *image15) readGlobal(code uint32) (Global, error) {
	kind, n := m.blob.split(uint64(code))
	switch {
	case code == 0:
		return Global{}, nil
	case kind == refData && m.blob.inHeap(n, 0):
		if m.blob.word(n-8) == uint64(m.blob.ref(refBinding, 0)) {
			return m.readBinding(n, code)
		}
		return Global{Kind: GlobalData, Offset: n, Code: uint64(code)}, nil
	case kind == refSymbol && int(n) < len(m.names):
		return Global{Kind: GlobalSymbol, Name: string(m.names[n]), Code: uint64(code)}, nil
	case kind == refTag && n <= maxTag:
		return Global{Kind: GlobalTag, Code: uint64(code)}, nil
	}
	return Global{}, fmt.Errorf("%w: %#x is no reference", ErrDamaged, code)
}

// readBinding finds the module that the binding at offset is written behind.
func (m *image15) readBinding(offset, code uint32) (Global, error) {
	modules := m.base.Modules
	i := sort.Search(len(modules), func(i int) bool { return modules[i].Offset > offset }) - 1
	if i >= 0 {
		place := int64(offset) - int64(bindingAt(modules[i].Offset, 0))
		if place >= 0 && place%bindingSize == 0 && place/bindingSize < int64(modules[i].Bindings) {
			if name, ok := m.blob.symbolAt(offset, m.names); ok {
				return Global{Kind: GlobalBinding, Offset: offset, Module: i, Name: name, Code: uint64(code)}, nil
			}
		}
	}
	return Global{}, fmt.Errorf("%w: the binding at offset %d of the heap belongs to no module", ErrDamaged, offset)
}

// A codeRecord is an entry of fptr_record taken apart.
type codeRecord struct {
	offset  uint32 // of the code instance
	wrapper bool   // the function is its wrapper
}

// readRecord takes an entry apart; ok is false for an empty one.
func readRecord(entry uint64) (r codeRecord, ok bool) {
	offset := uint32(entry)
	if offset&indexFlag != 0 {
		return codeRecord{^offset, true}, true
	}
	return codeRecord{offset, false}, offset != 0
}

// entry is the reverse of readRecord.
func (r codeRecord) entry() uint64 {
	if r.wrapper {
		return uint64(^r.offset)
	}
	return uint64(r.offset)
}

// readCode reads fptr_record.
func (m *image15) readCode() error {
	records := m.blob.functions.of(m.blob.data)
	if len(records)/8 > len(m.functions)/4 {
		return fmt.Errorf("%w: the heap names %d functions, of which there are %d", ErrDamaged, len(records)/8, len(m.functions)/4)
	}
	var code []CodeInstance
	for i := range len(records) / 8 {
		r, ok := readRecord(le.Uint64(records[8*i:]))
		if !ok {
			continue
		}
		if !m.blob.is(r.offset, tagCodeInstance, codeSpecptr+8) {
			return fmt.Errorf("%w: the record of function %d leads to no code instance", ErrDamaged, i)
		}
		c := CodeInstance{Offset: r.offset, Invoke: -1, Spec: int32(i)}
		if r.wrapper {
			c.Invoke, c.Spec = c.Spec, -1
		}
		code = append(code, c)
	}
	var err error
	m.base.Code, err = mergeCode(code)
	return err
}

// codeModules follows code instance, method instance and method to the module.
func (m *image15) codeModules() ([]int, error) {
	modules := make([]int, len(m.base.Code))
	for i, c := range m.base.Code {
		instance, ok := m.blob.object(c.Offset, 8)
		definition, ok2 := uint32(0), false
		if ok && m.blob.is(instance, tagMethodInst, 8) {
			definition, ok2 = m.blob.object(instance, 16)
		}
		if ok2 && m.blob.is(definition, tagMethod, 16) {
			definition, ok2 = m.blob.object(definition+8, 0)
		}
		index, found := slices.BinarySearch(m.blob.modules, definition)
		if !ok2 || !found {
			return nil, fmt.Errorf("%w: the code instance at offset %d of the heap belongs to no module", ErrDamaged, c.Offset)
		}
		modules[i] = index
	}
	return modules, nil
}
