package elfpatch

// This file makes objects of assembled code: functions with symbols, and with the descriptions of their stack frames by
// which an unwinder gets past them.
//
//	a := new(Asm)
//	a.Begin("twice")
//	a.Enter(8, RBX)
//	...
//	a.Leave()
//	a.Return()
//	a.End()
//	object, err := a.Object("assembled code")
//
// A frame description is a program of DW_CFA instructions (DWARF 4, 6.4.2; the records around it are at the top of
// ehframe.go). It says for every instruction of a function how far the frame of its caller begins above RSP, and which
// registers of the caller lie in between:
//
//	40|n          advance n bytes of code; 02 n and 03 nn take them from 1 and 2 bytes
//	0e offset     the frame begins at RSP + offset
//	80|r n        register r of the caller lies 8 n bytes below that
//	c0|r          register r has its value of the caller again

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
)

// An asmFunction is a function between Begin and End.
type asmFunction struct {
	name       string
	start, end int // in the code
	frame      []byte
	described  int    // how far the frame is described: an offset in the code
	depth      uint64 // of the stack below the caller's frame, in bytes
	room       int32
	saved      []Reg
	// constructor: the dynamic loader calls it when the image is loaded.
	constructor bool
}

// dwarfRegisters are the numbers that registers have in frame descriptions (AMD64 supplement, figure 3.36).
var dwarfRegisters = [16]byte{0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15}

// Begin starts a function at a multiple of 16 bytes.
func (a *Asm) Begin(name string) {
	a.Align(16)
	a.functions = append(a.functions, asmFunction{name: name, start: a.Len(), described: a.Len(), depth: 8})
}

// End ends the function that the last Begin started.
func (a *Asm) End() {
	if f := a.function(); f != nil {
		f.end = a.Len()
	}
}

// Constructor has the dynamic loader call the function when it has loaded the image: after the constructors of the libraries
// that the image needs, and after the guard of a thin image. In a standalone image those of the bases do not run.
func (a *Asm) Constructor() {
	if f := a.function(); f != nil {
		f.constructor = true
	}
}

// Enter saves registers on the stack and leaves room bytes above RSP for the function's own use. Before the function
// calls others, RSP must be a multiple of 16: what the registers take, room and 8 bytes are to add up to one.
func (a *Asm) Enter(room int32, saved ...Reg) {
	f := a.function()
	if f == nil || f.saved != nil {
		a.fail("a frame is entered twice, or outside of a function")
		return
	}
	f.room, f.saved = room, saved
	for _, r := range saved {
		a.Push(r)
		f.describe(a.Len(), f.depth+8)
		f.frame = binary.AppendUvarint(append(f.frame, 0x80|dwarfRegisters[r]), f.depth/8)
	}
	a.SubImm(RSP, room)
	f.describe(a.Len(), f.depth+uint64(room))
}

// Leave undoes Enter. What follows until End has no frame any more: there can be one Leave.
func (a *Asm) Leave() {
	f := a.function()
	if f == nil || f.saved == nil {
		a.fail("a frame is left that was not entered")
		return
	}
	a.AddImm(RSP, f.room)
	f.describe(a.Len(), f.depth-uint64(f.room))
	for i := len(f.saved) - 1; i >= 0; i-- {
		a.Pop(f.saved[i])
		f.describe(a.Len(), f.depth-8)
		f.frame = append(f.frame, 0xc0|dwarfRegisters[f.saved[i]])
	}
}

// pointersSymbol is how code calls the section of AtPointer; no other symbol can have such a name.
const pointersSymbol = "\x00pointers"

// AtPointer is memory of the object that holds the address of a symbol. Unlike what AtGOT refers to it is out of the
// reach of a Redirect. For code that becomes an Object.
func (a *Asm) AtPointer(name string) Mem {
	i := slices.Index(a.pointers, name)
	if i < 0 {
		i = len(a.pointers)
		a.pointers = append(a.pointers, name)
	}
	return AtSymbol(pointersSymbol, int32(8*i))
}

// AtWeakGOT is like AtGOT. If nothing defines the symbol, the entry holds 0. For code that becomes an Object.
func (a *Asm) AtWeakGOT(name string) Mem {
	if a.weak == nil {
		a.weak = map[string]bool{}
	}
	a.weak[name] = true
	return AtGOT(name)
}

// function is the one that is being assembled, nil outside of one.
func (a *Asm) function() *asmFunction {
	if n := len(a.functions); n > 0 && a.functions[n-1].end == 0 {
		return &a.functions[n-1]
	}
	return nil
}

// describe says that from the offset at of the code on the stack has another depth.
func (f *asmFunction) describe(at int, depth uint64) {
	switch n := at - f.described; {
	case n < 0x40:
		f.frame = append(f.frame, 0x40|byte(n))
	case n < 0x100:
		f.frame = append(f.frame, 0x02, byte(n))
	default:
		f.frame = le.AppendUint16(append(f.frame, 0x03), uint16(n))
	}
	f.described, f.depth = at, depth
	f.frame = binary.AppendUvarint(append(f.frame, 0x0e), depth)
}

// Sections of the object, which are also the indices of their section symbols.
const (
	asmText = 1 + iota
	asmFrames
	asmPointers
	asmSections
)

// maxFunction is how many bytes of code a frame description can advance in one step.
const maxFunction = 1<<16 - 1

// Object returns the functions as an object that defines their names and leaves undefined what else the code refers to.
func (a *Asm) Object(name string) (*Object, error) {
	code, err := a.Bytes()
	if err != nil {
		return nil, err
	}
	const alloc = uint64(elf.SHF_ALLOC)
	o := &Object{Name: name, Sections: make([]ObjectSection, asmSections), Symbols: []ObjectSymbol{
		{},
		{Name: ".text", Section: asmText, Type: uint8(elf.STT_SECTION)},
		{Name: ".eh_frame", Section: asmFrames, Type: uint8(elf.STT_SECTION)},
		{Name: ".data.rel.ro", Section: asmPointers, Type: uint8(elf.STT_SECTION)},
	}}
	text, frames, pointers := &o.Sections[asmText], &o.Sections[asmFrames], &o.Sections[asmPointers]
	*text = ObjectSection{Name: ".text", Type: uint32(elf.SHT_PROGBITS), Flags: alloc | uint64(elf.SHF_EXECINSTR),
		Align: 16, Data: code, Size: uint64(len(code))}
	*frames = ObjectSection{Name: ".eh_frame", Type: uint32(elf.SHT_PROGBITS), Flags: alloc, Align: 8}
	*pointers = ObjectSection{Name: ".data.rel.ro", Type: uint32(elf.SHT_PROGBITS), Flags: alloc | uint64(elf.SHF_WRITE),
		Align: 8, Data: make([]byte, 8*len(a.pointers)), Size: 8 * uint64(len(a.pointers))}
	frames.Data = append(frames.Data, stubFrames[:commonFrame]...)
	index := map[string]uint32{pointersSymbol: asmPointers}
	var constructors []uint32
	for _, f := range a.functions {
		if f.end == 0 || f.end-f.start > maxFunction {
			return nil, fmt.Errorf("assembler: function %s has no end, or more than %d bytes", f.name, maxFunction)
		}
		index[f.name] = uint32(len(o.Symbols))
		o.Symbols = append(o.Symbols, ObjectSymbol{Name: f.name, Section: asmText, Value: uint64(f.start),
			Size: uint64(f.end - f.start), Bind: uint8(elf.STB_GLOBAL), Type: uint8(elf.STT_FUNC), Visibility: uint8(elf.STV_HIDDEN)})
		f.appendFrame(frames)
		if f.constructor {
			constructors = append(constructors, index[f.name])
		}
	}
	frames.Size = uint64(len(frames.Data))
	symbol := func(name string) uint32 {
		i, ok := index[name]
		if !ok {
			i = uint32(len(o.Symbols))
			index[name] = i
			bind := elf.STB_GLOBAL
			if a.weak[name] {
				bind = elf.STB_WEAK
			}
			o.Symbols = append(o.Symbols, ObjectSymbol{Name: name, Bind: uint8(bind)})
		}
		return i
	}
	for _, r := range a.References() {
		text.Relas = append(text.Relas, Rela{r.Offset, uint32(r.Kind), symbol(r.Symbol), r.Addend})
	}
	for i, name := range a.pointers {
		pointers.Relas = append(pointers.Relas, Rela{uint64(8 * i), uint32(elf.R_X86_64_64), symbol(name), 0})
	}
	if len(constructors) > 0 {
		o.appendConstructors(constructors)
	}
	return o, nil
}

// appendConstructors lists symbols in a section .init_array.
func (o *Object) appendConstructors(symbols []uint32) {
	s := ObjectSection{Name: ".init_array", Type: uint32(elf.SHT_INIT_ARRAY), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE), Align: 8}
	for i, symbol := range symbols {
		s.Relas = append(s.Relas, Rela{uint64(8 * i), uint32(elf.R_X86_64_64), symbol, 0})
	}
	s.Data = make([]byte, 8*len(symbols))
	s.Size = uint64(len(s.Data))
	o.Sections = append(o.Sections, s)
}

// appendFrame appends the function's description to .eh_frame, whose common information is at its start.
func (f *asmFunction) appendFrame(s *ObjectSection) {
	start := len(s.Data)
	s.Data = append(s.Data, 0, 0, 0, 0)
	s.Data = le.AppendUint32(s.Data, uint32(len(s.Data)))
	s.Relas = append(s.Relas, Rela{uint64(len(s.Data)), uint32(elf.R_X86_64_PC32), asmText, int64(f.start)})
	s.Data = append(s.Data, 0, 0, 0, 0)
	s.Data = le.AppendUint32(s.Data, uint32(f.end-f.start))
	s.Data = append(append(s.Data, 0), f.frame...)
	for len(s.Data)%8 != 0 {
		s.Data = append(s.Data, 0) // DW_CFA_nop
	}
	le.PutUint32(s.Data[start:], uint32(len(s.Data)-start-4))
}
