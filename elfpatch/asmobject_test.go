package elfpatch

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// assembleNested is a function that saves registers, uses room on the stack, and calls a function that is given to it:
// nested(f, x) = f(x) + x.
func assembleNested(t testing.TB) *Object {
	t.Helper()
	var a Asm
	a.Begin("nested")
	a.Enter(0x108, RBX, R12)
	a.Move(RBX, RSI)
	a.MoveImm(R12, 77)
	a.Store(At(RSP, 0x100), R12)
	a.Store(At(RSP, 0xf8), RDI)
	a.Move(RDI, RSI)
	a.CallMem(At(RSP, 0xf8))
	for range 100 { // so that Leave is more than one byte's distance away
		a.AddImm(R12, 1000)
	}
	a.Add(RAX, RBX)
	a.Leave()
	a.Return()
	a.End()
	a.Begin("jumps")
	a.CompareMem(RDI, AtGOT("counter"))
	a.CallMem(a.AtPointer("outside"))
	a.CallMem(a.AtPointer("counter"))
	a.CallMem(a.AtPointer("outside"))
	a.Return()
	a.End()
	o, err := a.Object("assembled")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAssembledObject(t *testing.T) {
	o := assembleNested(t)
	lines := disassemble(t, o.Sections[asmText].Data)
	text := strings.Join(lines, "\n")
	for _, want := range []string{"push rbx\npush r12\nsub rsp, 0x108\n", "add rsp, 0x108\npop r12\npop rbx\nret"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	var symbols []string
	for _, s := range o.Symbols[asmSections:] {
		if s.Section != SectionUndefined {
			if s.Value%16 != 0 || elf.SymType(s.Type) != elf.STT_FUNC {
				t.Errorf("%+v", s)
			}
			s.Name += "="
		}
		symbols = append(symbols, s.Name)
	}
	if cells := o.Sections[asmPointers].Relas; len(cells) != 2 || o.Symbols[cells[1].Sym].Name != "counter" || cells[1].Offset != 8 {
		t.Errorf("pointers %+v", cells)
	}
	if got := strings.Join(symbols, " "); got != "nested= jumps= counter outside" {
		t.Errorf("symbols %s", got)
	}
}

func TestAssembledObjectErrors(t *testing.T) {
	for want, wrong := range map[string]func(*Asm){
		"has no end":           func(a *Asm) { a.Begin("f"); a.Return() },
		"outside of a func":    func(a *Asm) { a.Enter(8, RBX) },
		"entered twice":        func(a *Asm) { a.Begin("f"); a.Enter(8, RBX); a.Enter(8, RBX); a.End() },
		"that was not entered": func(a *Asm) { a.Begin("f"); a.Leave(); a.End() },
	} {
		var a Asm
		wrong(&a)
		if _, err := a.Object("wrong"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// framesHost unwinds from inside of a function that assembled code calls.
const framesHost = `
#define _GNU_SOURCE
#include <execinfo.h>
#include <stdio.h>
extern long nested(long (*f)(long), long x);
extern long outside(void) { return 1; }
long counter;
static int depth;
static long callee(long x) { void *stack[50]; depth = backtrace(stack, 50); return 10 * x; }
__attribute__((noinline)) static int here(void) { void *stack[50]; return backtrace(stack, 50); }
int main(void) {
	register long kept __asm__("rbx") = 5;
	__asm__ volatile("" : "+r"(kept));
	long got = nested(callee, 4);
	__asm__ volatile("" : "+r"(kept));
	printf("%ld %d frames more than main, rbx %ld\n", got, depth - here(), kept);
	return 0;
}
`

func TestAssembledFrames(t *testing.T) {
	folder := t.TempDir()
	object := filepath.Join(folder, "assembled.o")
	if err := os.WriteFile(object, writeObject(assembleNested(t)), 0o666); err != nil {
		t.Fatal(err)
	}
	host := compile(t, folder, "host", framesHost, object, "-Wl,-z,noexecstack")
	if got, want := run(t, host), "44 1 frames more than main, rbx 5\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// Each step of the description, as binutils read it: registers of the caller appear as they are saved.
	out := run(t, "readelf", "--debug-dump=frames-interp", object)
	for _, row := range []string{"rsp+8    c-8", "rsp+16   c-16  c-8", "rsp+24   c-16  c-24  c-8", "rsp+288  c-16  c-24  c-8"} {
		if !containsRow(out, strings.Fields(row)) {
			t.Errorf("no row %q in\n%s", row, out)
		}
	}
}

// containsRow says whether a line of text ends with these fields, u for registers that are undefined left out.
func containsRow(text string, fields []string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		var row []string
		for _, f := range strings.Fields(line) {
			if f != "u" {
				row = append(row, f)
			}
		}
		if len(row) > 0 && strings.Join(row[1:], " ") == strings.Join(fields, " ") {
			return true
		}
	}
	return false
}

// constructorHost says whether the library that its argument names has found where it is loaded, and calls its function
// "end", if it has one.
const constructorHost = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
	void *image = dlopen(argv[1], RTLD_NOW);
	if (!image) { printf("%s\n", dlerror()); return 2; }
	void **cell = dlsym(image, "cell");
	Dl_info info;
	dladdr(cell, &info);
	printf("%d\n", *cell == info.dli_fbase);
	fflush(stdout);
	((void (*)(void))dlsym(image, "end"))();
	return 0;
}
`

// TestConstructor has assembled code run when its image is loaded, and end the process.
func TestConstructor(t *testing.T) {
	folder := t.TempDir()
	var a Asm
	a.Begin("end")
	a.Die("this is the end\n")
	a.End()
	a.Begin("construct")
	a.Constructor()
	a.Address(RAX, AtSymbol(ImageStart, 0))
	a.Store(AtSymbol("cell", 0), RAX)
	a.Return()
	a.End()
	o, err := a.Object("constructor")
	if err != nil {
		t.Fatal(err)
	}
	b := &loadBench{folder: folder}
	image := b.link(t, "image.so", &Job{Objects: []*Object{o}, Exports: map[string]string{"end": "end"}, Sections: []Section{{
		Name: ".data.cell", Align: 8, Writable: true, Data: make([]byte, 8), Symbols: []Symbol{{Name: "cell", Size: 8, Export: true}}}}})
	checkReadelf(t, image)
	out, err := exec.Command(compile(t, folder, "host", constructorHost, "-ldl"), image).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || string(out) != "1\nthis is the end\n" {
		t.Errorf("%v, %q", err, out)
	}
}
