package elfpatch

// This file is an assembler for the few x86-64 instructions that an image needs of its own: the resolver of a shim, the
// guard of a thin image, stubs. Each method appends one instruction. Its output is position independent and can be
// linked like a section of an object.
//
//	a := new(Asm)
//	loop := a.NewLabel()
//	a.Bind(loop)
//	a.Load(RAX, At(RSI, 0))
//	a.AddImm(RSI, 8)
//	a.SubImm(RCX, 1)
//	a.Jump(NotEqual, loop)
//	a.Return()
//	code, err := a.Bytes()
//
// Operands come in Intel's order, destination first, and are 64 bits wide unless the name says otherwise. Encodings
// are those of the Intel manual, volume 2: prefixes, REX (0x48 W wide, 4 R, 2 X, 1 B: the high bits of the three register
// fields), opcode, ModRM (mode<<6 | register<<3 | base), SIB (scale<<6 | index<<3 | base), displacement, immediate.
// The longest forms of jumps and the shortest of all else are used.

import (
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"syscall"
)

// A Reg is a general register.
type Reg uint8

const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
)

// A Condition is what a jump depends on: the outcome of the last instruction that set flags, usually a comparison.
type Condition uint8

const (
	Overflow     Condition = 0x0
	Below        Condition = 0x2 // unsigned
	AboveEqual   Condition = 0x3 // unsigned
	Equal        Condition = 0x4
	NotEqual     Condition = 0x5
	BelowEqual   Condition = 0x6 // unsigned
	Above        Condition = 0x7 // unsigned
	Negative     Condition = 0x8
	Less         Condition = 0xc // signed
	GreaterEqual Condition = 0xd // signed
	LessEqual    Condition = 0xe // signed
	Greater      Condition = 0xf // signed
)

// A Label is a place in the code of one Asm.
type Label int

// A Mem is an operand in memory, made by At, AtIndex, AtLabel or AtSymbol.
type Mem struct {
	kind        memKind
	base, index Reg
	scale       uint8 // 0 without index, else 1, 2, 4 or 8
	disp        int32
	label       Label
	symbol      string
	via         elf.R_X86_64
}

type memKind uint8

const (
	memRegister memKind = iota
	memLabel
	memSymbol
)

// At is the memory disp bytes beyond the address in base.
func At(base Reg, disp int32) Mem { return Mem{base: base, disp: disp} }

// AtIndex is the memory at base + index*scale + disp. Index must not be RSP; scale is 1, 2, 4 or 8.
func AtIndex(base, index Reg, scale uint8, disp int32) Mem {
	return Mem{base: base, index: index, scale: scale, disp: disp}
}

// AtLabel is the memory at a label of the same Asm.
func AtLabel(l Label) Mem { return Mem{kind: memLabel, label: l} }

// AtSymbol is the memory disp bytes beyond a symbol that the link of the code resolves.
func AtSymbol(name string, disp int32) Mem {
	return Mem{kind: memSymbol, symbol: name, disp: disp, via: elf.R_X86_64_PC32}
}

// AtGOT is the entry of the global offset table that holds the address of a symbol.
func AtGOT(name string) Mem {
	return Mem{kind: memSymbol, symbol: name, via: elf.R_X86_64_GOTPCREL}
}

// A Reference is a field of the code that depends on a symbol outside of it: what a relocation of an object's section is.
type Reference struct {
	Offset uint64 // of the field in the code
	Kind   elf.R_X86_64
	Symbol string
	Addend int64
}

// An Asm is a piece of machine code in the making. The zero value is empty.
type Asm struct {
	code       []byte
	labels     []int // offset of each label, -1 until it is bound
	jumps      []labelUse
	references []Reference
	functions  []asmFunction
	pointers   []string
	weak       map[string]bool // symbols that nothing has to define
	err        error           // the first wrong use
}

// A labelUse is a 4 byte field that holds the distance of a label from base.
type labelUse struct {
	field, base int
	label       Label
}

// Len is the number of bytes so far.
func (a *Asm) Len() int { return len(a.code) }

// Bytes returns the code with all labels resolved. It is an error if a label was used but not bound, or if an
// instruction was given operands that it does not have.
func (a *Asm) Bytes() ([]byte, error) {
	if a.err != nil {
		return nil, a.err
	}
	for _, j := range a.jumps {
		at := a.labels[j.label]
		if at < 0 {
			return nil, fmt.Errorf("the code at %#x refers to label %d, which is not bound", j.field, j.label)
		}
		le.PutUint32(a.code[j.field:], uint32(at-j.base))
	}
	return a.code, nil
}

// References returns the fields that are left to the link.
func (a *Asm) References() []Reference { return a.references }

// NewLabel returns a label that is yet to be bound.
func (a *Asm) NewLabel() Label {
	a.labels = append(a.labels, -1)
	return Label(len(a.labels) - 1)
}

// Bind puts a label here.
func (a *Asm) Bind(l Label) { a.labels[l] = len(a.code) }

// Raw appends bytes as they are: data, or an instruction that has no method.
func (a *Asm) Raw(b ...byte) { a.code = append(a.code, b...) }

// Align fills up with traps until the length is a multiple of n, a power of two.
func (a *Asm) Align(n int) {
	for len(a.code)&(n-1) != 0 {
		a.Trap()
	}
}

// Move copies a register.
func (a *Asm) Move(to, from Reg) { a.registers(rexW, 0x89, from, to) }

// MoveImm loads a constant.
func (a *Asm) MoveImm(to Reg, value int64) {
	switch {
	case value >= 0 && value <= math.MaxUint32: // a 32 bit move clears the upper half
		a.rex(0, 0, 0, to)
		a.Raw(0xb8 | byte(to&7))
		a.imm32(int32(uint32(value)))
	case value == int64(int32(value)):
		a.registers(rexW, 0xc7, 0, to)
		a.imm32(int32(value))
	default:
		a.rex(rexW, 0, 0, to)
		a.Raw(0xb8 | byte(to&7))
		a.code = le.AppendUint64(a.code, uint64(value))
	}
}

// Load reads 8 bytes.
func (a *Asm) Load(to Reg, from Mem) { a.memory(rexW, 0, to, from, 0x8b) }

// Load32 reads 4 bytes and clears the upper half of the register.
func (a *Asm) Load32(to Reg, from Mem) { a.memory(0, 0, to, from, 0x8b) }

// LoadSigned32 reads 4 bytes and extends their sign.
func (a *Asm) LoadSigned32(to Reg, from Mem) { a.memory(rexW, 0, to, from, 0x63) }

// Load8 reads 1 byte and clears the rest of the register.
func (a *Asm) Load8(to Reg, from Mem) { a.memory(0, 0, to, from, 0x0f, 0xb6) }

// SignExtend32 extends the sign of the low half of a register.
func (a *Asm) SignExtend32(to, from Reg) { a.registers(rexW, 0x63, to, from) }

// Store writes 8 bytes.
func (a *Asm) Store(to Mem, from Reg) { a.memory(rexW, 0, from, to, 0x89) }

// Store32 writes the low 4 bytes of a register.
func (a *Asm) Store32(to Mem, from Reg) { a.memory(0, 0, from, to, 0x89) }

// StoreImm writes a constant of size bytes: 1, 2, 4 or 8, where 8 extends the sign.
func (a *Asm) StoreImm(to Mem, size int, value int32) {
	switch size {
	case 1:
		a.memory(0, 1, 0, to, 0xc6)
		a.Raw(byte(value))
	case 2:
		a.Raw(0x66)
		a.memory(0, 2, 0, to, 0xc7)
		a.code = le.AppendUint16(a.code, uint16(value))
	case 4:
		a.memory(0, 4, 0, to, 0xc7)
		a.imm32(value)
	case 8:
		a.memory(rexW, 4, 0, to, 0xc7)
		a.imm32(value)
	default:
		a.fail("a store of %d bytes does not exist", size)
	}
}

// Address computes the address of a place in memory (lea).
func (a *Asm) Address(to Reg, of Mem) { a.memory(rexW, 0, to, of, 0x8d) }

// Add, Sub, Xor, Compare and Multiply work on two registers; Compare only sets flags.
func (a *Asm) Add(to, from Reg)      { a.registers(rexW, 0x01, from, to) }
func (a *Asm) Sub(to, from Reg)      { a.registers(rexW, 0x29, from, to) }
func (a *Asm) Xor(to, from Reg)      { a.registers(rexW, 0x31, from, to) }
func (a *Asm) Compare(x, y Reg)      { a.registers(rexW, 0x39, y, x) }
func (a *Asm) Multiply(to, from Reg) { a.registers2(rexW, 0x0f, 0xaf, to, from) }

// Test sets flags by x & y.
func (a *Asm) Test(x, y Reg) { a.registers(rexW, 0x85, y, x) }

// AddImm, SubImm, AndImm and CompareImm work on a register and a constant.
func (a *Asm) AddImm(to Reg, value int32)    { a.immediate(0, to, value) }
func (a *Asm) SubImm(to Reg, value int32)    { a.immediate(5, to, value) }
func (a *Asm) AndImm(to Reg, value int32)    { a.immediate(4, to, value) }
func (a *Asm) CompareImm(x Reg, value int32) { a.immediate(7, x, value) }

// AddMem, SubMem, XorMem and CompareMem work on a register and 8 bytes of memory.
func (a *Asm) AddMem(to Reg, from Mem) { a.memory(rexW, 0, to, from, 0x03) }
func (a *Asm) SubMem(to Reg, from Mem) { a.memory(rexW, 0, to, from, 0x2b) }
func (a *Asm) XorMem(to Reg, from Mem) { a.memory(rexW, 0, to, from, 0x33) }
func (a *Asm) CompareMem(x Reg, y Mem) { a.memory(rexW, 0, x, y, 0x3b) }

// RotateLeft and ShiftLeft move the bits of a register; the latter fills with zeros.
func (a *Asm) RotateLeft(r Reg, bits uint8) { a.shift(0, r, bits) }
func (a *Asm) ShiftLeft(r Reg, bits uint8)  { a.shift(4, r, bits) }

// Push and Pop move 8 bytes to and from the stack.
func (a *Asm) Push(r Reg) { a.rex(0, 0, 0, r); a.Raw(0x50 | byte(r&7)) }
func (a *Asm) Pop(r Reg)  { a.rex(0, 0, 0, r); a.Raw(0x58 | byte(r&7)) }

// Go jumps to a label.
func (a *Asm) Go(l Label) { a.Raw(0xe9); a.relative(l) }

// Jump jumps to a label on a condition.
func (a *Asm) Jump(on Condition, l Label) { a.Raw(0x0f, 0x80|byte(on)); a.relative(l) }

// GoMem jumps to the address in 8 bytes of memory.
func (a *Asm) GoMem(m Mem) { a.memory(0, 0, 4, m, 0xff) }

// CallMem calls the address in 8 bytes of memory.
func (a *Asm) CallMem(m Mem) { a.memory(0, 0, 2, m, 0xff) }

// Return ends a function.
func (a *Asm) Return() { a.Raw(0xc3) }

// Syscall enters the kernel: number in RAX, arguments in RDI, RSI, RDX, R10, R8, R9; RCX and R11 are lost.
func (a *Asm) Syscall() { a.Raw(0x0f, 0x05) }

// CopyBytes copies RCX bytes from RSI to RDI, upwards; all three registers are changed.
func (a *Asm) CopyBytes() { a.Raw(0xf3, 0xa4) }

// Trap stops the program.
func (a *Asm) Trap() { a.Raw(0xcc) }

// Die prints a line on standard error and ends the process with status 1: for code that there is nobody to return an error
// to. The text becomes part of the code.
func (a *Asm) Die(line string) {
	text := a.NewLabel()
	a.die(AtLabel(text), len(line))
	a.Bind(text)
	a.Raw([]byte(line)...)
}

// die is Die for a line that is elsewhere (write and exit_group of the kernel).
func (a *Asm) die(line Mem, length int) {
	a.Address(RSI, line)
	a.MoveImm(RDX, int64(length))
	a.MoveImm(RDI, 2)
	a.MoveImm(RAX, syscall.SYS_WRITE)
	a.Syscall()
	a.MoveImm(RDI, 1)
	a.MoveImm(RAX, syscall.SYS_EXIT_GROUP)
	a.Syscall()
	a.Trap()
}

const rexW = 0x48

func (a *Asm) fail(format string, args ...any) {
	if a.err == nil {
		a.err = errors.New("assembler: " + fmt.Sprintf(format, args...))
	}
}

func (a *Asm) imm32(v int32) { a.code = le.AppendUint32(a.code, uint32(v)) }

// rex appends the REX prefix for the three register fields of an instruction unless none of its bits is needed.
func (a *Asm) rex(w byte, reg, index, base Reg) {
	if b := w | byte(reg>>3)<<2 | byte(index>>3)<<1 | byte(base>>3); b != 0 {
		a.Raw(0x40 | b)
	}
}

// registers appends an instruction whose ModRM names two registers, or a register and part of the opcode.
func (a *Asm) registers(w, opcode byte, reg, rm Reg) {
	a.rex(w, reg, 0, rm)
	a.Raw(opcode, 0xc0|byte(reg&7)<<3|byte(rm&7))
}

// registers2 is registers for an opcode of two bytes.
func (a *Asm) registers2(w, first, second byte, reg, rm Reg) {
	a.rex(w, reg, 0, rm)
	a.Raw(first, second, 0xc0|byte(reg&7)<<3|byte(rm&7))
}

// immediate appends an instruction of the group 81 /operation.
func (a *Asm) immediate(operation Reg, r Reg, value int32) {
	if value == int32(int8(value)) {
		a.registers(rexW, 0x83, operation, r)
		a.Raw(byte(value))
		return
	}
	a.registers(rexW, 0x81, operation, r)
	a.imm32(value)
}

// shift appends an instruction of the group c1 /operation.
func (a *Asm) shift(operation Reg, r Reg, bits uint8) {
	if bits > 63 {
		a.fail("a shift by %d bits does not exist", bits)
	}
	a.registers(rexW, 0xc1, operation, r)
	a.Raw(bits)
}

// relative appends the distance of a label from the end of the field.
func (a *Asm) relative(l Label) {
	a.jumps = append(a.jumps, labelUse{len(a.code), len(a.code) + 4, l})
	a.imm32(0)
}

// memory appends an instruction with an operand in memory; immediate is the number of bytes that follow it and belong to
// the same instruction, from whose end the processor counts.
func (a *Asm) memory(w byte, immediate int, reg Reg, m Mem, opcode ...byte) {
	if m.kind != memRegister {
		a.rex(w, reg, 0, 0)
		a.Raw(opcode...)
		a.Raw(byte(reg&7)<<3 | 5)
		if m.kind == memLabel {
			a.jumps = append(a.jumps, labelUse{len(a.code), len(a.code) + 4 + immediate, m.label})
		} else {
			a.references = append(a.references,
				Reference{uint64(len(a.code)), m.via, m.symbol, int64(m.disp) - 4 - int64(immediate)})
		}
		a.imm32(0)
		return
	}
	a.rex(w, reg, m.index, m.base)
	a.Raw(opcode...)
	// A base of RBP or R13 without displacement would mean another mode, so they always have one.
	mode := byte(0x80)
	switch {
	case m.disp == 0 && m.base&7 != RBP:
		mode = 0
	case m.disp == int32(int8(m.disp)):
		mode = 0x40
	}
	switch {
	case m.scale != 0:
		scale, ok := map[uint8]byte{1: 0, 2: 1, 4: 2, 8: 3}[m.scale]
		if !ok || m.index == RSP {
			a.fail("memory cannot be indexed by register %d times %d", m.index, m.scale)
		}
		a.Raw(mode|byte(reg&7)<<3|4, scale<<6|byte(m.index&7)<<3|byte(m.base&7))
	case m.base&7 == RSP: // needs a SIB byte; index 4 is none
		a.Raw(mode|byte(reg&7)<<3|4, 0x24)
	default:
		a.Raw(mode | byte(reg&7)<<3 | byte(m.base&7))
	}
	switch mode {
	case 0x40:
		a.Raw(byte(m.disp))
	case 0x80:
		a.imm32(m.disp)
	}
}
