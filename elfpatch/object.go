package elfpatch

// This file reads relocatable objects, ET_REL, as compilers write them. Layouts of headers, symbols and relocations are
// those at the top of image.go. In addition:
//
// Section group (SHT_GROUP; sh_link: symbol table, sh_info: symbol whose name is the signature)
//
//	offset size field
//	     0    4 flags: 1 is GRP_COMDAT
//	     4    4 index of the first member section, and so on to the end
//
// Extended section indices (SHT_SYMTAB_SHNDX; sh_link: symbol table): for each symbol whose st_shndx is SHN_XINDEX, the
// section index as 4 bytes.

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
	Relas     []Rela // offsets lie in the section; Sym is an index into Object.Symbols
}

// Section numbers of an ObjectSymbol that are no index.
const (
	SectionUndefined = 0
	SectionAbsolute  = -1
	SectionCommon    = -2 // Value is the alignment
)

// An ObjectSymbol is a symbol of an object.
type ObjectSymbol struct {
	Name       string
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
