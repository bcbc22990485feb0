package elfpatch

// This file gives everything an address and an offset in the file, in the order that link.go shows, and lists the
// program headers.
//
// A loader maps a segment by whole pages, so address and offset of a segment are equal modulo the size of a page. Each
// group of sections with the same access starts a page of its own.

import (
	"debug/elf"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A fileLayout is what the headers of the file say.
type fileLayout struct {
	segments      []Segment
	headersOffset uint64 // of the program headers
	sections      uint64 // offset of the section headers
	sectionNames  *output
	size          uint64
}

// codeGroup is the group of what can be executed.
const codeGroup = 1

// group orders the sections by access.
func (o *output) group() int {
	switch {
	case o.flags&uint64(elf.SHF_ALLOC) == 0:
		return 3
	case o.flags&uint64(elf.SHF_WRITE) != 0:
		return 2
	case o.flags&uint64(elf.SHF_EXECINSTR) != 0:
		return codeGroup
	}
	return 0
}

// sectionOrder has the sections that come first in their group, those that come last having negative numbers.
var sectionOrder = map[string]int{
	".note.gnu.build-id": 1, ".note." + noteOwner: 2, ".gnu.hash": 3, ".dynsym": 4, ".dynstr": 5, ".gnu.version": 6,
	".gnu.version_r": 7, ".rela.dyn": 8, ".rodata": 9, ".eh_frame_hdr": -2, ".eh_frame": -1,
	".plt": 1, ".text": 2,
	".init_array": 1, ".fini_array": 2, ".data.rel.ro": 3, ".dynamic": 4, ".got": 5, ".data.slots": 6, ".data": 7,
	".symtab": -3, ".strtab": -2, ".shstrtab": -1,
}

func (o *output) rank() int {
	rank := sectionOrder[o.name]
	switch {
	case o.kind == uint32(elf.SHT_NOBITS):
		return 1000 // has no bytes in the file, so nothing can follow it
	case rank > 0:
		return rank
	}
	return 500 + rank
}

func (l *linker) layOut() error {
	f := &l.file
	f.sectionNames = l.output(".shstrtab", uint32(elf.SHT_STRTAB), 0)
	slices.SortStableFunc(l.ordered, func(a, b *output) int {
		if a.group() != b.group() {
			return a.group() - b.group()
		}
		return a.rank() - b.rank()
	})
	names := []byte{0}
	for i, o := range l.carried.sections {
		o.index, o.nameOffset = 1+i, uint32(len(names))
		names = append(append(names, o.name...), 0)
	}
	for i, o := range l.ordered {
		o.index, o.nameOffset = 1+len(l.carried.sections)+i, uint32(len(names))
		names = append(append(names, o.name...), 0)
	}
	if n := l.sectionCount(); n >= int(elf.SHN_LORESERVE) {
		return fmt.Errorf("the image has %d sections of different names, more than its header can count: "+
			"gather them under fewer names", n)
	}
	f.sectionNames.data, f.sectionNames.size = names, uint64(len(names))

	addr, offset := uint64(pageSize), uint64(pageSize)
	if l.job.Layout == Standalone {
		addr = max(addr, l.job.addressesEnd())
	}
	// Room for the program headers: the groups, the header page of a thin image, and at most four that are not loaded.
	headerRoom := uint64(len(l.carried.segments)+3+1+4) * programHeaderSize
	headersAddr := uint64(headerSize)
	f.headersOffset = headerSize
	if l.job.Layout == Standalone {
		offset = alignUp(l.carried.fileEnd, pageSize)
		headersAddr, f.headersOffset = addr, offset
	}
	start, startOffset := addr, offset
	if l.job.Layout == Standalone {
		addr, offset = addr+headerRoom, offset+headerRoom
	}
	f.segments = append(f.segments, l.carried.segments...)
	access := []uint32{uint32(elf.PF_R), uint32(elf.PF_R | elf.PF_X), uint32(elf.PF_R | elf.PF_W)}
	rest := l.ordered
	for group, flags := range access {
		fileEnd := offset
		for len(rest) > 0 && rest[0].group() == group {
			o := rest[0]
			rest = rest[1:]
			addr = alignUp(addr, o.align)
			o.addr, o.offset = addr, startOffset+(addr-start)
			addr += o.size
			if o.kind == uint32(elf.SHT_NOBITS) {
				o.offset = fileEnd
			} else {
				fileEnd = o.offset + o.size
			}
		}
		if group == codeGroup {
			l.codeStart.addr, l.codeEnd.addr = start, addr
		}
		if addr > start {
			f.segments = append(f.segments, Segment{Type: uint32(elf.PT_LOAD), Flags: flags,
				Offset: startOffset, Addr: start, FileSize: fileEnd - startOffset, MemSize: addr - start, Align: pageSize})
		}
		addr, offset = alignUp(addr, pageSize), alignUp(fileEnd, pageSize)
		start, startOffset = addr, offset
		f.size = fileEnd
	}
	for _, o := range rest {
		o.offset = alignUp(f.size, o.align)
		f.size = o.offset + o.size
	}
	f.sections = alignUp(f.size, 8)
	f.size = f.sections + uint64(l.sectionCount())*sectionHeaderSize
	l.addSegments(headersAddr)
	return nil
}

// placePieces gives the pieces their offsets in the sections, which then have their sizes.
func (l *linker) placePieces() error {
	for _, o := range l.ordered {
		if err := o.placePieces(); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) placePieces() error {
	if o.kind == uint32(elf.SHT_INIT_ARRAY) || o.kind == uint32(elf.SHT_FINI_ARRAY) {
		slices.SortStableFunc(o.pieces, func(a, b *piece) int { return a.priority() - b.priority() })
	}
	for _, p := range o.pieces {
		o.align = max(o.align, p.align)
		p.offset = alignUp(o.size, p.align)
		o.size = p.offset + p.size
		if o.size < p.offset || o.size > 1<<31 {
			return fmt.Errorf("section %s is too large with the %d bytes from %s: link less into one image",
				o.name, p.size, p.inputName())
		}
	}
	return nil
}

// priority is the number by which constructors are ordered, from the name of their section such as .init_array.101;
// those without one come last, and the guard of a thin image before all.
func (p *piece) priority() int {
	const none = 1 << 16
	switch {
	case p.guard:
		return -1
	case p.section == nil:
		return none
	}
	if digits, ok := strings.CutPrefix(p.section.Name, p.out.name+"."); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= 0 && n < none {
			return n
		}
	}
	return none
}

// addSegments lists the program headers that describe parts of others, and the page of the headers.
func (l *linker) addSegments(headersAddr uint64) {
	f := &l.file
	part := func(kind elf.ProgType, flags elf.ProgFlag, first, last *output) {
		f.segments = append(f.segments, Segment{Type: uint32(kind), Flags: uint32(flags),
			Offset: first.offset, FileSize: last.offset + last.size - first.offset,
			Addr: first.addr, MemSize: last.addr + last.size - first.addr, Align: first.align})
	}
	dynamic := l.outputs[".dynamic"]
	part(elf.PT_DYNAMIC, elf.PF_R|elf.PF_W, dynamic, dynamic)
	part(elf.PT_NOTE, elf.PF_R, l.loader.buildID, l.loader.note)
	if h := l.frames.header; h != nil {
		part(elf.PT_GNU_EH_FRAME, elf.PF_R, h, h)
	}
	f.segments = append(f.segments, Segment{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W),
		Align: 16})
	if l.job.Layout == Thin {
		size := headersAddr + uint64(len(f.segments)+1)*programHeaderSize
		page := Segment{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), FileSize: size, MemSize: size,
			Align: pageSize}
		f.segments = append([]Segment{page}, f.segments...)
	}
}

// fill computes what is made of addresses.
func (l *linker) fill() error {
	if l.gotOutput != nil {
		l.gotOutput.data = make([]byte, l.gotOutput.size)
		for i, s := range l.got {
			if s.kind == symbolAbsolute {
				le.PutUint64(l.gotOutput.data[i*8:], s.value)
			}
		}
	}
	if l.slots != nil {
		l.slots.data = make([]byte, l.slots.size)
	}
	l.fillStubs()
	if err := l.fillFrames(); err != nil {
		return err
	}
	l.fillSymbolTable()
	return l.fillTables()
}

// A stub is a jump to where an entry of .got or a slot points, padded so that stubs do not share a word:
//
//	ff 25 disp32   jmp *disp32(%rip)
//	66 90          nop
const stubSize = 8

func (l *linker) fillStubs() {
	if l.plt == nil {
		return
	}
	b := make([]byte, 0, l.plt.size)
	for i, s := range l.stubs {
		next := l.plt.addr + uint64(i)*stubSize + 6
		b = append(b, 0xff, 0x25)
		b = le.AppendUint32(b, uint32(l.entryAddr(s)-next))
		b = append(b, 0x66, 0x90)
	}
	l.plt.data = b
}

func (l *linker) result() Result {
	r := Result{Bytes: int64(l.file.size), Copied: int64(l.carried.bytes), Imports: l.importedNames()}
	for _, o := range l.ordered {
		size := int64(o.size)
		switch {
		case o.kind == uint32(elf.SHT_NOBITS):
		case strings.HasPrefix(o.name, ".debug_"):
			r.Debug += size
		case o.group() == 3:
			r.Symbols += size
		case o.group() == 2:
			r.Data += size
		case o.group() == 1:
			r.Code += size
		default:
			r.Constants += size
		}
	}
	return r
}
