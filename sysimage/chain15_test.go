package sysimage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// testCodeAt is where variant v of function i of the base lies.
func testCodeAt(i, v int) uint64 { return testCode + uint64(0x100*v+16*i) }

// newTestBase makes a base with three targets, the last of which has code of its own for functions 1, 3 and 4 only.
// Function 5 belongs to no code instance, function 0 is the same on all targets.
func newTestBase() *testImage {
	h := newTestHeap()
	h.module("Base", "Main", "x", "y")
	h.module("Points", "", "z")
	var functions []uint64
	for i := range 6 {
		functions = append(functions, testCodeAt(i, 0))
	}
	clones := map[int]uint64{0: testCodeAt(0, 0)}
	for i := 1; i < 6; i++ {
		clones[i] = testCodeAt(i, 1)
	}
	c1, c2, c3 := h.code("Base", 0), h.code("Points", conventionBoxed), h.code("Base", conventionParameters)
	h.functions = []uint64{
		codeRecord{c1, true}.entry(), codeRecord{c1, false}.entry(), codeRecord{c2, false}.entry(), codeRecord{c3, false}.entry(),
	}
	object := h.value()
	h.globals = []uint32{
		object, h.bindings["Base.y"], 0, uint32(h.symbol("only_in_base")), uint32(h.symbol("x")), refTag<<testShift + 5, object,
		h.bindings["Points.z"],
	}
	m := &testImage{heap: h, functions: functions, variants: []testVariant{
		{complete: true, filled: []int{1, 4}},
		{complete: true, filled: []int{1, 4}, code: clones},
		{fallback: 1, code: map[int]uint64{1: testCodeAt(1, 2), 3: testCodeAt(3, 2), 4: testCodeAt(4, 2)}, filled: []int{1, 4}},
	}}
	for i := range len(h.globals) + 1 {
		m.cells = append(m.cells, testCells+8*uint64(i))
	}
	m.slots = [][2]uint64{{1, testCells + 0x100}, {1, testCells + 0x108}, {4, testCells + 0x110}}
	return m
}

// openTest opens an image and closes it with the test.
func openTest(t *testing.T, path string) *Base {
	t.Helper()
	b, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A newHeap is the heap of an image on top of a base: the base's objects at other places, and new ones.
type newHeap struct {
	*testHeap
	code, data, modules []uint32 // the base's, in the order of its index
	fresh               uint32   // a new code instance
	object              uint32   // an object of a new cell
}

// newHeapOn makes a heap as a process that was started from b would: without code for the base's code instances, its
// modules in another order with more bindings.
func newHeapOn(b *Base) *newHeap {
	h := &newHeap{testHeap: newTestHeap()}
	h.value()
	h.module("Base", "Main", "new_name", "y", "x")
	h.module("Fresh", "", "w")
	h.module("Points", "", "more", "z")
	for range b.Code {
		h.value()
		h.code = append(h.code, h.testHeap.code("Base", 0))
	}
	for range b.data {
		h.data = append(h.data, h.value())
	}
	for _, m := range b.Modules {
		offset, ok := h.testHeap.modules[m.Name]
		if !ok {
			offset = h.module(m.Name, "", "v")
		}
		h.modules = append(h.modules, offset)
	}
	h.fresh = h.testHeap.code("Fresh", 0)
	h.object = h.value()
	h.plant(h.code, h.data, h.modules)
	return h
}

// index is what goes with the heap: two new functions around one of the base's, two new cells. The new code uses
// functions 0, 2, 3 and 4 of the base, of which 0 needs no dispatch, 2 is in no list of the partial target, 3 is in one as a
// function that no slot is filled with, and 4 is in all.
func (h *newHeap) index(suffix string) *Index {
	h.functions = []uint64{
		codeRecord{h.fresh, true}.entry(), codeRecord{h.code[1], false}.entry(), codeRecord{h.fresh, false}.entry(),
	}
	h.globals = []uint32{h.object}
	return &Index{
		Name:      "index.txt",
		Functions: []IndexFunction{{Symbol: "jfptr_f_2000" + suffix}, {Base: 2}, {Symbol: "julia_f_2001" + suffix}},
		Globals:   []string{"cell1" + suffix, "cell2" + suffix},
		Used:      []int{4, 0, 3, 2, 4},
	}
}

// functions are the symbols of the new functions of an index.
func (index *Index) newFunctions() (names []string) {
	for _, f := range index.Functions {
		if f.Symbol != "" {
			names = append(names, f.Symbol)
		}
	}
	return names
}

// chainTestImage chains a new heap to the image at path and writes the result with addresses from start on.
func chainTestImage(t *testing.T, b *Base, path, suffix string, start uint64) (*newHeap, map[string]uint64, *Merged) {
	t.Helper()
	h := newHeapOn(b)
	index := h.index(suffix)
	m, err := b.Chain(h.blob(), index)
	if err != nil {
		t.Fatal(err)
	}
	_, addrs := linkTest(t, path, m, index.newFunctions(), start)
	return h, addrs, m
}

func TestOpenTestBase(t *testing.T) {
	m := newTestBase()
	b := openTest(t, m.write(t, t.TempDir()))
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	if b.Format != "1.5" || len(b.Functions) != 6 || len(b.Globals) != 9 || len(b.Code) != 3 || len(b.Modules) != 3 {
		t.Errorf("format %s, %d functions, %d globals, %d code instances, %d modules",
			b.Format, len(b.Functions), len(b.Globals), len(b.Code), len(b.Modules))
	}
	if got, want := b.Functions[3].Variants, []uint64{testCodeAt(3, 0), testCodeAt(3, 1), testCodeAt(3, 2)}; !slices.Equal(got, want) {
		t.Errorf("function 3 is at %#x, want %#x", got, want)
	}
	if got, want := b.Functions[2].Variants, []uint64{testCodeAt(2, 0), testCodeAt(2, 1), testCodeAt(2, 1)}; !slices.Equal(got, want) {
		t.Errorf("function 2 is at %#x, want %#x", got, want)
	}
	kinds := []GlobalKind{GlobalData, GlobalBinding, GlobalZero, GlobalSymbol, GlobalSymbol, GlobalTag, GlobalData, GlobalBinding, GlobalZero}
	for i, g := range b.Globals {
		if g.Kind != kinds[i] {
			t.Errorf("cell %d is of kind %d, want %d", i, g.Kind, kinds[i])
		}
	}
	if g := b.Globals[7]; b.Modules[g.Module].Name != "Points" || g.Name != "z" {
		t.Errorf("cell 7 is bound to %s.%s", b.Modules[g.Module].Name, g.Name)
	}
	if b.Targets[1].Name != "cpu1" || !b.Targets[1].Complete || b.Targets[2].Complete || b.Targets[2].Fallback != 1 {
		t.Errorf("targets %+v", b.Targets)
	}
}

// checkAgainstBase compares what the loader makes of a chained image with what it makes of its base.
func checkAgainstBase(t *testing.T, base, chained *Base, h *newHeap, addrs map[string]uint64, suffix string) {
	t.Helper()
	for target := range base.Targets {
		was, is := load(t, base.Layers, target), load(t, chained.Layers, target)
		for i, c := range base.Code {
			if c.Invoke >= 0 && is.invoke[h.code[i]] != was.invoke[c.Offset] || c.Spec >= 0 && is.spec[h.code[i]] != was.spec[c.Offset] {
				t.Errorf("target %d: code instance %d runs %#x and %#x, in the base %#x and %#x", target, i,
					is.invoke[h.code[i]], is.spec[h.code[i]], was.invoke[c.Offset], was.spec[c.Offset])
			}
		}
		if got, want := is.invoke[h.fresh], addrs["jfptr_f_2000"+suffix]; got != want {
			t.Errorf("target %d: new wrapper at %#x, want %#x", target, got, want)
		}
		if got, want := is.spec[h.fresh], addrs["julia_f_2001"+suffix]; got != want {
			t.Errorf("target %d: new body at %#x, want %#x", target, got, want)
		}
		if n := len(base.Code); len(is.spec) != len(was.spec)+1 || len(is.invoke) != len(was.invoke)+1 {
			t.Errorf("target %d: %d wrappers, %d bodies with %d code instances in the base", target, len(is.invoke), len(is.spec), n)
		}
		for at, code := range was.slots {
			if is.slots[at] != code {
				t.Errorf("target %d: slot %#x holds %#x, in the base %#x", target, at, is.slots[at], code)
			}
		}
		for _, used := range []int{2, 3, 4} {
			at := addrs[elfpatch.SlotSymbol(BaseSymbol(used))]
			if want := base.Functions[used].Variants[target]; at == 0 || is.slots[at] != want {
				t.Errorf("target %d: slot of base function %d holds %#x, want %#x", target, used, is.slots[at], want)
			}
		}
		if len(is.slots) != len(was.slots)+3 {
			t.Errorf("target %d: %d slots filled, %d in the base", target, len(is.slots), len(was.slots))
		}
		for i, g := range base.Globals {
			if g.Kind == GlobalZero {
				continue
			}
			addr := base.format.(*image15).global(at32(base.format.(*image15).globals, i))
			if got, want := meaning(chained, is.cells[addr], nil), meaning(base, uint32(g.Code), h); got != want {
				t.Errorf("cell %d of the base is filled with %s, want %s", i, got, want)
			}
		}
		if got := is.cells[addrs["cell1"+suffix]]; got != h.object {
			t.Errorf("new cell is filled with %#x, want %#x", got, h.object)
		}
	}
}

// meaning describes a reference so that it can be compared with one of another heap; objects of the base are translated
// to offsets in h.
func meaning(b *Base, ref uint32, h *newHeap) string {
	m := b.format.(*image15)
	g, err := m.readGlobal(ref)
	if err != nil {
		return err.Error()
	}
	if g.Kind == GlobalData && h != nil {
		i, _ := slices.BinarySearch(b.data, g.Offset)
		g.Offset = h.data[i]
	}
	switch g.Kind {
	case GlobalData:
		return fmt.Sprint("object ", g.Offset)
	case GlobalBinding:
		return "binding " + b.Modules[g.Module].Name + "." + g.Name
	case GlobalSymbol:
		return "symbol " + g.Name
	}
	return fmt.Sprint("code ", ref)
}

func TestChain(t *testing.T) {
	dir := t.TempDir()
	base := openTest(t, newTestBase().write(t, dir))
	path := filepath.Join(dir, "chained.so")
	h, addrs, merged := chainTestImage(t, base, path, "", 0x1000000)
	chained := openTest(t, path)
	if err := chained.Check("Unwanted"); err != nil {
		t.Error(err)
	}
	if len(chained.Layers) != 2 || chained.Note == nil || chained.Note.Functions != 2 || chained.Note.Globals != 2 {
		t.Errorf("%d layers, note %+v", len(chained.Layers), chained.Note)
	}
	checkAgainstBase(t, base, chained, h, addrs, "")

	// Functions that are the same on all targets need no dispatch.
	for _, s := range merged.Slots {
		if s.Fixed != (s.Name == "base.0") {
			t.Errorf("slot %s: Fixed is %v", s.Name, s.Fixed)
		}
	}
	// Calling conventions are restored, and listed as relocations.
	m := chained.format.(*image15)
	for i, want := range []uint64{0, refFunction<<testShift + conventionBoxed, refFunction<<testShift + conventionParameters} {
		if got := m.blob.word(h.code[i] + codeInvoke); got != want {
			t.Errorf("code instance %d has invoke %#x, want %#x", i, got, want)
		}
		if listed := slices.Contains(relocsOf(m.blob), h.code[i]+codeInvoke); listed != (want != 0) {
			t.Errorf("relocation of invoke of code instance %d: %v", i, listed)
		}
	}
	// Nothing is left of the planted lists: neither in the roots nor as words or relocations.
	if m.blob.tls() != m.blob.tags[tagNothing] {
		t.Errorf("the root task's storage is %#x, want nothing", m.blob.tls())
	}
	planted, err := parseBlob15(h.blob())
	if err != nil {
		t.Fatal(err)
	}
	svec := planted.tls()
	for i := range uint32(3) {
		if m.blob.word(svec+8+8*i) != 0 || slices.Contains(relocsOf(m.blob), svec+8+8*i) {
			t.Errorf("element %d of the planted list is still there", i)
		}
	}
	if got, want := len(relocsOf(m.blob)), len(relocsOf(planted))-3-len(h.code)-len(h.data)-len(h.modules)+2; got != want {
		t.Errorf("%d relocations, want %d", got, want)
	}
	if chained.NameCounter != 2002 {
		t.Errorf("name counter %d, want 2002", chained.NameCounter)
	}
}

// relocsOf lists the relocations of a blob, zeros included.
func relocsOf(p *blob15) (list []uint32) {
	data := p.relocs.of(p.data)
	for i := range len(data) / 4 {
		list = append(list, at32(data, i))
	}
	return list
}

// An image on an image on an image: offsets of the one in the middle lie in another layer than their anchor.
func TestChainOnChain(t *testing.T) {
	dir := t.TempDir()
	base := openTest(t, newTestBase().write(t, dir))
	first := filepath.Join(dir, "first.so")
	h1, addrs1, _ := chainTestImage(t, base, first, "", 0x1000000)
	middle := openTest(t, first)
	checkAgainstBase(t, base, middle, h1, addrs1, "")
	second := filepath.Join(dir, "second.so")
	h2, addrs2, merged := chainTestImage(t, middle, second, "1", 0x2000000)
	top := openTest(t, second)
	if err := top.Check(); err != nil {
		t.Error(err)
	}
	if len(top.Layers) != 3 {
		t.Errorf("%d layers, want 3", len(top.Layers))
	}
	checkAgainstBase(t, middle, top, h2, addrs2, "1")
	// The link is told of fields whose target lies in the middle layer, so that it can complete them at load time.
	inMiddle := 0
	for _, s := range merged.Sections {
		for _, f := range s.Fixups {
			if f.Target.Base == middle.Layers[0] {
				inMiddle++
			}
			if f.Anchor.Base != base.Layers[0] && f.Anchor.Base.Path != base.Layers[0].Path {
				t.Errorf("a field counts from %s", f.Anchor.Base.Path)
			}
		}
	}
	// Two new functions on two complete targets, two cells, three slots; the functions that the partial target lists lie in
	// the base.
	if inMiddle != 2*2+2+3 {
		t.Errorf("%d fields lead to the middle layer, want 9", inMiddle)
	}
}

// The blob may be completed where it is if there is room behind it, and must be the same when there is none.
func TestChainInPlace(t *testing.T) {
	base := openTest(t, newTestBase().write(t, t.TempDir()))
	var results [][]byte
	for _, room := range []int{0, 1 << 16} {
		h := newHeapOn(base)
		index := h.index("")
		blob := h.blob()
		blob = append(make([]byte, 0, len(blob)+room), blob...)
		m, err := base.Chain(blob, index)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Sections {
			if s.Name == heapSection {
				results = append(results, s.Data)
				if inPlace := &s.Data[0] == &blob[0]; inPlace != (room > 0) {
					t.Errorf("with room of %d bytes, completed in place: %v", room, inPlace)
				}
			}
		}
	}
	if !slices.Equal(results[0], results[1]) {
		t.Error("the results differ")
	}
}

func TestChainRefuses(t *testing.T) {
	base := openTest(t, newTestBase().write(t, t.TempDir()))
	for _, test := range []struct {
		name, want string
		spoil      func(h *newHeap, index *Index)
	}{
		{"no lists", "does not lead to the base's objects", func(h *newHeap, _ *Index) { h.tls = h.roots[tagNothing] }},
		{"short list", "does not lead to the base's objects", func(h *newHeap, _ *Index) { h.plant(h.code[1:], h.data, h.modules) }},
		{"wrong object", "list of code instances", func(h *newHeap, _ *Index) {
			h.plant([]uint32{h.object, h.code[1], h.code[2]}, h.data, h.modules)
		}},
		{"lost binding", "Points.z, which the new heap lacks", func(h *newHeap, _ *Index) {
			h.set(h.bindings["Points.z"], h.symbol("more"))
		}},
		{"more records than names", "names 3 functions, index.txt 2", func(_ *newHeap, index *Index) { index.Functions = index.Functions[:2] }},
		{"more cells than names", "fills 1 cells, index.txt names 0", func(_ *newHeap, index *Index) { index.Globals = nil }},
		{"function beyond the base's", "function 6 of the base, which has 6", func(_ *newHeap, index *Index) { index.Used = []int{6} }},
		{"record beyond the base's", "function 6 of the base, which has 6", func(_ *newHeap, index *Index) { index.Functions[1].Base = 6 }},
		{"record of no code instance", "leads to no code instance", func(h *newHeap, _ *Index) { h.functions[0] = uint64(h.object) }},
		{"older Julia", "another version of Julia", func(h *newHeap, _ *Index) { h.set(bindingAt(h.testHeap.modules["Main"], 0)-8, refBinding<<28) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHeapOn(base)
			index := h.index("")
			test.spoil(h, index)
			_, err := base.Chain(h.blob(), index)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
