package sysimage

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestOpen110Refuses(t *testing.T) {
	for _, test := range []struct {
		name, want string
		kind       error
		spoil      func(m *testImage110)
	}{
		{"other header", "tables are of version 2", ErrUnknownFormat, func(m *testImage110) { m.header[0] = 2 }},
		{"Julia 1.11", "made by Julia 1.11", ErrUnknownFormat, func(m *testImage110) { m.needed = "libjulia.so.1.11" }},
		{"too many functions", "2097152 functions", ErrUnknownFormat, func(m *testImage110) { m.header[2] = 1 << 21 }},
		{"more shards than there are", "leads nowhere", ErrUnknownFormat, func(m *testImage110) { m.header[1] = 3 }},
		{"fills functions that do not ascend", "shard 1: damaged: function indices of target 0 do not ascend", ErrDamaged,
			func(m *testImage110) { m.shards[1].filled = []int{2, 1} }},
		{"first target incomplete", "first target does not have all functions", ErrDamaged,
			func(m *testImage110) { m.shards[0].partial[0] = m.shards[0].partial[2] }},
		{"function beyond the header's", "shard 0 has function 6 of 6", ErrDamaged, func(m *testImage110) { m.shards[0].functions[1] = 6 }},
		{"function in no shard", "function 6 is in no shard", ErrDamaged, func(m *testImage110) { m.header[2]++ }},
		{"records for fewer cells", "fills 7 cells of native code, of which there are 8", ErrDamaged, func(m *testImage110) { m.header[3]++ }},
		{"more records than functions", "names 7 functions, of which there are 6", ErrDamaged,
			func(m *testImage110) { m.heap.functions = append(m.heap.functions, 0, 0, 0) }},
		{"record of no code instance", "function 0 leads to no code instance", ErrDamaged, func(m *testImage110) { m.heap.functions[0] = m.heap.globals[0] }},
		{"record of half a code instance", "function 0 leads to no code instance", ErrDamaged, func(m *testImage110) { m.heap.functions[0] = m.heap.functions[1] + 8 }},
		{"record beyond the heap", "function 0 leads to no code instance", ErrDamaged, func(m *testImage110) { m.heap.functions[0] = 1<<32 + m.heap.functions[1] }},
		{"two records for one body", "functions 1 and 2 belong to the same part", ErrDamaged, func(m *testImage110) { m.heap.functions[2] = m.heap.functions[1] }},
		{"cell with a reference to nowhere", "cell 0 of native code", ErrDamaged, func(m *testImage110) { m.heap.globals[0] = 1 << 40 }},
		{"cell with nothing", "cell 0 of native code", ErrDamaged, func(m *testImage110) { m.heap.globals[0] = 0 }},
		{"cell with a constant beyond the constants", "cell 1 of native code", ErrDamaged, func(m *testImage110) { m.heap.globals[1] = ref110(kind110Const, 1<<60) }},
		{"cell with a symbol that is not", "cell 3 of native code", ErrDamaged, func(m *testImage110) { m.heap.globals[3] = ref110(kind110Symbol, 1<<20) }},
		{"cell with an object of another image", "cell 0 of native code", ErrDamaged, func(m *testImage110) { m.heap.globals[0] = ref110(6, 16) }},
		{"module whose parent is none", "module Points of the heap has a parent that is no module", ErrDamaged,
			func(m *testImage110) { m.heap.set(m.heap.modules["Points"]+moduleParent110, m.heap.globals[0]) }},
		{"module without name", "has no name", ErrDamaged, func(m *testImage110) { m.heap.set(m.heap.modules["Points"], 0) }},
		{"module without bindings", "module Points of the heap has no bindings", ErrDamaged,
			func(m *testImage110) { m.heap.set(m.heap.modules["Points"]+moduleBindings110, m.heap.globals[0]) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newTestBase110()
			test.spoil(m)
			if _, err := OpenFile(m.write(t, t.TempDir())); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}

func TestCheck110Refuses(t *testing.T) {
	body := func(m *testImage110) uint32 { return uint32(m.heap.functions[2]) }
	for _, test := range []struct {
		name, want string
		spoil      func(m *testImage110)
	}{
		{"type in another place", `root 51 of the heap is type "SimpleVector" where Array belongs`, func(m *testImage110) {
			m.heap.roots[root110ArrayAny] = m.heap.roots[root110SimpleVector]
		}},
		{"relocation beyond the heap", "which is no word of it", func(m *testImage110) { m.heap.refs = append(m.heap.refs, uint32(len(m.heap.objects))) }},
		{"relocation between words", "which is no word of it", func(m *testImage110) { m.heap.refs = append(m.heap.refs, 20) }},
		{"word that is no reference", "is no reference: 0x2000000000100000", func(m *testImage110) {
			m.heap.set(m.heap.modules["Points"]+24, ref110(kind110Const, 1<<20))
			m.heap.refs = append(m.heap.refs, m.heap.modules["Points"]+24)
		}},
		{"task", "a loaded package keeps what no image can hold", func(m *testImage110) {
			m.heap.set(m.heap.modules["Points"]+24, unwritten110)
			m.heap.refs = append(m.heap.refs, m.heap.modules["Points"]+24)
		}},
		{"type that is none", "is no reference", func(m *testImage110) { m.heap.set(uint32(m.heap.globals[6])-8, m.heap.globals[1]) }},
		{"builtin function that is not", "is no reference", func(m *testImage110) { m.heap.set(body(m)+codeInvoke110, ref110(kind110Function, builtin110+100)) }},
		{"root that is none", "root 100 of the heap", func(m *testImage110) { m.heap.roots[100] = 1 << 50 }},
		{"object to finish that is none", "that the loader could finish", func(m *testImage110) { m.heap.finish = append(m.heap.finish, 1<<30) }},
		{"method that is none", "to be callable from C", func(m *testImage110) { m.heap.ccallable = []uint32{body(m)} }},
		{"variant outside of code", "function 3 on target 2", func(m *testImage110) { m.shards[1].partial[2][2] = 0x7000000 }},
		{"body without convention", "function 2 has no calling convention", func(m *testImage110) {
			m.heap.set(body(m)+codeInvoke110, 0)
			m.heap.refs = slices.DeleteFunc(m.heap.refs, func(r uint32) bool { return r == body(m)+codeInvoke110 })
		}},
		{"wrapper with convention", "function 0 is the wrapper of", func(m *testImage110) {
			m.heap.setRef(uint32(m.heap.functions[1])+codeInvoke110, ref110(kind110Function, conventionBoxed), false)
		}},
		{"cell with half an object", "cell 6 of native code", func(m *testImage110) { m.heap.globals[6] += 8 }},
		{"cell in code", "shard 0 has cell 3", func(m *testImage110) { m.shards[0].cells[3] = testCode + 8 }},
		{"cell between cells", "shard 0 has cell 3", func(m *testImage110) { m.shards[0].cells[3] += 4 }},
		{"cell twice", "shard 1 has cell 3", func(m *testImage110) { m.shards[1].cells[3] = testCells + 32; delete(m.shards[1].cells, 1) }},
		{"cell in no shard", "cell 6 of native code is in no shard", func(m *testImage110) { delete(m.shards[1].cells, 6) }},
		{"slot in code", "slot 0 of shard 1, of its function 1", func(m *testImage110) { m.shards[1].slots[0][1] = testCode }},
		{"slots that do not ascend", "slot 1 of shard 1, of its function 1", func(m *testImage110) { m.shards[1].slots[0][0] = 2 }},
		{"function without a slot", "target 0 fills slots of function 2 of shard 1, which has none", func(m *testImage110) { m.shards[1].filled = []int{1, 2} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newTestBase110()
			test.spoil(m)
			b := openTest(t, m.write(t, t.TempDir()))
			if err := b.Check(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %v with %q", err, ErrDamaged, test.want)
			}
		})
	}
}
