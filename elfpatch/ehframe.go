package elfpatch

// This file joins the .eh_frame sections of the objects and makes the sorted table that unwinders search, .eh_frame_hdr,
// whose layout is at the top of imageframes.go.
//
// A record of .eh_frame (Linux Standard Base, Core, 10.6.1; lengths of 64 bits, 0xffffffff, are refused)
//
//	offset size field
//	     0    4 length of what follows, 0 for the end of the section
//	     4    4 common information (CIE): 0; frame description (FDE): bytes back from here to its CIE
//	     8      CIE: version, augmentation …; FDE: start of the code, its size …
//
// Records are taken over one by one, since those of code that was left out must go, and those of different objects must
// follow each other without a gap: zeros would end the section. Which code an FDE is about is read from the relocation
// at offset 8, so the encoding of its pointers need not be known.

import (
	"debug/elf"
	"fmt"
	"slices"
	"sort"
)

// A frameTable is what goes into .eh_frame and .eh_frame_hdr.
type frameTable struct {
	frames, header *output // nil if there are no frames
	records        []frameRecord
	sections       []frameSection
	stubFrame      uint64 // offset of the FDE of .plt, which is the last record
}

// A frameSection is the .eh_frame section of one object.
type frameSection struct {
	piece         *piece
	first, beyond int // its records
}

type frameRecord struct {
	from, size uint64 // in the object's section
	to         uint64 // in the output
	cie        int    // index of its common information in frameTable.records; itself for a CIE
	relas      []Rela
	code       *Rela // of an FDE: the relocation of the start of the code
}

// stubFrames describe .plt: a CIE which says that the caller's frame begins at rsp+8 with the return address below, and
// an FDE without more, since a stub never touches the stack. The start of .plt and its size go to offsets 32 and 36.
var stubFrames = []byte{
	20, 0, 0, 0, 0, 0, 0, 0, // CIE
	1, 'z', 'R', 0, // version, augmentation
	1, 0x78, 16, // code alignment 1, data alignment −8, return address in column 16
	1, frameNear, // pointers are int32 counted from themselves
	0x0c, 7, 8, // DW_CFA_def_cfa rsp+8
	0x90, 1, 0, 0, // DW_CFA_offset: return address at CFA−8; DW_CFA_nop
	16, 0, 0, 0, 28, 0, 0, 0, // FDE
	0, 0, 0, 0, 0, 0, 0, 0, // start, size
	0, 0, 0, 0, // no augmentation data; DW_CFA_nop
}

// commonFrame is the size of the CIE in stubFrames.
const commonFrame = 24

func (l *linker) collectFrames() error {
	f := &l.frames
	for number, o := range l.objects {
		for _, p := range l.pieces[number] {
			if p == nil || p.section.Name != ".eh_frame" || p.size == 0 {
				continue
			}
			if err := l.splitFrames(p); err != nil {
				return fmt.Errorf("%s has an .eh_frame section that cannot be read (%w): compile it again", o.Name, err)
			}
		}
	}
	count := len(f.records)
	if l.plt == nil && count == 0 && l.job.Layout == Thin {
		return nil
	}
	var size uint64
	for i := range f.records {
		f.records[i].to = size
		size += f.records[i].size
	}
	fdes := 0
	for i := range f.records {
		if f.records[i].cie != i {
			fdes++
		}
	}
	const read = uint64(elf.SHF_ALLOC)
	f.frames = l.output(".eh_frame", uint32(elf.SHT_PROGBITS), read)
	f.frames.align = 8
	if l.plt != nil {
		f.stubFrame = size + commonFrame
		size += uint64(len(stubFrames))
		fdes++
	}
	f.frames.size = size + 4
	f.header = l.output(".eh_frame_hdr", uint32(elf.SHT_PROGBITS), read)
	f.header.align = 4
	f.header.size = 12 + 8*uint64(fdes+len(l.carried.frames))
	return nil
}

// splitFrames appends the records of one section that are kept.
func (l *linker) splitFrames(p *piece) error {
	f := &l.frames
	relas := p.section.Relas
	byOffset := func(a, b Rela) int {
		if a.Offset < b.Offset {
			return -1
		}
		return 1
	}
	if !slices.IsSortedFunc(relas, byOffset) {
		relas = slices.Clone(relas)
		slices.SortStableFunc(relas, byOffset)
	}
	section := frameSection{piece: p, first: len(f.records)}
	cies := map[uint64]int{}
	for at := uint64(0); at < uint64(len(p.data)); {
		rest := p.data[at:]
		if len(rest) < 4 {
			return fmt.Errorf("it ends within a record")
		}
		length := uint64(le.Uint32(rest))
		if length == 0 {
			at += 4
			continue
		}
		if length < 4 || length > uint64(len(rest))-4 {
			return fmt.Errorf("a record at %#x has the length %#x", at, length)
		}
		size := length + 4
		next := sort.Search(len(relas), func(i int) bool { return relas[i].Offset >= at+size })
		record := frameRecord{from: at, size: size, relas: relas[:next], cie: len(f.records)}
		relas = relas[next:]
		id := uint64(le.Uint32(rest[4:]))
		if id == 0 {
			cies[at] = len(f.records)
			f.records = append(f.records, record)
			at += size
			continue
		}
		cie, ok := cies[at+4-id]
		if !ok {
			return fmt.Errorf("the record at %#x has no common information in front of it", at)
		}
		i := slices.IndexFunc(record.relas, func(r Rela) bool { return r.Offset == at+8 })
		if i < 0 {
			return fmt.Errorf("the record at %#x has no relocation for its code", at)
		}
		record.cie, record.code = cie, &record.relas[i]
		if s := l.symbols[p.number][record.code.Sym]; s.kind != symbolDiscarded {
			if s.kind != symbolPiece || s.piece.out == nil {
				return fmt.Errorf("the record at %#x is about code outside of the object", at)
			}
			f.records = append(f.records, record)
		}
		at += size
	}
	section.beyond = len(f.records)
	f.sections = append(f.sections, section)
	return nil
}

// fillFrames writes both sections.
func (l *linker) fillFrames() error {
	f := &l.frames
	if f.frames == nil {
		return nil
	}
	data := make([]byte, f.frames.size)
	table := slices.Clone(l.carried.frames)
	for _, section := range f.sections {
		p := section.piece
		symbols := l.symbols[p.number]
		for i := section.first; i < section.beyond; i++ {
			r := &f.records[i]
			record := data[r.to : r.to+r.size]
			copy(record, p.data[r.from:])
			if r.cie != i {
				le.PutUint32(record[4:], uint32(r.to+4-f.records[r.cie].to))
				s := symbols[r.code.Sym]
				pc := s.addr() + uint64(r.code.Addend)
				table = append(table, FDE{PC: pc, Addr: f.frames.addr + r.to})
			}
			for j := range r.relas {
				rela := &r.relas[j]
				s := symbols[rela.Sym]
				at := rela.Offset - r.from
				if at+uint64(relocationSize(elf.R_X86_64(rela.Type))) > r.size {
					return fmt.Errorf("%s has a relocation in .eh_frame at %#x that reaches beyond its record: "+
						"compile it again", p.object.Name, rela.Offset)
				}
				if s.kind == symbolDiscarded {
					continue // exception tables of code that was left out, reached from the common information only
				}
				if err := l.apply(record[at:], rela, s, f.frames.addr+r.to+at); err != nil {
					return fmt.Errorf("%s, section .eh_frame at %#x: %w", p.object.Name, rela.Offset, err)
				}
			}
		}
	}
	if l.plt != nil {
		at := f.stubFrame - commonFrame
		copy(data[at:], stubFrames)
		le.PutUint32(data[at+32:], uint32(l.plt.addr-(f.frames.addr+at+32)))
		le.PutUint32(data[at+36:], uint32(l.plt.size))
		table = append(table, FDE{PC: l.plt.addr, Addr: f.frames.addr + f.stubFrame})
	}
	f.frames.data = data
	return l.fillFrameHeader(table)
}

func (l *linker) fillFrameHeader(table []FDE) error {
	slices.SortFunc(table, func(a, b FDE) int {
		switch {
		case a.PC < b.PC:
			return -1
		case a.PC > b.PC:
			return 1
		}
		return 0
	})
	h := l.frames.header
	b := make([]byte, 0, h.size)
	b = append(b, 1, frameNear, 0x03, 0x3b)
	b = le.AppendUint32(b, uint32(l.frames.frames.addr-(h.addr+4)))
	b = le.AppendUint32(b, uint32(len(table)))
	for _, e := range table {
		for _, addr := range [2]uint64{e.PC, e.Addr} {
			distance := int64(addr - h.addr)
			if distance != int64(int32(distance)) {
				return fmt.Errorf("the image is larger than the 2 GiB that its frame table can describe: " +
					"link less into it")
			}
			b = le.AppendUint32(b, uint32(int32(distance)))
		}
	}
	h.data = b
	return nil
}
