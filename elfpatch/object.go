package elfpatch

// This file reads relocatable objects, ET_REL, as compilers write them. Layouts of headers are those at the top of
// image.go, those of symbols and relocations at the top of imagedynamic.go. In addition:
//
// Section group (SHT_GROUP; sh_link: symbol table, sh_info: symbol whose name is the signature)
//
//	offset size field
//	     0    4 flags: 1 is GRP_COMDAT
//	     4    4 index of the first member section, and so on to the end
//
// Extended section indices (SHT_SYMTAB_SHNDX; sh_link: symbol table): for each symbol whose st_shndx is SHN_XINDEX, the
// section index as 4 bytes.

import (
	"debug/elf"
	"fmt"
)

// An Object is a relocatable object, ready to be linked.
type Object struct {
	// Name for messages: a path or what the object was made from.
	Name string
	// Sections by their ELF section index, the null section at 0. Relocation sections are in the list too, but what
	// they hold is in Relas of the sections that they apply to.
	Sections []ObjectSection
	// Symbols by their ELF symbol index, the null symbol at 0.
	Symbols []ObjectSymbol
	// Groups are the section groups.
	Groups []ObjectGroup
}

// An ObjectSection is a section of an object.
type ObjectSection struct {
	Name      string
	Type      uint32 // SHT_PROGBITS …
	Flags     uint64 // SHF_ALLOC|…
	Align     uint64 // a power of two, at least 1
	EntrySize uint64
	Data      []byte // nil for SHT_NOBITS
	Size      uint64 // bytes; len(Data) except for SHT_NOBITS
	Link      uint32 // sh_link, a section index: what SHF_LINK_ORDER refers to
	// Relas apply to the section. Their offsets lie in it, the width of what they change may still reach beyond its
	// end; Sym is an index into Object.Symbols.
	Relas []Rela
}

// Section numbers of an ObjectSymbol that are no index.
const (
	SectionUndefined = 0
	SectionAbsolute  = -1
	SectionCommon    = -2 // Value is the alignment
)

// An ObjectSymbol is a symbol of an object.
type ObjectSymbol struct {
	Name       string // that of the section for a nameless STT_SECTION
	Section    int    // index into Object.Sections, or one of the constants above
	Value      uint64 // offset in the section
	Size       uint64 // bytes
	Bind       uint8  // STB_LOCAL, STB_GLOBAL, STB_WEAK …
	Type       uint8  // STT_FUNC …
	Visibility uint8  // STV_DEFAULT, STV_HIDDEN …
}

// An ObjectGroup is a set of sections that are kept or left out together.
type ObjectGroup struct {
	// Signature names the group. Of the COMDAT groups of one name a link keeps only the first.
	Signature string
	Comdat    bool
	Members   []int // indices into Object.Sections
}

// ParseObject reads a relocatable object. Name stands for it in messages. The object refers to data, which must not
// change. Errors wrap ErrNotELF, ErrMachine, ErrNotObject or ErrDamaged; an object that uses what no x86-64 compiler
// emits, such as relocations without addends, is refused with the reason.
func ParseObject(name string, data []byte) (*Object, error) {
	header, err := parseHeader(name, data)
	if err != nil {
		return nil, err
	}
	if header.kind != elf.ET_REL {
		return nil, fmt.Errorf("%s is %w: give a .o file that a compiler wrote", name, ErrNotObject)
	}
	headers, err := header.sections()
	if err != nil {
		return nil, err
	}
	o := &Object{Name: name, Sections: make([]ObjectSection, len(headers))}
	symtab := 0          // index of the symbol table
	decoded := uint64(0) // bytes of the tables that are unpacked: overlapping ones would multiply the file's size
	for i := range headers {
		h, s := &headers[i], &o.Sections[i]
		*s = ObjectSection{
			Name: h.Name, Type: h.Type, Flags: h.Flags, Align: max(h.Align, 1), EntrySize: h.EntrySize, Size: h.Size, Link: h.Link,
		}
		if s.Align&(s.Align-1) != 0 {
			return nil, damaged(name, "section %s has the alignment %d", s.Name, s.Align)
		}
		switch elf.SectionType(h.Type) {
		case elf.SHT_NULL:
			s.Size = 0
			continue
		case elf.SHT_NOBITS:
			continue
		case elf.SHT_SYMTAB:
			if symtab != 0 {
				return nil, damaged(name, "it has two symbol tables")
			}
			symtab = i
		case elf.SHT_RELA, elf.SHT_GROUP:
			if decoded += h.Size; decoded > uint64(len(data)) {
				return nil, damaged(name, "section %s overlaps others", s.Name)
			}
		case elf.SHT_REL:
			return nil, fmt.Errorf("%s has relocations without addends (section %s), which x86-64 does not use: "+
				"build it with another compiler", name, s.Name)
		}
		if elf.SectionFlag(h.Flags)&elf.SHF_COMPRESSED != 0 {
			return nil, fmt.Errorf("%s has compressed debug information (section %s): compile it with -gz=none", name, s.Name)
		}
		s.Data = data[h.Offset : h.Offset+h.Size : h.Offset+h.Size]
	}
	if symtab != 0 {
		if err := o.parseSymbols(symtab, headers); err != nil {
			return nil, err
		}
	}
	for i := range headers {
		switch elf.SectionType(headers[i].Type) {
		case elf.SHT_RELA:
			err = o.parseRelas(&headers[i], o.Sections[i].Data)
		case elf.SHT_GROUP:
			err = o.parseGroup(&headers[i], o.Sections[i].Data)
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *Object) parseSymbols(symtab int, headers []SectionHeader) error {
	table := o.Sections[symtab].Data
	var names stringTable
	if link := headers[symtab].Link; uint64(link) < uint64(len(headers)) && link != 0 {
		names = stringTable(o.Sections[link].Data)
	}
	var extended []byte
	for i := range headers {
		if h := &headers[i]; elf.SectionType(h.Type) == elf.SHT_SYMTAB_SHNDX && h.Link == uint32(symtab) {
			extended = o.Sections[i].Data
		}
	}
	o.Symbols = make([]ObjectSymbol, len(table)/symbolSize)
	for i := range o.Symbols {
		entry := table[i*symbolSize:]
		s := &o.Symbols[i]
		*s = ObjectSymbol{
			Value: le.Uint64(entry[8:]), Size: le.Uint64(entry[16:]),
			Bind: entry[4] >> 4, Type: entry[4] & 15, Visibility: entry[5] & 3,
		}
		if offset := le.Uint32(entry); offset != 0 {
			var ok bool
			if s.Name, ok = names.at(offset); !ok {
				return damaged(o.Name, "the name of symbol %d lies outside of its string table", i)
			}
		}
		index := uint32(le.Uint16(entry[6:]))
		switch elf.SectionIndex(index) {
		case elf.SHN_ABS:
			s.Section = SectionAbsolute
			continue
		case elf.SHN_COMMON:
			s.Section = SectionCommon
			continue
		case elf.SHN_XINDEX:
			if len(extended) < (i+1)*4 {
				return damaged(o.Name, "symbol %d has no section index", i)
			}
			index = le.Uint32(extended[i*4:])
		}
		if uint64(index) >= uint64(len(headers)) {
			return damaged(o.Name, "symbol %s is in section %d of %d", s.Name, index, len(headers))
		}
		s.Section = int(index)
		if s.Name == "" && elf.SymType(s.Type) == elf.STT_SECTION {
			s.Name = headers[index].Name
		}
	}
	return nil
}

func (o *Object) parseRelas(h *SectionHeader, table []byte) error {
	if h.Info == 0 || uint64(h.Info) >= uint64(len(o.Sections)) {
		return damaged(o.Name, "the relocations of section %s apply to section %d of %d", h.Name, h.Info, len(o.Sections))
	}
	target := &o.Sections[h.Info]
	if target.Relas != nil {
		return damaged(o.Name, "section %s has two relocation sections", target.Name)
	}
	target.Relas = appendRelas(nil, table)
	for i := range target.Relas {
		r := &target.Relas[i]
		if r.Offset >= uint64(len(target.Data)) {
			return damaged(o.Name, "a relocation at %#x lies outside of section %s", r.Offset, target.Name)
		}
		if uint64(r.Sym) >= uint64(len(o.Symbols)) {
			return damaged(o.Name, "a relocation in section %s refers to symbol %d of %d", target.Name, r.Sym, len(o.Symbols))
		}
	}
	return nil
}

func (o *Object) parseGroup(h *SectionHeader, data []byte) error {
	if len(data) < 4 || uint64(h.Info) >= uint64(len(o.Symbols)) {
		return damaged(o.Name, "its section group %s has no signature", h.Name)
	}
	const comdat = 1
	g := ObjectGroup{Signature: o.Symbols[h.Info].Name, Comdat: le.Uint32(data)&comdat != 0}
	for data = data[4:]; len(data) >= 4; data = data[4:] {
		member := le.Uint32(data)
		if uint64(member) >= uint64(len(o.Sections)) {
			return damaged(o.Name, "its section group %s has a member %d of %d sections", g.Signature, member, len(o.Sections))
		}
		g.Members = append(g.Members, int(member))
	}
	o.Groups = append(o.Groups, g)
	return nil
}
