package sysimage

// This file writes small heaps for tests, by hand as staticdata.c writes them. What differs between forms is in a testLayout.

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// A testLayout is what tests know of a layout without asking it.
type testLayout struct {
	*layout
	// kinds are the numbers of kinds of references, from bit shift on, as enum RefTags of the version has them.
	kinds map[refKind]uint64
	shift uint
	// bind makes the bindings of a module of h, blob puts h together.
	bind func(h *testHeap, module string, names []string)
	blob func(h *testHeap) []byte
	// moduleWords is the size of a module that binds a number of names.
	moduleWords func(bindings int) int
	// tables writes the tables of an image, load is a model of Julia's loader.
	tables func(m *testImage) testTables
	load   func(t *testing.T, layers []*elfpatch.Image, target int) loaded
	// functions and cells are what each shard of the tables of a base has, or, where they do not come in shards, all of them.
	functions, cells [][]int
	// exports are symbols that the base has besides its tables, library is the one that it is linked with, where that tells the version.
	exports map[string]uint64
	library string
	// hasCallable says that heaps list methods that can be called from C.
	hasCallable bool
}

// testLayouts are the layouts that tests run with. A new layout gets all tests by being listed.
var testLayouts = []*testLayout{test1_5, test1_10, test1_12}

var test1_5 = &testLayout{
	layout: julia1_5,
	kinds:  map[refKind]uint64{refData: 0, refConst: 1, refTag: 2, refSymbol: 3, refBinding: 4, refFunction: 5, refBuiltin: 6},
	shift:  29,
	bind:   (*testHeap).bindInline, blob: (*testHeap).blobV5,
	moduleWords: func(bindings int) int { return (608 + 48*bindings) / 8 },
	tables:      (*testImage).symbolTables, load: loadSymbols,
	functions:   [][]int{{0, 1, 2, 3, 4, 5}},
	hasCallable: true,
	exports:     map[string]uint64{"jl_sysimg_fvars_base": testCode, "jl_get_ptls_states_slot": testCells + 0xf00, "jl_tls_offset": testCells + 0xf08},
}

var test1_10 = &testLayout{
	layout: julia1_10,
	kinds:  map[refKind]uint64{refData: 0, refConst: 1, refTag: 2, refSymbol: 3, refFunction: 4},
	shift:  61,
	bind:   (*testHeap).bindList, blob: (*testHeap).blobV10,
	moduleWords: func(int) int { return 8 },
	tables:      (*testImage).shardTables, load: loadShards,
	functions: [][]int{{0, 2, 4}, {5, 1, 3}}, cells: [][]int{{0, 3, 4}, {5, 1, 2, 6}},
	hasCallable: true,
	exports:     map[string]uint64{"get_jl_RTLD_DEFAULT_handle_addr": testCode},
}

var test1_12 = &testLayout{
	layout: julia1_12,
	kinds:  map[refKind]uint64{refData: 0, refConst: 1, refTag: 2, refSymbol: 3, refFunction: 4},
	shift:  61,
	bind:   (*testHeap).bindList, blob: (*testHeap).blobV12,
	moduleWords: func(int) int { return 8 },
	tables:      (*testImage).addressTables, load: loadAddresses,
	functions: [][]int{{0, 2, 4}, {5, 1, 3}}, cells: [][]int{{0, 3, 4}, {5, 1, 2, 6}},
	exports: map[string]uint64{"get_jl_RTLD_DEFAULT_handle_addr": testCode},
	library: "libjulia.so.1.12",
}

func TestEachLayoutIsTested(t *testing.T) {
	for _, l := range layouts {
		if !slices.ContainsFunc(testLayouts, func(tl *testLayout) bool { return tl.layout == l }) {
			t.Errorf("the layout of Julia %s is not listed in testLayouts", l.julia)
		}
	}
}

// eachLayout runs a test for each layout.
func eachLayout(t *testing.T, test func(t *testing.T, l *testLayout)) {
	for _, l := range testLayouts {
		t.Run(l.julia, func(t *testing.T) { test(t, l) })
	}
}

// A testHeap is a heap in the making. Objects are made in any order; a reference to one is its offset.
type testHeap struct {
	*testLayout
	objects, constants []byte
	types, refs        []uint32
	symbols            []string
	roots              []uint64
	storage            uint64
	finish, callable   []uint32
	how                map[uint32]uint32 // ways of finishing objects other than modules, where heaps have that
	globals, functions []uint64
	modules            map[string]uint32
	typeName           uint32            // the type of types' names
	named              map[string]uint32 // types by their names, see coreType
	bindings           map[string]uint32 // by "Module.name", where a binding follows its module
}

// newTestHeap makes the types that this program looks at, nothing, and module Main.
func newTestHeap(l *testLayout) *testHeap {
	h := &testHeap{testLayout: l, objects: make([]byte, l.form.width), roots: make([]uint64, l.root.count),
		how: map[uint32]uint32{}, modules: map[string]uint32{}, bindings: map[string]uint32{}, named: map[string]uint32{}}
	datatype := h.object(0, typeWords)
	h.setRef(datatype-8, uint64(datatype), true)
	h.roots[l.root.dataType] = uint64(datatype)
	h.typeName = h.object(h.roots[h.root.dataType], typeWords)
	h.nameType(datatype, "DataType")
	h.nameType(h.typeName, "TypeName")
	for root, name := range map[int]string{
		l.root.simpleVector: "SimpleVector", l.root.module: "Module", l.root.methodInstance: "MethodInstance", l.root.method: "Method",
		l.root.codeInstance: "CodeInstance", l.root.array: "Array",
	} {
		if root != 0 {
			h.roots[root] = uint64(h.typeObject(name))
		}
	}
	h.storage = h.ref(refTag, 1)
	if l.root.nothing != 0 {
		h.roots[l.root.nothing] = uint64(h.object(uint64(h.typeObject("Nothing")), 1))
		h.storage = h.roots[l.root.nothing]
	}
	h.module("Main", "", "Base")
	return h
}

// ref makes a reference.
func (h *testHeap) ref(kind refKind, number uint64) uint64 { return h.kinds[kind]<<h.shift | number }

// object appends an object with the given number of words.
func (h *testHeap) object(typ uint64, words int) uint32 {
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

// typeWords is the size of a type and of a type's name, of which most words stay empty.
const typeWords = 8

func (h *testHeap) typeObject(name string) uint32 {
	t := h.object(h.roots[h.root.dataType], typeWords)
	h.nameType(t, name)
	return t
}

func (h *testHeap) nameType(t uint32, name string) {
	typeName := h.object(uint64(h.typeName), typeWords)
	h.setRef(t, uint64(typeName), false)
	h.setRef(typeName, h.symbol(name), false)
}

func (h *testHeap) set(offset uint32, word uint64) { le.PutUint64(h.objects[offset:], word) }

// setRef makes the word at offset a reference, and lists it as a relocation.
func (h *testHeap) setRef(offset uint32, ref uint64, isType bool) {
	h.set(offset, ref)
	if isType {
		h.types = append(h.types, offset)
	} else {
		h.refs = append(h.refs, offset)
	}
}

// unlist takes a word out of the list of relocations.
func (h *testHeap) unlist(word uint32) {
	h.refs = slices.DeleteFunc(h.refs, func(r uint32) bool { return r == word })
}

func (h *testHeap) symbol(name string) uint64 {
	i := slices.Index(h.symbols, name)
	if i < 0 {
		i = len(h.symbols)
		h.symbols = append(h.symbols, name)
	}
	return h.ref(refSymbol, uint64(i))
}

// module makes a module that binds names; parent "" makes it its own.
func (h *testHeap) module(name, parent string, names ...string) uint32 {
	m := h.object(h.roots[h.root.module], h.moduleWords(len(names)))
	h.modules[name] = m
	if parent == "" {
		parent = name
	}
	h.bind(h, name, names)
	// Not in ascending order where bindings are objects of their own.
	h.setRef(m, h.symbol(name), false)
	h.setRef(m+8, uint64(h.modules[parent]), false)
	h.finish = append(h.finish, m)
	return m
}

// code makes a code instance of a method that is defined in module; convention is how it is called, 0 for a wrapper.
func (h *testHeap) codeInstance(module string, convention uint64) uint32 {
	method := h.object(h.roots[h.root.method], methodWords)
	h.setRef(method+h.method.module, uint64(h.modules[module]), false)
	instance := h.object(h.roots[h.root.methodInstance], 4)
	h.setRef(instance, uint64(method), false)
	c := h.object(h.roots[h.root.codeInstance], h.code.size/8)
	h.setRef(c, uint64(instance), false)
	if convention != 0 {
		h.setRef(c+h.code.invoke, h.ref(refFunction, convention), false)
	}
	return c
}

// value makes some object.
func (h *testHeap) value() uint64 { return uint64(h.object(h.roots[h.root.method], methodWords)) }

// methodWords is the size of a method.
const methodWords = 26

// constant makes some object without pointers among the constants.
func (h *testHeap) constant() uint64 {
	h.constants = append(h.constants, 0x53, 0, 0, 0, 0, 0, 0, 0)
	at := len(h.constants)
	h.constants = append(h.constants, 1, 2, 3, 4, 5, 6, 7, 8)
	return h.ref(refConst, uint64(at/8))
}

// svec makes a SimpleVector, vector a Vector{Any} where that is a list.
func (h *testHeap) svec(elements ...uint64) uint32 {
	svec := h.object(h.roots[h.root.simpleVector], 1+len(elements))
	h.set(svec, uint64(len(elements)))
	for i, e := range elements {
		h.setRef(svec+8+8*uint32(i), e, false)
	}
	return svec
}

func (h *testHeap) vector(elements ...uint64) uint32 {
	if h.root.array == 0 {
		return h.svec(elements...)
	}
	first := uint32(h.array.size+15) &^ 15
	a := h.object(h.roots[h.root.array], int(first)/8+len(elements))
	h.setRef(a, uint64(a+first), false)
	h.set(a+8, uint64(len(elements)))
	for i, e := range elements {
		h.setRef(a+first+8*uint32(i), e, false)
	}
	return a
}

// record is an entry of fptr_record.
func (h *testHeap) record(code uint32, wrapper bool) uint64 {
	switch {
	case !wrapper:
		return uint64(code)
	case h.form.width == 4:
		return uint64(^code)
	}
	return ^uint64(code)
}

// symbolBytes is the section of symbols.
func (h *testHeap) symbolBytes() (out []byte) {
	for _, s := range h.symbols {
		out = append(append(le.AppendUint32(out, uint32(len(s))), s...), 0)
	}
	return out
}

func (h *testHeap) bytes() []byte { return h.blob(h) }

// mustParse parses a heap without errors.
func mustParse(t *testing.T, h *testHeap) *heap {
	t.Helper()
	p, err := parseHeap(h.layout, h.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// words lists the positions of a list of relocations.
func (h *heap) words(list extent) (out []uint32) {
	h.walk(list, func(word uint64) error {
		out = append(out, uint32(word))
		return nil
	})
	return out
}

func TestParseHeap(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		h := newTestHeap(l)
		h.constant()
		m := h.module("Points", "", "a", "b", "c")
		if l.hasCallable {
			h.callable = []uint32{m}
		}
		p := mustParse(t, h)
		if p.shift != l.shift || p.constants.size != 16 || p.constants.start%l.form.constantsAlign != 0 || p.objects.size != len(h.objects) {
			t.Errorf("shift %d, constants %+v, objects %+v", p.shift, p.constants, p.objects)
		}
		if !slices.Equal(p.modules, []uint32{h.modules["Main"], m}) || len(p.callable) != len(h.callable) {
			t.Errorf("modules %v, want Main at %d and Points at %d; callable %v", p.modules, h.modules["Main"], m, p.callable)
		}
		if n, ok := l.form.bindings(p, m); !ok || n != 3 {
			t.Errorf("bindings = %d, %v, want 3", n, ok)
		}
		if name, ok := p.symbolAt(m); !ok || name != "Points" {
			t.Errorf("the module's name is %q, %v, want Points", name, ok)
		}
		if got := p.words(p.types); !slices.Equal(got, h.types) {
			t.Errorf("types at %v, want %v", got, h.types)
		}
		if got := p.words(p.references); !slices.Equal(got, h.refs) {
			t.Errorf("references at %v, want %v", got, h.refs)
		}
		if !slices.Equal(p.roots, h.roots) || p.storage != h.storage || p.nothing() != h.storage {
			t.Errorf("roots %v, storage %#x, nothing %#x, want %v and %#x", p.roots, p.storage, p.nothing(), h.roots, h.storage)
		}
		for _, list := range []uint32{h.svec(1, 2, 3), h.vector(1, 2, 3)} {
			p := mustParse(t, h)
			if elements, ok := p.list(list); !ok || !slices.Equal(p.numbers(elements), []uint64{1, 2, 3}) {
				t.Errorf("list %+v, %v, want 1, 2, 3", elements, ok)
			}
		}
	})
}

func TestParseHeapRefuses(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		h := newTestHeap(l)
		h.globals = []uint64{uint64(h.modules["Main"])}
		valid := h.bytes()
		p := mustParse(t, h)
		// A section's size is behind the section before it.
		for _, test := range []struct {
			name, want string
			kind       error
			only       *heapForm
			spoil      func(b []byte) []byte
		}{
			{"empty", `ends before its section "objects"`, ErrDamaged, nil, func([]byte) []byte { return nil }},
			{"cut off", `section "relocations"`, ErrDamaged, nil, func(b []byte) []byte { return b[:p.symbols.end()+l.form.width-1] }},
			{"section too large", `section "symbols" of the heap reaches`, ErrDamaged, nil, func(b []byte) []byte {
				b[p.constants.end()+3] = 0x80
				return b
			}},
			{"half a record", "no whole number of records", ErrDamaged, nil, func(b []byte) []byte { b[p.relocs.end()] = byte(l.form.width / 2); return b }},
			{"roots of another version", "roots are not those of Julia " + l.julia, ErrUnknownFormat, nil, func(b []byte) []byte { return b[:len(b)-8] }},
			{"few roots", "roots are not those of Julia " + l.julia, ErrUnknownFormat, nil, func(b []byte) []byte { return b[:p.tail.start+8] }},
			{"relocations without end", "does not end", ErrDamaged, nil, func(b []byte) []byte {
				copy(b[p.types.start:p.relocs.end()], slices.Repeat([]byte{0x81}, p.relocs.size))
				return b
			}},
			{"links to other images", "roots are not those", ErrUnknownFormat, heapV10, func(b []byte) []byte { b[p.tail.start+p.linksAt()] = 1; return b }},
			{"wrong number of objects to finish", "to be finished", ErrDamaged, heapV10, func(b []byte) []byte { b[p.references.end()+1]++; return b }},
			{"links to other images", "roots are not those", ErrUnknownFormat, heapV12, func(b []byte) []byte { b[p.tail.start+p.linksAt()] = 1; return b }},
			{"wrong number of objects to finish", "to be finished", ErrDamaged, heapV12, func(b []byte) []byte { b[p.memories.end()+1]++; return b }},
			{"something behind the last root", "roots are not those", ErrUnknownFormat, heapV12, func(b []byte) []byte { return append(b, 0) }},
			{"three lists of relocations", "is not two lists", ErrDamaged, heapV5, func(b []byte) []byte { clear(b[p.references.start:][:4]); return b }},
			{"symbol beyond its section", "symbol 0 of the heap reaches beyond", ErrDamaged, nil, func(b []byte) []byte { b[p.symbols.start+3] = 1; return b }},
		} {
			t.Run(test.name, func(t *testing.T) {
				if test.only != nil && test.only != l.form {
					t.Skip("heaps of this form have no such thing")
				}
				if _, err := parseHeap(l.layout, test.spoil(slices.Clone(valid))); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %v with %q", err, test.kind, test.want)
				}
			})
		}
	})
}
