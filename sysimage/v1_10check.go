package sysimage

// This file follows the references of a system image of Julia 1.10 that opening it has no need for. Opening has already
// seen to it that records lead to code instances and cells to objects, and that modules are modules.

import (
	"encoding/binary"
	"fmt"
)

func (m *image110) check() error {
	for _, step := range []func() error{m.checkTypes, m.checkRelocs, m.checkTail, m.checkFunctions, m.checkGlobals, m.checkShards} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkTypes sees to it that places of get_tags are what this program takes them for.
func (m *image110) checkTypes() error {
	for root, want := range map[int]string{
		root110SimpleVector: "SimpleVector", root110Module: "Module", root110MethodInstance: "MethodInstance",
		root110Method: "Method", root110CodeInstance: "CodeInstance", root110ArrayAny: "Array",
	} {
		if name, ok := m.typeName(m.blob.roots[root]); !ok || name != want {
			return fmt.Errorf("%w: root %d of the heap is type %q where %s belongs", ErrDamaged, root, name, want)
		}
	}
	return nil
}

// typeName returns the name of the DataType that ref refers to.
func (m *image110) typeName(ref uint64) (string, bool) {
	offset, ok := m.blob.heapObject(ref, 8)
	if !ok || !m.blob.is(offset, root110DataType, 8) {
		return "", false
	}
	name, ok := m.blob.object(offset, 8)
	if !ok {
		return "", false
	}
	return m.blob.symbolAt(name, m.names)
}

// checkRelocs follows all references of the heap's objects.
func (m *image110) checkRelocs() error {
	for i, valid := range []func(uint64) bool{m.validType, m.validRef} {
		list := []extent{m.blob.types, m.blob.references}[i].of(m.blob.data)
		word := uint64(0)
		for at := 0; at < len(list); {
			delta, n := binary.Uvarint(list[at:])
			at += n
			word += delta
			if word%8 != 0 || word < 8 || word > uint64(m.blob.heap.size-8) {
				return fmt.Errorf("%w: a relocation of the heap is for %d, which is no word of it", ErrDamaged, word)
			}
			if ref := m.blob.word(uint32(word)); ref == unwritten110 {
				return fmt.Errorf("%w: the word at offset %d of the heap refers to a task: a loaded package keeps what no image can hold, and should make it in its __init__", ErrDamaged, word)
			} else if !valid(ref) {
				return fmt.Errorf("%w: the word at offset %d of the heap is no reference: %#x", ErrDamaged, word, ref)
			}
		}
	}
	return nil
}

// unwritten110 is written for a task other than the first: jl_needs_serialization (src/staticdata.c) leaves it out, and _backref_id takes HT_NOTFOUND for its place.
const unwritten110 = ^uint64(0)

// validType says that ref may be the type of an object.
func (m *image110) validType(ref uint64) bool {
	offset, ok := m.blob.heapObject(ref, 8)
	return ok && offset%16 == 0
}

// validRef says that ref leads to something that exists.
func (m *image110) validRef(ref uint64) bool {
	switch kind, n := split110(ref); kind {
	case kind110Data, kind110Const:
		_, ok := m.blob.place(ref)
		return ok
	case kind110Tag:
		return n <= max110Tag
	case kind110Symbol:
		return n < uint64(len(m.names))
	case kind110Function:
		if n&builtin110 != 0 {
			return n&^builtin110 <= max110Builtin
		}
		return n != 0 && n <= max110Function
	}
	return false
}

// checkTail follows the references of the roots and of the lists of objects.
func (m *image110) checkTail() error {
	for i := range (tail110TLS + 8) / 8 {
		if ref := le.Uint64(m.blob.data[m.blob.tail.start+8*i:]); ref != 0 && !m.validRef(ref) {
			return fmt.Errorf("%w: root %d of the heap is no reference: %#x", ErrDamaged, i, ref)
		}
	}
	for _, offset := range m.blob.offsets(m.blob.finish) {
		if offset > uint64(m.blob.heap.size) || !m.blob.inHeap(uint32(offset), 8) || offset%16 != 0 {
			return fmt.Errorf("%w: the heap has no object at offset %d that the loader could finish", ErrDamaged, offset)
		}
	}
	for _, offset := range m.blob.offsets(m.blob.ccallable) {
		if offset > uint64(m.blob.heap.size) || !m.blob.is(uint32(offset), root110Method, 16) {
			return fmt.Errorf("%w: the heap has no method at offset %d to be callable from C", ErrDamaged, offset)
		}
	}
	return nil
}

// checkFunctions sees to it that functions are code, and that code instances can be called.
func (m *image110) checkFunctions() error {
	for i, f := range m.base.Functions {
		for t, addr := range f.Variants {
			if !m.base.inSegment(addr, 1, pfExecute) {
				return fmt.Errorf("%w: function %d on target %d is at %#x, where no code is", ErrDamaged, i, t, addr)
			}
		}
	}
	for _, c := range m.base.Code {
		kind, n := split110(m.blob.word(c.Offset + codeInvoke110))
		if c.Invoke < 0 && (kind != kind110Function || n != conventionBoxed && n != conventionParameters) {
			return fmt.Errorf("%w: function %d has no calling convention", ErrDamaged, c.Spec)
		}
		if c.Invoke >= 0 && (kind != 0 || n != 0) {
			return fmt.Errorf("%w: function %d is the wrapper of a code instance that has a calling convention", ErrDamaged, c.Invoke)
		}
	}
	return nil
}

// checkGlobals sees to it that what goes into cells is an object.
func (m *image110) checkGlobals() error {
	for i, g := range m.base.Globals {
		if g.Kind != GlobalData {
			continue
		}
		kind, _ := split110(g.Code)
		if g.Offset%16 != 0 && kind == kind110Data || kind == kind110Data && !m.validType(m.blob.word(g.Offset-8)) {
			return fmt.Errorf("%w: cell %d of native code is to be filled with what is no object", ErrDamaged, i)
		}
	}
	return nil
}

// checkShards sees to it that each cell is in one shard and can be written to, and that each target fills only functions
// into slots that exist.
func (m *image110) checkShards() error {
	seen := make([]bool, m.cells)
	for number := range m.shards {
		s := &m.shards[number]
		origin := s.pointers[shardGlobalBase].Offset
		for i := range len(s.globals) / 4 {
			index, addr := int(at32(s.globalIndices, i)), s.global(at32(s.globals, i))
			if index >= m.cells || seen[index] || !m.base.isCell(addr, origin) {
				return fmt.Errorf("%w: shard %d has cell %d of native code at %#x", ErrDamaged, number, index, addr)
			}
			seen[index] = true
		}
		if err := m.checkSlots(number); err != nil {
			return err
		}
	}
	for i, ok := range seen {
		if !ok {
			return fmt.Errorf("%w: cell %d of native code is in no shard", ErrDamaged, i)
		}
	}
	return nil
}

// checkSlots looks at the slots of a shard.
func (m *image110) checkSlots(shard int) error {
	s := &m.shards[shard]
	origin := s.pointers[shardGlobalBase].Offset
	slotted := make([]bool, len(s.functions)/4)
	previous := 0
	for i := range len(s.slots) / 8 {
		index, addr := int(at32(s.slots, 2*i)), s.global(at32(s.slots, 2*i+1))
		if index < previous || index >= len(slotted) || !m.base.isCell(addr, origin) {
			return fmt.Errorf("%w: slot %d of shard %d, of its function %d, is at %#x", ErrDamaged, i, shard, index, addr)
		}
		previous, slotted[index] = index, true
	}
	for t, c := range s.clones {
		for j := range len(c.indices) / 4 {
			entry := at32(c.indices, j)
			if (c.complete || entry&indexFlag != 0) && !slotted[entry&^indexFlag] {
				return fmt.Errorf("%w: target %d fills slots of function %d of shard %d, which has none", ErrDamaged, t, entry&^indexFlag, shard)
			}
		}
	}
	return nil
}
