package sysimage

// This file writes small system images for tests: ELF files with the tables of Julia 1.10, and no code that could run.

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"chainbuild/elfpatch"
)

// A testShard is a shard of a test image. Functions and cells are by index in the image; the first function of a shard and
// its last cell are what offsets count from.
type testShard struct {
	functions []int
	code      [][]uint64 // addresses by target and position in functions; a target without any has target 1's or its own in partial
	partial   map[int]map[int]uint64
	filled    []int // positions of functions that slots are filled with
	slots     [][2]uint64
	cells     map[int]uint64
}

// A testImage110 is a system image in the making, with its code and data at fixed addresses.
type testImage110 struct {
	heap      *testHeap110
	blob      []byte // instead of heap, if it is set
	functions int
	targets   int
	shards    []testShard
	header    [4]uint32
	needed    string
}

// Where a test image has its variables of the runtime: behind the cells.
const (
	testThread110 = testCells + 0x800
	testTypeof110 = testCells + 0x900
)

// testTables110 are the tables of an image, and what its pointers lead to.
type testTables110 struct {
	data    []byte
	relocs  map[uint64]uint64
	symbols []elfpatch.Symbol
}

func (m *testImage110) tables() testTables110 {
	out := testTables110{relocs: map[uint64]uint64{}}
	table := func(fields ...uint32) uint64 {
		out.data = append(out.data, make([]byte, -len(out.data)&7)...)
		at := testTables + uint64(len(out.data))
		for _, f := range fields {
			out.data = le.AppendUint32(out.data, f)
		}
		return at
	}
	pointers := func(to ...uint64) uint64 {
		at := table()
		for i, p := range to {
			out.relocs[at+8*uint64(i)] = p
			out.data = le.AppendUint64(out.data, 0)
		}
		return at
	}
	var shards []uint64
	for _, s := range m.shards {
		textBase, dataBase := s.code[0][0], uint64(testCells)
		for _, addr := range s.cells {
			dataBase = max(dataBase, addr)
		}
		functions, indices := []uint32{uint32(len(s.functions))}, []uint32{}
		for i, f := range s.functions {
			functions, indices = append(functions, uint32(s.code[0][i]-textBase)), append(indices, uint32(f))
		}
		cells, cellIndices := []uint32{uint32(len(s.cells))}, []uint32{}
		for c := range 100 {
			if addr, ok := s.cells[c]; ok {
				cells, cellIndices = append(cells, uint32(addr-dataBase)), append(cellIndices, uint32(c))
			}
		}
		slots := []uint32{uint32(len(s.slots))}
		for _, slot := range s.slots {
			slots = append(slots, uint32(slot[0]), uint32(slot[1]-dataBase))
		}
		var cloneIndices, cloneOffsets []uint32
		for t := range m.targets {
			if partial, ok := s.partial[t]; ok {
				cloneIndices = append(cloneIndices, uint32(len(partial)), 1)
				for i := range s.functions {
					if addr, ok := partial[i]; ok {
						flag := uint32(0)
						if slices.Contains(s.filled, i) {
							flag = indexFlag
						}
						cloneIndices, cloneOffsets = append(cloneIndices, flag|uint32(i)), append(cloneOffsets, uint32(addr-textBase))
					}
				}
				continue
			}
			cloneIndices = append(cloneIndices, indexFlag|uint32(len(s.filled)))
			for _, i := range s.filled {
				cloneIndices = append(cloneIndices, uint32(i))
			}
			if t > 0 {
				for _, addr := range s.code[t] {
					cloneOffsets = append(cloneOffsets, uint32(addr-textBase))
				}
			}
		}
		shards = append(shards, textBase, table(functions...), table(indices...), dataBase, table(cells...), table(cellIndices...),
			table(slots...), table(cloneOffsets...), table(cloneIndices...))
	}
	ids := []uint32{uint32(m.targets)}
	for i := range m.targets {
		ids = append(ids, 0, 1, 1<<uint(i), 0, 4, uint32('c')|uint32('p')<<8|uint32('u')<<16|uint32('0'+i)<<24, 0)
	}
	header, shardTable, targets := table(m.header[:]...), pointers(shards...), table(ids...)
	threads := pointers(testThread110, testThread110+8, testThread110+16)
	roots := pointers(header, shardTable, threads, testTypeof110, targets)
	size := table(uint32(len(m.heapBlob())), 0)
	out.symbols = []elfpatch.Symbol{
		{Name: "get_jl_RTLD_DEFAULT_handle_addr", Offset: testCode, Size: 8}, {Name: "jl_image_pointers", Offset: roots, Size: 40},
		{Name: "jl_system_image_size", Offset: size, Size: 8}, {Name: "jl_system_image_data", Offset: testBlob, Size: 8},
	}
	return out
}

// heapBlob is the blob that was set, or else what heap is written as.
func (m *testImage110) heapBlob() []byte {
	if m.blob != nil {
		return m.blob
	}
	return m.heap.blob()
}

func (m *testImage110) fileWith(tables testTables110) []byte {
	return (&testELF{
		segments: []testSegment{
			{testCode, elf.PF_R | elf.PF_X, make([]byte, 0x1000)}, {testCells, elf.PF_R | elf.PF_W, make([]byte, 0x1000)},
			{testTables, elf.PF_R | elf.PF_W, tables.data}, {testBlob, elf.PF_R | elf.PF_W, m.heapBlob()},
		},
		symbols: tables.symbols, relocs: tables.relocs, needed: m.needed,
	}).file()
}

func (m *testImage110) file() []byte { return m.fileWith(m.tables()) }

// write makes the file of an image.
func (m *testImage110) write(t *testing.T, dir string) string {
	t.Helper()
	return writeTestFile(t, filepath.Join(dir, "base.so"), m.file())
}

// newTestBase110 makes a base with three targets and two shards. Shard 0 has functions 0, 2 and 4, shard 1 has 5, 1 and 3. The
// last target has code of its own for functions 1, 3 and 4 only. Function 5 belongs to no code instance, function 0 is the
// same on all targets.
func newTestBase110() *testImage110 {
	h := newTestHeap110()
	h.module("Base", "Main", 2)
	h.module("Points", "", 1)
	c1, c2, c3 := h.code("Base", 0), h.code("Points", conventionBoxed), h.code("Base", conventionParameters)
	h.functions = []uint64{record110(c1, true), record110(c1, false), record110(c2, false), record110(c3, false)}
	object := h.value()
	h.globals = []uint64{
		object, h.constant(), h.symbol("only_in_base"), h.symbol("x"), ref110(kind110Tag, 5), object, h.value(),
	}
	m := &testImage110{heap: h, functions: 6, targets: 3, header: [4]uint32{version110, 2, 6, 7}}
	code := func(target int, functions ...int) (addrs []uint64) {
		for _, f := range functions {
			v := target
			if f == 0 {
				v = 0
			}
			addrs = append(addrs, testCodeAt(f, v))
		}
		return addrs
	}
	m.shards = []testShard{
		{functions: []int{0, 2, 4}, code: [][]uint64{code(0, 0, 2, 4), code(1, 0, 2, 4)}, partial: map[int]map[int]uint64{2: {2: testCodeAt(4, 2)}},
			filled: []int{2}, slots: [][2]uint64{{2, testCells + 0x110}},
			cells: map[int]uint64{0: testCells, 3: testCells + 8, 4: testCells + 16}},
		{functions: []int{5, 1, 3}, code: [][]uint64{code(0, 5, 1, 3), code(1, 5, 1, 3)},
			partial: map[int]map[int]uint64{2: {1: testCodeAt(1, 2), 2: testCodeAt(3, 2)}},
			filled:  []int{1}, slots: [][2]uint64{{1, testCells + 0x100}, {1, testCells + 0x108}},
			cells: map[int]uint64{5: testCells + 24, 1: testCells + 32, 2: testCells + 40, 6: testCells + 48}},
	}
	return m
}

// linkTest110 links a merged image with functions that only return. It returns the addresses of symbols that others ask for.
func linkTest110(t *testing.T, path string, m *Merged, layout elfpatch.Layout, functions []string) map[string]uint64 {
	t.Helper()
	a := new(elfpatch.Asm)
	for _, f := range functions {
		a.Begin(f)
		a.Return()
		a.End()
	}
	object, err := a.Object("functions")
	if err != nil {
		t.Fatal(err)
	}
	job, err := m.Job(layout, []*elfpatch.Object{object})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := elfpatch.Write(f, job); err != nil {
		t.Fatal(err)
	}
	return staticAddrs(t, path, m.Slots)
}

// staticAddrs reads the symbol table of a file; of symbols of one name, the last one. It has no symbols of slots, which are
// the content of a section.
func staticAddrs(t *testing.T, path string, slots []elfpatch.Slot) map[string]uint64 {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	addrs := map[string]uint64{}
	for _, s := range symbols {
		addrs[s.Name] = s.Value
	}
	for _, section := range file.Sections {
		for i, s := range slots {
			if section.Name == ".data.slots" {
				addrs[elfpatch.SlotSymbol(s.Name)] = section.Addr + 8*uint64(i)
			}
		}
	}
	return addrs
}

// memory110 reads the memory of a process that has loaded an image: the files, with what the dynamic loader puts into
// pointers.
type memory110 struct {
	t        *testing.T
	layers   []*elfpatch.Image
	pointers map[uint64]uint64
}

func newMemory110(t *testing.T, layers []*elfpatch.Image) *memory110 {
	m := &memory110{t, layers, map[uint64]uint64{}}
	for _, im := range layers {
		for _, r := range im.Relocs() {
			switch elf.R_X86_64(r.Type) {
			case elf.R_X86_64_RELATIVE:
				m.pointers[r.Offset] = uint64(r.Addend)
			case elf.R_X86_64_64:
				m.pointers[r.Offset] = m.symbol(im.DynSymbols()[r.Sym].Name) + uint64(r.Addend)
			}
		}
	}
	return m
}

func (m *memory110) symbol(name string) uint64 {
	for _, im := range m.layers {
		if s, ok := im.Lookup(name); ok {
			return s.Value
		}
	}
	m.t.Fatalf("no symbol %s", name)
	return 0
}

func (m *memory110) bytes(addr, size uint64) []byte {
	for i := len(m.layers) - 1; i >= 0; i-- {
		if data, err := m.layers[i].Bytes(addr, size); err == nil {
			return data
		}
	}
	m.t.Fatalf("read of %d bytes at %#x", size, addr)
	return nil
}

func (m *memory110) u32(addr uint64) uint32 { return binary.LittleEndian.Uint32(m.bytes(addr, 4)) }

func (m *memory110) i32(addr uint64) uint64 { return uint64(int64(int32(m.u32(addr)))) }

func (m *memory110) u64(addr uint64) uint64 { return binary.LittleEndian.Uint64(m.bytes(addr, 8)) }

func (m *memory110) pointer(addr uint64) uint64 {
	p, ok := m.pointers[addr]
	if !ok {
		m.t.Fatalf("no pointer at %#x", addr)
	}
	return p
}
