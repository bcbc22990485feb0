package elfpatch

// This file makes what the loader reads: the notes, the exports and imports, the dynamic relocations.

import (
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// loaderTables are the sections that the loader reads.
type loaderTables struct {
	dynamic  dynamic
	sections []*dynSection // as dynamic.layout returned them
	outputs  []*output     // for each of those
	exports  []export
	buildID  *output
	note     *output
	relas    int // how many dynamic relocations there are
	imports  map[string]*imported
	attached *output // the list of pointers into attached libraries, nil if there are none
	initial  *output // .init_array, nil if there is none
	final    *output // .fini_array
}

// An imported symbol is weak if all who refer to it do so weakly.
type imported struct {
	handle dynHandle
	weak   bool
}

type export struct {
	handle dynHandle
	symbol *symbol
}

func (l *linker) addTables(identity [sha256.Size]byte) error {
	t := &l.loader
	const read, write = uint64(elf.SHF_ALLOC), uint64(elf.SHF_ALLOC | elf.SHF_WRITE)
	note := func(name string, data []byte) *output {
		out := l.output(name, uint32(elf.SHT_NOTE), read)
		out.kind, out.align, out.data, out.size = uint32(elf.SHT_NOTE), 4, data, uint64(len(data))
		return out
	}
	t.buildID = note(".note.gnu.build-id", appendNote(nil, buildIDOwner, buildIDType, identity[:20]))
	t.note = note(".note."+noteOwner, appendNote(nil, noteOwner, noteType, l.job.Note))

	d := &t.dynamic
	if l.job.Layout == Thin && len(l.job.Bases) > 0 {
		d.addNeeded(l.job.Bases[0].Path)
	}
	for _, name := range l.carried.needed {
		d.addNeeded(name)
	}
	d.setRunpath(strings.Join(l.carried.runpath, string(filepath.ListSeparator)))
	anchor := &symbol{name: AnchorPrefix + fmt.Sprintf("%x", identity[:8]), kind: symbolOutput, out: t.buildID,
		stt: uint8(elf.STT_OBJECT), size: 1}
	t.export(anchor)
	for i := range l.job.Sections {
		for _, s := range l.job.Sections[i].Symbols {
			if s.Export {
				t.export(l.globals[s.Name])
			}
		}
	}
	for _, name := range sortedKeys(l.job.Exports) {
		s := l.globals[l.job.Exports[name]]
		if s == nil || s.kind != symbolPiece || s.object == nil {
			return fmt.Errorf("%s cannot be exported: no object defines %s", name, l.job.Exports[name])
		}
		exported := *s
		exported.name = name
		t.export(&exported)
	}
	if err := l.importSymbols(); err != nil {
		return err
	}
	if err := l.carryTables(); err != nil {
		return err
	}
	t.weakenImports()
	d.reserveRelas(t.relas)

	t.initial, t.final = l.outputs[".init_array"], l.outputs[".fini_array"]
	for _, a := range t.arrays() {
		if a.out != nil {
			d.reserveTag(a.addr)
			d.reserveTag(a.size)
		}
	}
	t.sections = d.layout()
	byName := map[string]*output{}
	for _, s := range t.sections {
		out := l.output(s.name, uint32(s.kind), uint64(s.flags))
		out.align, out.entrySize, out.size, out.info = s.align, s.entrySize, s.size, s.info
		byName[s.name] = out
		t.outputs = append(t.outputs, out)
	}
	for i, s := range t.sections {
		t.outputs[i].linked = byName[s.link]
	}
	l.addSymbolTable()
	l.addDebugFields()
	l.addAttached()
	return nil
}

type constructorArray struct {
	out        *output
	addr, size elf.DynTag
}

func (t *loaderTables) arrays() []constructorArray {
	return []constructorArray{
		{t.initial, elf.DT_INIT_ARRAY, elf.DT_INIT_ARRAYSZ},
		{t.final, elf.DT_FINI_ARRAY, elf.DT_FINI_ARRAYSZ},
	}
}

func (t *loaderTables) export(s *symbol) {
	t.exports = append(t.exports, export{t.dynamic.define(s.name, elf.SymType(s.stt), s.size), s})
}

// importSymbols names what the loader has to look up for the pointers, and counts the relocations. A function of the C
// library, say, is asked for in the version that the bases use, so that all of the process uses the same one.
func (l *linker) importSymbols() error {
	t := &l.loader
	versions := map[string]DynSymbol{}
	for _, m := range l.job.Bases {
		for _, s := range m.DynSymbols() {
			if _, ok := versions[s.Name]; !ok && s.Shndx == 0 && s.Version != "" {
				versions[s.Name] = s
			}
		}
	}
	for i := range l.pointers {
		to := l.pointers[i].to
		switch {
		case to.base != nil:
			if l.isLate(&l.pointers[i]) {
				continue
			}
			if l.job.Layout == Thin {
				if err := l.checkReach(to.base); err != nil {
					return err
				}
				if to.base.handle == 0 {
					to.base.handle = t.dynamic.importSym(to.base.reach.Name, "", "")
				}
			}
		case to.symbol.isNumber():
			return fmt.Errorf("the address of %s is a constant and not a place: store the number itself",
				to.symbol.name)
		case to.symbol.kind == symbolImport:
			if s := to.symbol; s.handle == 0 {
				s.handle = t.importSymbol(s.name, versions[s.name], s.weak)
			}
		}
	}
	t.relas += len(l.pointers) - l.lateCount()
	return nil
}

// fillTables writes the sections of the loader.
func (l *linker) fillTables() error {
	t := &l.loader
	d := &t.dynamic
	for i, s := range t.sections {
		s.addr = t.outputs[i].addr
	}
	for _, e := range t.exports {
		d.setValue(e.handle, e.symbol.addr(), uint16(e.symbol.section().index))
	}
	for _, a := range t.arrays() {
		if a.out != nil {
			d.setTag(a.addr, a.out.addr)
			d.setTag(a.size, a.out.size)
		}
	}
	for i := range l.pointers {
		p := &l.pointers[i]
		place, to := p.place(), p.to
		switch {
		case l.isLate(p):
			p.write()
		case to.base != nil && l.job.Layout == Thin:
			d.rela(place, elf.R_X86_64_64, to.base.handle, int64(to.value-to.base.reach.Value))
		case to.base == nil && to.symbol.kind == symbolImport:
			kind := elf.R_X86_64_64
			if p.out != nil && to.value == 0 {
				kind = elf.R_X86_64_GLOB_DAT
			}
			d.rela(place, kind, to.symbol.handle, int64(to.value))
		default:
			d.rela(place, elf.R_X86_64_RELATIVE, 0, int64(l.addr(to)))
		}
	}
	l.fillCarried()
	l.fillAttached()
	if err := d.finish(); err != nil {
		return err
	}
	for i, s := range t.sections {
		t.outputs[i].data = s.data
	}
	return nil
}

// section is the output that a symbol of the image lies in.
func (s *symbol) section() *output {
	if s.piece != nil {
		return s.piece.out
	}
	return s.out
}

// importSymbol adds a symbol that the loader will look up, in the version that like has.
func (t *loaderTables) importSymbol(name string, like DynSymbol, weak bool) dynHandle {
	if t.imports == nil {
		t.imports = map[string]*imported{}
	}
	i := t.imports[name]
	if i == nil {
		i = &imported{t.dynamic.importSym(name, like.Version, like.VersionLib), true}
		t.imports[name] = i
	}
	i.weak = i.weak && weak
	return i.handle
}

func (t *loaderTables) weakenImports() {
	for _, i := range t.imports {
		if i.weak {
			t.dynamic.weaken(i.handle)
		}
	}
}

// importedNames are the names that the loader looks up, other than those that lead into bases, sorted.
func (l *linker) importedNames() []string {
	return slices.DeleteFunc(sortedKeys(l.loader.imports), func(name string) bool {
		return slices.ContainsFunc(l.job.Bases, func(m *Image) bool {
			_, ok := m.Lookup(name)
			return ok
		})
	})
}
