package elfpatch

// This file carries the debug information of the bases into a standalone image.
//
// Sections of one name are joined, those of the lowest base first: so their offsets into each other stay what they were.

import (
	"debug/elf"
	"fmt"
	"strings"
)

func (l *linker) carryDebug(m *Image) error {
	for i := range m.Sections {
		s := &m.Sections[i]
		if !strings.HasPrefix(s.Name, ".debug_") || s.Flags&uint64(elf.SHF_ALLOC) != 0 || s.Size == 0 {
			continue
		}
		if s.Flags&uint64(elf.SHF_COMPRESSED) != 0 {
			return fmt.Errorf("%s has a compressed section %s, which cannot be joined with others: use a thin image, or decompress it with objcopy --decompress-debug-sections", m.Path, s.Name)
		}
		p := &piece{number: -1, data: m.SectionData(s), size: s.Size, align: 1}
		if err := l.place(p, s.Name, uint32(elf.SHT_PROGBITS), 0); err != nil {
			return err
		}
	}
	return nil
}
