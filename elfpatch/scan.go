package elfpatch

// This file finds out, before anything has an address, what the relocations of the objects and the fixups of the
// caller's sections need: entries of the global offset table (.got), stubs for calls (.plt), and relocations that only
// the loader can do. Debug information needs none of these and is not looked at.

import (
	"debug/elf"
	"fmt"
	"sort"
)

// A target is a place at link time: value bytes beyond a symbol, or the virtual address value of a base.
type target struct {
	symbol *symbol // nil: in base
	base   *base
	value  uint64
}

// targetOf is what a reference to a symbol with an addend leads to.
func targetOf(s *symbol, addend int64) target {
	if s.kind == symbolBase {
		return target{base: s.base, value: s.value + uint64(addend)}
	}
	return target{symbol: s, value: uint64(addend)}
}

// addr is the virtual address of a target that is no import.
func (l *linker) addr(t target) uint64 {
	switch {
	case t.base != nil:
		return t.value
	case t.symbol.kind == symbolSlot:
		return l.stubAddr(t.symbol) + t.value
	}
	return t.symbol.addr() + t.value
}

// movedAddr is addr as Job.Moved says.
func (l *linker) movedAddr(t target) uint64 {
	if t.base != nil {
		return t.value
	}
	return l.addr(t) + l.moved
}

// A pointer is an 8 byte field that holds an address at run time, so it is the loader's to fill.
type pointer struct {
	piece  *piece  // it lies in piece, or, if that is nil,
	out    *output // in a section that the linker makes,
	offset uint64  // so many bytes from its start
	to     target
}

func (p *pointer) place() uint64 {
	if p.piece != nil {
		return p.piece.addr() + p.offset
	}
	return p.out.addr + p.offset
}

// A fixup is a Diff32 of a caller's section: to − from.
type fixup struct {
	offset   uint64
	to, from target
}

// A distanceRun is a sequence of Diff32 fields, 4 bytes apart, that lead from one library to another, for the constructor of a
// thin image to complete.
type distanceRun struct {
	piece    *piece
	offset   uint64
	count    uint32
	to, from *base // nil for the image itself
}

func (l *linker) scanRelocations() error {
	for number := range l.objects {
		if err := l.scanObject(number); err != nil {
			return err
		}
	}
	return nil
}

func (l *linker) scanObject(number int) error {
	for _, p := range l.pieces[number] {
		if p == nil || p.section.Flags&uint64(elf.SHF_ALLOC) == 0 {
			continue
		}
		for i := range p.section.Relas {
			r := &p.section.Relas[i]
			if err := l.scan(p, r, l.symbols[number][r.Sym]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *linker) scan(p *piece, r *Rela, s *symbol) error {
	kind := elf.R_X86_64(r.Type)
	size := relocationSize(kind)
	if size < 0 {
		return fmt.Errorf("%s has a relocation of type %s in section %s, which cannot be linked: "+
			"compile it as position independent code without thread-local data",
			p.object.Name, relocationName(kind), p.section.Name)
	}
	if r.Offset > uint64(len(p.data)) || uint64(size) > uint64(len(p.data))-r.Offset {
		return fmt.Errorf("%s has a relocation at %#x that reaches beyond the end of section %s: compile it again",
			p.object.Name, r.Offset, p.section.Name)
	}
	if s.kind == symbolDiscarded && p.section.Name != ".eh_frame" {
		return fmt.Errorf("%s refers from section %s to %s, which is in a section that was left out: "+
			"compile all objects with the same options",
			p.object.Name, p.section.Name, s.name)
	}
	if s.kind == symbolPiece && s.piece.out == nil {
		return fmt.Errorf("%s refers from section %s to its .eh_frame section, which only linkers and unwinders may "+
			"read: leave that object out",
			p.object.Name, p.section.Name)
	}
	elsewhere := s.kind == symbolImport || s.kind == symbolBase && l.job.Layout == Thin
	if s.kind == symbolImport && s.hidden && !s.weak {
		return fmt.Errorf("%s refers to the hidden symbol %s, which nothing defines: add the object that does",
			p.object.Name, s.name)
	}
	switch kind {
	case elf.R_X86_64_64:
		switch {
		case s.isNumber():
			return nil
		case s.kind == symbolSlot:
			l.needStub(s)
		}
		if p.out == nil || p.out.flags&uint64(elf.SHF_WRITE) == 0 {
			return fmt.Errorf("%s stores the address of %s in section %s, which nobody can write to when it gets "+
				"known: compile with -fPIC", p.object.Name, s.name, p.section.Name)
		}
		l.pointers = append(l.pointers, pointer{piece: p, offset: r.Offset, to: targetOf(s, r.Addend)})
	case elf.R_X86_64_PLT32, elf.R_X86_64_PLTOFF64:
		if elsewhere || s.kind == symbolSlot {
			l.needStub(s)
		}
		if kind == elf.R_X86_64_PLTOFF64 {
			l.needGOT()
		}
	case elf.R_X86_64_PC32, elf.R_X86_64_PC64, elf.R_X86_64_GOTOFF64:
		switch {
		case s.kind == symbolSlot:
			l.needStub(s)
		case elsewhere:
			return fmt.Errorf("%s counts on %s being near section %s, but it is in another library: "+
				"compile with -fPIC", p.object.Name, s.name, p.section.Name)
		}
		if kind == elf.R_X86_64_GOTOFF64 {
			l.needGOT()
		}
	case elf.R_X86_64_GOTPC32, elf.R_X86_64_GOTPC64:
		l.needGOT()
	case elf.R_X86_64_GOT64, elf.R_X86_64_GOT32:
		l.needGOT()
		l.needEntry(s)
	case elf.R_X86_64_GOTPCREL, elf.R_X86_64_GOTPCRELX, elf.R_X86_64_REX_GOTPCRELX, elf.R_X86_64_GOTPCREL64:
		l.needEntry(s)
	case elf.R_X86_64_32, elf.R_X86_64_32S, elf.R_X86_64_16, elf.R_X86_64_8:
		if !s.isNumber() {
			return fmt.Errorf("%s stores the address of %s in %d bytes of section %s, which addresses at run time do "+
				"not fit: compile with -fPIC",
				p.object.Name, s.name, size, p.section.Name)
		}
	}
	return nil
}

// needGOT makes sure that there is a global offset table, even if an empty one.
func (l *linker) needGOT() {
	if l.gotOutput == nil {
		l.gotOutput = l.output(".got", uint32(elf.SHT_PROGBITS), uint64(elf.SHF_ALLOC|elf.SHF_WRITE))
		l.gotOutput.align = 8
	}
}

// needEntry makes sure that a symbol's address can be loaded from memory. A slot is such a place already.
func (l *linker) needEntry(s *symbol) {
	if s.kind == symbolSlot || s.gotIndex != 0 {
		return
	}
	l.needGOT()
	if !s.isNumber() {
		l.pointers = append(l.pointers, pointer{out: l.gotOutput, offset: l.gotOutput.size, to: targetOf(s, 0)})
	}
	l.got = append(l.got, s)
	s.gotIndex = len(l.got)
	l.gotOutput.size += 8
}

// entryAddr is where the address of s can be loaded from, after needEntry.
func (l *linker) entryAddr(s *symbol) uint64 {
	if s.kind == symbolSlot {
		return l.slots.addr + s.value
	}
	return l.gotOutput.addr + uint64(s.gotIndex-1)*8
}

// needStub makes sure that a function can be called which another library holds, or a slot.
func (l *linker) needStub(s *symbol) {
	if s.stubIndex != 0 {
		return
	}
	l.needEntry(s)
	if l.plt == nil {
		l.plt = l.output(".plt", uint32(elf.SHT_PROGBITS), uint64(elf.SHF_ALLOC|elf.SHF_EXECINSTR))
		l.plt.align = 16
	}
	l.stubs = append(l.stubs, s)
	s.stubIndex = len(l.stubs)
	l.plt.size += stubSize
}

func (l *linker) stubAddr(s *symbol) uint64 { return l.plt.addr + uint64(s.stubIndex-1)*stubSize }

// scanFixups does the same for the sections that the caller laid out, and for the slots.
func (l *linker) scanFixups() error {
	for i := range l.job.Slots {
		s := &l.job.Slots[i]
		to, err := l.targetOfAddress(s.Target)
		if err != nil {
			return fmt.Errorf("slot %s: %w", s.Name, err)
		}
		l.pointers = append(l.pointers, pointer{out: l.slots, offset: uint64(i) * 8, to: to})
	}
	l.fixups = make([][]fixup, len(l.job.Sections))
	for i, p := range l.tablePieces {
		if err := l.scanSection(i, p); err != nil {
			return fmt.Errorf("section %s: %w", p.table.Name, err)
		}
	}
	return nil
}

func (l *linker) scanSection(number int, p *piece) error {
	fixups := p.table.Fixups
	byOffset := func(i, j int) bool { return fixups[i].Offset < fixups[j].Offset }
	if !sort.SliceIsSorted(fixups, byOffset) {
		fixups = append([]Fixup(nil), fixups...)
		sort.SliceStable(fixups, byOffset)
	}
	writable := p.out.flags&uint64(elf.SHF_WRITE) != 0
	kept := make([]fixup, 0, len(fixups))
	for i := range fixups {
		f := &fixups[i]
		size := uint64(8)
		if f.Kind == Diff32 {
			size = 4
		}
		if f.Offset > p.size || size > p.size-f.Offset {
			return fmt.Errorf("a fixup at %#x reaches beyond its end at %#x: its offset is wrong", f.Offset, p.size)
		}
		to, err := l.targetOfAddress(f.Target)
		if err != nil {
			return fmt.Errorf("fixup at %#x: %w", f.Offset, err)
		}
		if f.Kind == Abs64 {
			if !writable {
				return fmt.Errorf("the address at %#x gets known only when the section cannot be written to: "+
					"make it Writable", f.Offset)
			}
			l.pointers = append(l.pointers, pointer{piece: p, offset: f.Offset, to: to})
			continue
		}
		from, err := l.targetOfAddress(f.Anchor)
		if err != nil {
			return fmt.Errorf("anchor of the fixup at %#x: %w", f.Offset, err)
		}
		for _, t := range []target{to, from} {
			if t.symbol != nil && t.symbol.kind == symbolImport {
				return fmt.Errorf("the distance at %#x cannot be known, since nothing here defines %s: "+
					"use addresses of the image or its bases", f.Offset, t.symbol.name)
			}
		}
		kept = append(kept, fixup{f.Offset, to, from})
		if l.job.Layout == Standalone || to.base == from.base {
			continue
		}
		if !writable {
			return fmt.Errorf("the distance at %#x is completed when the image is loaded: make the section Writable",
				f.Offset)
		}
		if n := len(l.runs) - 1; n >= 0 && l.runs[n].continues(p, f.Offset, to.base, from.base) {
			l.runs[n].count++
			continue
		}
		l.runs = append(l.runs, distanceRun{p, f.Offset, 1, to.base, from.base})
	}
	l.fixups[number] = kept
	return nil
}

// continues says whether a further field belongs to the run.
func (r *distanceRun) continues(p *piece, offset uint64, to, from *base) bool {
	return r.piece == p && r.to == to && r.from == from && r.offset+uint64(r.count)*4 == offset
}

func (l *linker) targetOfAddress(a Address) (target, error) {
	if a.Base != nil {
		b, err := l.baseOf(a.Base)
		return target{base: b, value: a.Offset}, err
	}
	s := l.lastLookup
	if s == nil || s.name != a.Symbol {
		s = l.globals[a.Symbol]
		if s == nil || s.kind == symbolDiscarded {
			return target{}, fmt.Errorf("nothing defines the symbol %q: name one of an object, a Section or a Slot",
				a.Symbol)
		}
		l.lastLookup = s
	}
	if s.kind == symbolSlot {
		l.needStub(s)
	}
	return targetOf(s, int64(a.Offset)), nil
}
