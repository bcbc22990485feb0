package elfpatch

// This file writes ELF headers; their layouts are at the top of image.go.

import "debug/elf"

// appendFileHeader appends the ELF header of a file of some kind (ET_DYN, ET_REL). SegmentsAt and sectionsAt are offsets
// of the program and section headers in bytes, 0 where there are none; names is the index of the section that holds
// the names of sections.
func appendFileHeader(b []byte, kind elf.Type, segmentsAt uint64, segments int, sectionsAt uint64, sections, names int) []byte {
	b = append(b, elf.ELFMAG...)
	b = append(b, byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT), byte(elf.ELFOSABI_NONE))
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint16(b, uint16(kind))
	b = le.AppendUint16(b, uint16(elf.EM_X86_64))
	b = le.AppendUint32(b, uint32(elf.EV_CURRENT))
	b = le.AppendUint64(b, 0) // e_entry
	b = le.AppendUint64(b, segmentsAt)
	b = le.AppendUint64(b, sectionsAt)
	b = le.AppendUint32(b, 0) // e_flags
	programHeader := uint16(programHeaderSize)
	if segments == 0 {
		programHeader = 0
	}
	for _, v := range []uint16{headerSize, programHeader, uint16(segments), sectionHeaderSize, uint16(sections), uint16(names)} {
		b = le.AppendUint16(b, v)
	}
	return b
}

// appendTo appends the program header.
func (s *Segment) appendTo(b []byte) []byte {
	b = le.AppendUint32(b, s.Type)
	b = le.AppendUint32(b, s.Flags)
	for _, v := range []uint64{s.Offset, s.Addr, s.Addr, s.FileSize, s.MemSize, s.Align} {
		b = le.AppendUint64(b, v)
	}
	return b
}

// appendTo appends the section header; name is the offset in bytes of its name in the table of section names.
func (s *SectionHeader) appendTo(b []byte, name uint32) []byte {
	b = le.AppendUint32(b, name)
	b = le.AppendUint32(b, s.Type)
	for _, v := range []uint64{s.Flags, s.Addr, s.Offset, s.Size} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, s.Link)
	b = le.AppendUint32(b, s.Info)
	b = le.AppendUint64(b, s.Align)
	return le.AppendUint64(b, s.EntrySize)
}
