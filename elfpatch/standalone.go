package elfpatch

// This file copies the bases, and attached libraries, into a standalone image.
//
// All that a program can see of a base stays at its virtual address: code, constants and data of the segments. What
// only the loader reads is made anew for the image as a whole, and the base's own tables become dead bytes.
//
//	segments           copied, less the pages of Job.Drop, which leave a hole that nothing uses
//	relocations        copied; those that lead from one base into another become relative ones
//	exports            kept, unless the image or a nearer base defines the same name: as in a chain of
//	                   thin images, the loader binds every reference by name to the nearest definition
//	imports            kept, with their versions; needed libraries likewise, except the bases
//	constructors       left out: those of compilers' start files have nothing to do, and guards have nothing to
//	                   guard, since distances within one image are what they were in the files
//	frames             the search table covers those of the bases, where they are
//	.symtab            copied, as local symbols
//	debug information  see debug.go
//
// The page of the ELF header at address 0 belongs to the lowest base; the program headers do not fit there and come
// with the new sections.

import (
	"cmp"
	"debug/elf"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// carried is what an image takes over from its bases. It is empty for a thin image.
type carried struct {
	segments []Segment   // PT_LOAD of the new file
	ranges   []fileRange // the bytes of those
	fileEnd  uint64      // where they end in the file
	bytes    uint64
	holes    []Fingerprint // pages that were left out
	sections []*output     // loaded sections of the bases
	needed   []string
	runpath  []string
	frames   []FDE
	symbols  []carriedSymbol
	relocs   []carriedReloc
	exports  []carriedExport
}

type fileRange struct {
	offset uint64
	data   []byte
}

// A carriedSymbol is an entry of a base's .symtab.
type carriedSymbol struct {
	name        uint32 // offset in symbolTable.names
	info        uint8
	value, size uint64
	section     *output // nil for an absolute number
}

type carriedReloc struct {
	Rela             // Sym is unused
	symbol dynHandle // 0 for none
}

type carriedExport struct {
	handle dynHandle
	symbol DynSymbol
}

func (l *linker) carryBases() error {
	if l.job.Layout == Thin {
		return nil
	}
	c := &l.carried
	if err := l.findHoles(); err != nil {
		return err
	}
	lowest := l.job.Bases[len(l.job.Bases)-1]
	for _, m := range l.job.byAddress() {
		if err := l.carrySegments(m, m == lowest); err != nil {
			return err
		}
		if err := l.carryDebug(m); err != nil {
			return err
		}
		frames, err := m.Frames()
		if err != nil {
			return err
		}
		c.frames = append(c.frames, frames...)
	}
	if len(c.segments) == 0 || c.segments[0].Addr != 0 || c.segments[0].FileSize < headerSize {
		return fmt.Errorf("%s does not begin at address 0 with its ELF header, so there is no place for that of the "+
			"new image: use a thin image", l.job.Bases[len(l.job.Bases)-1].Path)
	}
	// The new ELF header takes the place of the old one.
	c.ranges[0] = fileRange{headerSize, c.ranges[0].data[headerSize:]}
	l.carryNeeded()
	return nil
}

// findHoles turns Job.Drop into whole pages.
func (l *linker) findHoles() error {
	for _, d := range l.job.Drop {
		if _, err := l.baseOf(d.Base); err != nil {
			return err
		}
		from, to := alignUp(d.Addr, pageSize), (d.Addr+d.Size)&^(pageSize-1)
		if to > from {
			l.carried.holes = append(l.carried.holes, Fingerprint{d.Base, from, to - from})
		}
	}
	slices.SortFunc(l.carried.holes, func(a, b Fingerprint) int { return cmp.Compare(a.Addr, b.Addr) })
	return nil
}

// inHole says whether an address was left out.
func (c *carried) inHole(addr uint64) bool {
	for _, h := range c.holes {
		if addr >= h.Addr && addr-h.Addr < h.Size {
			return true
		}
	}
	return false
}

// A keptRange is a range of virtual addresses.
type keptRange struct{ from, to uint64 }

// kept cuts the holes out of a range of addresses.
func (c *carried) kept(from, to uint64) []keptRange {
	var parts []keptRange
	for _, h := range c.holes {
		if h.Addr >= to || h.Addr+h.Size <= from {
			continue
		}
		if h.Addr > from {
			parts = append(parts, keptRange{from, h.Addr})
		}
		from = max(from, h.Addr+h.Size)
	}
	if from < to {
		parts = append(parts, keptRange{from, to})
	}
	return parts
}

// carrySegments copies the segments of a base and lists its sections. Pages with nothing but headers are worth copying
// only from the lowest one, as the place of the new header.
func (l *linker) carrySegments(m *Image, lowest bool) error {
	c := &l.carried
	for _, s := range m.Segments {
		if s.Type == uint32(elf.PT_TLS) && s.MemSize > 0 {
			return fmt.Errorf("%s has thread-local data, which cannot be copied: use a thin image", m.Path)
		}
	}
	var segments []Segment
	for _, s := range m.Segments {
		if s.Type == uint32(elf.PT_LOAD) && s.MemSize > 0 && (lowest || !headersOnly(m, s)) {
			segments = append(segments, s)
		}
	}
	slices.SortFunc(segments, func(a, b Segment) int { return cmp.Compare(a.Addr, b.Addr) })
	for _, s := range segments {
		for _, k := range c.kept(s.Addr, s.Addr+s.MemSize) {
			// Whatever the base's segments were aligned to, its addresses are what they were, and the loader maps pages.
			n := Segment{Type: s.Type, Flags: s.Flags, Addr: k.from, MemSize: k.to - k.from, Align: pageSize}
			n.Offset = alignUp(c.fileEnd, pageSize) + k.from%pageSize
			if fileEnd := s.Addr + s.FileSize; fileEnd > k.from {
				n.FileSize = min(fileEnd, k.to) - k.from
				at := s.Offset + (k.from - s.Addr)
				c.ranges = append(c.ranges, fileRange{n.Offset, m.Data[at : at+n.FileSize]})
				c.fileEnd = n.Offset + n.FileSize
				c.bytes += n.FileSize
			}
			c.segments = append(c.segments, n)
		}
	}
	for i := range m.Sections {
		c.carrySection(&m.Sections[i])
	}
	return nil
}

// carrySection lists what is left of a loaded section, unless only loaders read it.
func (c *carried) carrySection(s *SectionHeader) {
	if s.Flags&uint64(elf.SHF_ALLOC) == 0 || s.Size == 0 || s.Name == ".eh_frame_hdr" {
		return
	}
	switch elf.SectionType(s.Type) {
	case elf.SHT_PROGBITS, elf.SHT_NOBITS, sectionUnwindType:
	default:
		return
	}
	for _, k := range c.kept(s.Addr, s.Addr+s.Size) {
		for _, n := range c.segments {
			if k.from < n.Addr || k.to > n.Addr+n.MemSize {
				continue
			}
			out := &output{name: s.Name, kind: s.Type, flags: s.Flags &^ uint64(elf.SHF_INFO_LINK|elf.SHF_LINK_ORDER),
				align: s.Align, entrySize: s.EntrySize,
				size: k.to - k.from, addr: k.from, offset: n.Offset + (k.from - n.Addr)}
			if k.from != s.Addr {
				out.align = pageSize
			}
			c.sections = append(c.sections, out)
		}
	}
}

// sectionAt is the section of the bases that holds an address, nil if none does.
func (c *carried) sectionAt(addr uint64) *output {
	for _, s := range c.sections {
		if addr >= s.addr && addr-s.addr < s.size {
			return s
		}
	}
	return nil
}

// carryNeeded lists the libraries that the image needs in place of its bases, and where these have them searched.
func (l *linker) carryNeeded() {
	isBase := func(name string) bool {
		return slices.ContainsFunc(l.job.Bases, func(m *Image) bool {
			return name == m.Path || name == m.Soname() || name == filepath.Base(m.Path)
		})
	}
	for _, m := range l.job.libraries() {
		for _, name := range m.Needed() {
			if !isBase(name) && !slices.Contains(l.carried.needed, name) {
				l.carried.needed = append(l.carried.needed, name)
			}
		}
		home := filepath.Dir(m.Path)
		origin := strings.NewReplacer("$ORIGIN", home, "${ORIGIN}", home)
		for _, folder := range filepath.SplitList(m.Runpath()) {
			folder = origin.Replace(folder)
			if !slices.Contains(l.carried.runpath, folder) {
				l.carried.runpath = append(l.carried.runpath, folder)
			}
		}
	}
}

// carryTables decides what the dynamic symbols and relocations of the bases become.
func (l *linker) carryTables() error {
	if l.job.Layout == Thin {
		return nil
	}
	t, c := &l.loader, &l.carried
	defined := map[string]dynHandle{}
	for _, e := range t.exports {
		defined[e.symbol.name] = e.handle
	}
	for _, m := range l.job.Bases {
		for _, s := range m.DynSymbols() {
			bind := elf.ST_BIND(s.Info)
			if s.Shndx == 0 || bind == elf.STB_LOCAL || everyLibraryHas[s.Name] || defined[s.Name] != 0 ||
				c.inHole(s.Value) {
				continue
			}
			h := t.dynamic.define(s.Name, elf.ST_TYPE(s.Info), s.Size)
			if bind == elf.STB_WEAK {
				t.dynamic.weaken(h)
			}
			defined[s.Name] = h
			c.exports = append(c.exports, carriedExport{h, s})
		}
	}
	for _, b := range l.bases {
		if err := l.carryRelocs(b, defined); err != nil {
			return err
		}
	}
	t.relas += len(c.relocs)
	return nil
}

func (l *linker) carryRelocs(b *base, defined map[string]dynHandle) error {
	t, c, m := &l.loader, &l.carried, b.image
	late, err := m.latePointers()
	if err != nil {
		return err
	}
	for _, r := range late {
		c.relocs = append(c.relocs, carriedReloc{Rela: r})
	}
	symbols := m.DynSymbols()
	for _, r := range m.Relocs() {
		if c.inHole(r.Offset) {
			continue
		}
		n := carriedReloc{Rela: r}
		switch kind := elf.R_X86_64(r.Type); kind {
		case elf.R_X86_64_NONE:
			continue
		case elf.R_X86_64_RELATIVE, elf.R_X86_64_IRELATIVE:
		case elf.R_X86_64_64, elf.R_X86_64_GLOB_DAT, elf.R_X86_64_JMP_SLOT:
			if kind != elf.R_X86_64_64 {
				n.Addend = 0 // has no meaning for the loader
			}
			s := symbols[r.Sym]
			if b.attached && s.Shndx != 0 {
				// What it defines itself is what it means, as when it was opened alone.
				n.Type, n.Addend = uint32(elf.R_X86_64_RELATIVE), int64(s.Value)+n.Addend
			} else if addr, ok := l.inOtherBase(m, s, defined); ok {
				n.Type, n.Addend = uint32(elf.R_X86_64_RELATIVE), int64(addr)+n.Addend
			} else if n.symbol = defined[s.Name]; n.symbol == 0 || elf.ST_BIND(s.Info) == elf.STB_LOCAL {
				if s.Shndx != 0 {
					n.Type, n.Addend, n.symbol = uint32(elf.R_X86_64_RELATIVE), int64(s.Value)+n.Addend, 0
					break
				}
				n.symbol = t.importSymbol(s.Name, s, elf.ST_BIND(s.Info) == elf.STB_WEAK)
			}
		default:
			return fmt.Errorf("%s has a relocation of type %s at %#x, which cannot be copied: use a thin image",
				m.Path, relocationName(kind), r.Offset)
		}
		c.relocs = append(c.relocs, n)
	}
	return nil
}

// inOtherBase says where a symbol lies that a thin base leaves to its own base to define.
func (l *linker) inOtherBase(m *Image, s DynSymbol, defined map[string]dynHandle) (uint64, bool) {
	if s.Shndx != 0 {
		return 0, false
	}
	for _, e := range l.loader.exports {
		if e.symbol.name == s.Name {
			return 0, false // the image's own goes first
		}
	}
	for _, other := range l.job.Bases {
		if other == m {
			continue
		}
		if d, ok := other.Lookup(s.Name); ok && elf.ST_TYPE(d.Info) != elf.STT_GNU_IFUNC {
			return d.Value, true
		}
	}
	return 0, false
}

// fillCarried gives the loader's tables the addresses of what was taken over.
func (l *linker) fillCarried() {
	d, c := &l.loader.dynamic, &l.carried
	for _, e := range c.exports {
		section := uint16(elf.SHN_ABS)
		if e.symbol.Shndx < uint16(elf.SHN_LORESERVE) {
			// The loader asks for no more than that there is one.
			section = uint16(l.loader.buildID.index)
			if s := c.sectionAt(e.symbol.Value); s != nil {
				section = uint16(s.index)
			}
		}
		d.setValue(e.handle, e.symbol.Value, section)
	}
	for _, r := range c.relocs {
		d.rela(r.Offset, elf.R_X86_64(r.Type), r.symbol, r.Addend)
	}
}

// carrySymbols takes the symbol tables of the bases over.
func (l *linker) carrySymbols() {
	if l.job.Layout == Thin {
		return
	}
	c, t := &l.carried, &l.symtab
	for _, m := range l.job.byAddress() {
		for i := range m.Sections {
			if h := &m.Sections[i]; h.Type == uint32(elf.SHT_SYMTAB) && uint64(h.Link) < uint64(len(m.Sections)) {
				shift := uint32(len(t.names))
				t.names = append(t.names, m.SectionData(&m.Sections[h.Link])...)
				t.names = append(t.names, 0)
				c.appendSymbols(m.SectionData(h), shift, uint32(len(t.names)), m.Moved())
			}
		}
	}
}

// appendSymbols takes over a table of symbols of an image that was moved.
func (c *carried) appendSymbols(table []byte, shift, end uint32, moved uint64) {
	for ; len(table) >= symbolSize; table = table[symbolSize:] {
		kind, index, value := elf.ST_TYPE(table[4]), le.Uint16(table[6:]), le.Uint64(table[8:])
		if index == 0 || kind != elf.STT_FUNC && kind != elf.STT_OBJECT && kind != elf.STT_NOTYPE {
			continue
		}
		s := carriedSymbol{name: shift + le.Uint32(table), info: elf.ST_INFO(elf.STB_LOCAL, kind), value: value,
			size: le.Uint64(table[16:])}
		if s.name < shift || s.name >= end {
			continue
		}
		if index != uint16(elf.SHN_ABS) {
			value += moved
			s.value = value
			if s.section = c.sectionAt(value); s.section == nil {
				continue // in a hole, or in a table of the loader
			}
		}
		c.symbols = append(c.symbols, s)
	}
}
