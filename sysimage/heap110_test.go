package sysimage

// This file writes small heaps in the format of Julia 1.10, for tests: what is at the top of v1_10blob.go, written by hand
// as staticdata.c writes it.

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// A testHeap110 is a heap in the making. Objects are made in any order; a reference to one is its offset.
type testHeap110 struct {
	objects, constants []byte
	tags, refs         []uint32
	symbols            []string
	roots              [root110Count]uint64
	tls                uint64
	finish, ccallable  []uint32
	globals            []uint64
	functions          []uint64
	modules            map[string]uint32
}

// newTestHeap110 makes the types that this program looks at, and module Main.
func newTestHeap110() *testHeap110 {
	h := &testHeap110{objects: make([]byte, 8), modules: map[string]uint32{}}
	datatype := h.object(0, 2)
	h.setRef(datatype-8, uint64(datatype), true)
	h.roots[root110DataType] = uint64(datatype)
	h.nameType(datatype, "DataType")
	for root, name := range map[int]string{
		root110SimpleVector: "SimpleVector", root110Module: "Module", root110MethodInstance: "MethodInstance",
		root110Method: "Method", root110CodeInstance: "CodeInstance", root110ArrayAny: "Array",
	} {
		h.roots[root] = uint64(h.typeObject(name))
	}
	h.tls = ref110(kind110Tag, tag110Nothing)
	h.module("Main", "", 1)
	return h
}

// object appends an object with the given number of words.
func (h *testHeap110) object(typ uint64, words int) uint32 {
	for (len(h.objects)+8)%16 != 0 {
		h.objects = append(h.objects, 0)
	}
	h.objects = append(h.objects, make([]byte, 8+8*words)...)
	offset := uint32(len(h.objects) - 8*words)
	if typ != 0 {
		h.setRef(offset-8, typ, true)
	}
	return offset
}

func (h *testHeap110) typeObject(name string) uint32 {
	t := h.object(h.roots[root110DataType], 2)
	h.nameType(t, name)
	return t
}

func (h *testHeap110) nameType(t uint32, name string) {
	typeName := h.object(h.roots[root110DataType], 1)
	h.setRef(t, uint64(typeName), false)
	h.setRef(typeName, h.symbol(name), false)
}

func (h *testHeap110) set(offset uint32, word uint64) { le.PutUint64(h.objects[offset:], word) }

// setRef makes the word at offset a reference, and lists it as a relocation.
func (h *testHeap110) setRef(offset uint32, ref uint64, isType bool) {
	h.set(offset, ref)
	if isType {
		h.tags = append(h.tags, offset)
	} else {
		h.refs = append(h.refs, offset)
	}
}

func (h *testHeap110) symbol(name string) uint64 {
	i := slices.Index(h.symbols, name)
	if i < 0 {
		i = len(h.symbols)
		h.symbols = append(h.symbols, name)
	}
	return ref110(kind110Symbol, uint64(i))
}

// module makes a module with a number of bindings; parent "" makes it its own.
func (h *testHeap110) module(name, parent string, bindings int) uint32 {
	list := h.svec(slices.Repeat([]uint64{h.value()}, bindings)...)
	m := h.object(h.roots[root110Module], 8)
	h.modules[name] = m
	if parent == "" {
		parent = name
	}
	// Not in ascending order.
	h.setRef(m+moduleBindings110, uint64(list), false)
	h.setRef(m, h.symbol(name), false)
	h.setRef(m+moduleParent110, uint64(h.modules[parent]), false)
	h.finish = append(h.finish, m)
	return m
}

// code makes a code instance of a method that is defined in module; invoke is its calling convention, 0 for none.
func (h *testHeap110) code(module string, invoke uint64) uint32 {
	method := h.object(h.roots[root110Method], 8)
	h.setRef(method+methodModule110, uint64(h.modules[module]), false)
	instance := h.object(h.roots[root110MethodInstance], 4)
	h.setRef(instance, uint64(method), false)
	c := h.object(h.roots[root110CodeInstance], codeSize110/8)
	h.setRef(c, uint64(instance), false)
	if invoke != 0 {
		h.setRef(c+codeInvoke110, ref110(kind110Function, invoke), false)
	}
	return c
}

// value makes some object.
func (h *testHeap110) value() uint64 { return uint64(h.object(h.roots[root110Method], 8)) }

// constant makes some object without pointers.
func (h *testHeap110) constant() uint64 {
	h.constants = append(h.constants, 0x53, 0, 0, 0, 0, 0, 0, 0)
	at := len(h.constants)
	h.constants = append(h.constants, 1, 2, 3, 4, 5, 6, 7, 8)
	return ref110(kind110Const, uint64(at/8))
}

// svec makes a SimpleVector, vector a Vector{Any}.
func (h *testHeap110) svec(elements ...uint64) uint32 {
	svec := h.object(h.roots[root110SimpleVector], 1+len(elements))
	h.set(svec, uint64(len(elements)))
	for i, e := range elements {
		h.setRef(svec+8+8*uint32(i), e, false)
	}
	return svec
}

func (h *testHeap110) vector(elements ...uint64) uint32 {
	const first = 48
	a := h.object(h.roots[root110ArrayAny], first/8+len(elements))
	h.setRef(a, uint64(a+first), false)
	h.set(a+8, uint64(len(elements)))
	for i, e := range elements {
		h.setRef(a+first+8*uint32(i), e, false)
	}
	return a
}

// relocations writes a list of positions as jl_write_offsetlist does.
func testRelocs110(list []uint32) (out []byte) {
	last := uint64(0)
	for _, word := range list {
		out = binary.AppendUvarint(out, uint64(word)-last)
		last = uint64(word)
	}
	return append(out, 0)
}

// blob puts the heap together.
func (h *testHeap110) blob() []byte {
	var symbols, globals, functions []byte
	for _, s := range h.symbols {
		symbols = append(append(le.AppendUint32(symbols, uint32(len(s))), s...), 0)
	}
	relocs := append(testRelocs110(h.tags), testRelocs110(h.refs)...)
	numbers := func(out []byte, list []uint32) []byte {
		out = le.AppendUint64(out, uint64(len(list)))
		for _, n := range list {
			out = le.AppendUint64(out, uint64(n))
		}
		return out
	}
	relocs = numbers(relocs, h.finish)
	for _, g := range h.globals {
		globals = le.AppendUint64(globals, g)
	}
	for _, f := range h.functions {
		functions = le.AppendUint64(functions, f)
	}
	b := slices.Clone(h.objects)
	le.PutUint64(b, uint64(len(b)-8))
	b = le.AppendUint64(b, uint64(len(h.constants)))
	b = append(b, make([]byte, -len(b)&63)...)
	b = append(b, h.constants...)
	for _, section := range [][]byte{symbols, relocs, globals, functions} {
		b = le.AppendUint64(b, uint64(len(section)))
		b = append(b, make([]byte, -len(b)&7)...)
		b = append(b, section...)
	}
	b = append(b, make([]byte, -len(b)&7)...)
	for _, root := range append(slices.Clone(h.roots[:]), h.roots[root110DataType], h.tls) {
		b = le.AppendUint64(b, root)
	}
	b = le.AppendUint64(le.AppendUint64(le.AppendUint32(b, 7), 8), 9)
	b = append(b, make([]byte, 16)...)
	b = le.AppendUint32(b, uint32(len(h.globals)))
	return numbers(b, h.ccallable)
}

func TestParseBlob110(t *testing.T) {
	h := newTestHeap110()
	h.constant()
	m := h.module("Points", "", 3)
	h.ccallable = []uint32{m}
	p, err := parseBlob110(h.blob())
	if err != nil {
		t.Fatal(err)
	}
	if p.constants.size != 16 || p.constants.start%64 != 0 || p.heap.size != len(h.objects) {
		t.Errorf("constants %+v, heap %+v", p.constants, p.heap)
	}
	if !slices.Equal(p.modules, []uint32{h.modules["Main"], m}) || !slices.Equal(p.offsets(p.ccallable), []uint64{uint64(m)}) {
		t.Errorf("modules %v, want Main at %d and Points at %d; callable %v", p.modules, h.modules["Main"], m, p.offsets(p.ccallable))
	}
	if got := relocs110(p.types.of(p.data)); !slices.Equal(got, h.tags) {
		t.Errorf("types at %v, want %v", got, h.tags)
	}
	if got := relocs110(p.references.of(p.data)); !slices.Equal(got, h.refs) {
		t.Errorf("references at %v, want %v", got, h.refs)
	}
}

// relocs110 reads a list of relocations without its end.
func relocs110(list []byte) (words []uint32) {
	word := uint64(0)
	for len(list) > 0 {
		delta, n := binary.Uvarint(list)
		list = list[n:]
		word += delta
		words = append(words, uint32(word))
	}
	return words
}

func TestParseBlob110Refuses(t *testing.T) {
	h := newTestHeap110()
	h.globals = []uint64{uint64(h.modules["Main"])}
	valid := h.blob()
	p, err := parseBlob110(valid)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		kind       error
		spoil      func(b []byte) []byte
	}{
		{"empty", `ends before its section "objects"`, ErrDamaged, func([]byte) []byte { return nil }},
		{"cut off", `section "relocations"`, ErrDamaged, func(b []byte) []byte { return b[:p.relocs.start-12] }},
		{"section too large", `section "symbols" of the heap reaches`, ErrDamaged, func(b []byte) []byte { b[p.constants.end()+3] = 0x80; return b }},
		{"half a record", "no whole number of records", ErrDamaged, func(b []byte) []byte { b[p.relocs.end()] = 4; return b }},
		{"roots of another version", "roots are not those", ErrUnknownFormat, func(b []byte) []byte { return b[:len(b)-8] }},
		{"links to other images", "roots are not those", ErrUnknownFormat, func(b []byte) []byte { b[p.tail.start+tail110Links] = 1; return b }},
		{"relocations without end", "does not end", ErrDamaged, func(b []byte) []byte {
			copy(b[p.types.start:p.relocs.end()], slices.Repeat([]byte{0x81}, p.relocs.size))
			return b
		}},
		{"wrong number of objects to finish", "to be finished", ErrDamaged, func(b []byte) []byte { b[p.finish.start-8]++; return b }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseBlob110(test.spoil(slices.Clone(valid))); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}
