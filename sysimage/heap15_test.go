package sysimage

// This file writes small heaps in the format of Julia 1.5, for tests: what is at the top of v1_5blob.go, written by hand
// as staticdata.c writes it.

import (
	"slices"
	"testing"
)

const testShift = 29

// A testHeap is a heap in the making. Objects are made in any order; a reference to one is its offset.
type testHeap struct {
	objects, constants []byte
	tags, refs         []uint32
	symbols            []string
	roots              [tagCount]uint32
	tls                uint32
	finish, ccallable  []uint32
	globals            []uint32
	functions          []uint64
	modules            map[string]uint32
	bindings           map[string]uint32 // by "Module.name"
}

// newTestHeap makes the types that this program looks at, nothing, and module Main.
func newTestHeap() *testHeap {
	h := &testHeap{objects: make([]byte, 4), modules: map[string]uint32{}, bindings: map[string]uint32{}}
	datatype := h.object(0, 2)
	h.setRef(datatype-8, uint64(datatype), true)
	h.roots[tagDataType] = datatype
	h.nameType(datatype, "DataType")
	for _, t := range []struct {
		tag  int
		name string
	}{
		{tagSimpleVector, "SimpleVector"}, {tagModule, "Module"}, {tagMethodInst, "MethodInstance"}, {tagMethod, "Method"},
		{tagCodeInstance, "CodeInstance"}, {tagArrayAny, "Array"},
	} {
		h.roots[t.tag] = h.typeObject(t.name)
	}
	h.roots[tagNothing] = h.object(h.typeObject("Nothing"), 1)
	h.tls = h.roots[tagNothing]
	h.module("Main", "", "Base")
	return h
}

// object appends an object with the given number of words.
func (h *testHeap) object(typ uint32, words int) uint32 {
	for (len(h.objects)+8)%16 != 0 {
		h.objects = append(h.objects, 0)
	}
	h.objects = append(h.objects, make([]byte, 8+8*words)...)
	offset := uint32(len(h.objects) - 8*words)
	if typ != 0 {
		h.setRef(offset-8, uint64(typ), true)
	}
	return offset
}

func (h *testHeap) typeObject(name string) uint32 {
	t := h.object(h.roots[tagDataType], 2)
	h.nameType(t, name)
	return t
}

func (h *testHeap) nameType(t uint32, name string) {
	typeName := h.object(h.roots[tagDataType], 1)
	h.setRef(t, uint64(typeName), false)
	h.setRef(typeName, h.symbol(name), false)
}

func (h *testHeap) set(offset uint32, word uint64) { le.PutUint64(h.objects[offset:], word) }

// setRef makes the word at offset a reference, and lists it as a relocation.
func (h *testHeap) setRef(offset uint32, ref uint64, isType bool) {
	h.set(offset, ref)
	if isType {
		h.tags = append(h.tags, offset)
	} else {
		h.refs = append(h.refs, offset)
	}
}

func (h *testHeap) symbol(name string) uint64 {
	i := slices.Index(h.symbols, name)
	if i < 0 {
		i = len(h.symbols)
		h.symbols = append(h.symbols, name)
	}
	return refSymbol<<testShift + uint64(i)
}

// module makes a module that binds names; parent "" makes it its own.
func (h *testHeap) module(name, parent string, names ...string) uint32 {
	m := h.object(h.roots[tagModule], (moduleBindings+bindingSize*len(names))/8)
	h.modules[name] = m
	if parent == "" {
		parent = name
	}
	h.setRef(m, h.symbol(name), false)
	h.setRef(m+8, uint64(h.modules[parent]), false)
	h.set(m+16, uint64(len(names)))
	for i, n := range names {
		at := bindingAt(m, i)
		h.setRef(at-8, refBinding<<testShift, true)
		h.setRef(at, h.symbol(n), false)
		h.bindings[name+"."+n] = at
	}
	h.finish = append(h.finish, m, finishModule)
	return m
}

// code makes a code instance of a method that is defined in module; invoke is its calling convention, 0 for none.
func (h *testHeap) code(module string, invoke uint64) uint32 {
	method := h.object(h.roots[tagMethod], 8)
	h.setRef(method+8, uint64(h.modules[module]), false)
	instance := h.object(h.roots[tagMethodInst], 4)
	h.setRef(instance, uint64(method), false)
	c := h.object(h.roots[tagCodeInstance], (codeSpecptr+8)/8)
	h.setRef(c, uint64(instance), false)
	if invoke != 0 {
		h.setRef(c+codeInvoke, refFunction<<testShift+invoke, false)
	}
	return c
}

// value makes some object.
func (h *testHeap) value() uint32 { return h.object(h.roots[tagMethod], 8) }

// vector makes a Vector{Any}.
func (h *testHeap) vector(elements []uint32) uint32 {
	a := h.object(h.roots[tagArrayAny], 8+len(elements))
	h.setRef(a, uint64(a+arrayElements), false)
	h.set(a+8, uint64(len(elements)))
	for i, e := range elements {
		h.setRef(a+arrayElements+8*uint32(i), uint64(e), false)
	}
	return a
}

// plant makes the lists that Chain looks for the local storage of the root task.
func (h *testHeap) plant(lists ...[]uint32) {
	svec := h.object(h.roots[tagSimpleVector], 1+len(lists))
	h.set(svec, uint64(len(lists)))
	for i, list := range lists {
		h.setRef(svec+8+8*uint32(i), uint64(h.vector(list)), false)
	}
	h.tls = svec
}

// blob puts the heap together.
func (h *testHeap) blob() []byte {
	var symbols, relocs, globals, functions []byte
	for _, s := range h.symbols {
		symbols = append(append(le.AppendUint32(symbols, uint32(len(s))), s...), 0)
	}
	for _, list := range [][]uint32{h.tags, h.refs} {
		for _, r := range append(slices.Clone(list), 0) {
			relocs = le.AppendUint32(relocs, r)
		}
	}
	for _, g := range h.globals {
		globals = le.AppendUint32(globals, g)
	}
	for _, f := range h.functions {
		functions = le.AppendUint64(functions, f)
	}
	b := slices.Clone(h.objects)
	le.PutUint32(b, uint32(len(b)-4))
	b = le.AppendUint32(b, uint32(len(h.constants)))
	b = append(b, make([]byte, -len(b)&15)...)
	b = append(b, h.constants...)
	for _, section := range [][]byte{symbols, relocs, globals, functions} {
		b = append(le.AppendUint32(b, uint32(len(section))), section...)
	}
	tail := append(slices.Clone(h.roots[:]), h.tls, 7, 8, 9)
	tail = append(append(tail, h.finish...), 0)
	tail = append(append(tail, h.ccallable...), 0)
	for _, word := range tail {
		b = le.AppendUint32(b, word)
	}
	return b
}

func TestParseBlob(t *testing.T) {
	h := newTestHeap()
	h.constants = make([]byte, 24)
	m := h.module("Points", "", "a", "b", "c")
	p, err := parseBlob15(h.blob())
	if err != nil {
		t.Fatal(err)
	}
	if p.shift != testShift || p.constants.size != 24 || p.constants.start%16 != 0 || p.heap.size != len(h.objects) {
		t.Errorf("shift %d, constants %+v, heap %+v", p.shift, p.constants, p.heap)
	}
	if !slices.Equal(p.modules, []uint32{h.modules["Main"], m}) {
		t.Errorf("modules %v, want Main at %d and Points at %d", p.modules, h.modules["Main"], m)
	}
	if n, ok := p.bindings(m); !ok || n != 3 {
		t.Errorf("bindings = %d, %v, want 3", n, ok)
	}
	names, err := p.parseSymbols()
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := p.symbolAt(bindingAt(m, 2), names); !ok || name != "c" {
		t.Errorf("third binding is %q, %v, want c", name, ok)
	}
}

// Julia up to 1.5.2 has one bit more for the tag.
func TestParseBlobOlderTags(t *testing.T) {
	h := newTestHeap()
	h.set(bindingAt(h.modules["Main"], 0)-8, refBinding<<28)
	p, err := parseBlob15(h.blob())
	if err != nil {
		t.Fatal(err)
	}
	if p.shift != 28 || p.mask != 1<<28-1 {
		t.Errorf("shift %d, mask %#x", p.shift, p.mask)
	}
}
