package sysimage

// This file writes small ELF files for tests, links images with code that does nothing, and reads files as a process has them in
// memory.

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"os"
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

func writeTestFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// openTest opens an image and closes it with the test.
func openTest(t *testing.T, path string) *Base {
	t.Helper()
	b, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// linkTest links a merged image with functions that only return. It returns the addresses of symbols that others ask for.
func linkTest(t *testing.T, path string, m *Merged, layout elfpatch.Layout, functions []string) map[string]uint64 {
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
	return staticAddrs(t, path, m.Slots, job.Moved())
}

// staticAddrs reads the symbol table of a file; of symbols of one name, the last one. It has no symbols of slots, which are
// the content of a section.
func staticAddrs(t *testing.T, path string, slots []elfpatch.Slot, moved uint64) map[string]uint64 {
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
		addrs[s.Name] = s.Value + moved
	}
	for _, section := range file.Sections {
		for i, s := range slots {
			if section.Name == ".data.slots" {
				addrs[elfpatch.SlotSymbol(s.Name)] = section.Addr + 8*uint64(i) + moved
			}
		}
	}
	return addrs
}

// memory reads the memory of a process that has loaded an image: the files, with what the dynamic loader puts into
// pointers.
type memory struct {
	t        *testing.T
	layers   []*elfpatch.Image
	pointers map[uint64]uint64
}

func newMemory(t *testing.T, layers []*elfpatch.Image) *memory {
	m := &memory{t, layers, map[uint64]uint64{}}
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

func (m *memory) symbol(name string) uint64 {
	for _, im := range m.layers {
		if s, ok := im.Lookup(name); ok {
			return s.Value
		}
	}
	m.t.Fatalf("no symbol %s", name)
	return 0
}

func (m *memory) bytes(addr, size uint64) []byte {
	for i := len(m.layers) - 1; i >= 0; i-- {
		if data, err := m.layers[i].Bytes(addr, size); err == nil {
			return data
		}
	}
	m.t.Fatalf("read of %d bytes at %#x", size, addr)
	return nil
}

func (m *memory) u32(addr uint64) uint32 { return binary.LittleEndian.Uint32(m.bytes(addr, 4)) }

func (m *memory) i32(addr uint64) uint64 { return uint64(int64(int32(m.u32(addr)))) }

func (m *memory) u64(addr uint64) uint64 { return binary.LittleEndian.Uint64(m.bytes(addr, 8)) }

func (m *memory) pointer(addr uint64) uint64 {
	p, ok := m.pointers[addr]
	if !ok {
		m.t.Fatalf("no pointer at %#x", addr)
	}
	return p
}
