package elfpatch

// This file writes .symtab and .strtab, which the loader ignores: debuggers, profilers and disassemblers read in them
// what each function is called. All functions and data of the objects and all symbols of the caller's sections are
// listed, as local symbols: what may be found by name at run time is in .dynsym. A standalone image lists what the .symtab of
// its bases does, too. The layout of a symbol is at the top of imagedynamic.go.

import (
	"debug/elf"
)

type symbolTable struct {
	symtab, strtab *output
	listed         []*symbol
	names          []byte
}

func (l *linker) addSymbolTable() {
	t := &l.symtab
	t.names = append(t.names, 0)
	l.carrySymbols()
	for i := range l.job.Sections {
		for _, s := range l.job.Sections[i].Symbols {
			t.listed = append(t.listed, l.globals[s.Name])
		}
	}
	for number, o := range l.objects {
		for _, s := range l.symbols[number] {
			// The symbols of an object include the global ones that others define.
			if s.object == o && s.kind == symbolPiece && s.piece.out != nil && s.name != "" &&
				(elf.SymType(s.stt) == elf.STT_FUNC || elf.SymType(s.stt) == elf.STT_OBJECT) {
				t.listed = append(t.listed, s)
			}
		}
	}
	size := 0
	for _, s := range t.listed {
		size += len(s.name) + 1
	}
	t.strtab = l.output(".strtab", uint32(elf.SHT_STRTAB), 0)
	t.symtab = l.output(".symtab", uint32(elf.SHT_SYMTAB), 0)
	t.symtab.align, t.symtab.entrySize, t.symtab.linked = 8, symbolSize, t.strtab
	t.strtab.size = uint64(len(t.names) + size)
	count := 1 + len(l.carried.symbols) + len(t.listed)
	t.symtab.size, t.symtab.info = uint64(count)*symbolSize, uint32(count)
}

func (l *linker) fillSymbolTable() {
	t := &l.symtab
	names := make([]byte, 0, t.strtab.size)
	names = append(names, t.names...)
	b := make([]byte, symbolSize, t.symtab.size)
	add := func(name uint32, info uint8, section int, value, size uint64) {
		b = le.AppendUint32(b, name)
		b = append(b, info, byte(elf.STV_DEFAULT))
		b = le.AppendUint16(b, uint16(section))
		b = le.AppendUint64(b, value)
		b = le.AppendUint64(b, size)
	}
	for i := range l.carried.symbols {
		s := &l.carried.symbols[i]
		section := int(elf.SHN_ABS)
		if s.section != nil {
			section = s.section.index
		}
		add(s.name, s.info, section, s.value, s.size)
	}
	for _, s := range t.listed {
		add(uint32(len(names)), elf.ST_INFO(elf.STB_LOCAL, elf.SymType(s.stt)), s.section().index, s.addr(), s.size)
		names = append(append(names, s.name...), 0)
	}
	t.symtab.data, t.strtab.data = b, names
}
