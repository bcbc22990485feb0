package sysimage

// This file writes small system images for tests: ELF files with the tables of Julia 1.5, and no code that could run.

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"chainbuild/elfpatch"
)

// A testSegment is a loaded part of a test image.
type testSegment struct {
	addr  uint64
	flags elf.ProgFlag
	data  []byte
}

// A testELF is a shared object in the making.
type testELF struct {
	segments []testSegment
	symbols  []elfpatch.Symbol // Offset is a virtual address
	needed   string
	note     []byte
	buildID  []byte
	relocs   map[uint64]uint64 // addresses of pointers, and of where they lead in the same file
}

// file lays the shared object out: headers at address 0, dynamic section and notes in a segment behind all others.
func (e *testELF) file() []byte {
	end := uint64(0x1000)
	for _, s := range e.segments {
		end = max(end, s.addr+uint64(len(s.data)))
	}
	base := (end + 0xfff) &^ 0xfff
	strtab := []byte{0}
	str := func(s string) uint64 {
		strtab = append(append(strtab, s...), 0)
		return uint64(len(strtab) - len(s) - 1)
	}
	symtab := make([]byte, elf.Sym64Size)
	for _, s := range e.symbols {
		symtab = binary.LittleEndian.AppendUint32(symtab, uint32(str(s.Name)))
		symtab = append(symtab, elf.ST_INFO(elf.STB_GLOBAL, elf.STT_OBJECT), 0, 1, 0)
		symtab = le.AppendUint64(symtab, s.Offset)
		symtab = le.AppendUint64(symtab, s.Size)
	}
	n := uint32(len(symtab) / elf.Sym64Size)
	hash := le.AppendUint32(le.AppendUint32(nil, 1), n)
	hash = le.AppendUint32(hash, 1)
	for i := range n {
		next := uint32(0)
		if i > 0 && i+1 < n {
			next = i + 1
		}
		hash = le.AppendUint32(hash, next)
	}
	var notes []byte
	note := func(owner string, kind uint32, desc []byte) {
		notes = le.AppendUint32(notes, uint32(len(owner)+1))
		notes = le.AppendUint32(notes, uint32(len(desc)))
		notes = le.AppendUint32(notes, kind)
		notes = append(append(notes, owner...), 0)
		notes = append(notes, make([]byte, -len(notes)&3)...)
		notes = append(notes, desc...)
		notes = append(notes, make([]byte, -len(notes)&3)...)
	}
	if e.buildID != nil {
		note("GNU", 3, e.buildID)
	}
	if e.note != nil {
		note("chainbuild", 1, e.note)
	}
	needed := str(e.needed)
	var last []byte
	place := func(b []byte) uint64 {
		last = append(last, make([]byte, -len(last)&7)...)
		at := base + uint64(len(last))
		last = append(last, b...)
		return at
	}
	var relas []byte
	for _, at := range slices.Sorted(maps.Keys(e.relocs)) {
		for _, field := range []uint64{at, uint64(elf.R_X86_64_RELATIVE), e.relocs[at]} {
			relas = le.AppendUint64(relas, field)
		}
	}
	hashAt, symAt, noteAt, strAt, relaAt := place(hash), place(symtab), place(notes), place(strtab), place(relas)
	var dynamic []byte
	for _, d := range [][2]uint64{
		{uint64(elf.DT_HASH), hashAt}, {uint64(elf.DT_SYMTAB), symAt}, {uint64(elf.DT_SYMENT), elf.Sym64Size},
		{uint64(elf.DT_STRTAB), strAt}, {uint64(elf.DT_STRSZ), uint64(len(strtab))},
		{uint64(elf.DT_RELA), relaAt}, {uint64(elf.DT_RELASZ), uint64(len(relas))}, {uint64(elf.DT_RELAENT), 24},
		{uint64(elf.DT_NEEDED), needed}, {uint64(elf.DT_NULL), 0},
	} {
		if d[0] == uint64(elf.DT_NEEDED) && e.needed == "" {
			continue
		}
		dynamic = le.AppendUint64(le.AppendUint64(dynamic, d[0]), d[1])
	}
	dynAt := place(dynamic)

	segments := append(slices.Clone(e.segments), testSegment{base, elf.PF_R | elf.PF_W, last})
	offset := uint64(0x1000)
	var headers, body []byte
	header := func(kind elf.ProgType, flags elf.ProgFlag, offset, addr, size uint64) {
		headers = le.AppendUint32(le.AppendUint32(headers, uint32(kind)), uint32(flags))
		for _, v := range []uint64{offset, addr, addr, size, size, 0x1000} {
			headers = le.AppendUint64(headers, v)
		}
	}
	header(elf.PT_LOAD, elf.PF_R, 0, 0, 0x1000)
	for i, s := range segments {
		body = append(body, make([]byte, (s.addr-offset-uint64(len(body)))&0xfff)...)
		at := offset + uint64(len(body))
		header(elf.PT_LOAD, s.flags, at, s.addr, uint64(len(s.data)))
		if i == len(segments)-1 {
			header(elf.PT_DYNAMIC, s.flags, at+dynAt-base, dynAt, uint64(len(dynamic)))
			header(elf.PT_NOTE, s.flags, at+noteAt-base, noteAt, uint64(len(notes)))
		}
		body = append(body, s.data...)
	}
	var out bytes.Buffer
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	binary.Write(&out, le, elf.Header64{
		Ident: ident, Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64,
		Phentsize: 56, Phnum: uint16(len(headers) / 56),
	})
	out.Write(headers)
	out.Write(make([]byte, 0x1000-out.Len()))
	out.Write(body)
	return out.Bytes()
}

// A testVariant says where a target has code; functions that it lacks are left to the fallback.
type testVariant struct {
	complete bool
	fallback int
	code     map[int]uint64 // addresses by function index
	filled   []int          // functions that slots are filled with
}

// A testImage is a system image in the making, with its code and data at fixed addresses.
type testImage struct {
	heap      *testHeap
	blob      []byte   // instead of heap, if it is set
	functions []uint64 // target 0's code
	variants  []testVariant
	slots     [][2]uint64 // function index, address of the slot
	cells     []uint64
}

// Where a test image has its parts.
const (
	testCode   = 0x10000 // jl_sysimg_fvars_base
	testCells  = 0x20000
	testTables = 0x30000
	testBlob   = 0x40000
)

// write makes the file of an image.
func (m *testImage) write(t *testing.T, dir string) string {
	t.Helper()
	return writeTestFile(t, filepath.Join(dir, "base.so"), m.file())
}

func (m *testImage) file() []byte { return m.fileWith(m.tables()) }

// testTable is the content of the tables and what is where in it.
type testTable struct {
	data    []byte
	symbols []elfpatch.Symbol
}

// tables writes the tables.
func (m *testImage) tables() testTable {
	var data []byte
	var symbols []elfpatch.Symbol
	table := func(name string, fields ...uint32) {
		data = append(data, make([]byte, -len(data)&7)...)
		symbols = append(symbols, elfpatch.Symbol{Name: name, Offset: testTables + uint64(len(data)), Size: 4 * uint64(len(fields))})
		for _, f := range fields {
			data = le.AppendUint32(data, f)
		}
	}
	functions := []uint32{uint32(len(m.functions))}
	for _, f := range m.functions {
		functions = append(functions, uint32(f-testCode))
	}
	table("jl_sysimg_fvars_offsets", functions...)
	// Cells count from the last of them, so that there are offsets of both signs.
	origin := m.cells[len(m.cells)-1]
	cells := []uint32{uint32(len(m.cells))}
	for _, c := range m.cells {
		cells = append(cells, uint32(c-origin))
	}
	table("jl_sysimg_gvars_offsets", cells...)
	slots := []uint32{uint32(len(m.slots))}
	for _, s := range m.slots {
		slots = append(slots, uint32(s[0]), uint32(s[1]-origin))
	}
	table("jl_dispatch_reloc_slots", slots...)
	ids := []uint32{uint32(len(m.variants))}
	var indices, offsets []uint32
	for i, v := range m.variants {
		ids = append(ids, 0, 1, 1<<uint(i), 0, 4, uint32('c')|uint32('p')<<8|uint32('u')<<16|uint32('0'+i)<<24, 0)
		if v.complete {
			indices = append(indices, indexFlag|uint32(len(v.filled)))
			for _, f := range v.filled {
				indices = append(indices, uint32(f))
			}
			if i > 0 {
				for f := range m.functions {
					offsets = append(offsets, uint32(v.code[f]-testCode))
				}
			}
			continue
		}
		indices = append(indices, uint32(len(v.code)), uint32(v.fallback))
		for f := range m.functions {
			if code, ok := v.code[f]; ok {
				flag := uint32(0)
				if slices.Contains(v.filled, f) {
					flag = indexFlag
				}
				indices, offsets = append(indices, flag|uint32(f)), append(offsets, uint32(code-testCode))
			}
		}
	}
	table("jl_dispatch_target_ids", ids...)
	table("jl_dispatch_fvars_idxs", indices...)
	table("jl_dispatch_fvars_offsets", offsets...)
	table("jl_system_image_size", uint32(len(m.heapBlob())), 0)
	table("jl_globalUnique", 1000, 0)
	return testTable{data, symbols}
}

// heapBlob is the blob that was set, or else what heap is written as.
func (m *testImage) heapBlob() []byte {
	if m.blob != nil {
		return m.blob
	}
	return m.heap.blob()
}

// fileWith makes the file of an image.
func (m *testImage) fileWith(tables testTable) []byte {
	symbols := slices.Clone(tables.symbols)
	for name, addr := range map[string]uint64{
		"jl_sysimg_fvars_base": testCode, "jl_sysimg_gvars_base": m.cells[len(m.cells)-1], "jl_system_image_data": testBlob,
		"jl_get_ptls_states_slot": testCells + 0xf00, "jl_tls_offset": testCells + 0xf08,
	} {
		symbols = append(symbols, elfpatch.Symbol{Name: name, Offset: addr, Size: 8})
	}
	slices.SortFunc(symbols, func(a, b elfpatch.Symbol) int { return int(a.Offset) - int(b.Offset) })
	return (&testELF{
		segments: []testSegment{
			{testCode, elf.PF_R | elf.PF_X, make([]byte, 0x1000)}, {testCells, elf.PF_R | elf.PF_W, make([]byte, 0x1000)},
			{testTables, elf.PF_R | elf.PF_W, tables.data}, {testBlob, elf.PF_R | elf.PF_W, m.heapBlob()},
		},
		symbols: symbols,
	}).file()
}

func writeTestFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// linkTest gives a merged image addresses from start on and writes it as a thin image. Functions are put one after the
// other, 16 bytes each. It returns the file and the addresses of all symbols.
func linkTest(t *testing.T, path string, m *Merged, functions []string, start uint64) (string, map[string]uint64) {
	t.Helper()
	addrs := map[string]uint64{}
	e := &testELF{needed: m.bases[0].Path, buildID: []byte(path)}
	for i, f := range functions {
		addrs[f] = start + 16*uint64(i)
	}
	e.segments = append(e.segments, testSegment{start, elf.PF_R | elf.PF_X, make([]byte, 16*len(functions)+16)})
	at := start + 0x10000
	slots := testSegment{at, elf.PF_R | elf.PF_W, make([]byte, 8*len(m.Slots))}
	for i, s := range m.Slots {
		addrs[elfpatch.SlotSymbol(s.Name)] = at + 8*uint64(i)
		le.PutUint64(slots.data[8*i:], s.Target.Offset)
	}
	e.segments = append(e.segments, slots)
	first := len(e.segments)
	for _, s := range m.Sections {
		at += 0x10000
		flags := elf.PF_R
		if s.Writable {
			flags |= elf.PF_W
		}
		e.segments = append(e.segments, testSegment{at, flags, s.Data})
		for _, sym := range s.Symbols {
			addrs[sym.Name] = at + sym.Offset
			if sym.Export {
				e.symbols = append(e.symbols, elfpatch.Symbol{Name: sym.Name, Offset: at + sym.Offset, Size: sym.Size})
			}
		}
	}
	place := func(a elfpatch.Address) uint64 {
		if a.Base != nil {
			return a.Offset
		}
		addr, ok := addrs[a.Symbol]
		if !ok {
			t.Fatalf("a fixup refers to %q, which nothing defines", a.Symbol)
		}
		return addr + a.Offset
	}
	for i, s := range m.Sections {
		for _, f := range s.Fixups {
			if f.Kind != elfpatch.Diff32 {
				t.Fatalf("fixup of kind %d in %s", f.Kind, s.Name)
			}
			le.PutUint32(e.segments[first+i].data[f.Offset:], uint32(place(f.Target)-place(f.Anchor)))
		}
	}
	var err error
	if e.note, err = json.Marshal(m.Note); err != nil {
		t.Fatal(err)
	}
	return writeTestFile(t, path, e.file()), addrs
}
