package elfpatch

// This file reads .eh_frame_hdr, the sorted table by which an unwinder finds the frame description of an instruction.
//
//	offset size field (Linux Standard Base, Core, 10.6.2)
//	     0    1 version: 1
//	     1    1 encoding of eh_frame_ptr: 1b, an int32 counted from the field itself
//	     2    1 encoding of the count: 03, a uint32
//	     3    1 encoding of the table: 3b, int32 counted from the start of the header
//	     4    4 eh_frame_ptr
//	     8    4 count
//	    12  8*n table: first instruction, frame description entry; sorted by the former
//
// These encodings are the only ones that GNU ld, gold, lld and mold write.

import (
	"debug/elf"
	"fmt"
)

// An FDE is an entry of the sorted search table of .eh_frame_hdr.
type FDE struct {
	PC   uint64 // virtual address of the first instruction that it describes
	Addr uint64 // virtual address of the frame description entry in .eh_frame
}

// EHFrameHdr returns the search table of .eh_frame_hdr, sorted by PC: empty if the image has none.
func (m *Image) EHFrameHdr() ([]FDE, error) {
	var table []byte
	var base uint64
	for _, s := range m.Segments {
		if s.Type == uint32(elf.PT_GNU_EH_FRAME) {
			table, base = m.Data[s.Offset:s.Offset+s.FileSize], s.Addr
		}
	}
	if table == nil {
		return nil, nil
	}
	if len(table) < 12 {
		return nil, damaged(m.Path, "its .eh_frame_hdr has %d bytes", len(table))
	}
	if encoding := string(table[:4]); encoding != "\x01\x1b\x03\x3b" {
		return nil, fmt.Errorf("%s has an .eh_frame_hdr of another form (% x) than linkers write (01 1b 03 3b): "+
			"link it with GNU ld, gold, lld or mold", m.Path, encoding)
	}
	count := uint64(le.Uint32(table[8:]))
	table = table[12:]
	if count > uint64(len(table))/8 {
		return nil, damaged(m.Path, "%d entries do not fit its .eh_frame_hdr", count)
	}
	fdes := make([]FDE, count)
	for i := range fdes {
		entry := table[i*8:]
		fdes[i] = FDE{
			PC:   base + uint64(int64(int32(le.Uint32(entry)))),
			Addr: base + uint64(int64(int32(le.Uint32(entry[4:])))),
		}
		if i > 0 && fdes[i].PC < fdes[i-1].PC {
			return nil, damaged(m.Path, "its .eh_frame_hdr is not sorted at entry %d", i)
		}
	}
	return fdes, nil
}
