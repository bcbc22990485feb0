package sysimage

// This file follows the references of a system image of Julia 1.5 that opening it has no need for. Opening has already
// seen to it that records lead to code instances and bindings, and that modules are modules.

import (
	"fmt"
	"runtime"
	"sync"
)

func (m *image15) check() error {
	for _, step := range []func() error{m.checkTypes, m.checkRelocs, m.checkTail, m.checkFunctions, m.checkGlobals, m.checkSlots} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkTypes sees to it that places of _tags are what this program takes them for.
func (m *image15) checkTypes() error {
	for tag, want := range map[int]string{
		tagSimpleVector: "SimpleVector", tagModule: "Module", tagMethodInst: "MethodInstance", tagMethod: "Method",
		tagCodeInstance: "CodeInstance", tagArrayAny: "Array",
	} {
		if name, ok := m.typeName(m.blob.tags[tag]); !ok || name != want {
			return fmt.Errorf("%w: root %d of the heap is type %q where %s belongs", ErrDamaged, tag, name, want)
		}
	}
	nothing := m.blob.tags[tagNothing]
	if m.blob.inHeap(nothing, 0) {
		if name, ok := m.typeName(uint32(m.blob.word(nothing - 8))); ok && name == "Nothing" {
			return nil
		}
	}
	return fmt.Errorf("%w: root %d of the heap is not nothing", ErrDamaged, tagNothing)
}

// typeName returns the name of the DataType that ref refers to.
func (m *image15) typeName(ref uint32) (string, bool) {
	kind, offset := m.blob.split(uint64(ref))
	if kind != refData || !m.blob.is(offset, tagDataType, 8) {
		return "", false
	}
	name, ok := m.blob.object(offset, 8)
	if !ok {
		return "", false
	}
	return m.blob.symbolAt(name, m.names)
}

// checkRelocs follows all references of the heap's objects.
func (m *image15) checkRelocs() error {
	list := m.blob.relocs.of(m.blob.data)
	n := len(list) / 4
	ends := make([]int, 0, 2)
	for i := range n {
		if at32(list, i) == 0 {
			ends = append(ends, i)
		}
	}
	if len(ends) != 2 || ends[1] != n-1 {
		return fmt.Errorf("%w: the heap's list of relocations is not two lists", ErrDamaged)
	}
	parts := runtime.GOMAXPROCS(0)
	errs := make([]error, parts)
	var group sync.WaitGroup
	for part := range parts {
		group.Go(func() { errs[part] = m.checkRelocRange(list, ends[0], n*part/parts, n*(part+1)/parts) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkRelocRange follows the relocations from index from to index to; those before types are type tags.
func (m *image15) checkRelocRange(list []byte, types, from, to int) error {
	for i := from; i < to; i++ {
		word := at32(list, i)
		if word == 0 {
			continue
		}
		if word%8 != 0 || int(word)+8 > m.blob.heap.size || word < 8 {
			return fmt.Errorf("%w: relocation %d of the heap is for no word of it", ErrDamaged, i)
		}
		ref := m.blob.word(word)
		if i < types && !m.validType(ref) || i > types && !m.validRef(ref) {
			return fmt.Errorf("%w: the word at offset %d of the heap is no reference: %#x", ErrDamaged, word, ref)
		}
	}
	return nil
}

// validType says that ref may be the type of an object.
func (m *image15) validType(ref uint64) bool {
	kind, n := m.blob.split(ref)
	return kind == refData && m.blob.inHeap(n, 8) && n%16 == 0 || kind == refBinding && n == 0
}

// validRef says that ref leads to something that exists.
func (m *image15) validRef(ref uint64) bool {
	kind, n := m.blob.split(ref)
	switch kind {
	case refData:
		return m.blob.inHeap(n, 0)
	case refConst:
		return 8*int64(n) <= int64(m.blob.constants.size)
	case refTag:
		return n <= maxTag
	case refSymbol:
		return int(n) < len(m.names)
	case refFunction:
		return n != 0 && n <= maxFunction
	case refBuiltin:
		return n <= maxBuiltin
	}
	return false
}

// checkTail follows the references of the roots and of the lists behind them.
func (m *image15) checkTail() error {
	for i, ref := range append(m.blob.tags[:], m.blob.tls()) {
		if ref != 0 && !m.validRef(uint64(ref)) {
			return fmt.Errorf("%w: root %d of the heap is no reference: %#x", ErrDamaged, i, ref)
		}
	}
	for at := m.blob.finish.start; at < m.blob.finish.end(); at += 8 {
		offset, how := le.Uint32(m.blob.data[at:]), le.Uint32(m.blob.data[at+4:])
		if !m.blob.inHeap(offset, 8) || offset%16 != 0 || how != finishRehash && how != finishModule {
			return fmt.Errorf("%w: the heap has no object at offset %d that the loader could finish", ErrDamaged, offset)
		}
	}
	for at := m.blob.ccallable.start; at < m.blob.ccallable.end(); at += 8 {
		offset, how := le.Uint32(m.blob.data[at:]), le.Uint32(m.blob.data[at+4:])
		if !m.blob.is(offset, tagMethod, 16) || how != finishCCallable {
			return fmt.Errorf("%w: the heap has no method at offset %d to be callable from C", ErrDamaged, offset)
		}
	}
	return nil
}

// checkFunctions sees to it that functions are code, and that code instances can be called.
func (m *image15) checkFunctions() error {
	for i, f := range m.base.Functions {
		for t, addr := range f.Variants {
			if !m.base.inSegment(addr, 1, pfExecute) {
				return fmt.Errorf("%w: function %d on target %d is at %#x, where no code is", ErrDamaged, i, t, addr)
			}
		}
	}
	for _, c := range m.base.Code {
		kind, n := m.blob.split(m.blob.word(c.Offset + codeInvoke))
		if c.Invoke < 0 && (kind != refFunction || n != conventionBoxed && n != conventionParameters) {
			return fmt.Errorf("%w: function %d has no calling convention", ErrDamaged, c.Spec)
		}
	}
	return nil
}

// checkGlobals sees to it that cells can be written to, and that what goes there is an object.
func (m *image15) checkGlobals() error {
	for i, g := range m.base.Globals {
		if addr := m.global(at32(m.globals, i)); !m.base.isCell(addr, m.globalsBase.Offset) {
			return fmt.Errorf("%w: cell %d of native code is at %#x, where nothing can be written to", ErrDamaged, i, addr)
		}
		if g.Kind == GlobalData && (g.Offset%16 != 0 || !m.validType(m.blob.word(g.Offset-8))) {
			return fmt.Errorf("%w: cell %d of native code is to be filled with what is no object", ErrDamaged, i)
		}
	}
	return nil
}

// checkSlots sees to it that each target fills only functions into slots that exist, and that the list of slots ascends.
func (m *image15) checkSlots() error {
	slotted := make([]bool, len(m.base.Functions))
	previous := 0
	for i := range len(m.slots) / 8 {
		index, addr := int(at32(m.slots, 2*i)), m.global(at32(m.slots, 2*i+1))
		if index < previous || index >= len(slotted) || !m.base.isCell(addr, m.globalsBase.Offset) {
			return fmt.Errorf("%w: slot %d, of function %d, is at %#x", ErrDamaged, i, index, addr)
		}
		previous, slotted[index] = index, true
	}
	for t, c := range m.clones {
		for j := range len(c.indices) / 4 {
			entry := at32(c.indices, j)
			if (c.complete || entry&indexFlag != 0) && !slotted[entry&^indexFlag] {
				return fmt.Errorf("%w: target %d fills slots of function %d, which has none", ErrDamaged, t, entry&^indexFlag)
			}
		}
	}
	return nil
}
