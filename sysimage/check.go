package sysimage

// This file follows the references of an image that opening it has no need for. Opening has already seen to it that records
// lead to code instances and cells to objects, and that modules are modules.

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// check follows every reference of the tables and of the blob.
func (b *Base) check() error {
	for _, step := range []func() error{b.heap.checkTypes, b.heap.checkRelocs, b.heap.checkTail, b.checkFunctions, b.checkGlobals, b.tables.check} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkTypes sees to it that roots are what this program takes them for.
func (h *heap) checkTypes() error {
	root := h.root
	for _, t := range []struct {
		root int
		want string
	}{
		{root.simpleVector, "SimpleVector"}, {root.module, "Module"}, {root.methodInstance, "MethodInstance"}, {root.method, "Method"},
		{root.codeInstance, "CodeInstance"}, {root.array, "Array"},
	} {
		if t.root == 0 {
			continue // no root of this version
		}
		if name, ok := h.typeName(h.roots[t.root]); !ok || name != t.want {
			return fmt.Errorf("%w: root %d of the heap is type %q where %s belongs", ErrDamaged, t.root, name, t.want)
		}
	}
	if root.nothing == 0 {
		return nil
	}
	if nothing, ok := h.follow(h.roots[root.nothing], 0); ok {
		if name, ok := h.typeName(h.word(nothing - 8)); ok && name == "Nothing" {
			return nil
		}
	}
	return fmt.Errorf("%w: root %d of the heap is not nothing", ErrDamaged, root.nothing)
}

// typeName returns the name of the DataType that ref refers to.
func (h *heap) typeName(ref uint64) (string, bool) {
	offset, ok := h.follow(ref, 8)
	if !ok || !h.is(offset, h.root.dataType, 8) {
		return "", false
	}
	name, ok := h.object(offset, 8)
	if !ok {
		return "", false
	}
	return h.symbolAt(name)
}

// checkRelocs follows all references of the heap's objects, one list in each goroutine.
func (h *heap) checkRelocs() error {
	var errs [2]error
	var group sync.WaitGroup
	for i, list := range []struct {
		extent extent
		valid  func(uint64) bool
	}{{h.types, h.validType}, {h.references, h.validRef}} {
		group.Go(func() {
			errs[i] = h.walk(list.extent, func(word uint64) error {
				if word%8 != 0 || word < 8 || word > uint64(h.objects.size-8) {
					return fmt.Errorf("%w: a relocation of the heap is for %d, which is no word of it", ErrDamaged, word)
				}
				if ref := h.word(uint32(word)); ref == unwritten {
					return fmt.Errorf("%w: the word at offset %d of the heap refers to a task: a loaded package keeps what no image can hold, and should make it in its __init__", ErrDamaged, word)
				} else if !list.valid(ref) {
					return fmt.Errorf("%w: the word at offset %d of the heap is no reference: %#x", ErrDamaged, word, ref)
				}
				return nil
			})
		})
	}
	group.Wait()
	if errs[0] != nil {
		return errs[0]
	}
	return errs[1]
}

// unwritten is what Julia 1.10 writes for a task other than the first: jl_needs_serialization (src/staticdata.c) leaves it out,
// and _backref_id takes HT_NOTFOUND for its place. Other versions have no such word.
const unwritten = ^uint64(0)

// validType says that ref may be the type of an object.
func (h *heap) validType(ref uint64) bool {
	if kind, n := h.split(ref); kind == refBinding {
		return n == 0
	}
	offset, ok := h.follow(ref, 8)
	return ok && offset%16 == 0
}

// validRef says that ref leads to something that exists.
func (h *heap) validRef(ref uint64) bool {
	switch kind, n := h.split(ref); kind {
	case refData:
		_, ok := h.place(ref)
		return ok
	case refConst:
		return n <= uint64(h.constants.size)/8
	case refTag:
		return n <= h.max.tag
	case refSymbol:
		return n < uint64(len(h.names))
	case refFunction:
		return n != 0 && n <= h.max.function
	case refBuiltin:
		return n <= h.max.builtin
	}
	return false
}

// checkTail follows the references of the roots and of the lists of objects.
func (h *heap) checkTail() error {
	for i, ref := range append(h.roots[:len(h.roots):len(h.roots)], h.storage) {
		if ref != 0 && !h.validRef(ref) {
			return fmt.Errorf("%w: root %d of the heap is no reference: %#x", ErrDamaged, i, ref)
		}
	}
	for _, offset := range h.finish {
		if offset > uint64(h.objects.size) || !h.inHeap(uint32(offset), 8) || offset%16 != 0 {
			return fmt.Errorf("%w: the heap has no object at offset %d that the loader could finish", ErrDamaged, offset)
		}
	}
	for _, offset := range h.callable {
		if offset > uint64(h.objects.size) || !h.is(uint32(offset), h.root.method, 16) {
			return fmt.Errorf("%w: the heap has no method at offset %d to be callable from C", ErrDamaged, offset)
		}
	}
	return nil
}

// checkFunctions sees to it that functions are code, and that code instances can be called.
func (b *Base) checkFunctions() error {
	for i, f := range b.Functions {
		for t, addr := range f.Variants {
			if !b.inSegment(addr, 1, pfExecute) {
				return fmt.Errorf("%w: function %d on target %d is at %#x, where no code is", ErrDamaged, i, t, addr)
			}
		}
	}
	conventions := slices.Collect(maps.Values(b.layout.code.conventions))
	for _, c := range b.Code {
		invoke := b.heap.word(c.Offset + b.layout.code.invoke)
		kind, n := b.heap.split(invoke)
		if c.Invoke < 0 && (kind != refFunction || !slices.Contains(conventions, n)) {
			return fmt.Errorf("%w: function %d has no calling convention", ErrDamaged, c.Spec)
		}
		if c.Invoke >= 0 && invoke != 0 {
			return fmt.Errorf("%w: function %d is the wrapper of a code instance that has a calling convention", ErrDamaged, c.Invoke)
		}
	}
	return nil
}

// checkGlobals sees to it that what goes into cells is an object.
func (b *Base) checkGlobals() error {
	for i, g := range b.Globals {
		if kind, _ := b.heap.split(g.Code); g.Kind != GlobalData || kind != refData {
			continue
		}
		// What the base has among its constants, an overlay has among its objects, with the number of a type before it.
		if header := b.heap.word(g.Offset - 8); g.Offset%16 != 0 || header >= smallHeaders && !b.heap.validType(header) {
			return fmt.Errorf("%w: cell %d of native code is to be filled with what is no object", ErrDamaged, i)
		}
	}
	return nil
}
