package sysimage

// This file makes small system images for tests: ELF files with tables, a heap, and no code that could run.

import (
	"debug/elf"
	"path/filepath"
	"slices"
	"testing"

	"chainbuild/elfpatch"
)

// A testShard is a part of the tables of a test image. Functions and cells are by index in the image. Tables that do not come in
// shards have one, with all functions in their order.
type testShard struct {
	functions []int
	code      [][]uint64 // addresses by target and position in functions; a target without any has target 1's or its own in partial
	partial   map[int]map[int]uint64
	fallback  uint32 // of targets in partial
	filled    []int  // positions of functions that slots are filled with
	slots     [][2]uint64
	cells     map[int]uint64
}

// lastCell is what distances of cells count from, so that there are some of both signs.
func (s testShard) lastCell() uint64 {
	last := uint64(testCells)
	for _, addr := range s.cells {
		last = max(last, addr)
	}
	return last
}

func (s testShard) slotFields(origin uint64) []uint32 {
	fields := []uint32{uint32(len(s.slots))}
	for _, slot := range s.slots {
		fields = append(fields, uint32(slot[0]), uint32(slot[1]-origin))
	}
	return fields
}

// cloneFields are the tables of functions and of their places per target.
func (s testShard) cloneFields(targets int, origin uint64) (indices, places []uint32) {
	for t := range targets {
		if partial, ok := s.partial[t]; ok {
			indices = append(indices, uint32(len(partial)), s.fallback)
			for i := range s.functions {
				if addr, ok := partial[i]; ok {
					flag := uint32(0)
					if slices.Contains(s.filled, i) {
						flag = indexFlag
					}
					indices, places = append(indices, flag|uint32(i)), append(places, uint32(addr-origin))
				}
			}
			continue
		}
		indices = append(indices, indexFlag|uint32(len(s.filled)))
		for _, i := range s.filled {
			indices = append(indices, uint32(i))
		}
		if t > 0 {
			for _, addr := range s.code[t] {
				places = append(places, uint32(addr-origin))
			}
		}
	}
	return indices, places
}

// A testImage is a system image in the making, with its code and data at fixed addresses.
type testImage struct {
	*testLayout
	heap      *testHeap
	blob      []byte // instead of heap, if it is set
	functions int
	targets   int
	shards    []testShard
	header    [4]uint32 // of tables in shards
	needed    string
}

// Where a test image has its parts.
const (
	testCode     = 0x10000
	testCells    = 0x20000
	testThread   = testCells + 0x800
	testTypeof   = testCells + 0x900
	testTablesAt = 0x30000
	testBlob     = 0x40000
)

// testTables are the content of the tables, what is where in it, and what its pointers lead to.
type testTables struct {
	data    []byte
	relocs  map[uint64]uint64
	symbols []elfpatch.Symbol
}

// A tableWriter writes tables one behind the other.
type tableWriter struct{ testTables }

// fields appends a table and returns its address.
func (w *tableWriter) fields(fields ...uint32) uint64 {
	w.data = append(w.data, make([]byte, -len(w.data)&7)...)
	at := testTablesAt + uint64(len(w.data))
	for _, f := range fields {
		w.data = le.AppendUint32(w.data, f)
	}
	return at
}

// pointers appends a table of pointers.
func (w *tableWriter) pointers(to ...uint64) uint64 {
	at := w.fields()
	for i, p := range to {
		w.relocs[at+8*uint64(i)] = p
		w.data = le.AppendUint64(w.data, 0)
	}
	return at
}

// export appends a table that a symbol is for.
func (w *tableWriter) export(name string, fields ...uint32) {
	w.symbols = append(w.symbols, elfpatch.Symbol{Name: name, Offset: w.fields(fields...), Size: 4 * uint64(len(fields))})
}

// targetFields is the list of targets.
func (m *testImage) targetFields() []uint32 {
	fields := []uint32{uint32(m.targets)}
	for i := range m.targets {
		fields = append(fields, 0, 1, 1<<uint(i), 0, 4, uint32('c')|uint32('p')<<8|uint32('u')<<16|uint32('0'+i)<<24, 0)
	}
	return fields
}

// heapBlob is the blob that was set, or else what heap is written as.
func (m *testImage) heapBlob() []byte {
	if m.blob != nil {
		return m.blob
	}
	return m.heap.bytes()
}

// file makes the file of the image, fileWith that with other tables.
func (m *testImage) file() []byte { return m.fileWith(m.tables(m)) }

func (m *testImage) fileWith(tables testTables) []byte {
	symbols := append(slices.Clone(tables.symbols), elfpatch.Symbol{Name: "jl_system_image_data", Offset: testBlob, Size: 8})
	for name, addr := range m.exports {
		symbols = append(symbols, elfpatch.Symbol{Name: name, Offset: addr, Size: 8})
	}
	slices.SortFunc(symbols, func(a, b elfpatch.Symbol) int { return int(a.Offset) - int(b.Offset) })
	return (&testELF{
		segments: []testSegment{
			{testCode, elf.PF_R | elf.PF_X, make([]byte, 0x1000)}, {testCells, elf.PF_R | elf.PF_W, make([]byte, 0x1000)},
			{testTablesAt, elf.PF_R | elf.PF_W, tables.data}, {testBlob, elf.PF_R | elf.PF_W, m.heapBlob()},
		},
		symbols: symbols, relocs: tables.relocs, needed: m.needed,
	}).file()
}

// write makes the file of an image.
func (m *testImage) write(t *testing.T, dir string) string {
	t.Helper()
	return writeTestFile(t, filepath.Join(dir, "base.so"), m.file())
}

// testCodeAt is where variant v of function i of the base lies.
func testCodeAt(i, v int) uint64 { return testCode + uint64(0x100*v+16*i) }

// newTestBase makes a base with three targets, the last of which has code of its own for functions 1, 3 and 4 only. Function 5
// belongs to no code instance, function 0 is the same on all targets. Where tables come in shards, shard 0 has functions 0, 2
// and 4, shard 1 has 5, 1 and 3.
func newTestBase(l *testLayout) *testImage {
	h := newTestHeap(l)
	h.module("Base", "Main", "x", "y")
	h.module("Points", "", "z")
	c1, c2, c3 := h.codeInstance("Base", 0), h.codeInstance("Points", conventionBoxed), h.codeInstance("Base", conventionParameters)
	h.functions = []uint64{h.record(c1, true), h.record(c1, false), h.record(c2, false), h.record(c3, false)}
	object := h.value()
	special := uint64(h.bindings["Base.y"])
	if l.form.objectsInConstants {
		special = h.constant()
	}
	h.globals = []uint64{object, special, h.symbol("only_in_base"), h.symbol("x"), h.ref(refTag, 5), object, h.value()}
	cells := len(h.globals)
	if l.form.sparse {
		h.globals = append(h.globals, uint64(h.bindings["Points.z"]), 0)
		cells = len(h.globals) + 1
	}
	m := &testImage{testLayout: l, heap: h, needed: l.library, functions: 6, targets: 3, header: [4]uint32{shardVersion, uint32(len(l.functions)), 6, uint32(cells)}}
	for i, functions := range l.functions {
		s := testShard{functions: slices.Clone(functions), fallback: 1, cells: map[int]uint64{}, partial: map[int]map[int]uint64{2: {}}}
		for target := range 2 {
			var addrs []uint64
			for _, f := range functions {
				v := target
				if f == 0 {
					v = 0
				}
				addrs = append(addrs, testCodeAt(f, v))
			}
			s.code = append(s.code, addrs)
		}
		slots := map[int][]uint64{1: {testCells + 0x100, testCells + 0x108}, 4: {testCells + 0x110}}
		for at, f := range functions {
			if f == 1 || f == 3 || f == 4 {
				s.partial[2][at] = testCodeAt(f, 2)
			}
			for _, cell := range slots[f] {
				s.slots = append(s.slots, [2]uint64{uint64(at), cell})
			}
			if slots[f] != nil {
				s.filled = append(s.filled, at)
			}
		}
		for c := range cells {
			if l.cells == nil || slices.Contains(l.cells[i], c) {
				s.cells[c] = testCells + 8*uint64(c)
			}
		}
		m.shards = append(m.shards, s)
	}
	return m
}
