package sysimage

import (
	"debug/elf"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		name string
		file func() []byte
		want error
		text string
	}{
		{"no.so", func() []byte { return (&testELF{symbols: []elfpatch.Symbol{{Name: "x", Offset: 0x10}}}).file() },
			ErrNotSystemImage, "give the sys.so of a Julia"},
		{"modern.so", func() []byte {
			return (&testELF{
				segments: []testSegment{{0x1000, elf.PF_R, make([]byte, 64)}},
				symbols: []elfpatch.Symbol{{Name: "jl_image_pointers", Offset: 0x1000}, {Name: "jl_system_image_data", Offset: 0x1010},
					{Name: "jl_system_image_size", Offset: 0x1008}},
			}).file()
		}, ErrUnknownFormat, "use an image made by Julia 1.5"},
		{"text.so", func() []byte { return []byte("#!/bin/sh\n") }, elfpatch.ErrNotELF, "text.so"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := OpenFile(writeTestFile(t, filepath.Join(dir, test.name), test.file()))
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), test.name) {
				t.Errorf("error %v, want %v with %q", err, test.want, test.text)
			}
		})
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	for _, test := range []struct {
		name, want string
		spoil      func(m *testImage)
	}{
		{"fills functions that do not ascend", `function indices of target 0 do not ascend`, func(m *testImage) { m.variants[0].filled = []int{4, 1} }},
		{"falls back to an incomplete target", `target 2 falls back to target 2`, func(m *testImage) { m.variants[2].fallback = 2 }},
		{"first target incomplete", `first target does not have all functions`, func(m *testImage) { m.variants[0].complete = false }},
		{"record of no code instance", `function 0 leads to no code instance`, func(m *testImage) { m.heap.functions[0] = uint64(m.heap.globals[0]) }},
		{"record of half a code instance", "function 0 leads to no code instance", func(m *testImage) {
			inside := uint32(m.heap.functions[1]) + 8
			m.heap.set(inside-8, uint64(m.heap.roots[tagCodeInstance]))
			m.heap.functions[0] = uint64(inside)
		}},
		{"binding inside of a binding", "belongs to no module", func(m *testImage) {
			inside := m.heap.bindings["Base.x"] + 24
			m.heap.set(inside-8, refBinding<<testShift)
			m.heap.set(inside, m.heap.symbol("x"))
			m.heap.globals[1] = inside
		}},
		{"two records for one body", `functions 1 and 2 belong to the same part`, func(m *testImage) { m.heap.functions[2] = m.heap.functions[1] }},
		{"more records than functions", `names 7 functions, of which there are 6`, func(m *testImage) { m.heap.functions = append(m.heap.functions, 0, 0, 0) }},
		{"more cell records than cells", `fills 10 cells of native code, of which there are 9`, func(m *testImage) { m.heap.globals = append(m.heap.globals, 0, 0) }},
		{"cell with a reference to nowhere", `cell 0: damaged`, func(m *testImage) { m.heap.globals[0] = 1 << 28 }},
		{"cell with a symbol that is not", `cell 3: damaged`, func(m *testImage) { m.heap.globals[3] = refSymbol<<testShift + 1<<20 }},
		{"module with too many bindings", `the module at offset`, func(m *testImage) { m.heap.set(m.heap.modules["Points"]+16, 1<<60) }},
		{"module whose parent is none", `module Points of the heap has a parent that is no module`, func(m *testImage) { m.heap.set(m.heap.modules["Points"]+8, uint64(m.heap.globals[0])) }},
		{"module without name", `has no name`, func(m *testImage) { m.heap.set(m.heap.modules["Points"], 0) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newTestBase()
			test.spoil(m)
			path := m.write(t, t.TempDir())
			_, err := OpenFile(path)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %v with %q", err, ErrDamaged, test.want)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, test := range []struct {
		name, want string
		spoil      func(m *testImage)
	}{
		{"reference to nowhere", `is no reference: 0x10000000000`, func(m *testImage) { m.heap.set(m.heap.refs[0], 1<<40) }},
		{"unaligned relocation", `for no word of it`, func(m *testImage) { m.heap.refs[0]++ }},
		{"relocation beyond the heap", `for no word of it`, func(m *testImage) { m.heap.refs[0] = 1 << 24 }},
		{"three lists of relocations", `not two lists`, func(m *testImage) { m.heap.refs[0] = 0 }},
		{"type that is no object", `is no reference`, func(m *testImage) { m.heap.set(m.heap.globals[0]-8, refSymbol<<testShift) }},
		{"root that is no reference", `root 50 of the heap is no reference`, func(m *testImage) { m.heap.roots[50] = 7 << testShift }},
		{"storage that is no reference", `root 138 of the heap is no reference`, func(m *testImage) { m.heap.tls = 1 << 28 }},
		{"another type for a root", `where SimpleVector belongs`, func(m *testImage) { m.heap.roots[tagSimpleVector] = m.heap.roots[tagMethodInst] }},
		{"something that is not nothing", `is not nothing`, func(m *testImage) { m.heap.roots[tagNothing] = m.heap.globals[0] }},
		{"object finished in no way", `could finish`, func(m *testImage) { m.heap.finish = append(m.heap.finish, m.heap.globals[0], 9) }},
		{"callable that is no method", `callable from C`, func(m *testImage) { m.heap.ccallable = append(m.heap.ccallable, m.heap.roots[tagNothing], 3) }},
		{"function outside of code", `function 5 on target 0`, func(m *testImage) { m.functions[5] = testCells }},
		{"variant outside of code", `function 3 on target 2`, func(m *testImage) { m.variants[2].code[3] = 0x7000000 }},
		{"body without convention", `function 2 has no calling convention`, func(m *testImage) { m.heap.set(mustBody(m)+codeInvoke, 0); unlist(m.heap, mustBody(m)+codeInvoke) }},
		{"cell in code", `cell 2 of native code`, func(m *testImage) { m.cells[2] = testCode + 8 }},
		{"cell between cells", `cell 2 of native code`, func(m *testImage) { m.cells[2] += 4 }},
		{"slots that do not ascend", `slot 1, of function 1`, func(m *testImage) { m.slots[0], m.slots[2] = m.slots[2], m.slots[0] }},
		{"slot in code", `slot 0, of function 1`, func(m *testImage) { m.slots[0][1] = testCode }},
		{"function without a slot", `target 1 fills slots of function 2, which has none`, func(m *testImage) { m.variants[1].filled = []int{1, 2, 4} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newTestBase()
			test.spoil(m)
			b := openTest(t, m.write(t, t.TempDir()))
			if err := b.Check(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %v with %q", err, ErrDamaged, test.want)
			}
		})
	}
	b := openTest(t, newTestBase().write(t, t.TempDir()))
	if err := b.Check("Points"); err == nil || !strings.Contains(err.Error(), "module Points was left") {
		t.Errorf("error %v for a module that must not be there", err)
	}
}

// mustBody is a code instance of newTestBase that has a body only.
func mustBody(m *testImage) uint32 { return uint32(m.heap.functions[2]) }

// unlist takes a word out of the list of relocations.
func unlist(h *testHeap, word uint32) {
	h.refs = slices.DeleteFunc(h.refs, func(r uint32) bool { return r == word })
}

func TestOpenFileOtherBase(t *testing.T) {
	dir := t.TempDir()
	base := newTestBase()
	b := openTest(t, base.write(t, dir))
	path := filepath.Join(dir, "thin.so")
	chainTestImage(t, b, path, "", 0x1000000)
	openTest(t, path)
	base.heap.value()
	base.write(t, dir)
	if _, err := OpenFile(path); !errors.Is(err, ErrOtherBase) || !strings.Contains(err.Error(), "base.so") || !strings.Contains(err.Error(), "thin.so") {
		t.Errorf("error %v, want %v that names both files", err, ErrOtherBase)
	}
}

// A base whose addresses reach into those of the image on top of it cannot be told apart from that by address.
func TestOpenFileOverlap(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, newTestBase().write(t, dir))
	path := filepath.Join(dir, "thin.so")
	chainTestImage(t, b, path, "", 0x41000)
	if _, err := OpenFile(path); !errors.Is(err, ErrOtherBase) {
		t.Errorf("error %v, want %v", err, ErrOtherBase)
	}
}

func TestPackages(t *testing.T) {
	b := openTest(t, newTestBase().write(t, t.TempDir()))
	packages, err := b.Packages()
	if err != nil {
		t.Fatal(err)
	}
	// Points has function 2, of whose two variants each is 16 bytes before that of function 3.
	byName := map[string]Package{}
	for _, p := range packages {
		byName[p.Name] = p
	}
	base, points := byName["Base"], byName["Points"]
	if base.Code != 2 || base.Functions != 3 || points.Code != 1 || points.Functions != 1 {
		t.Errorf("Base %+v, Points %+v", base, points)
	}
	if points.Bytes != 32 {
		t.Errorf("Points has %d bytes of code, want 32", points.Bytes)
	}
	if packages[0].Name != "Base" || byName["Main"].Modules != 1 {
		t.Errorf("packages %+v", packages)
	}
}
