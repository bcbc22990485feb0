package elfpatch

// This file gives each name of the objects a meaning.
//
// Objects see each other's global symbols, and those of the caller's sections. A strong definition goes before a weak
// one, one with storage before a common one, and two strong ones are an error. What is left undefined is looked up among
// the slots, then the aliases, and is an import if it is in neither.

import (
	"debug/elf"
	"fmt"
)

type symbolKind uint8

const (
	symbolImport    symbolKind = iota // found by the loader
	symbolPiece                       // in a piece, at value
	symbolOutput                      // in a section that the linker makes, at value
	symbolAbsolute                    // the number value
	symbolBase                        // in a base, at the virtual address value
	symbolSlot                        // a function that is called through the slot at value in .data.slots
	symbolDiscarded                   // in a section that is not kept
	symbolNull                        // the null symbol of an object: the number 0
)

// A symbol is what a name, or an unnamed symbol of one object, stands for.
type symbol struct {
	name   string
	kind   symbolKind
	weak   bool  // an import that may stay undefined, a definition that others go before
	stt    uint8 // STT_FUNC …
	common bool
	hidden bool // an import must not be looked up outside
	object *Object
	piece  *piece
	out    *output
	base   *base
	value  uint64
	size   uint64

	gotIndex, stubIndex int       // 1 + index in linker.got and linker.stubs, 0 for none
	handle              dynHandle // of an import
}

// addr is the virtual address of what the symbol stands for. That of an import is not known.
func (s *symbol) addr() uint64 {
	switch s.kind {
	case symbolPiece:
		return s.piece.addr() + s.value
	case symbolOutput:
		return s.out.addr + s.value
	}
	return s.value
}

// isNumber says whether the symbol is a number that does not depend on where anything is.
func (s *symbol) isNumber() bool { return s.kind == symbolAbsolute || s.kind == symbolNull }

// linkerDefined are names that a linker or its start files define. The first is the address of .got; of the second, by
// which C++ tells libraries apart, only the uniqueness matters.
var linkerDefined = map[string]bool{"_GLOBAL_OFFSET_TABLE_": true, "__dso_handle": true}

func (l *linker) resolveSymbols() error {
	for i, p := range l.tablePieces {
		for _, s := range l.job.Sections[i].Symbols {
			def := &symbol{name: s.Name, kind: symbolPiece, stt: uint8(elf.STT_OBJECT), piece: p, value: s.Offset,
				size: s.Size}
			if s.Offset > p.size || s.Size > p.size-s.Offset {
				return fmt.Errorf("symbol %s reaches beyond the end of section %s: its offset or size is wrong",
					s.Name, p.table.Name)
			}
			if err := l.define(def); err != nil {
				return err
			}
		}
	}
	for number := range l.objects {
		if err := l.defineSymbols(number); err != nil {
			return err
		}
	}
	for name, place := range map[string]*output{ImageStart: {}, CodeStart: &l.codeStart, CodeEnd: &l.codeEnd} {
		if err := l.define(&symbol{name: name, kind: symbolOutput, out: place}); err != nil {
			return err
		}
	}
	return l.resolveUndefined()
}

// defineSymbols enters the symbols of one object.
func (l *linker) defineSymbols(number int) error {
	o := l.objects[number]
	own := make([]symbol, len(o.Symbols))
	symbols := make([]*symbol, len(o.Symbols))
	l.symbols = append(l.symbols, symbols)
	for i := range o.Symbols {
		s, def := &o.Symbols[i], &own[i]
		symbols[i] = def
		*def = symbol{name: s.Name, object: o, stt: s.Type, value: s.Value, size: s.Size,
			weak: elf.SymBind(s.Bind) == elf.STB_WEAK, hidden: elf.SymVis(s.Visibility) != elf.STV_DEFAULT}
		switch kind := elf.SymType(s.Type); {
		case kind == elf.STT_TLS || kind == elf.STT_GNU_IFUNC:
			return fmt.Errorf("%s has a symbol %s of type %s, which cannot be linked: "+
				"leave it to an object that a system linker links",
				o.Name, s.Name, kind)
		case i == 0 || kind == elf.STT_FILE:
			def.kind = symbolNull
			continue
		case s.Section == SectionAbsolute:
			def.kind = symbolAbsolute
		case s.Section == SectionCommon:
			def.makeCommon()
		case s.Section == SectionUndefined:
			def.kind = symbolImport
		case l.pieces[number][s.Section] == nil:
			def.kind = symbolDiscarded
		default:
			def.kind, def.piece = symbolPiece, l.pieces[number][s.Section]
		}
		if elf.SymBind(s.Bind) != elf.STB_LOCAL {
			if err := l.define(def); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeCommon gives a common symbol storage of its own, which define grows if another object asks for more.
func (s *symbol) makeCommon() {
	s.piece = &piece{object: s.object, number: -1, size: s.size, align: max(s.value, 1)}
	s.kind, s.value, s.common, s.weak = symbolPiece, 0, true, true
}

// define enters a global symbol under its name.
func (l *linker) define(def *symbol) error {
	old := l.globals[def.name]
	switch {
	case old == nil || old.undefined() && !def.undefined():
		if old != nil {
			def.hidden = def.hidden || old.hidden
		}
		l.globals[def.name] = def
	case def.undefined():
		old.weak = old.weak && (def.weak || !old.undefined())
		old.hidden = old.hidden || def.hidden
	case old.common && def.common:
		old.piece.size, old.piece.align = max(old.piece.size, def.piece.size), max(old.piece.align, def.piece.align)
		old.size = old.piece.size
	case old.weak && !def.weak || old.common && !def.common:
		l.globals[def.name] = def
	case !old.weak && !def.weak:
		return fmt.Errorf("%s is defined in both %s and %s: leave one of them out, or make the symbol local",
			def.name, old.definedIn(), def.definedIn())
	}
	return nil
}

// undefined says whether a definition elsewhere is still looked for. A symbol of a section that was left out as the copy of
// another has its definition in that one.
func (s *symbol) undefined() bool { return s.kind == symbolImport || s.kind == symbolDiscarded }

func (s *symbol) definedIn() string {
	switch {
	case s.object != nil:
		return s.object.Name
	case s.piece != nil:
		return "section " + s.piece.table.Name
	}
	return "the linker"
}

// resolveUndefined points every symbol of every object at the definition of its name.
func (l *linker) resolveUndefined() error {
	slots := make(map[string]int, len(l.job.Slots))
	if len(l.job.Slots) > 0 {
		l.slots = l.output(".data.slots", uint32(elf.SHT_PROGBITS), uint64(elf.SHF_ALLOC|elf.SHF_WRITE))
		l.slots.align, l.slots.size = 8, uint64(len(l.job.Slots))*8
	}
	for i := range l.job.Slots {
		name := l.job.Slots[i].Name
		if _, ok := slots[name]; ok {
			return fmt.Errorf("the job has two slots called %s: leave one of them out", name)
		}
		slots[name] = i
		cell := &symbol{name: SlotSymbol(name), kind: symbolOutput, out: l.slots, stt: uint8(elf.STT_OBJECT),
			value: uint64(i) * 8, size: 8}
		if err := l.define(cell); err != nil {
			return err
		}
		// A slot that no object calls can still be the target of a fixup.
		if l.globals[name] == nil {
			l.globals[name] = &symbol{name: name, kind: symbolImport}
		}
	}
	for name := range l.job.Aliases {
		if l.globals[name] == nil {
			l.globals[name] = &symbol{name: name, kind: symbolImport}
		}
	}
	for _, name := range sortedKeys(l.globals) {
		s := l.globals[name]
		if !s.undefined() {
			continue
		}
		s.kind = symbolImport
		if i, ok := slots[name]; ok {
			if err := l.bindSlot(s, &l.job.Slots[i], uint64(i)*8); err != nil {
				return err
			}
		} else if a, ok := l.job.Aliases[name]; ok {
			if err := l.bindAlias(s, a); err != nil {
				return err
			}
		} else if linkerDefined[name] {
			l.needGOT()
			s.kind, s.out = symbolOutput, l.gotOutput
		}
	}
	for number := range l.objects {
		if err := l.bindSymbols(number, l.globals); err != nil {
			return err
		}
	}
	return nil
}

// bindSymbols points the global symbols of one object at the definitions of their names.
func (l *linker) bindSymbols(number int, definitions map[string]*symbol) error {
	o := l.objects[number]
	for i := range o.Symbols {
		s := &o.Symbols[i]
		if i == 0 || elf.SymBind(s.Bind) == elf.STB_LOCAL {
			continue
		}
		def := definitions[s.Name]
		l.symbols[number][i] = def
		if !def.common || def.piece.out != nil {
			continue
		}
		if err := checkAlign(def.piece.align, "COMMON", o.Name); err != nil {
			return err
		}
		if err := l.place(def.piece, ".bss", uint32(elf.SHT_NOBITS), uint64(elf.SHF_ALLOC|elf.SHF_WRITE)); err != nil {
			return err
		}
	}
	return nil
}

// bindSlot lets calls of a slot's name go through its cell, or directly to where nothing can redirect them.
func (l *linker) bindSlot(s *symbol, slot *Slot, cell uint64) error {
	s.stt = uint8(elf.STT_FUNC)
	if slot.Fixed && l.job.Layout == Standalone && slot.Target.Base != nil {
		b, err := l.baseOf(slot.Target.Base)
		if err != nil {
			return err
		}
		s.kind, s.base, s.value = symbolBase, b, slot.Target.Offset
		return nil
	}
	s.kind, s.out, s.value = symbolSlot, l.slots, cell
	return nil
}

func (l *linker) bindAlias(s *symbol, a Address) error {
	if a.Base == nil {
		target := l.globals[a.Symbol]
		if target == nil || target.kind != symbolPiece {
			return fmt.Errorf("%s is an alias of %s, which nothing defines: give the alias an address of a base",
				s.name, a.Symbol)
		}
		s.kind, s.piece, s.value = symbolPiece, target.piece, target.value+a.Offset
		return nil
	}
	b, err := l.baseOf(a.Base)
	if err != nil {
		return err
	}
	s.kind, s.base, s.value = symbolBase, b, a.Offset
	return nil
}
