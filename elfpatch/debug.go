package elfpatch

// This file carries the debug information of the bases into a standalone image.
//
// Sections of one name are joined, those of the lowest base first, so its offsets from one debug section into another
// stay what they were. Those of a base above it grow by what is put in front, and addresses by what the base was moved. DWARF does not say where such fields are
// without being parsed as a whole, but the relocations of objects do; therefore a thin image keeps a list of them, in a
// section that nothing loads. The debug information of an image without the list, which another linker wrote, is left
// out unless it is the lowest base, or of an attached library, where the fields are found by reading it (debugmove.go).
//
// Section .chainbuild.debug: for each pair of sections and size of fields, in the order of the names,
//
//	name of the section that the fields are in, 0
//	name of the section that they lead into, or addressTarget, 0
//	1 byte      size of a field in bytes, 4 or 8
//	uvarint     count of fields
//	uvarints    offset of each in bytes, less that of the one before

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const debugFieldsSection = ".chainbuild.debug"

// A debugGroup is what fields of debug information have in common.
type debugGroup struct {
	section, target string
	size            int
}

func isDebug(s *SectionHeader) bool {
	return strings.HasPrefix(s.Name, ".debug_") && s.Flags&uint64(elf.SHF_ALLOC) == 0 && s.Size > 0
}

// addDebugFields lists the fields of a thin image.
func (l *linker) addDebugFields() {
	if l.job.Layout == Standalone {
		return // it can only be the lowest base
	}
	groups := debugFields{}
	for number := range l.objects {
		for _, p := range l.pieces[number] {
			if p == nil || p.section.Flags&uint64(elf.SHF_ALLOC) != 0 {
				continue
			}
			// Relocations of one target mostly follow each other.
			var last debugGroup
			var fields []uint64
			for i := range p.section.Relas {
				r := &p.section.Relas[i]
				s := l.symbols[number][r.Sym]
				if s.kind != symbolPiece || s.piece.out == nil {
					continue
				}
				g := debugGroup{p.out.name, s.piece.out.name, relocationSize(elf.R_X86_64(r.Type))}
				if s.piece.out.flags&uint64(elf.SHF_ALLOC) != 0 {
					g.target = addressTarget
				}
				if g != last {
					groups[last] = fields
					last, fields = g, groups[g]
				}
				fields = append(fields, p.offset+r.Offset)
			}
			groups[last] = fields
		}
	}
	delete(groups, debugGroup{})
	if len(groups) == 0 {
		return
	}
	b := groups.encode()
	out := l.output(debugFieldsSection, uint32(elf.SHT_PROGBITS), 0)
	out.data, out.size = b, uint64(len(b))
}

// encode writes the list.
func (f debugFields) encode() []byte {
	var order []debugGroup
	for g := range f {
		order = append(order, g)
	}
	slices.SortFunc(order, func(a, b debugGroup) int {
		return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.target, b.target), cmp.Compare(a.size, b.size))
	})
	var b []byte
	for _, g := range order {
		b = append(append(b, g.section...), 0)
		b = append(append(b, g.target...), 0)
		fields := f[g]
		slices.Sort(fields)
		fields = slices.Compact(fields)
		b = append(b, byte(g.size))
		b = binary.AppendUvarint(b, uint64(len(fields)))
		previous := uint64(0)
		for _, offset := range fields {
			b = binary.AppendUvarint(b, offset-previous)
			previous = offset
		}
	}
	return b
}

// carryDebug joins the debug information of a base to what there is of those below it.
func (l *linker) carryDebug(m *Image) error {
	moved := m.Moved()
	contents := map[string][]byte{}
	shifts := map[string]uint64{}
	shifted := false
	for i := range m.Sections {
		s := &m.Sections[i]
		if !isDebug(s) {
			continue
		}
		if s.Flags&uint64(elf.SHF_COMPRESSED) != 0 {
			return fmt.Errorf("%s has a compressed section %s, which cannot be joined with others: "+
				"use a thin image, or decompress it with objcopy --decompress-debug-sections", m.Path, s.Name)
		}
		contents[s.Name] = m.SectionData(s)
		if out := l.outputs[s.Name]; out != nil {
			for _, p := range out.pieces {
				shifts[s.Name] += p.size
			}
			shifted = true
		}
	}
	if moved != 0 || shifted {
		shifts[addressTarget] = moved
		fields, _, ok := m.Section(debugFieldsSection)
		if !ok && slices.Contains(l.job.Attached, m) {
			found, err := debugFieldsOf(contents)
			fields, ok = found.encode(), err == nil
		}
		if !ok {
			return nil
		}
		if err := shiftDebug(m.Path, contents, fields, shifts); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(contents) {
		p := &piece{number: -1, data: contents[name], size: uint64(len(contents[name])), align: 1}
		if err := l.place(p, name, uint32(elf.SHT_PROGBITS), 0); err != nil {
			return err
		}
	}
	return nil
}

// shiftDebug replaces contents, debug sections of the image called name, by copies in which the listed fields grew by
// what shifts says of the section that they lead into.
func shiftDebug(name string, contents map[string][]byte, fields []byte, shifts map[string]uint64) error {
	wrong := func() error { return damaged(name, "its list of debug fields does not fit its debug sections") }
	copied := map[string]bool{}
	for len(fields) > 0 {
		section, rest, ok := bytes.Cut(fields, []byte{0})
		target, rest, ok2 := bytes.Cut(rest, []byte{0})
		if !ok || !ok2 || len(rest) == 0 {
			return wrong()
		}
		size := uint64(rest[0])
		count, n := binary.Uvarint(rest[1:])
		if n <= 0 || size != 4 && size != 8 {
			return wrong()
		}
		fields = rest[1+n:]
		data, shift := contents[string(section)], shifts[string(target)]
		if shift != 0 && !copied[string(section)] {
			data = slices.Clone(data)
			contents[string(section)], copied[string(section)] = data, true
		}
		at := uint64(0)
		for range count {
			delta, n := binary.Uvarint(fields)
			at += delta
			if n <= 0 || delta > uint64(len(data)) || at > uint64(len(data)) || size > uint64(len(data))-at {
				return wrong()
			}
			fields = fields[n:]
			switch {
			case shift == 0:
			case size == 8:
				le.PutUint64(data[at:], le.Uint64(data[at:])+shift)
			case uint64(le.Uint32(data[at:]))+shift > 0xffffffff:
				return fmt.Errorf("the debug information of %s and the images below it exceeds 4 GiB together: "+
					"use a thin image", name)
			default:
				le.PutUint32(data[at:], le.Uint32(data[at:])+uint32(shift))
			}
		}
	}
	return nil
}
