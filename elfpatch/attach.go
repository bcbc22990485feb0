package elfpatch

// This file is how a thin image reaches libraries whose code no name leads to, such as many that export the same names: Job.Attached.
//
// The loader cannot be told to relocate by such a library. So the image's guard opens each by its path when the image is loaded, looks up a few
// names in it alone, and compares their distances, and then ranges, with those of its file. Then it adds the library's bias, the address at
// run time less the virtual address, to the pointers that lead into it. In the file of the image these hold the virtual addresses, and no
// relocation names them: which library one leads into, its value says.
//
// The guard calls dlopen and dlsym for that. A library that is not there, or is another one, ends the process with a line.

import (
	"debug/elf"
	"fmt"
	"slices"
	"strconv"
)

// Section .chainbuild.attached, which nothing loads, lists the pointers for those who copy the image: 8 bytes each, the virtual address of the pointer.
const attachedSection = ".chainbuild.attached"

// A guardAttached is a library that the guard opens.
type guardAttached struct {
	guardLibrary
	// pointers are left undefined by the guard's object, to be resolved to pointers of the image that hold virtual addresses of the library.
	pointers []string
}

// Functions of the C library that the guard calls, and what it calls dlopen with.
const (
	openImport   = "dlopen"
	lookupImport = "dlsym"
	openLazily   = 1 // RTLD_LAZY
)

// attachedReach bounds how far from the image's tables, and from the lowest base, a library may begin: what counts in 4 bytes must reach all of it. Libraries
// larger than MaxAttached are refused.
const attachedReach = 1<<31 - MaxAttached

// MaxAttached is how many bytes of addresses an attached library may have.
const MaxAttached = 1 << 28

// isLate says that a pointer is the guard's to fill.
func (l *linker) isLate(p *pointer) bool {
	return p.to.base != nil && p.to.base.attached && l.job.Layout == Thin
}

func (l *linker) lateCount() (n int) {
	for i := range l.pointers {
		if l.isLate(&l.pointers[i]) {
			n++
		}
	}
	return n
}

// write stores the virtual address that a late pointer leads to.
func (p *pointer) write() {
	if p.piece == nil {
		le.PutUint64(p.out.data[p.offset:], p.to.value)
		return
	}
	if !p.piece.owned {
		p.piece.data = slices.Clone(p.piece.data)
		p.piece.owned = true
	}
	le.PutUint64(p.piece.data[p.offset:], p.to.value)
}

// addAttached makes the list of the pointers, which fillAttached fills.
func (l *linker) addAttached() {
	if n := l.lateCount(); n > 0 {
		out := l.output(attachedSection, uint32(elf.SHT_PROGBITS), 0)
		out.size = 8 * uint64(n)
		l.loader.attached = out
	}
}

func (l *linker) fillAttached() {
	if l.loader.attached == nil {
		return
	}
	for i := range l.pointers {
		if p := &l.pointers[i]; l.isLate(p) {
			l.loader.attached.data = le.AppendUint64(l.loader.attached.data, p.place())
		}
	}
}

// latePointers are the pointers of a thin image into attached libraries, as relocations.
func (m *Image) latePointers() (list []Rela, err error) {
	places, _, _ := m.Section(attachedSection)
	for ; len(places) >= 8; places = places[8:] {
		place := le.Uint64(places) + m.moved
		field, err := m.Bytes(place, 8)
		if err != nil {
			return nil, err
		}
		list = append(list, Rela{Offset: place, Type: uint32(elf.R_X86_64_RELATIVE), Addend: int64(le.Uint64(field))})
	}
	return list, nil
}

// attached lists the libraries to open, with the pointers into them, and says in names what these are.
func (l *linker) attached(checks [][]guardCheck, names map[string]*symbol) ([]guardAttached, error) {
	var list []guardAttached
	for number, b := range l.bases {
		if !b.attached {
			continue
		}
		if b.image.EndAddr()-b.image.Moved() > MaxAttached {
			return nil, fmt.Errorf("%s has more than %d bytes: leave it out", b.image.Path, MaxAttached)
		}
		if b.reach.Name == "" {
			return nil, fmt.Errorf("%s exports nothing, so nobody can tell where it was loaded: leave it out", b.image.Path)
		}
		a := guardAttached{guardLibrary: guardLibrary{path: b.image.Path, checks: checks[number]}}
		for _, pin := range b.pins() {
			a.pins = append(a.pins, guardPin{symbol: pin.Name, addr: pin.Value})
		}
		for i := range l.pointers {
			p := &l.pointers[i]
			if p.to.base != b {
				continue
			}
			if p.piece != nil && p.piece.table == nil {
				return nil, fmt.Errorf("%s stores an address of %s, which gets known too late for it: use a slot", p.piece.object.Name, b.image.Path)
			}
			name := "late." + strconv.Itoa(i)
			place := &symbol{name: name, kind: symbolOutput, out: p.out, value: p.offset}
			if p.piece != nil {
				place.kind, place.piece = symbolPiece, p.piece
			}
			names[name] = place
			a.pointers = append(a.pointers, name)
		}
		list = append(list, a)
	}
	if len(list) > 0 {
		for _, name := range []string{openImport, lookupImport} {
			names[name] = &symbol{name: name, kind: symbolImport}
		}
	}
	return list, nil
}

// attach adds the code for one library. It needs the stack at a multiple of 16 bytes, and uses RBX and R12 beside what calls may change.
func (g *guardWriter) attach(a *Asm, library *guardAttached, bases []guardLibrary, afar Label) {
	gone, wrong, done := a.NewLabel(), a.NewLabel(), a.NewLabel()
	const handle, origin = RBX, R12
	a.Address(RDI, g.text(library.path))
	a.MoveImm(RSI, openLazily)
	a.CallMem(AtGOT(openImport))
	a.Test(RAX, RAX)
	a.Jump(Equal, gone)
	a.Move(handle, RAX)
	for i, pin := range library.pins {
		a.Move(RDI, handle)
		a.Address(RSI, g.text(pin.symbol))
		a.CallMem(AtGOT(lookupImport))
		a.Test(RAX, RAX)
		a.Jump(Equal, wrong)
		if i == 0 {
			a.Move(origin, RAX)
			continue
		}
		a.Sub(RAX, origin)
		a.MoveImm(RCX, int64(pin.addr-library.pins[0].addr))
		a.Compare(RAX, RCX)
		a.Jump(NotEqual, wrong)
	}
	a.Move(RAX, origin)
	a.Address(RSI, g.here(guardTables))
	g.loop(a, len(library.checks), guardCheckSize, func() { guardCompare(a, wrong) })
	for _, check := range library.checks {
		g.words(guardTables, check.addr-library.pins[0].addr, uint64(len(check.data)), guardHash(check.data))
	}
	near := func() {
		a.Move(RDX, origin)
		a.Sub(RDX, RCX)
		a.AddImm(RDX, attachedReach)
		a.MoveImm(RCX, 2*attachedReach)
		a.Compare(RDX, RCX)
		a.Jump(AboveEqual, afar)
	}
	a.Address(RCX, AtSymbol(g.sectionSymbol(guardTables), 0))
	near()
	if lowest := len(bases) - 1; lowest >= 0 {
		a.MoveImm(RCX, int64(bases[lowest].pins[0].addr))
		a.AddMem(RCX, g.bias(lowest))
		near()
	}
	// The bias.
	a.MoveImm(RCX, int64(library.pins[0].addr))
	a.Move(RAX, origin)
	a.Sub(RAX, RCX)
	a.Address(RSI, g.here(guardTables))
	g.loop(a, len(library.pointers), 8, func() {
		a.Load(RCX, At(RSI, 0))
		a.Load(RDX, At(RCX, 0))
		a.Add(RDX, RAX)
		a.Store(At(RCX, 0), RDX)
	})
	for _, pointer := range library.pointers {
		g.relocate(guardTables, elf.R_X86_64_64, pointer, 0)
		g.words(guardTables, 0)
	}
	a.Go(done)
	a.Bind(gone)
	g.die(a, fmt.Sprintf("chainbuild: this image needs the code of %s, which is not there or cannot be loaded: build the image again\n", library.path))
	a.Bind(wrong)
	g.die(a, fmt.Sprintf("chainbuild: %s was made again since this image was built with its code: build the image again\n", library.path))
	a.Bind(done)
}

// text appends a string that a zero byte ends to the constants, and returns its place.
func (g *guardWriter) text(text string) Mem {
	at := g.here(guardReadOnly)
	s := &g.object.Sections[guardReadOnly]
	s.Data = append(append(s.Data, text...), 0)
	for len(s.Data)%8 != 0 {
		s.Data = append(s.Data, 0)
	}
	return at
}
