package elfpatch

// This file finds the pointers that a redirect has to replace.
//
// A library reaches what it imports through its global offset table: the loader fills the entry that a relocation of
// type GLOB_DAT or JUMP_SLOT (of a call that may be bound late) names with the symbol. Once the guard has written to
// the entry of a JUMP_SLOT, the call is bound, so nothing is lost if the loader would have waited for the first call.
// Other relocations by the symbol's name fill pointers that the library's author has put into its data.

import (
	"debug/elf"
	"fmt"
)

// A redirectedImport is a pointer to replace.
type redirectedImport struct {
	base        *base // nil for the image itself
	pointer, to *symbol
	readOnly    bool
}

// redirectedImports is called when the image's own table is known.
func (l *linker) redirectedImports() ([]redirectedImport, error) {
	var list []redirectedImport
	for _, r := range l.job.Redirects {
		to := l.globals[r.To]
		if to == nil || to.kind != symbolPiece {
			return nil, fmt.Errorf("%s cannot be redirected to %q, which nothing defines: name a function of an object",
				r.Symbol, r.To)
		}
		if r.Base == nil {
			if s := l.globals[r.Symbol]; s != nil && s.kind == symbolImport && s.gotIndex != 0 {
				entry := &symbol{name: r.Symbol, kind: symbolOutput, out: l.gotOutput, value: uint64(s.gotIndex-1) * 8}
				list = append(list, redirectedImport{pointer: entry, to: to})
			}
			continue
		}
		b, err := l.baseOf(r.Base)
		if err != nil {
			return nil, err
		}
		for _, at := range importEntries(r.Base, r.Symbol) {
			entry := &symbol{name: r.Symbol, kind: symbolBase, base: b, value: at}
			list = append(list, redirectedImport{b, entry, to, isReadOnly(r.Base, at)})
		}
	}
	return list, nil
}

// checkRedirects refuses redirects where there is no guard that could do them.
func (l *linker) checkRedirects() error {
	if len(l.job.Redirects) > 0 {
		return fmt.Errorf("a standalone image cannot redirect the imports of its bases (%s): link it thin, or leave "+
			"the redirect out",
			l.job.Redirects[0].Symbol)
	}
	return nil
}

// importEntries are the virtual addresses of the entries of a library's global offset table for an import.
func importEntries(m *Image, name string) []uint64 {
	var entries []uint64
	symbols := m.DynSymbols()
	for _, r := range m.Relocs() {
		kind := elf.R_X86_64(r.Type)
		if kind != elf.R_X86_64_GLOB_DAT && kind != elf.R_X86_64_JMP_SLOT {
			continue
		}
		if int(r.Sym) < len(symbols) && symbols[r.Sym].Name == name {
			entries = append(entries, r.Offset)
		}
	}
	return entries
}

// isReadOnly says whether a loader takes the right to write to an address away when it has relocated the library: it
// does so for the whole pages of PT_GNU_RELRO, of which it rounds both ends down.
func isReadOnly(m *Image, addr uint64) bool {
	for i := range m.Segments {
		s := &m.Segments[i]
		start, end := s.Addr&^(pageSize-1), (s.Addr+s.MemSize)&^(pageSize-1)
		if s.Type == uint32(elf.PT_GNU_RELRO) && addr >= start && addr < end {
			return true
		}
	}
	return false
}
