package elfpatch

import (
	"debug/elf"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

var (
	names64 = []string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	names32 = []string{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"}
)

// assembled is one instruction and what a disassembler must make of it, in Intel's syntax.
type assembled struct {
	emit func(a *Asm)
	want string
}

// check disassembles the code of all instructions and compares. Each must also be exactly as long as was appended.
func check(t *testing.T, instructions []assembled) {
	t.Helper()
	for _, i := range instructions {
		var a Asm
		i.emit(&a)
		code, err := a.Bytes()
		if err != nil {
			t.Errorf("%s: %v", i.want, err)
			continue
		}
		instruction, err := x86asm.Decode(code, 64)
		if err != nil {
			t.Errorf("%s: % x: %v", i.want, code, err)
			continue
		}
		if got := x86asm.IntelSyntax(instruction, 0, nil); got != i.want || instruction.Len != len(code) {
			t.Errorf("got %q of %d bytes, want %q of %d bytes: % x", got, instruction.Len, i.want, len(code), code)
		}
	}
}

// Every base with displacements of each length, with and without index. Operands are compared as the disassembler decodes
// them, register by register.
func TestMemoryOperands(t *testing.T) {
	decoded := func(r Reg) x86asm.Reg { return x86asm.RAX + x86asm.Reg(r) }
	for base := RAX; base <= R15; base++ {
		for _, disp := range []int32{0, 1, -128, 127, 128, -129, 1 << 30, -1 << 31} {
			for index := RAX; index <= R15; index++ {
				for _, scale := range []uint8{0, 1, 2, 4, 8} {
					m, want := At(base, disp), x86asm.Mem{Base: decoded(base)}
					if scale != 0 && index != RSP {
						m = AtIndex(base, index, scale, disp)
						want.Scale, want.Index = scale, decoded(index)
					}
					var a Asm
					a.Load(R9, m)
					code, err := a.Bytes()
					if err != nil {
						t.Fatal(err)
					}
					i, err := x86asm.Decode(code, 64)
					if err != nil {
						t.Fatalf("%+v: % x: %v", m, code, err)
					}
					got, ok := i.Args[1].(x86asm.Mem)
					if !ok || i.Len != len(code) || i.Op != x86asm.MOV || i.Args[0] != x86asm.R9 || int32(got.Disp) != disp {
						t.Fatalf("%+v: % x is %v", m, code, i)
					}
					if got.Disp = 0; got.Index == 0 {
						got.Scale = 0 // the decoder gives an absent index a scale
					}
					if got != want {
						t.Errorf("%+v: % x is %+v", m, code, got)
					}
				}
			}
		}
	}
}

func TestRegisterInstructions(t *testing.T) {
	var tests []assembled
	add := func(want string, emit func(a *Asm)) { tests = append(tests, assembled{emit, want}) }
	for r := RAX; r <= R15; r++ {
		r64, r32 := names64[r], names32[r]
		add("push "+r64, func(a *Asm) { a.Push(r) })
		add("pop "+r64, func(a *Asm) { a.Pop(r) })
		add("rol "+r64+", 0x1f", func(a *Asm) { a.RotateLeft(r, 31) })
		add("shl "+r64+", 0x3f", func(a *Asm) { a.ShiftLeft(r, 63) })
		add("mov "+r32+", 0x7fffffff", func(a *Asm) { a.MoveImm(r, 0x7fffffff) })
		add("mov "+r32+", -0x1", func(a *Asm) { a.MoveImm(r, 0xffffffff) }) // which clears the upper half
		add("mov "+r64+", -0x1", func(a *Asm) { a.MoveImm(r, -1) })
		add("mov "+r64+", 0x123456789abcdef0", func(a *Asm) { a.MoveImm(r, 0x123456789abcdef0) })
		for text, value := range map[string]int32{"0x7f": 127, "0x80": 128, "-0x80": -128, "-0x81": -129} {
			add("add "+r64+", "+text, func(a *Asm) { a.AddImm(r, value) })
			add("sub "+r64+", "+text, func(a *Asm) { a.SubImm(r, value) })
			add("and "+r64+", "+text, func(a *Asm) { a.AndImm(r, value) })
			add("cmp "+r64+", "+text, func(a *Asm) { a.CompareImm(r, value) })
		}
		for s := RAX; s <= R15; s++ {
			both := " " + r64 + ", " + names64[s]
			add("mov"+both, func(a *Asm) { a.Move(r, s) })
			add("add"+both, func(a *Asm) { a.Add(r, s) })
			add("sub"+both, func(a *Asm) { a.Sub(r, s) })
			add("xor"+both, func(a *Asm) { a.Xor(r, s) })
			add("cmp"+both, func(a *Asm) { a.Compare(r, s) })
			add("test"+both, func(a *Asm) { a.Test(r, s) })
			add("imul"+both, func(a *Asm) { a.Multiply(r, s) })
			add("movsxd "+r64+", "+names32[s], func(a *Asm) { a.SignExtend32(r, s) })
		}
	}
	check(t, tests)
}

func TestMemoryInstructions(t *testing.T) {
	var tests []assembled
	add := func(want string, emit func(a *Asm)) { tests = append(tests, assembled{emit, want}) }
	m := AtIndex(R13, R12, 4, 0)
	const text = "ptr [r13+4*r12]"
	for r := RAX; r <= R15; r++ {
		add("mov "+names64[r]+", qword "+text, func(a *Asm) { a.Load(r, m) })
		add("mov "+names32[r]+", dword "+text, func(a *Asm) { a.Load32(r, m) })
		add("movzx "+names32[r]+", byte "+text, func(a *Asm) { a.Load8(r, m) })
		add("movsxd "+names64[r]+", dword "+text, func(a *Asm) { a.LoadSigned32(r, m) })
		add("mov qword "+text+", "+names64[r], func(a *Asm) { a.Store(m, r) })
		add("mov dword "+text+", "+names32[r], func(a *Asm) { a.Store32(m, r) })
		add("lea "+names64[r]+", "+text, func(a *Asm) { a.Address(r, m) })
		add("add "+names64[r]+", qword "+text, func(a *Asm) { a.AddMem(r, m) })
		add("sub "+names64[r]+", qword "+text, func(a *Asm) { a.SubMem(r, m) })
		add("xor "+names64[r]+", qword "+text, func(a *Asm) { a.XorMem(r, m) })
		add("cmp "+names64[r]+", qword "+text, func(a *Asm) { a.CompareMem(r, m) })
	}
	add("mov byte "+text+", 0x5", func(a *Asm) { a.StoreImm(m, 1, 5) })
	add("mov word "+text+", 0x5", func(a *Asm) { a.StoreImm(m, 2, 5) })
	add("mov dword "+text+", 0x5", func(a *Asm) { a.StoreImm(m, 4, 5) })
	add("mov qword "+text+", -0x1", func(a *Asm) { a.StoreImm(m, 8, -1) })
	add("call qword "+text, func(a *Asm) { a.CallMem(m) })
	add("jmp qword "+text, func(a *Asm) { a.GoMem(m) })
	add("ret", func(a *Asm) { a.Return() })
	add("syscall", func(a *Asm) { a.Syscall() })
	add("rep movsb byte ptr [rdi], byte ptr [rsi]", func(a *Asm) { a.CopyBytes() })
	add("int3", func(a *Asm) { a.Trap() })
	check(t, tests)
}

// disassemble returns all instructions of some code.
func disassemble(t *testing.T, code []byte) []string {
	t.Helper()
	var lines []string
	for pc := 0; pc < len(code); {
		i, err := x86asm.Decode(code[pc:], 64)
		if err != nil {
			t.Fatalf("at %#x: % x: %v", pc, code[pc:min(len(code), pc+15)], err)
		}
		lines = append(lines, x86asm.IntelSyntax(i, uint64(pc), nil))
		pc += i.Len
	}
	return lines
}

func TestLabels(t *testing.T) {
	conditions := map[Condition]string{Overflow: "jo", Below: "jb", AboveEqual: "jnb", Equal: "jz", NotEqual: "jnz", BelowEqual: "jbe",
		Above: "jnbe", Negative: "js", Less: "jl", GreaterEqual: "jnl", LessEqual: "jle", Greater: "jnle"}
	for c, name := range conditions {
		var a Asm
		back, forth := a.NewLabel(), a.NewLabel()
		a.Bind(back)
		a.Jump(c, forth)
		a.Go(back)
		a.Bind(forth)
		a.Address(RAX, AtLabel(back))
		a.StoreImm(AtLabel(forth), 2, 1)
		code, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(disassemble(t, code), "; ")
		// The conditional jump is printed by its distance, the others by their goal; back is 0, forth is 0xb.
		want := name + " .+0x5; jmp 0x0; lea rax, ptr [rip+0xffffffee]; mov word ptr [rip+0xfffffff0], 0x1"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestReferences(t *testing.T) {
	var a Asm
	a.Address(RDI, AtSymbol("text", 16))
	a.Load(RAX, AtGOT("errno"))
	a.StoreImm(AtSymbol("flag", 0), 1, 1)
	a.StoreImm(AtSymbol("flag", 8), 8, 1)
	if _, err := a.Bytes(); err != nil {
		t.Fatal(err)
	}
	// An addend makes up for the distance from the field to the end of its instruction.
	want := []Reference{
		{3, elf.R_X86_64_PC32, "text", 12},
		{10, elf.R_X86_64_GOTPCREL, "errno", -4},
		{16, elf.R_X86_64_PC32, "flag", -5},
		{24, elf.R_X86_64_PC32, "flag", 0},
	}
	if got := a.References(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAsmRefuses(t *testing.T) {
	for want, emit := range map[string]func(a *Asm){
		"not bound":          func(a *Asm) { a.Go(a.NewLabel()) },
		"a store of 3 bytes": func(a *Asm) { a.StoreImm(At(RAX, 0), 3, 0) },
		"a shift by 64 bits": func(a *Asm) { a.ShiftLeft(RAX, 64) },
		"cannot be indexed":  func(a *Asm) { a.Load(RAX, AtIndex(RAX, RSP, 1, 0)) },
		"register 1 times 3": func(a *Asm) { a.Load(RAX, AtIndex(RAX, RCX, 3, 0)) },
	} {
		var a Asm
		emit(&a)
		if _, err := a.Bytes(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one that says %q", err, want)
		}
	}
}

func TestAlign(t *testing.T) {
	var a Asm
	a.Return()
	a.Align(16)
	a.Align(16)
	if a.Len() != 16 {
		t.Errorf("%d bytes, want 16", a.Len())
	}
}
