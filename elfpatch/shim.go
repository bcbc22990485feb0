package elfpatch

// This file writes a shim: a shared object of less than a page that stands in for a library. A host that loads the shim
// gets the library with it, as a needed one, and finds all of its symbols through that dependency, all but one: Symbol,
// which the shim defines itself as an indirect function (STT_GNU_IFUNC). Looking it up runs the shim's code, at a moment
// that the host does not know of: between what it does before that lookup and what it does after. The code clears a
// variable of the host and answers with the address that the library's own Symbol has.
//
// The library's Symbol cannot be asked for by name, since the shim hides it; it lies at a known distance from another
// symbol of the library, the anchor.
//
//	offset  contents                                   segment
//	0       ELF header, program headers                read
//	        .gnu.hash .dynsym .dynstr .rela.dyn
//	        .text: the resolver                        read, execute
//	        .dynamic .got: addresses of Anchor, Clear  read, write
//	        names of sections, section headers         not loaded
//
// The file has no gaps: each segment lies one page further in memory than its place in the file says.

import (
	"debug/elf"
	"fmt"
	"io"
	"math"
	"slices"
)

// A Shim says what WriteShim writes.
type Shim struct {
	// Needed is the library, as the dynamic loader will be asked for it: an absolute path, or a name that is searched in
	// Runpath.
	Needed string
	// Runpath is where Needed is searched; "" for none.
	Runpath string
	// Symbol is what the shim defines. Its address is that of the dynamic symbol Anchor plus Delta bytes.
	Symbol, Anchor string
	Delta          int64
	// Clear is a dynamic symbol, of a library that the host has loaded, of which ClearSize bytes (1, 2, 4 or 8) at
	// ClearOffset are set to zero when Symbol is looked up.
	Clear       string
	ClearOffset int64
	ClearSize   int
}

const pageSize = 0x1000

// WriteShim writes the shared object. A shim that cannot be expressed is refused before anything is written; errors of
// w come back wrapped.
func WriteShim(w io.Writer, s Shim) error {
	for _, text := range []struct{ what, value string }{
		{"library", s.Needed}, {"symbol", s.Symbol}, {"anchor", s.Anchor}, {"variable to clear", s.Clear},
	} {
		if text.value == "" {
			return fmt.Errorf("the shim for %q names no %s: give one", s.Needed, text.what)
		}
	}
	if s.ClearOffset != int64(int32(s.ClearOffset)) {
		return fmt.Errorf("the shim for %s cannot clear %s at offset %d: offsets beyond 2 GiB are not supported",
			s.Needed, s.Clear, s.ClearOffset)
	}

	var code Asm
	code.Load(RCX, AtGOT(s.Clear))
	code.StoreImm(At(RCX, int32(s.ClearOffset)), s.ClearSize, 0)
	if s.Delta >= math.MinInt32 && s.Delta <= math.MaxInt32 {
		code.Load(RAX, AtGOT(s.Anchor))
		code.AddImm(RAX, int32(s.Delta))
	} else {
		code.MoveImm(RAX, s.Delta)
		code.AddMem(RAX, AtGOT(s.Anchor))
	}
	code.Return()
	text, err := code.Bytes()
	if err != nil {
		return fmt.Errorf("the shim for %s cannot clear %d bytes of %s: %w", s.Needed, s.ClearSize, s.Clear, err)
	}

	var d dynamic
	d.addNeeded(s.Needed)
	d.setRunpath(s.Runpath)
	symbol := d.define(s.Symbol, elf.STT_GNU_IFUNC, uint64(len(text)))
	got := []dynHandle{d.importSym(s.Anchor, "", "")}
	if s.Clear != s.Anchor {
		got = append(got, d.importSym(s.Clear, "", ""))
	}
	d.reserveRelas(len(got))
	sections := d.layout()

	dynamicSection := sections[len(sections)-1]
	textSection := &dynSection{name: ".text", kind: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, align: 16,
		size: uint64(len(text)), data: text}
	gotSection := &dynSection{name: ".got", kind: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_WRITE, align: 8,
		entrySize: 8, size: uint64(8 * len(got)), data: make([]byte, 8*len(got))}
	sections = slices.Insert(sections, len(sections)-1, textSection)
	sections = append(sections, gotSection)

	segments, end := placeShim(sections)
	dynamicOffset := shimOffset(segments, dynamicSection.addr)
	segments = append(segments,
		Segment{Type: uint32(elf.PT_DYNAMIC), Flags: uint32(elf.PF_R | elf.PF_W), Offset: dynamicOffset,
			Addr: dynamicSection.addr, FileSize: dynamicSection.size, MemSize: dynamicSection.size, Align: 8},
		Segment{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16})

	gotAt := map[string]uint64{}
	for i, h := range got {
		addr := gotSection.addr + uint64(8*i)
		gotAt[d.symbols[h-1].name] = addr
		d.rela(addr, elf.R_X86_64_GLOB_DAT, h, 0)
	}
	for _, r := range code.References() {
		le.PutUint32(text[r.Offset:], uint32(gotAt[r.Symbol]+uint64(r.Addend)-(textSection.addr+r.Offset)))
	}
	d.setValue(symbol, textSection.addr, uint16(1+slices.Index(sections, textSection)))
	if err := d.finish(); err != nil {
		return err
	}
	if _, err := w.Write(shimFile(sections, segments, end)); err != nil {
		return fmt.Errorf("the shim for %s cannot be written: %w", s.Needed, err)
	}
	return nil
}

// The number of a shim's program headers: three PT_LOADs, PT_DYNAMIC, PT_GNU_STACK.
const shimSegments = 5

// placeShim gives addresses to the sections and returns the PT_LOADs that cover them, and the end of what they hold in the
// file.
func placeShim(sections []*dynSection) (segments []Segment, end uint64) {
	flags := func(s *dynSection) elf.ProgFlag {
		switch {
		case s.flags&elf.SHF_EXECINSTR != 0:
			return elf.PF_R | elf.PF_X
		case s.flags&elf.SHF_WRITE != 0:
			return elf.PF_R | elf.PF_W
		}
		return elf.PF_R
	}
	segments = []Segment{{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Align: pageSize}}
	at := uint64(headerSize + shimSegments*programHeaderSize)
	for _, s := range sections {
		at = alignUp(at, s.align)
		last := &segments[len(segments)-1]
		if last.Flags != uint32(flags(s)) {
			at += pageSize
			segments = append(segments, Segment{Type: uint32(elf.PT_LOAD), Flags: uint32(flags(s)), Align: pageSize,
				Offset: at - pageSize*uint64(len(segments)), Addr: at})
			last = &segments[len(segments)-1]
		}
		s.addr = at
		at += s.size
		last.FileSize = at - last.Addr
		last.MemSize = last.FileSize
	}
	last := segments[len(segments)-1]
	return segments, last.Offset + last.FileSize
}

// shimOffset returns where in the file an address of one of the segments is.
func shimOffset(segments []Segment, addr uint64) uint64 {
	i := slices.IndexFunc(segments, func(s Segment) bool { return addr >= s.Addr && addr <= s.Addr+s.FileSize })
	return addr - segments[i].Addr + segments[i].Offset
}

// shimFile puts the file together.
func shimFile(sections []*dynSection, segments []Segment, end uint64) []byte {
	names := []byte{0}
	nameAt := map[string]uint32{}
	index := map[string]uint32{"": 0}
	sections = append(sections, &dynSection{name: ".shstrtab", kind: elf.SHT_STRTAB, align: 1})
	for i, s := range sections {
		index[s.name] = uint32(i + 1)
		nameAt[s.name] = uint32(len(names))
		names = append(append(names, s.name...), 0)
	}
	namesSection := sections[len(sections)-1]
	namesSection.data, namesSection.size = names, uint64(len(names))
	headersAt := alignUp(end+namesSection.size, 8)

	b := appendFileHeader(nil, elf.ET_DYN, headerSize, len(segments), headersAt, len(sections)+1, len(sections))
	b[elf.EI_OSABI] = byte(elf.ELFOSABI_LINUX) // as ld does where there is an STT_GNU_IFUNC
	for i := range segments {
		b = segments[i].appendTo(b)
	}
	table := (&SectionHeader{}).appendTo(nil, 0)
	for _, s := range sections {
		header := SectionHeader{Type: uint32(s.kind), Flags: uint64(s.flags), Addr: s.addr, Offset: end, Size: s.size,
			Link: index[s.link], Info: s.info, Align: s.align, EntrySize: s.entrySize}
		if s != namesSection {
			header.Offset = shimOffset(segments, s.addr)
		}
		table = header.appendTo(table, nameAt[s.name])
		b = append(b, make([]byte, header.Offset-uint64(len(b)))...)
		b = append(b, s.data...)
	}
	b = append(b, make([]byte, headersAt-uint64(len(b)))...)
	return append(b, table...)
}
