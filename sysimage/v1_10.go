package sysimage

// This file reads the tables of a system image of Julia 1.10. emit_shard_table and its neighbours in src/aotcompile.cpp and
// CloneCtx::emit_metadata in src/llvm-multiversioning.cpp write them, parse_sysimg in src/processor.cpp and
// jl_restore_system_image_data in src/staticdata.c read them. Exported symbols are jl_system_image_data, the blob,
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
// Versions of the header do not tell versions of Julia apart: the shards of Julia 1.11 have 8 pointers.
//
// A function that is in several shards is what the last of them says. The blob has a record for each cell; it may have
// fewer records of functions than there are functions.

import (
	"fmt"
	"slices"
	"strings"

	"chainbuild/elfpatch"
)

const (
	version110       = 1
	shardPointers110 = 9
	// maxShards bounds what a file can make this program allocate; a shard comes with each thread, or each image of a chain.
	maxShards = 1 << 12
)

// An image110 is a system image of Julia 1.10.
type image110 struct {
	base  *Base
	blob  *blob110
	names [][]byte

	shards []shard110
	// ptls, smallTypeof and targetData are what jl_image_pointers leads to beside the shards; threadCells is what ptls
	// leads to.
	ptls, smallTypeof, targetData elfpatch.Address
	threadCells                   []elfpatch.Address
	// functions and cells are the numbers of the header.
	functions, cells int
	// owners are, by function index, the last shards that have the function.
	owners []int
}

// A shard110 is a shard of the tables.
type shard110 struct {
	// pointers are the shard itself.
	pointers []elfpatch.Address
	// Tables without their counts.
	functions, functionIndices []byte
	globals, globalIndices     []byte
	slots                      []byte
	// clones are what the tables have per target.
	clones []clones
}

// Pointers of a shard.
const (
	shardFunctionBase = iota
	shardFunctions
	shardFunctionIndices
	shardGlobalBase
	shardGlobals
	shardGlobalIndices
	shardSlots
	shardCloneOffsets
	shardCloneIndices
)

// function is the virtual address that an offset of a function stands for.
func (s *shard110) function(offset uint32) uint64 {
	return s.pointers[shardFunctionBase].Offset + uint64(int64(int32(offset)))
}

// global is the virtual address that an offset of a cell stands for.
func (s *shard110) global(offset uint32) uint64 {
	return s.pointers[shardGlobalBase].Offset + uint64(int64(int32(offset)))
}

// openV1_10 reads a system image of Julia 1.10.
func openV1_10(b *Base) (format, error) {
	m := &image110{base: b}
	steps := []func() error{m.checkVersion, m.readPointers, m.readBlob, m.readFunctions, m.readModules, m.readGlobals, m.readCode}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.Blob = m.blob.sizes()
	return m, nil
}

// checkVersion looks at the name of the library that the image was linked with, if it has one with a version.
func (m *image110) checkVersion() error {
	for _, im := range m.base.Layers {
		for _, needed := range im.Needed() {
			_, version, ok := strings.Cut(needed, "libjulia.so.")
			if ok && strings.Contains(version, ".") && version != "1.10" && !strings.HasPrefix(version, "1.10.") {
				return fmt.Errorf("%w: it was made by Julia %s", ErrUnknownFormat, version)
			}
		}
	}
	return nil
}

// readPointers follows jl_image_pointers.
func (m *image110) readPointers() error {
	at, err := m.base.symbol("jl_image_pointers")
	if err != nil {
		return err
	}
	roots, err := m.base.pointers(at, 5)
	if err != nil {
		return err
	}
	header := &tableReader{name: "jl_image_header", at: roots[0]}
	version, shards, functions, cells := header.number(), header.number(), header.number(), header.number()
	if header.err != nil {
		return header.err
	}
	if version != version110 {
		return fmt.Errorf("%w: its tables are of version %d", ErrUnknownFormat, version)
	}
	if shards > maxShards || functions > maxFunctions || cells > 16*maxFunctions {
		return fmt.Errorf("%w: it has %d shards, %d functions, %d cells", ErrUnknownFormat, shards, functions, cells)
	}
	m.functions, m.cells = int(functions), int(cells)
	m.ptls, m.smallTypeof, m.targetData = roots[2], roots[3], roots[4]
	if m.threadCells, err = m.base.pointers(m.ptls, 3); err != nil {
		return err
	}
	targets, err := parseTargets(m.targetData, x86Features110)
	if err != nil {
		return err
	}
	pointers, err := m.base.pointers(roots[1], shardPointers110*int(shards))
	if err != nil {
		return err
	}
	for shard := range slices.Chunk(pointers, shardPointers110) {
		s, err := readShard110(shard, len(targets))
		if err != nil {
			return fmt.Errorf("shard %d: %w", len(m.shards), err)
		}
		m.shards = append(m.shards, s)
	}
	if len(m.shards) > 0 {
		for i, c := range m.shards[0].clones {
			targets[i].Complete, targets[i].Fallback = c.complete, c.fallback
		}
	}
	m.base.Targets = targets
	return nil
}

func readShard110(pointers []elfpatch.Address, targets int) (shard110, error) {
	s := shard110{pointers: pointers}
	table := func(name string, pointer int) *tableReader { return &tableReader{name: name, at: pointers[pointer]} }
	functions, globals, slots := table("fvar_offsets", shardFunctions), table("gvar_offsets", shardGlobals), table("clone_slots", shardSlots)
	functionIndices, globalIndices := table("fvar_idxs", shardFunctionIndices), table("gvar_idxs", shardGlobalIndices)
	n, g, k := functions.count(1), globals.count(1), slots.count(2)
	s.functions, s.functionIndices = functions.take(n), functionIndices.take(n)
	s.globals, s.globalIndices = globals.take(g), globalIndices.take(g)
	s.slots = slots.take(2 * k)
	for _, r := range []*tableReader{functions, globals, slots, functionIndices, globalIndices} {
		if r.err != nil {
			return s, r.err
		}
	}
	var err error
	s.clones, err = readClones(table("clone_idxs", shardCloneIndices), table("clone_offsets", shardCloneOffsets), s.functions, targets)
	return s, err
}

func (m *image110) readBlob() error {
	data, err := blobOf(m.base)
	if err != nil {
		return err
	}
	if m.blob, err = parseBlob110(data); err != nil {
		return err
	}
	m.names, err = m.blob.parseSymbols()
	return err
}

// readFunctions works out which code the loader chooses for each function on each target.
func (m *image110) readFunctions() error {
	targets := len(m.base.Targets)
	variants := make([]uint64, m.functions*targets)
	m.base.Functions, m.owners = make([]Function, m.functions), make([]int, m.functions)
	for number := range m.shards {
		s := &m.shards[number]
		for t := range targets {
			for i, offset := range chosen(s.clones, t) {
				index := int(at32(s.functionIndices, i))
				if index >= m.functions {
					return fmt.Errorf("%w: shard %d has function %d of %d", ErrDamaged, number, index, m.functions)
				}
				variants[index*targets+t] = s.function(offset)
				m.owners[index] = number
				m.base.Functions[index].Variants = variants[index*targets : (index+1)*targets : (index+1)*targets]
			}
		}
	}
	for i, f := range m.base.Functions {
		if f.Variants == nil {
			return fmt.Errorf("%w: function %d is in no shard", ErrDamaged, i)
		}
	}
	return nil
}

func (m *image110) readModules() error {
	for _, offset := range m.blob.modules {
		name, ok := m.blob.symbolAt(offset, m.names)
		if !ok {
			return fmt.Errorf("%w: the module at offset %d of the heap has no name", ErrDamaged, offset)
		}
		parent, ok := m.blob.object(offset+moduleParent110, 0)
		index, found := slices.BinarySearch(m.blob.modules, parent)
		if !ok || !found {
			return fmt.Errorf("%w: module %s of the heap has a parent that is no module", ErrDamaged, name)
		}
		svec, ok := m.blob.object(offset+moduleBindings110, 8)
		bindings, ok2 := m.blob.list(svec)
		if !ok || !ok2 {
			return fmt.Errorf("%w: module %s of the heap has no bindings", ErrDamaged, name)
		}
		count := 0
		for at := bindings.start; at < bindings.end(); at += 8 {
			if _, bound := m.blob.object(uint32(at), 0); bound {
				count++
			}
		}
		m.base.Modules = append(m.base.Modules, Module{offset, name, index, count})
	}
	return nil
}

// readGlobals reads gvar_record.
func (m *image110) readGlobals() error {
	records := m.blob.globals.of(m.blob.data)
	if len(records)/8 != m.cells {
		return fmt.Errorf("%w: the heap fills %d cells of native code, of which there are %d", ErrDamaged, len(records)/8, m.cells)
	}
	m.base.Globals = make([]Global, m.cells)
	for i := range m.base.Globals {
		g, ok := m.readGlobal(le.Uint64(records[8*i:]))
		if !ok {
			return fmt.Errorf("%w: cell %d of native code is filled with what is no reference: %#x", ErrDamaged, i, g.Code)
		}
		m.base.Globals[i] = g
	}
	return nil
}

func (m *image110) readGlobal(code uint64) (Global, bool) {
	switch kind, n := split110(code); kind {
	case kind110Data, kind110Const:
		offset, ok := m.blob.place(code)
		return Global{Kind: GlobalData, Offset: offset, Code: code}, ok
	case kind110Symbol:
		if n < uint64(len(m.names)) {
			return Global{Kind: GlobalSymbol, Name: string(m.names[n]), Code: code}, true
		}
	case kind110Tag:
		return Global{Kind: GlobalTag, Code: code}, n <= max110Tag
	}
	return Global{Code: code}, false
}

// wrapper110 is the bit of a complemented offset in fptr_record.
const wrapper110 = 1 << 63

// record110 is an entry of fptr_record.
func record110(offset uint32, wrapper bool) uint64 {
	if wrapper {
		return ^uint64(offset)
	}
	return uint64(offset)
}

// readCode reads fptr_record.
func (m *image110) readCode() error {
	records := m.blob.functions.of(m.blob.data)
	if len(records)/8 > m.functions {
		return fmt.Errorf("%w: the heap names %d functions, of which there are %d", ErrDamaged, len(records)/8, m.functions)
	}
	var code []CodeInstance
	for i := range len(records) / 8 {
		offset := le.Uint64(records[8*i:])
		if offset == 0 {
			continue
		}
		c := CodeInstance{Invoke: -1, Spec: int32(i)}
		if offset&wrapper110 != 0 {
			offset = ^offset
			c.Invoke, c.Spec = c.Spec, -1
		}
		c.Offset = uint32(offset)
		if offset > uint64(m.blob.heap.size) || !m.blob.is(c.Offset, root110CodeInstance, codeSize110) {
			return fmt.Errorf("%w: the record of function %d leads to no code instance", ErrDamaged, i)
		}
		code = append(code, c)
	}
	var err error
	m.base.Code, err = mergeCode(code)
	return err
}

// codeModules follows code instance, method instance and method to the module.
func (m *image110) codeModules() ([]int, error) {
	modules := make([]int, len(m.base.Code))
	for i, c := range m.base.Code {
		instance, ok := m.blob.object(c.Offset, 8)
		definition, ok2 := uint32(0), false
		if ok && m.blob.is(instance, root110MethodInstance, 8) {
			definition, ok2 = m.blob.object(instance, 16)
		}
		if ok2 && m.blob.is(definition, root110Method, 16) {
			definition, ok2 = m.blob.object(definition+methodModule110, 0)
		}
		index, found := slices.BinarySearch(m.blob.modules, definition)
		if !ok2 || !found {
			return nil, fmt.Errorf("%w: the code instance at offset %d of the heap belongs to no module", ErrDamaged, c.Offset)
		}
		modules[i] = index
	}
	return modules, nil
}
