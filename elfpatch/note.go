package elfpatch

// This file reads and writes notes: small records that travel with an image.
//
//	offset size field (System V gABI, chapter 5, "Note Section")
//	     0    4 size of the name in bytes, with its terminating zero
//	     4    4 size of the descriptor in bytes
//	     8    4 type
//	    12      name, padded with zeros to the segment's alignment, 4 or 8
//	            descriptor, padded likewise

import "debug/elf"

// The notes that images carry.
const (
	noteOwner = "chainbuild"
	noteType  = 1

	buildIDOwner = "GNU"
	buildIDType  = 3 // NT_GNU_BUILD_ID
)

// BuildID returns the descriptor of the GNU build-id note, nil if the image has none.
func (m *Image) BuildID() []byte { return m.buildID }

// Note returns the content that Job.Note gave to the image when it was written, nil for an image that others linked.
func (m *Image) Note() []byte { return m.note }

// parseNotes remembers the first note of each kind that is known. Notes are hints: damaged ones are passed over.
func (m *Image) parseNotes() {
	for _, s := range m.Segments {
		if s.Type != uint32(elf.PT_NOTE) {
			continue
		}
		align := uint64(4)
		if s.Align == 8 {
			align = 8
		}
		for rest := m.Data[s.Offset : s.Offset+s.FileSize]; len(rest) >= 12; {
			length := uint64(len(rest))
			nameEnd := 12 + uint64(le.Uint32(rest))
			descStart := alignUp(nameEnd, align)
			descEnd := descStart + uint64(le.Uint32(rest[4:]))
			if descEnd > length {
				break
			}
			name, desc := string(rest[12:nameEnd]), rest[descStart:descEnd:descEnd]
			switch kind := le.Uint32(rest[8:]); {
			case name == buildIDOwner+"\x00" && kind == buildIDType && m.buildID == nil:
				m.buildID = desc
			case name == noteOwner+"\x00" && kind == noteType && m.note == nil:
				m.note = desc
			}
			rest = rest[min(alignUp(descEnd, align), length):]
		}
	}
}

// appendNote appends a note in the form that 4 byte alignment asks for.
func appendNote(b []byte, owner string, kind uint32, desc []byte) []byte {
	b = le.AppendUint32(b, uint32(len(owner)+1))
	b = le.AppendUint32(b, uint32(len(desc)))
	b = le.AppendUint32(b, kind)
	b = append(b, owner...)
	b = append(b, 0)
	b = append(b, make([]byte, -len(b)&3)...)
	b = append(b, desc...)
	return append(b, make([]byte, -len(b)&3)...)
}

// alignUp rounds n up to a multiple of align, a power of two.
func alignUp(n, align uint64) uint64 { return (n + align - 1) &^ (align - 1) }
