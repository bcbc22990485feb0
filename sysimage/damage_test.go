package sysimage

// This file damages images, part by part, and looks for what opening and checking them say of it.

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A damage is what is done to an image and what must be said of it.
type damage struct {
	name, want string
	kind       error
	only       []*testLayout // nil: every layout has what is spoiled
	spoil      func(m *testImage)
}

// Layouts that have what is spoiled.
var (
	inSymbols    = []*testLayout{test1_5}
	inShards     = []*testLayout{test1_10, test1_12}
	withCallable = []*testLayout{test1_5, test1_10}
)

// eachDamage runs a test for each damage of each layout.
func eachDamage(t *testing.T, list []damage, test func(t *testing.T, d damage, m *testImage)) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		for _, d := range list {
			if d.only != nil && !slices.Contains(d.only, l) {
				continue
			}
			t.Run(d.name, func(t *testing.T) {
				m := newTestBase(l)
				d.spoil(m)
				test(t, d, m)
			})
		}
	})
}

// last is the last shard of the tables, body a code instance that has a body only.
func (m *testImage) last() *testShard { return &m.shards[len(m.shards)-1] }
func (m *testImage) body() uint32     { return uint32(m.heap.functions[2]) }

// invoke is the word of a code instance that says how it is called.
func (m *testImage) invoke(code uint32) uint32 { return code + m.layout.code.invoke }

// at is the position in a shard of a function.
func (s *testShard) at(function int) int { return slices.Index(s.functions, function) }

func TestOpenRefusesDamage(t *testing.T) {
	eachDamage(t, []damage{
		{"other header", "tables are of version 2", ErrUnknownFormat, inShards, func(m *testImage) { m.header[0] = 2 }},
		{"Julia 1.11", "made by Julia 1.11", ErrUnknownFormat, nil, func(m *testImage) { m.needed = "libjulia.so.1.11" }},
		{"too many functions", "2097152 functions", ErrUnknownFormat, inShards, func(m *testImage) { m.header[2] = 1 << 21 }},
		{"more shards than there are", "leads nowhere", ErrUnknownFormat, inShards, func(m *testImage) { m.header[1] = 3 }},
		{"fills functions that do not ascend", "damaged: function indices of target 0 do not ascend", ErrDamaged, nil,
			func(m *testImage) { m.last().filled = []int{2, 1} }},
		{"falls back to an incomplete target", "target 2 falls back to target 2", ErrDamaged, nil, func(m *testImage) { m.shards[0].fallback = 2 }},
		{"first target incomplete", "first target does not have all functions", ErrDamaged, nil,
			func(m *testImage) { m.shards[0].partial[0] = m.shards[0].partial[2] }},
		{"function beyond the header's", "shard 0 has function 6 of 6", ErrDamaged, inShards, func(m *testImage) { m.shards[0].functions[1] = 6 }},
		{"function in no shard", "function 6 is in no shard", ErrDamaged, inShards, func(m *testImage) { m.header[2]++ }},
		{"records for fewer cells", "fills 7 cells of native code, of which there are 8", ErrDamaged, inShards, func(m *testImage) { m.header[3]++ }},
		{"more cell records than cells", "fills 11 cells of native code, of which there are 10", ErrDamaged, inSymbols,
			func(m *testImage) { m.heap.globals = append(m.heap.globals, 0, 0) }},
		{"more records than functions", "names 7 functions, of which there are 6", ErrDamaged, nil,
			func(m *testImage) { m.heap.functions = append(m.heap.functions, 0, 0, 0) }},
		{"record of no code instance", "function 0 leads to no code instance", ErrDamaged, nil, func(m *testImage) { m.heap.functions[0] = m.heap.globals[0] }},
		{"record of half a code instance", "function 0 leads to no code instance", ErrDamaged, nil, func(m *testImage) {
			inside := uint32(m.heap.functions[1]) + 8
			m.heap.set(inside-8, m.heap.roots[m.root.codeInstance])
			m.heap.functions[0] = uint64(inside)
		}},
		{"record beyond the heap", "function 0 leads to no code instance", ErrDamaged, inShards, func(m *testImage) { m.heap.functions[0] = 1<<32 + m.heap.functions[1] }},
		{"two records for one body", "functions 1 and 2 belong to the same part", ErrDamaged, nil, func(m *testImage) { m.heap.functions[2] = m.heap.functions[1] }},
		{"cell with a reference to nowhere", "cell 0 of native code", ErrDamaged, nil, func(m *testImage) { m.heap.globals[0] = 1 << 28 }},
		{"cell with nothing", "cell 0 of native code", ErrDamaged, inShards, func(m *testImage) { m.heap.globals[0] = 0 }},
		{"cell with a constant beyond the constants", "cell 1 of native code", ErrDamaged, nil, func(m *testImage) { m.heap.globals[1] = m.heap.ref(refConst, 1<<28) }},
		{"cell with a constant that is no object", "cell 0 of native code", ErrDamaged, inSymbols, func(m *testImage) {
			m.heap.constants = make([]byte, 64)
			m.heap.globals[0] = m.heap.ref(refConst, 2)
		}},
		{"cell with a symbol that is not", "cell 3 of native code", ErrDamaged, nil, func(m *testImage) { m.heap.globals[3] = m.heap.ref(refSymbol, 1<<20) }},
		{"cell with an object of another image", "cell 0 of native code", ErrDamaged, inShards, func(m *testImage) { m.heap.globals[0] = 6<<61 + 16 }},
		{"binding inside of a binding", "belongs to no module", ErrDamaged, inSymbols, func(m *testImage) {
			inside := m.heap.bindings["Base.x"] + 24
			m.heap.set(inside-8, m.heap.ref(refBinding, 0))
			m.heap.set(inside, m.heap.symbol("x"))
			m.heap.globals[1] = uint64(inside)
		}},
		{"module with too many bindings", "the module at offset", ErrDamaged, inSymbols, func(m *testImage) { m.heap.set(m.heap.modules["Points"]+16, 1<<60) }},
		{"module whose parent is none", "module Points of the heap has a parent that is no module", ErrDamaged, nil,
			func(m *testImage) { m.heap.set(m.heap.modules["Points"]+8, m.heap.globals[0]) }},
		{"module without name", "has no name", ErrDamaged, nil, func(m *testImage) { m.heap.set(m.heap.modules["Points"], 0) }},
		{"module without bindings", "module Points of the heap has no bindings", ErrDamaged, inShards,
			func(m *testImage) { m.heap.set(m.heap.modules["Points"]+m.module.bindings, m.heap.globals[0]) }},
		{"object finished in no way", "could finish", ErrDamaged, inSymbols, func(m *testImage) {
			object := uint32(m.heap.globals[0])
			m.heap.finish, m.heap.how[object] = append(m.heap.finish, object), 9
		}},
	}, func(t *testing.T, d damage, m *testImage) {
		path := m.write(t, t.TempDir())
		if _, err := OpenFile(path); !errors.Is(err, d.kind) || !strings.Contains(err.Error(), d.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want %v with %q", err, d.kind, d.want)
		}
	})
}

func TestCheckRefuses(t *testing.T) {
	// refer makes a word of a module a reference.
	refer := func(m *testImage, ref uint64) {
		word := m.heap.modules["Points"] + 24
		m.heap.set(word, ref)
		m.heap.refs = append(m.heap.refs, word)
	}
	eachDamage(t, []damage{
		{"type in another place", `is type "SimpleVector" where MethodInstance belongs`, nil, nil, func(m *testImage) {
			m.heap.roots[m.root.methodInstance] = m.heap.roots[m.root.simpleVector]
		}},
		{"something that is not nothing", "is not nothing", nil, inSymbols, func(m *testImage) { m.heap.roots[m.root.nothing] = m.heap.globals[0] }},
		{"relocation beyond the heap", "which is no word of it", nil, nil, func(m *testImage) { m.heap.refs = append(m.heap.refs, uint32(len(m.heap.objects))) }},
		{"relocation between words", "which is no word of it", nil, nil, func(m *testImage) { m.heap.refs = append(m.heap.refs, 20) }},
		{"reference to nowhere", "is no reference: 0x10000000", nil, nil, func(m *testImage) { refer(m, 1<<28) }},
		{"word of no kind", "is no reference: 0xe000000000000000", nil, nil, func(m *testImage) { refer(m, 7<<61) }},
		{"constant beyond the constants", "is no reference", nil, nil, func(m *testImage) { refer(m, m.heap.ref(refConst, 1<<20)) }},
		{"task", "a loaded package keeps what no image can hold", nil, nil, func(m *testImage) { refer(m, unwritten) }},
		{"type that is none", "is no reference", nil, nil, func(m *testImage) { m.heap.set(uint32(m.heap.globals[6])-8, m.heap.symbol("x")) }},
		{"builtin function that is not", "is no reference", nil, inShards, func(m *testImage) { refer(m, m.heap.ref(refFunction, 1<<60+100)) }},
		{"builtin function that is not", "is no reference", nil, inSymbols, func(m *testImage) { refer(m, m.heap.ref(refBuiltin, 100)) }},
		{"root that is none", "root 100 of the heap is no reference", nil, nil, func(m *testImage) { m.heap.roots[100] = 7 << 29 }},
		{"storage that is none", "of the heap is no reference: 0x10000000", nil, nil, func(m *testImage) { m.heap.storage = 1 << 28 }},
		{"object to finish that is none", "that the loader could finish", nil, nil, func(m *testImage) {
			m.heap.finish = append(m.heap.finish, 1<<30)
			m.heap.how[1<<30] = finishRehash
		}},
		{"method that is none", "to be callable from C", nil, withCallable, func(m *testImage) { m.heap.callable = []uint32{m.body()} }},
		{"function outside of code", "function 5 on target 0", nil, nil, func(m *testImage) { m.last().code[0][m.last().at(5)] = testCells }},
		{"variant outside of code", "function 3 on target 2", nil, nil, func(m *testImage) { m.last().partial[2][m.last().at(3)] = 0x7000000 }},
		{"body without convention", "function 2 has no calling convention", nil, nil, func(m *testImage) {
			m.heap.set(m.invoke(m.body()), 0)
			m.heap.unlist(m.invoke(m.body()))
		}},
		{"wrapper with convention", "function 0 is the wrapper of", nil, nil, func(m *testImage) {
			m.heap.setRef(m.invoke(uint32(m.heap.functions[1])), m.heap.ref(refFunction, conventionBoxed), false)
		}},
		{"cell with half an object", "cell 6 of native code", nil, nil, func(m *testImage) { m.heap.globals[6] += 8 }},
		{"cell in code", "cell 3 of native code", nil, nil, func(m *testImage) { m.shards[0].cells[3] = testCode + 8 }},
		{"cell between cells", "cell 3 of native code", nil, nil, func(m *testImage) { m.shards[0].cells[3] += 4 }},
		{"cell twice", "shard 1 has cell 3", nil, inShards, func(m *testImage) { m.shards[1].cells[3] = testCells + 32; delete(m.shards[1].cells, 1) }},
		{"cell in no shard", "cell 6 of native code is in no shard", nil, inShards, func(m *testImage) { delete(m.shards[1].cells, 6) }},
		{"slot in code", "slot 0", nil, nil, func(m *testImage) { m.last().slots[0][1] = testCode }},
		{"slots that do not ascend", "slot 1", nil, nil, func(m *testImage) { m.last().slots[0][0] = 2 }},
		{"slot of a shard", "slot 0 of shard 1, of its function 1", nil, inShards, func(m *testImage) { m.shards[1].slots[0][1] = testCode }},
		{"slot of a function", "slot 0, of function 1", nil, inSymbols, func(m *testImage) { m.shards[0].slots[0][1] = testCode }},
		{"function without a slot", "target 0 fills slots of function 2", nil, nil, func(m *testImage) { m.last().filled = []int{1, 2} }},
	}, func(t *testing.T, d damage, m *testImage) {
		b := openTest(t, m.write(t, t.TempDir()))
		if err := b.Check(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), d.want) {
			t.Errorf("error %v, want %v with %q", err, ErrDamaged, d.want)
		}
	})
	eachLayout(t, func(t *testing.T, l *testLayout) {
		b := openTest(t, newTestBase(l).write(t, t.TempDir()))
		if err := b.Check("Points"); err == nil || !strings.Contains(err.Error(), "module Points was left") {
			t.Errorf("error %v for a module that must not be there", err)
		}
	})
}
