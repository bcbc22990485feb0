package sysimage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// A newHeap110 is the heap of an image on top of a base: the base's objects at other places, and new ones.
type newHeap110 struct {
	*testHeap110
	code, modules []uint32 // the base's, in the order of its index
	data          []uint64
	fresh         []uint32 // new code instances
	contents      []uint64 // of new cells
}

// newHeap110On makes a heap as a process that was started from b would: without code.
func newHeap110On(b *Base) *newHeap110 {
	h := &newHeap110{testHeap110: newTestHeap110()}
	h.value()
	h.module("Base", "Main", 3)
	h.module("Fresh", "", 1)
	h.module("Points", "", 2)
	for range b.Code {
		h.value()
		h.code = append(h.code, h.testHeap110.code("Base", 0))
	}
	for i := range b.data {
		if i%2 == 0 {
			h.data = append(h.data, h.value())
		} else {
			h.data = append(h.data, h.constant())
		}
	}
	for _, m := range b.Modules {
		offset, ok := h.testHeap110.modules[m.Name]
		if !ok {
			offset = h.module(m.Name, "", 1)
		}
		h.modules = append(h.modules, offset)
	}
	for range 3 {
		h.fresh = append(h.fresh, h.testHeap110.code("Fresh", 0))
	}
	h.contents = []uint64{h.value(), h.symbol("x"), ref110(kind110Tag, 7), h.constant()}
	h.plant()
	h.globals = nil
	return h
}

// plant makes the lists that Chain looks for the local storage of the root task, each second one a Vector{Any}.
func (h *newHeap110) plant() {
	words := func(offsets []uint32) (list []uint64) {
		for _, o := range offsets {
			list = append(list, uint64(o))
		}
		return list
	}
	var planted []uint64
	for i, list := range [][]uint64{words(h.code), h.data, words(h.modules), words(h.fresh), h.contents} {
		make := h.svec
		if i%2 == 1 {
			make = h.vector
		}
		planted = append(planted, uint64(make(list...)))
	}
	h.tls = uint64(h.svec(planted...))
}

// index is what goes with the heap: four new functions around one of the base's, four new cells. The new code uses functions 0
// to 4 of the base, of which 0 needs no dispatch, 2 is in no list of the partial target, 3 is in one as a function that no
// slot is filled with, and 1 and 4 are in all.
func (h *newHeap110) index(suffix string) *Index {
	return &Index{
		Name: "index.txt",
		Functions: []IndexFunction{{Symbol: "jfptr_f_1" + suffix}, {Base: 2}, {Symbol: "julia_f_2" + suffix}, {Symbol: "julia_g_3" + suffix},
			{Symbol: "julia_h_4" + suffix}},
		Code:    []IndexCode{{0, 2}, {InvokeBoxed, 3}, {InvokeParameters, 4}},
		Globals: []string{"cell1" + suffix, "cell2" + suffix, "cell3" + suffix, "cell4" + suffix},
		Used:    []int{4, 0, 3, 2, 4, 1},
	}
}

// chainTest110 chains a new heap to b and writes the result.
func chainTest110(t *testing.T, b *Base, path, suffix string, layout elfpatch.Layout) (*newHeap110, map[string]uint64) {
	t.Helper()
	h := newHeap110On(b)
	index := h.index(suffix)
	m, err := b.Chain(h.blob(), index)
	if err != nil {
		t.Fatal(err)
	}
	return h, linkTest110(t, path, m, layout, index.newFunctions())
}

func TestOpenTestBase110(t *testing.T) {
	b := openTest(t, newTestBase110().write(t, t.TempDir()))
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	if b.Format != "1.10" || len(b.Functions) != 6 || len(b.Globals) != 7 || len(b.Code) != 3 || len(b.Modules) != 3 {
		t.Errorf("format %s, %d functions, %d globals, %d code instances, %d modules",
			b.Format, len(b.Functions), len(b.Globals), len(b.Code), len(b.Modules))
	}
	for i, want := range [][]uint64{
		{testCodeAt(0, 0), testCodeAt(0, 0), testCodeAt(0, 0)}, {testCodeAt(1, 0), testCodeAt(1, 1), testCodeAt(1, 2)},
		{testCodeAt(2, 0), testCodeAt(2, 1), testCodeAt(2, 1)}, {testCodeAt(3, 0), testCodeAt(3, 1), testCodeAt(3, 2)},
	} {
		if got := b.Functions[i].Variants; !slices.Equal(got, want) {
			t.Errorf("function %d is at %#x, want %#x", i, got, want)
		}
	}
	kinds := []GlobalKind{GlobalData, GlobalData, GlobalSymbol, GlobalSymbol, GlobalTag, GlobalData, GlobalData}
	for i, g := range b.Globals {
		if g.Kind != kinds[i] {
			t.Errorf("cell %d is of kind %d, want %d", i, g.Kind, kinds[i])
		}
	}
	if len(b.data) != 3 || b.Globals[2].Name != "only_in_base" {
		t.Errorf("%d objects in cells, cell 2 %+v", len(b.data), b.Globals[2])
	}
	if want := []CodeInstance{{b.Code[0].Offset, 0, 1}, {b.Code[1].Offset, -1, 2}, {b.Code[2].Offset, -1, 3}}; !slices.Equal(b.Code, want) {
		t.Errorf("code %v, want %v", b.Code, want)
	}
	if m := b.Modules[1]; m.Name != "Base" || b.Modules[m.Parent].Name != "Main" || m.Bindings != 2 {
		t.Errorf("module %+v", m)
	}
	if b.Targets[1].Name != "cpu1" || !b.Targets[1].Complete || b.Targets[2].Complete || b.Targets[2].Fallback != 1 {
		t.Errorf("targets %+v", b.Targets)
	}
	packages, err := b.Packages()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(packages, func(p Package) bool { return p.Name == "Points" })
	if p := packages[i]; p.Code != 1 || p.Functions != 1 || p.Bytes != 32 {
		t.Errorf("package %+v", p)
	}
}

// checkAgainstBase110 compares what the loader makes of a chained image with what it makes of its base.
func checkAgainstBase110(t *testing.T, base, chained *Base, h *newHeap110, addrs map[string]uint64, suffix string) {
	t.Helper()
	for target := range base.Targets {
		was, is := load110(t, base.Layers, target), load110(t, chained.Layers, target)
		for i, c := range base.Code {
			if c.Invoke >= 0 && is.invoke[h.code[i]] != was.invoke[c.Offset] || c.Spec >= 0 && is.spec[h.code[i]] != was.spec[c.Offset] {
				t.Errorf("target %d: code instance %d runs %#x and %#x, in the base %#x and %#x", target, i,
					is.invoke[h.code[i]], is.spec[h.code[i]], was.invoke[c.Offset], was.spec[c.Offset])
			}
		}
		for _, f := range []struct {
			got  uint64
			name string
		}{
			{is.invoke[h.fresh[0]], "jfptr_f_1"}, {is.spec[h.fresh[0]], "julia_f_2"}, {is.spec[h.fresh[1]], "julia_g_3"},
			{is.spec[h.fresh[2]], "julia_h_4"},
		} {
			if want := addrs[f.name+suffix]; f.got != want || want == 0 {
				t.Errorf("target %d: new function %s at %#x, want %#x", target, f.name, f.got, want)
			}
		}
		if len(is.spec) != len(was.spec)+3 || len(is.invoke) != len(was.invoke)+1 {
			t.Errorf("target %d: %d wrappers, %d bodies", target, len(is.invoke), len(is.spec))
		}
		for at, code := range was.slots {
			if is.slots[at] != code {
				t.Errorf("target %d: slot %#x holds %#x, in the base %#x", target, at, is.slots[at], code)
			}
		}
		for _, used := range []int{1, 2, 3, 4} {
			at := addrs[elfpatch.SlotSymbol(BaseSymbol(used))]
			if want := base.Functions[used].Variants[target]; at == 0 || is.slots[at] != want {
				t.Errorf("target %d: slot of base function %d holds %#x, want %#x", target, used, is.slots[at], want)
			}
		}
		if len(is.slots) != len(was.slots)+4 {
			t.Errorf("target %d: %d slots filled, %d in the base", target, len(is.slots), len(was.slots))
		}
		for addr, ref := range was.cells {
			if got, want := meaning110(chained, is.cells[addr], nil), meaning110(base, ref, h); got != want {
				t.Errorf("the cell of the base at %#x is filled with %s, want %s", addr, got, want)
			}
		}
		for i, want := range h.contents {
			if got := is.cells[addrs[fmt.Sprint("cell", i+1, suffix)]]; got != want {
				t.Errorf("new cell %d is filled with %#x, want %#x", i, got, want)
			}
		}
		if is.thread != was.thread || is.typeof != was.typeof {
			t.Errorf("variables of the runtime at %#x, %#x, in the base %#x, %#x", is.thread, is.typeof, was.thread, was.typeof)
		}
	}
}

// meaning110 describes a reference so that it can be compared with one of another heap; objects of the base are translated
// to references in h.
func meaning110(b *Base, ref uint64, h *newHeap110) string {
	g, ok := b.format.(*image110).readGlobal(ref)
	switch {
	case !ok:
		return fmt.Sprintf("no reference: %#x", ref)
	case g.Kind == GlobalData && h != nil:
		i, _ := slices.BinarySearch(b.data, g.Offset)
		return fmt.Sprint("object ", h.data[i])
	case g.Kind == GlobalData:
		return fmt.Sprint("object ", ref)
	case g.Kind == GlobalSymbol:
		return "symbol " + g.Name
	}
	return fmt.Sprint("code ", ref)
}

func TestChain110(t *testing.T) {
	for _, layout := range []elfpatch.Layout{elfpatch.Thin, elfpatch.Standalone} {
		dir := t.TempDir()
		base := openTest(t, newTestBase110().write(t, dir))
		path := filepath.Join(dir, "chained.so")
		h, addrs := chainTest110(t, base, path, "", layout)
		chained := openTest(t, path)
		if err := chained.Check("Unwanted"); err != nil {
			t.Error(err)
		}
		if chained.Note == nil || chained.Note.Functions != 4 || chained.Note.Globals != 4 || chained.Note.Format != "1.10" {
			t.Errorf("note %+v", chained.Note)
		}
		checkAgainstBase110(t, base, chained, h, addrs, "")

		// Calling conventions are restored, those of new code instances set, and all are listed as relocations.
		p := chained.format.(*image110).blob
		loaded := load110(t, chained.Layers, 0)
		for code, want := range map[uint32]uint64{h.code[0]: 0, h.code[1]: conventionBoxed, h.code[2]: conventionParameters,
			h.fresh[0]: 0, h.fresh[1]: conventionBoxed, h.fresh[2]: conventionParameters} {
			if want != 0 {
				want = ref110(kind110Function, want)
			}
			if got := p.word(code + codeInvoke110); got != want {
				t.Errorf("code instance %d has invoke %#x, want %#x", code, got, want)
			}
			if listed := slices.Contains(loaded.relocs[1], uint64(code+codeInvoke110)); listed != (want != 0) {
				t.Errorf("relocation of invoke of code instance %d: %v", code, listed)
			}
		}
		checkForgotten(t, p, h, loaded, 4)
	}
}

// checkForgotten sees to it that nothing is left of the planted lists, neither in the roots nor as words or relocations,
// and that the other relocations are what they were, with a number of new ones.
func checkForgotten(t *testing.T, p *blob110, h *newHeap110, loaded loaded110, added int) {
	t.Helper()
	if p.tls() != ref110(kind110Tag, tag110Nothing) {
		t.Errorf("the root task's storage is %#x, want nothing", p.tls())
	}
	was, err := parseBlob110(h.blob())
	if err != nil {
		t.Fatal(err)
	}
	planted := map[uint32]bool{}
	add := func(offset uint32) extent {
		elements, ok := was.list(offset)
		if !ok {
			t.Fatalf("no list at %d", offset)
		}
		for at := elements.start; at < elements.end(); at += 8 {
			planted[uint32(at)] = true
			if p.word(uint32(at)) != 0 {
				t.Errorf("the planted word at %d is still there", at)
			}
		}
		return elements
	}
	svec := add(uint32(was.tls()))
	for at := svec.start; at < svec.end(); at += 8 {
		add(uint32(was.word(uint32(at))))
	}
	var want []uint64
	for _, word := range h.refs {
		if !planted[word] {
			want = append(want, uint64(word))
		}
	}
	got := loaded.relocs[1]
	if len(got) != len(want)+added || !slices.Equal(got[:len(want)], want) {
		t.Errorf("references at\n%v, want\n%v and %d more", got, want, added)
	}
	if len(loaded.relocs[0]) != len(h.tags) {
		t.Errorf("%d types, want %d", len(loaded.relocs[0]), len(h.tags))
	}
}

// The image of a worker keeps the planted lists.
func TestChain110KeepRoots(t *testing.T) {
	base := openTest(t, newTestBase110().write(t, t.TempDir()))
	h := newHeap110On(base)
	index := h.index("")
	index.KeepRoots = true
	m, err := base.Chain(h.blob(), index)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(m.Sections, func(s elfpatch.Section) bool { return s.Name == heapSection })
	p, err := parseBlob110(m.Sections[i].Data)
	if err != nil {
		t.Fatal(err)
	}
	if p.tls() != h.tls || len(relocs110(p.references.of(p.data))) != len(h.refs)+4 {
		t.Errorf("the root task's storage is %#x, want %#x; %d references, want 4 more than %d", p.tls(), h.tls,
			len(relocs110(p.references.of(p.data))), len(h.refs))
	}
}

// Images on images, each layout on each.
func TestChain110OnChain(t *testing.T) {
	for _, layouts := range [][3]elfpatch.Layout{
		{elfpatch.Thin, elfpatch.Thin, elfpatch.Thin}, {elfpatch.Thin, elfpatch.Standalone, elfpatch.Thin},
		{elfpatch.Standalone, elfpatch.Thin, elfpatch.Standalone}, {elfpatch.Thin, elfpatch.Thin, elfpatch.Standalone},
	} {
		t.Run(fmt.Sprint(layouts), func(t *testing.T) {
			dir := t.TempDir()
			below := openTest(t, newTestBase110().write(t, dir))
			for i, layout := range layouts {
				path, suffix := filepath.Join(dir, fmt.Sprintf("level%d.so", i)), strings.Repeat("_", i)
				h, addrs := chainTest110(t, below, path, suffix, layout)
				b := openTest(t, path)
				if err := b.Check(); err != nil {
					t.Error(err)
				}
				checkAgainstBase110(t, below, b, h, addrs, suffix)
				below = b
			}
		})
	}
}

func TestChain110Refuses(t *testing.T) {
	base := openTest(t, newTestBase110().write(t, t.TempDir()))
	for _, test := range []struct {
		name, want string
		spoil      func(h *newHeap110, index *Index)
	}{
		{"no lists", "does not lead to the base's objects", func(h *newHeap110, _ *Index) { h.tls = ref110(kind110Tag, tag110Nothing) }},
		{"too few lists", "does not lead to the base's objects", func(h *newHeap110, _ *Index) { h.set(uint32(h.tls), 4) }},
		{"short list", "list 1 of the new heap has not 3 elements", func(h *newHeap110, _ *Index) { h.code = h.code[1:]; h.plant() }},
		{"fewer cells than lines", "list 5 of the new heap has not 5 elements", func(_ *newHeap110, index *Index) { index.Globals = append(index.Globals, "x") }},
		{"more code than lines", "list 4 of the new heap has not 2 elements", func(_ *newHeap110, index *Index) { index.Code = index.Code[:2] }},
		{"wrong object", "list of code instances", func(h *newHeap110, _ *Index) { h.code[0] = uint32(h.contents[0]); h.plant() }},
		{"wrong module", "list of modules", func(h *newHeap110, _ *Index) { h.modules[0] = h.code[0]; h.plant() }},
		{"wrong new object", "list of new code instances", func(h *newHeap110, _ *Index) { h.fresh[0] = h.modules[0]; h.plant() }},
		{"symbol for an object", "element 0 of the new heap's list of cell contents", func(h *newHeap110, _ *Index) { h.data[0] = h.contents[1]; h.plant() }},
		{"empty cell", "nothing for cell cell3", func(h *newHeap110, _ *Index) { h.contents[2] = 0; h.plant() }},
		{"function beyond the base's", "function 6 of the base, which has 6", func(_ *newHeap110, index *Index) { index.Used = []int{6} }},
		{"code with the base's function", "function 1, which is not a new one", func(_ *newHeap110, index *Index) { index.Code[1].Spec = 1 }},
		{"code without function", "function 5, which is not a new one", func(_ *newHeap110, index *Index) { index.Code[0].Invoke = 5 }},
		{"function twice", "julia_f_2 to two code instances", func(_ *newHeap110, index *Index) { index.Code[1].Spec = 2 }},
		{"two ways to call", "new code instance 1 of the new heap can be called already", func(h *newHeap110, _ *Index) {
			h.setRef(h.fresh[1]+codeInvoke110, ref110(kind110Function, 2), false)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHeap110On(base)
			index := h.index("")
			test.spoil(h, index)
			if _, err := base.Chain(h.blob(), index); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	for _, list := range [][]extent{nil, {{8, 8}}, {{40, 16}, {8, 0}, {16, 8}, {24, 8}, {80, 8}}} {
		inside := within(list)
		for _, word := range []uint64{0, 7, 8, 15, 16, 24, 31, 32, 39, 40, 55, 56, 79, 80, 87, 88, 1 << 40, 16, 0, 80} {
			want := slices.ContainsFunc(list, func(e extent) bool { return word >= uint64(e.start) && word < uint64(e.end()) })
			if got := inside(word); got != want {
				t.Errorf("%d in %v: %v", word, list, got)
			}
		}
	}
}
