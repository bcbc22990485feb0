package elfpatch

// This file makes the constructor of thin images. Before anything else of the image is used, the constructor checks that
// the libraries which were loaded are those that the image was written for, and completes what depends on how far apart
// they were loaded. It runs after the loader has relocated the image and calls nothing, libc included, unless libraries are
// attached. In order:
//
//  1. Pins: exported symbols of a library, whose addresses the loader looked up, lie as far from each other as they did
//     in the file of that library. Only then is it safe to read at a distance from them.
//  2. Checks: ranges of the library have the hash that they have in its file.
//  3. Runs: int32 fields that hold the difference of two virtual addresses of different libraries get the difference
//     of the biases of those libraries added; a bias is the address at run time less the virtual address, moved as Job.Moved says.
//  4. Attached libraries are opened, see attach.go.
//  5. Redirects: pointers to functions that the loader has put into a library are replaced. Some lie on pages that the
//     loader made read-only (PT_GNU_RELRO), which become writable for that moment.
//
// A failure is one line on standard error and the end of the process with status 1: there is nobody to return an error to.

import (
	"debug/elf"
	"fmt"
	"math/bits"
	"path/filepath"
	"syscall"
)

// A guardSpec is what a guard has to do.
type guardSpec struct {
	libraries []guardLibrary
	attached  []guardAttached
	moved     uint64 // Job.Moved
	runs      []guardRun
	redirects []guardRedirect
}

// A guardLibrary is a base of the image.
type guardLibrary struct {
	path string // for the message
	// pins, at least one, are what is known to be exported. The first also tells the bias of the library.
	pins   []guardPin
	checks []guardCheck
}

// A guardPin is a symbol that the guard's object leaves undefined, to be resolved to the place addr of the library.
type guardPin struct {
	symbol string
	addr   uint64 // virtual address in the library's file
}

// A guardCheck is a range of a library.
type guardCheck struct {
	addr uint64 // virtual address in the library's file
	data []byte // what must be there
}

// A guardRun is a row of adjacent int32 fields of the image that hold target − anchor.
type guardRun struct {
	symbol         string // left undefined by the guard's object, to be resolved to a place of the image
	offset         uint64 // of the first field from there, in bytes
	count          uint32 // of fields
	target, anchor int    // index into guardSpec.libraries; guardImage is the image itself
}

// A guardRedirect is a pointer to replace. Both symbols are left undefined by the guard's object.
type guardRedirect struct {
	pointer, to string
	readOnly    bool // the pointer lies on a page that cannot be written to
}

const (
	// guardImage stands for the image itself among the libraries.
	guardImage = -1
)

// guardMultiplier spreads each word of a checked range over the hash: 2^64 divided by the golden ratio, made odd.
const guardMultiplier = 0x9e3779b97f4a7c15

// guardHash is the hash of a checked range. It tells builds of a library apart; it is no defence against forgery.
func guardHash(data []byte) uint64 {
	h := uint64(len(data))
	for ; len(data) >= 8; data = data[8:] {
		h = bits.RotateLeft64(h^le.Uint64(data), 31) * guardMultiplier
	}
	for _, b := range data {
		h = bits.RotateLeft64(h^uint64(b), 31) * guardMultiplier
	}
	return h
}

// Tables that the guard's code walks through, in .data.rel.ro, first one after the other for each library:
//
//	pins        8 address at run time (relocated), 8 distance to the library's first pin in its file
//	checks      8 distance to the first pin, 8 size in bytes, 8 hash
//	redirects   8 address of the pointer, 8 what it will be (both relocated), 8 not 0 if its page is read-only
//
// and, in .rodata:
//
//	runs        4 distance of the first field from here (relocated), 4 count of fields,
//	            4 offsets in bytes of two biases in .bss: of the target and of the anchor
const (
	guardPinSize      = 16
	guardCheckSize    = 24
	guardRunSize      = 16
	guardRedirectSize = 24
)

// Sections of the guard's object, which are also the indices of their section symbols.
const (
	guardText = 1 + iota
	guardReadOnly
	guardTables
	guardBiases
	guardInit
	guardSections
)

// guard returns the constructor as an object, which is to be linked before all others so that it runs first. It has the
// sections .text, .rodata, .data.rel.ro, .bss and .init_array, and leaves undefined ImageStart and the symbols of pins
// and runs.
func guard(spec guardSpec) (*Object, error) {
	g := &guardWriter{object: &Object{Name: "the guard", Sections: make([]ObjectSection, guardSections),
		Symbols: make([]ObjectSymbol, guardSections)}, symbols: map[string]uint32{}}
	var a Asm
	afar := a.NewLabel()
	wrong := make([]Label, len(spec.libraries))

	// RAX holds the address of the library's first pin throughout, RSI the row of the table.
	for i, library := range spec.libraries {
		wrong[i] = a.NewLabel()
		origin := library.pins[0].addr
		a.Address(RSI, g.here(guardTables))
		a.Load(RAX, At(RSI, 0))
		g.loop(&a, len(library.pins), guardPinSize, func() {
			a.Load(RDX, At(RSI, 0))
			a.Sub(RDX, RAX)
			a.CompareMem(RDX, At(RSI, 8))
			a.Jump(NotEqual, wrong[i])
		})
		for _, pin := range library.pins {
			g.relocate(guardTables, elf.R_X86_64_64, pin.symbol, 0)
			g.words(guardTables, 0, pin.addr-origin)
		}
		a.Address(RSI, g.here(guardTables))
		g.loop(&a, len(library.checks), guardCheckSize, func() { guardCompare(&a, wrong[i]) })
		for _, check := range library.checks {
			g.words(guardTables, check.addr-origin, uint64(len(check.data)), guardHash(check.data))
		}
		// The bias, for the runs. That of the image is the first.
		a.MoveImm(RCX, int64(origin))
		a.Sub(RAX, RCX)
		a.Store(g.bias(i), RAX)
	}
	a.Address(RAX, AtSymbol(ImageStart, 0))
	a.MoveImm(RCX, int64(spec.moved))
	a.Sub(RAX, RCX)
	a.Store(g.bias(guardImage), RAX)

	a.Address(RSI, g.here(guardReadOnly))
	a.Address(R8, g.bias(guardImage))
	g.loop(&a, len(spec.runs), guardRunSize, func() { guardComplete(&a, afar) })
	for _, run := range spec.runs {
		g.relocate(guardReadOnly, elf.R_X86_64_PC32, run.symbol, int64(run.offset))
		g.words(guardReadOnly, uint64(run.count)<<32, uint64(8*(run.target+1))|uint64(8*(run.anchor+1))<<32)
	}

	if len(spec.attached) > 0 {
		// The three pointers make the stack a multiple of 16 bytes, as calls want it.
		for _, r := range []Reg{RBX, R12, R13} {
			a.Push(r)
		}
		for i := range spec.attached {
			g.attach(&a, &spec.attached[i], spec.libraries, afar)
		}
		for _, r := range []Reg{R13, R12, RBX} {
			a.Pop(r)
		}
	}
	locked := a.NewLabel()
	a.Address(RSI, g.here(guardTables))
	g.loop(&a, len(spec.redirects), guardRedirectSize, func() { guardRedirectPointer(&a, locked) })
	for _, r := range spec.redirects {
		readOnly := uint64(0)
		if r.readOnly {
			readOnly = 1
		}
		g.relocate(guardTables, elf.R_X86_64_64, r.pointer, 0)
		g.words(guardTables, 0)
		g.relocate(guardTables, elf.R_X86_64_64, r.to, 0)
		g.words(guardTables, 0, readOnly)
	}
	a.Return()

	for i, library := range spec.libraries {
		a.Bind(wrong[i])
		g.die(&a, fmt.Sprintf("chainbuild: this image was built on another build of %s: build it again, or put the old %s back\n",
			library.path, filepath.Base(library.path)))
	}
	a.Bind(afar)
	g.die(&a, "chainbuild: this image was loaded more than 2 GiB away from the library that it was built on: start again, "+
		"with less address space in use\n")
	if len(spec.redirects) > 0 {
		a.Bind(locked)
		g.die(&a, "chainbuild: this image may not change an import of the library that it was built on: allow mprotect, or build "+
			"a standalone image\n")
	}

	g.object.Sections[guardBiases].Size = uint64(8 * (len(spec.libraries) + 1))
	g.relocate(guardInit, elf.R_X86_64_64, g.sectionSymbol(guardText), 0)
	g.words(guardInit, 0)
	return g.finish(&a)
}

// guardCompare hashes the range of a row of checks and jumps to wrong if it is not what it was. It keeps RAX, RSI, RDI.
func guardCompare(a *Asm, wrong Label) {
	words, tail, done := a.NewLabel(), a.NewLabel(), a.NewLabel()
	a.Load(RDX, At(RSI, 0))
	a.Add(RDX, RAX)
	a.Load(RCX, At(RSI, 8))
	a.Move(R8, RCX)
	multiplier := uint64(guardMultiplier)
	a.MoveImm(R9, int64(multiplier))
	a.Bind(words)
	a.CompareImm(RCX, 8)
	a.Jump(Below, tail)
	a.XorMem(R8, At(RDX, 0))
	a.RotateLeft(R8, 31)
	a.Multiply(R8, R9)
	a.AddImm(RDX, 8)
	a.SubImm(RCX, 8)
	a.Go(words)
	a.Bind(tail)
	a.Test(RCX, RCX)
	a.Jump(Equal, done)
	a.Load8(R10, At(RDX, 0))
	a.Xor(R8, R10)
	a.RotateLeft(R8, 31)
	a.Multiply(R8, R9)
	a.AddImm(RDX, 1)
	a.SubImm(RCX, 1)
	a.Go(tail)
	a.Bind(done)
	a.CompareMem(R8, At(RSI, 16))
	a.Jump(NotEqual, wrong)
}

// guardComplete adds to the fields of a row of runs, and jumps to afar if a sum does not fit its field. R8 is the address
// of the biases; it keeps R8, RSI, RDI.
func guardComplete(a *Asm, afar Label) {
	fields, done := a.NewLabel(), a.NewLabel()
	a.LoadSigned32(RDX, At(RSI, 0))
	a.Add(RDX, RSI)
	a.Load32(RCX, At(RSI, 4))
	a.Load32(RAX, At(RSI, 8))
	a.Load(R9, AtIndex(R8, RAX, 1, 0))
	a.Load32(RAX, At(RSI, 12))
	a.SubMem(R9, AtIndex(R8, RAX, 1, 0))
	a.Bind(fields)
	a.SubImm(RCX, 1)
	a.Jump(Below, done)
	a.LoadSigned32(RAX, At(RDX, 0))
	a.Add(RAX, R9)
	a.SignExtend32(R10, RAX)
	a.Compare(R10, RAX)
	a.Jump(NotEqual, afar)
	a.Store32(At(RDX, 0), RAX)
	a.AddImm(RDX, 4)
	a.Go(fields)
	a.Bind(done)
}

// guardRedirectPointer replaces the pointer of a row of redirects and jumps to locked if the kernel (mprotect) does not let
// it. It keeps RSI and RDI.
func guardRedirectPointer(a *Asm, locked Label) {
	writable, done := a.NewLabel(), a.NewLabel()
	a.Load(R8, At(RSI, 0))
	a.Load(R9, At(RSI, 8))
	a.Load(RAX, At(RSI, 16))
	a.Test(RAX, RAX)
	a.Jump(Equal, writable)
	protect := func(access int64) {
		a.MoveImm(RDX, access)
		a.MoveImm(RAX, syscall.SYS_MPROTECT)
		a.Syscall()
	}
	a.Push(RSI)
	a.Push(RDI)
	a.Move(RDI, R8)
	a.AndImm(RDI, -pageSize)
	a.MoveImm(RSI, pageSize)
	protect(syscall.PROT_READ | syscall.PROT_WRITE)
	a.Test(RAX, RAX)
	a.Jump(NotEqual, locked)
	a.Store(At(R8, 0), R9)
	protect(syscall.PROT_READ)
	a.Pop(RDI)
	a.Pop(RSI)
	a.Go(done)
	a.Bind(writable)
	a.Store(At(R8, 0), R9)
	a.Bind(done)
}

// A guardWriter builds the guard's object.
type guardWriter struct {
	object  *Object
	symbols map[string]uint32 // index of each undefined symbol
}

// loop runs body for each of n rows of a table; RSI is the current one, RDI is what remains.
func (g *guardWriter) loop(a *Asm, n, rowSize int, body func()) {
	if n == 0 {
		return
	}
	again := a.NewLabel()
	a.MoveImm(RDI, int64(n))
	a.Bind(again)
	body()
	a.AddImm(RSI, int32(rowSize))
	a.SubImm(RDI, 1)
	a.Jump(NotEqual, again)
}

// die prints a line and ends the process.
func (g *guardWriter) die(a *Asm, line string) {
	a.die(g.here(guardReadOnly), len(line))
	s := &g.object.Sections[guardReadOnly]
	s.Data = append(s.Data, line...)
}

// here is the place where the next bytes of a section will be.
func (g *guardWriter) here(section int) Mem {
	return AtSymbol(g.sectionSymbol(section), int32(len(g.object.Sections[section].Data)))
}

// bias is where the bias of a library is kept.
func (g *guardWriter) bias(library int) Mem {
	return AtSymbol(g.sectionSymbol(guardBiases), int32(8*(library+1)))
}

// sectionSymbol is how the code calls a section; no other symbol can have such a name.
func (g *guardWriter) sectionSymbol(section int) string { return fmt.Sprintf("\x00%d", section) }

// words appends 8 byte values to a section.
func (g *guardWriter) words(section int, values ...uint64) {
	s := &g.object.Sections[section]
	for _, v := range values {
		s.Data = le.AppendUint64(s.Data, v)
	}
}

// relocate makes the next bytes of a section depend on a symbol.
func (g *guardWriter) relocate(section int, kind elf.R_X86_64, symbol string, addend int64) {
	s := &g.object.Sections[section]
	s.Relas = append(s.Relas, Rela{uint64(len(s.Data)), uint32(kind), g.symbol(symbol), addend})
}

// symbol returns the index of a symbol, undefined unless it is that of a section.
func (g *guardWriter) symbol(name string) uint32 {
	for section := 1; section < guardSections; section++ {
		if name == g.sectionSymbol(section) {
			return uint32(section)
		}
	}
	i, ok := g.symbols[name]
	if !ok {
		i = uint32(len(g.object.Symbols))
		g.symbols[name] = i
		g.object.Symbols = append(g.object.Symbols, ObjectSymbol{Name: name, Bind: uint8(elf.STB_GLOBAL)})
	}
	return i
}

// finish adds the code and completes the sections.
func (g *guardWriter) finish(a *Asm) (*Object, error) {
	code, err := a.Bytes()
	if err != nil {
		return nil, err
	}
	sections := g.object.Sections
	sections[guardText].Data = code
	for _, r := range a.References() {
		sections[guardText].Relas = append(sections[guardText].Relas,
			Rela{r.Offset, uint32(r.Kind), g.symbol(r.Symbol), r.Addend})
	}
	alloc, write := elf.SHF_ALLOC, elf.SHF_ALLOC|elf.SHF_WRITE
	for i, s := range []struct {
		name  string
		kind  elf.SectionType
		flags elf.SectionFlag
		align uint64
	}{
		guardText:     {".text", elf.SHT_PROGBITS, alloc | elf.SHF_EXECINSTR, 16},
		guardReadOnly: {".rodata", elf.SHT_PROGBITS, alloc, 8},
		guardTables:   {".data.rel.ro", elf.SHT_PROGBITS, write, 8},
		guardBiases:   {".bss", elf.SHT_NOBITS, write, 8},
		guardInit:     {".init_array", elf.SHT_INIT_ARRAY, write, 8},
	} {
		to := &sections[i]
		to.Name, to.Type, to.Flags, to.Align = s.name, uint32(s.kind), uint64(s.flags), s.align
		if s.kind != elf.SHT_NOBITS {
			to.Size = uint64(len(to.Data))
		}
		if i > 0 {
			g.object.Symbols[i] = ObjectSymbol{Name: s.name, Section: i, Type: uint8(elf.STT_SECTION)}
		}
	}
	g.object.Symbols = append(g.object.Symbols, ObjectSymbol{Name: "chainbuild_guard", Section: guardText, Size: uint64(len(code)),
		Type: uint8(elf.STT_FUNC)})
	return g.object, nil
}
