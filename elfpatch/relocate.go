package elfpatch

// This file applies relocations to copies of the objects' sections.
//
// x86-64 relocations (System V ABI, AMD64 supplement, table 4.9). S is the symbol's address, A the addend, P the address
// of the field, L that of the symbol's stub or else S, G that of its entry in .got, GOT that of .got itself, Z its size.
//
//	type                                     field  value
//	64                                         8    S + A; in a loaded section the loader's task
//	32, 32S, 16, 8                       4, 4, 2, 1 S + A; absolute numbers, and places in debug information
//	PC32, PC64                              4, 8    S + A − P
//	PLT32                                      4    L + A − P
//	PLTOFF64                                   8    L + A − GOT
//	GOTPCREL, GOTPCRELX, REX_GOTPCRELX         4    G + A − P
//	GOTPCREL64                                 8    G + A − P
//	GOT32, GOT64                            4, 8    G + A − GOT
//	GOTOFF64                                   8    S + A − GOT
//	GOTPC32, GOTPC64                        4, 8    GOT + A − P
//	SIZE32, SIZE64                          4, 8    Z + A

import (
	"debug/elf"
	"fmt"
	"strings"
)

// relocationSize is the size in bytes of the field of a relocation, −1 for a type that is not known.
func relocationSize(kind elf.R_X86_64) int {
	switch kind {
	case elf.R_X86_64_NONE:
		return 0
	case elf.R_X86_64_8:
		return 1
	case elf.R_X86_64_16:
		return 2
	case elf.R_X86_64_32, elf.R_X86_64_32S, elf.R_X86_64_PC32, elf.R_X86_64_PLT32,
		elf.R_X86_64_GOTPCREL, elf.R_X86_64_GOTPCRELX, elf.R_X86_64_REX_GOTPCRELX, elf.R_X86_64_GOT32, elf.R_X86_64_GOTPC32, elf.R_X86_64_SIZE32:
		return 4
	case elf.R_X86_64_64, elf.R_X86_64_PC64, elf.R_X86_64_PLTOFF64, elf.R_X86_64_GOTPCREL64, elf.R_X86_64_GOT64,
		elf.R_X86_64_GOTOFF64, elf.R_X86_64_GOTPC64, elf.R_X86_64_SIZE64:
		return 8
	}
	return -1
}

func relocationName(kind elf.R_X86_64) string { return strings.TrimPrefix(kind.String(), "R_X86_64_") }

// relocate applies the relocations of a piece to data, a copy of its bytes.
func (l *linker) relocate(data []byte, p *piece) error {
	symbols := l.symbols[p.number]
	isLoaded := p.section.Flags&uint64(elf.SHF_ALLOC) != 0
	for i := range p.section.Relas {
		r := &p.section.Relas[i]
		var err error
		if isLoaded {
			err = l.apply(data[r.Offset:], r, symbols[r.Sym], p.addr()+r.Offset)
		} else {
			err = l.applyDebug(data, p, r, symbols[r.Sym])
		}
		if err != nil {
			return fmt.Errorf("%s, section %s at %#x: %w", p.object.Name, p.section.Name, r.Offset, err)
		}
	}
	return nil
}

// apply computes one relocation of a loaded section; scan has checked that its field lies within the section.
func (l *linker) apply(field []byte, r *Rela, s *symbol, place uint64) error {
	kind := elf.R_X86_64(r.Type)
	addend := uint64(r.Addend)
	var value uint64
	switch kind {
	case elf.R_X86_64_NONE:
		return nil
	case elf.R_X86_64_64, elf.R_X86_64_32, elf.R_X86_64_32S, elf.R_X86_64_16, elf.R_X86_64_8:
		if !s.isNumber() {
			return nil // the loader's
		}
		value = s.value + addend
	case elf.R_X86_64_PC32, elf.R_X86_64_PC64, elf.R_X86_64_PLT32:
		value = l.callAddr(s) + addend - place
	case elf.R_X86_64_PLTOFF64, elf.R_X86_64_GOTOFF64:
		value = l.callAddr(s) + addend - l.gotOutput.addr
	case elf.R_X86_64_GOTPCREL, elf.R_X86_64_GOTPCRELX, elf.R_X86_64_REX_GOTPCRELX, elf.R_X86_64_GOTPCREL64:
		value = l.entryAddr(s) + addend - place
	case elf.R_X86_64_GOT32, elf.R_X86_64_GOT64:
		value = l.entryAddr(s) + addend - l.gotOutput.addr
	case elf.R_X86_64_GOTPC32, elf.R_X86_64_GOTPC64:
		value = l.gotOutput.addr + addend - place
	case elf.R_X86_64_SIZE32, elf.R_X86_64_SIZE64:
		value = s.size + addend
	}
	return store(field, kind, value, s.name)
}

// callAddr is the address of a symbol's stub if it has one and nothing nearer.
func (l *linker) callAddr(s *symbol) uint64 {
	if s.stubIndex != 0 {
		return l.stubAddr(s)
	}
	return s.addr()
}

// store writes value to the field of a relocation.
func store(field []byte, kind elf.R_X86_64, value uint64, name string) error {
	size := relocationSize(kind)
	unsigned := kind == elf.R_X86_64_32 || kind == elf.R_X86_64_16 || kind == elf.R_X86_64_8 ||
		kind == elf.R_X86_64_SIZE32
	if size < 8 {
		shift := 64 - uint(size)*8
		if unsigned && value<<shift>>shift != value || !unsigned && uint64(int64(value<<shift)>>shift) != value {
			return fmt.Errorf("the distance to %s does not fit the %d bytes of relocation %s: "+
				"link less code and data into one image", name, size, relocationName(kind))
		}
	}
	switch size {
	case 1:
		field[0] = byte(value)
	case 2:
		le.PutUint16(field, uint16(value))
	case 4:
		le.PutUint32(field, uint32(value))
	case 8:
		le.PutUint64(field, value)
	}
	return nil
}

// applyDebug computes one relocation of debug information: addresses of code, and offsets into other debug sections.
func (l *linker) applyDebug(data []byte, p *piece, r *Rela, s *symbol) error {
	kind := elf.R_X86_64(r.Type)
	size := relocationSize(kind)
	if size < 0 {
		return fmt.Errorf("relocations of type %s cannot be linked: compile it without thread-local data",
			relocationName(kind))
	}
	if uint64(size) > uint64(len(data))-r.Offset {
		return fmt.Errorf("the relocation reaches beyond the end of the section: compile it again")
	}
	var value uint64
	switch kind {
	case elf.R_X86_64_NONE:
		return nil
	case elf.R_X86_64_64, elf.R_X86_64_32, elf.R_X86_64_32S:
		value = l.debugAddr(p, s) + uint64(r.Addend)
		if s.kind == symbolDiscarded || s.kind == symbolImport || s.kind == symbolPiece && s.piece.out == nil {
			// Two zeros end a list of ranges, so what describes code that was left out is given the empty range at 1.
			value = 0
			if p.section.Name == ".debug_ranges" || p.section.Name == ".debug_loc" {
				value = 1
			}
		}
	case elf.R_X86_64_SIZE32, elf.R_X86_64_SIZE64:
		value = s.size + uint64(r.Addend)
	case elf.R_X86_64_PC32, elf.R_X86_64_PC64:
		value = l.debugAddr(p, s) + uint64(r.Addend) - (p.offset + r.Offset)
	default:
		return fmt.Errorf("relocations of type %s have no meaning in debug information: compile it again",
			relocationName(kind))
	}
	return store(data[r.Offset:], kind, value, s.name)
}

// debugAddr is the address of a symbol as debug information means it.
func (l *linker) debugAddr(p *piece, s *symbol) uint64 {
	switch {
	case s.kind == symbolSlot && s.stubIndex != 0:
		return l.stubAddr(s)
	case s.kind == symbolSlot || s.kind == symbolPiece && s.piece.out == nil:
		return 0
	}
	return s.addr()
}
