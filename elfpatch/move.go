package elfpatch

// This file gives an image other virtual addresses.
//
// Libraries that know nothing of each other all begin at address 0. Before one of them becomes a part of an image with others
// (Job.Attached), it is moved. Only what its headers and tables say of addresses changes: position independent code means the
// same at any address, and addresses in its data are those of its relocations.

import "debug/elf"

// Move adds by, a multiple of the size of a page, to all virtual addresses of the image. It has to be called before the image is used.
func (m *Image) Move(by uint64) {
	for i := range m.Segments {
		m.Segments[i].Addr += by
	}
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Flags&uint64(elf.SHF_ALLOC) != 0 {
			s.Addr += by
		}
	}
	for i := range m.dynamic.symbols {
		if s := &m.dynamic.symbols[i]; s.Shndx != 0 && s.Shndx < uint16(elf.SHN_LORESERVE) {
			s.Value += by
		}
	}
	for i := range m.dynamic.relocs {
		r := &m.dynamic.relocs[i]
		r.Offset += by
		if kind := elf.R_X86_64(r.Type); kind == elf.R_X86_64_RELATIVE || kind == elf.R_X86_64_IRELATIVE {
			r.Addend += int64(by)
		}
	}
	m.moved += by
}

// Moved is by how much the image was moved.
func (m *Image) Moved() uint64 { return m.moved }
