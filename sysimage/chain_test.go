package sysimage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// A newHeap is the heap of an image on top of a base: the base's objects at other places, and new ones.
type newHeap struct {
	*testHeap
	code, mods []uint32 // the base's, in the order of its index
	data       []uint64
	fresh      []uint32 // new code instances
	contents   []uint64 // of new cells, 0 for one that gets nothing
}

// newHeapOn makes a heap as a process that was started from b would: without code for the base's code instances, its modules
// in another order with more bindings.
func newHeapOn(l *testLayout, b *Base) *newHeap {
	h := &newHeap{testHeap: newTestHeap(l)}
	h.value()
	h.module("Base", "Main", "new_name", "y", "x")
	h.module("Fresh", "", "w")
	h.module("Points", "", "more", "z")
	for range b.Code {
		h.value()
		h.code = append(h.code, h.codeInstance("Base", 0))
	}
	for i := range b.data {
		if i%2 == 1 && l.form.objectsInConstants {
			h.data = append(h.data, h.constant())
		} else {
			h.data = append(h.data, h.value())
		}
	}
	for _, m := range b.Modules {
		offset, ok := h.modules[m.Name]
		if !ok {
			offset = h.module(m.Name, "", "v")
		}
		h.mods = append(h.mods, offset)
	}
	h.contents = []uint64{h.value(), h.symbol("x"), h.ref(refTag, 7), 0}
	if l.form.objectsInConstants {
		h.contents[3] = h.constant()
	}
	conventions := []uint64{0, 0, 0}
	if l.records == recordForm(heapRecords{}) {
		conventions = []uint64{0, conventionBoxed, conventionParameters}
	}
	for _, convention := range conventions {
		h.fresh = append(h.fresh, h.codeInstance("Fresh", convention))
	}
	if l.records == recordForm(heapRecords{}) {
		h.globals = h.contents[:3]
		h.functions = []uint64{h.record(h.fresh[0], true), h.record(h.code[1], false), h.record(h.fresh[0], false),
			h.record(h.fresh[1], false), h.record(h.fresh[2], false)}
	}
	h.plant()
	return h
}

// plant makes the lists that Chain looks for the local storage of the root task, each second one a Vector{Any}.
func (h *newHeap) plant() {
	words := func(offsets []uint32) (list []uint64) {
		for _, o := range offsets {
			list = append(list, uint64(o))
		}
		return list
	}
	var planted []uint64
	for i, list := range [][]uint64{words(h.code), h.data, words(h.mods), words(h.fresh), h.contents}[:h.records.planted()] {
		make := h.svec
		if i%2 == 1 {
			make = h.vector
		}
		planted = append(planted, uint64(make(list...)))
	}
	h.storage = uint64(h.svec(planted...))
}

// newIndex is what goes with the heap: four new functions around one of the base's, four new cells. The new code uses functions 0
// to 4 of the base, of which 0 needs no dispatch, 2 is in no list of the partial target, 3 is in one as a function that no
// slot is filled with, and 1 and 4 are in all.
func newIndex(l *testLayout, suffix string) *Index {
	index := &Index{
		Name: "index.txt",
		Functions: []IndexFunction{{Symbol: "jfptr_f_2000" + suffix}, {Base: 2}, {Symbol: "julia_f_2001" + suffix}, {Symbol: "julia_g_2002" + suffix},
			{Symbol: "julia_h_2003" + suffix}},
		Globals: []string{"cell1" + suffix, "cell2" + suffix, "cell3" + suffix, "cell4" + suffix},
		Used:    []int{4, 0, 3, 2, 4, 1},
	}
	if l.records == recordForm(plantedRecords{}) {
		index.Code = []IndexCode{{0, 2}, {InvokeBoxed, 3}, {InvokeParameters, 4}}
		if l.code.conventions[InvokeOpaque] != 0 {
			index.Code[2].Invoke = InvokeOpaque
		}
	}
	return index
}

// newFunctions are the symbols of the new functions of an index.
func (index *Index) newFunctions() (names []string) {
	for _, f := range index.Functions {
		if f.Symbol != "" {
			names = append(names, f.Symbol)
		}
	}
	return names
}

// chainTest chains a new heap to b and writes the result.
func chainTest(t *testing.T, l *testLayout, b *Base, path, suffix string, layout elfpatch.Layout) (*newHeap, map[string]uint64, *Merged) {
	t.Helper()
	return chainVariants(t, l, b, nil, path, suffix, layout)
}

// chainVariants is chainTest for targets of the image.
func chainVariants(t *testing.T, l *testLayout, b *Base, v *Variants, path, suffix string, layout elfpatch.Layout) (*newHeap, map[string]uint64, *Merged) {
	t.Helper()
	h := newHeapOn(l, b)
	index := newIndex(l, suffix)
	index.Variants = v
	m, err := b.Chain(h.bytes(), index)
	if err != nil {
		t.Fatal(err)
	}
	functions := index.newFunctions()
	if v != nil {
		for target := 1; target < len(v.Targets); target++ {
			for _, name := range index.newFunctions() {
				functions = append(functions, VariantSymbol(name, target))
			}
		}
	}
	if l.layout.load == loadForm(loadLookup{}) {
		// A test's base has no calls to redirect; load_lookup_test.go has one that has.
		m.thin = layoutParts{}
	}
	return h, linkTest(t, path, m, layout, functions), m
}

// A loaded is what Julia's loader has written into memory.
type loaded struct {
	invoke, spec map[uint32]uint64 // by offset of the code instance: address of its wrapper, of its body
	cells        map[uint64]uint64 // by address: the reference that it was filled with
	slots        map[uint64]uint64 // by address: the code that it was filled with
	relocs       [2][]uint64       // positions of types, and of other references
	// typeof is where the loader copies jl_small_typeof to, thread where it writes the other variables of the runtime.
	typeof uint64
	thread [3]uint64
}

func newLoaded() loaded {
	return loaded{invoke: map[uint32]uint64{}, spec: map[uint32]uint64{}, cells: map[uint64]uint64{}, slots: map[uint64]uint64{}}
}

// checkAgainstBase compares what the loader makes of a chained image with what it makes of its base.
func checkAgainstBase(t *testing.T, l *testLayout, base, chained *Base, h *newHeap, addrs map[string]uint64, suffix string) {
	t.Helper()
	checkVariants(t, l, base, chained, nil, h, addrs, suffix)
}

// checkVariants is checkAgainstBase for targets of the image; nil: they are those of the base, and new code has one variant.
func checkVariants(t *testing.T, l *testLayout, base, chained *Base, v *Variants, h *newHeap, addrs map[string]uint64, suffix string) {
	t.Helper()
	variant := 0 // of new code
	froms := base.OwnVariants().from
	if v != nil {
		froms = v.from
	}
	for target, from := range froms {
		if v != nil {
			variant = target
		}
		was, is := l.load(t, base.Layers, from), l.load(t, chained.Layers, target)
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
			{is.invoke[h.fresh[0]], "jfptr_f_2000"}, {is.spec[h.fresh[0]], "julia_f_2001"}, {is.spec[h.fresh[1]], "julia_g_2002"},
			{is.spec[h.fresh[2]], "julia_h_2003"},
		} {
			if want := addrs[VariantSymbol(f.name+suffix, variant)]; f.got != want || want == 0 {
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
		filled := len(was.slots)
		for _, used := range []int{1, 2, 3, 4} {
			at := addrs[elfpatch.SlotSymbol(BaseSymbol(used))]
			if base.Functions[used].single() {
				continue // the slot leads there from the start
			}
			filled++
			if want := base.Functions[used].Variants[from]; at == 0 || is.slots[at] != want {
				t.Errorf("target %d: slot of base function %d holds %#x, want %#x", target, used, is.slots[at], want)
			}
		}
		if len(is.slots) != filled {
			t.Errorf("target %d: %d slots filled, not %d, of which the base has %d", target, len(is.slots), filled, len(was.slots))
		}
		for addr, ref := range was.cells {
			if got, want := meaning(chained, is.cells[addr], nil), meaning(base, ref, h); got != want {
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

// meaning describes a reference so that it can be compared with one of another heap; objects of the base are translated
// to references in h.
func meaning(b *Base, ref uint64, h *newHeap) string {
	g, err := b.heap.global(ref, b.Modules)
	switch {
	case err != nil:
		return err.Error()
	case g.Kind == GlobalData && h != nil:
		i, _ := slices.BinarySearch(b.data, g.Offset)
		return fmt.Sprint("object ", h.data[i])
	case g.Kind == GlobalData:
		return fmt.Sprint("object ", ref)
	case g.Kind == GlobalBinding:
		return "binding " + b.Modules[g.Module].Name + "." + g.Name
	case g.Kind == GlobalSymbol:
		return "symbol " + g.Name
	}
	return fmt.Sprint("code ", ref)
}

func TestChain(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		for _, layout := range []elfpatch.Layout{elfpatch.Thin, elfpatch.Standalone} {
			dir := t.TempDir()
			base := openTest(t, newTestBase(l).write(t, dir))
			path := filepath.Join(dir, "chained.so")
			h, addrs, merged := chainTest(t, l, base, path, "", layout)
			chained := openTest(t, path)
			if err := chained.Check("Unwanted"); err != nil {
				t.Error(err)
			}
			if want := map[elfpatch.Layout]int{elfpatch.Thin: 2, elfpatch.Standalone: 1}[layout]; len(chained.Layers) != want {
				t.Errorf("%d layers, want %d", len(chained.Layers), want)
			}
			if chained.Note == nil || chained.Note.Functions != 4 || chained.Note.Globals != 4 || chained.Note.Format != l.julia {
				t.Errorf("note %+v", chained.Note)
			}
			checkAgainstBase(t, l, base, chained, h, addrs, "")

			// Functions that are the same on all targets need no dispatch.
			for _, s := range merged.Slots {
				if s.Fixed != (s.Name == "base.0") {
					t.Errorf("slot %s: Fixed is %v", s.Name, s.Fixed)
				}
			}
			// Calling conventions are restored, those of new code instances set, and all are listed as relocations.
			loaded := l.load(t, chained.Layers, 0)
			last := uint64(conventionParameters)
			if l.code.conventions[InvokeOpaque] != 0 {
				last = 4 // its place in id_to_fptrs (src/staticdata.c)
			}
			for code, want := range map[uint32]uint64{h.code[0]: 0, h.code[1]: conventionBoxed, h.code[2]: conventionParameters,
				h.fresh[0]: 0, h.fresh[1]: conventionBoxed, h.fresh[2]: last} {
				if want != 0 {
					want = h.ref(refFunction, want)
				}
				word := code + l.layout.code.invoke
				if got := chained.heap.word(word); got != want {
					t.Errorf("code instance %d has invoke %#x, want %#x", code, got, want)
				}
				if listed := slices.Contains(loaded.relocs[1], uint64(word)); listed != (want != 0) {
					t.Errorf("relocation of invoke of code instance %d: %v", code, listed)
				}
			}
			checkForgotten(t, chained.heap, h, loaded)
			if tables, ok := chained.tables.(*symbolTables); ok && tables.nameCounter != 2004 {
				t.Errorf("name counter %d, want 2004", tables.nameCounter)
			}
		}
	})
}

// conventionsAdded is how many calling conventions chaining adds to a new heap: two of the base's, and those of new code
// instances that the process has not set.
func conventionsAdded(l *testLayout) int {
	if l.records == recordForm(heapRecords{}) {
		return 2
	}
	return 4
}

// checkForgotten sees to it that nothing is left of the planted lists, neither in the roots nor as words or relocations,
// and that the other relocations are what they were, with new ones for calling conventions.
func checkForgotten(t *testing.T, p *heap, h *newHeap, loaded loaded) {
	t.Helper()
	was := mustParse(t, h.testHeap)
	if p.storage != p.nothing() || p.storage == was.storage {
		t.Errorf("the root task's storage is %#x, want nothing", p.storage)
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
	svec := add(uint32(was.storage))
	for at := svec.start; at < svec.end(); at += 8 {
		add(uint32(was.word(uint32(at))))
	}
	var want []uint64
	for _, word := range h.refs {
		if !planted[word] {
			want = append(want, uint64(word))
		}
	}
	added := conventionsAdded(h.testLayout)
	got := loaded.relocs[1]
	if len(got) != len(want)+added || !slices.Equal(got[:len(want)], want) {
		t.Errorf("references at\n%v, want\n%v and %d more", got, want, added)
	}
	if len(loaded.relocs[0]) != len(h.types) {
		t.Errorf("%d types, want %d", len(loaded.relocs[0]), len(h.types))
	}
}

// heapOf is the blob among the sections of a merged image.
func heapOf(t *testing.T, m *Merged) []byte {
	t.Helper()
	i := slices.IndexFunc(m.Sections, func(s elfpatch.Section) bool { return s.Name == heapSection })
	if i < 0 {
		t.Fatal("no section has the heap")
	}
	return m.Sections[i].Data
}

// The image of a worker keeps the planted lists.
func TestChainKeepRoots(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		base := openTest(t, newTestBase(l).write(t, t.TempDir()))
		h := newHeapOn(l, base)
		index := newIndex(l, "")
		index.KeepRoots = true
		m, err := base.Chain(h.bytes(), index)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parseHeap(l.layout, heapOf(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if added := conventionsAdded(l); p.storage != h.storage || len(p.words(p.references)) != len(h.refs)+added {
			t.Errorf("the root task's storage is %#x, want %#x; %d references, want %d more than %d", p.storage, h.storage,
				len(p.words(p.references)), added, len(h.refs))
		}
	})
}

// Images on images, each layout on each: what lies in the middle lies in another layer than what places are distances from.
func TestChainOnChain(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		for _, layouts := range [][3]elfpatch.Layout{
			{elfpatch.Thin, elfpatch.Thin, elfpatch.Thin}, {elfpatch.Thin, elfpatch.Standalone, elfpatch.Thin},
			{elfpatch.Standalone, elfpatch.Thin, elfpatch.Standalone}, {elfpatch.Thin, elfpatch.Thin, elfpatch.Standalone},
		} {
			t.Run(fmt.Sprint(layouts), func(t *testing.T) {
				dir := t.TempDir()
				below := openTest(t, newTestBase(l).write(t, dir))
				for i, layout := range layouts {
					path, suffix := filepath.Join(dir, fmt.Sprintf("level%d.so", i)), strings.Repeat("_", i)
					h, addrs, _ := chainTest(t, l, below, path, suffix, layout)
					b := openTest(t, path)
					if err := b.Check(); err != nil {
						t.Error(err)
					}
					checkAgainstBase(t, l, below, b, h, addrs, suffix)
					below = b
				}
			})
		}
	})
}

// The link is told of places in tables that lead to the layer in the middle, so that it can complete them at load time.
func TestChainSymbolsInMiddle(t *testing.T) {
	dir := t.TempDir()
	base := openTest(t, newTestBase(test1_5).write(t, dir))
	path := filepath.Join(dir, "middle.so")
	chainTest(t, test1_5, base, path, "", elfpatch.Thin)
	middle := openTest(t, path)
	_, _, merged := chainTest(t, test1_5, middle, filepath.Join(dir, "top.so"), "1", elfpatch.Thin)
	inMiddle := 0
	for _, s := range merged.Sections {
		for _, f := range s.Fixups {
			if f.Target.Base == middle.Layers[0] {
				inMiddle++
			}
			if f.Anchor.Base.Path != base.Layers[0].Path {
				t.Errorf("a field counts from %s", f.Anchor.Base.Path)
			}
		}
	}
	// Four new functions on two complete targets, four cells, four slots; the functions that the partial target lists lie in
	// the base.
	if inMiddle != 4*2+4+4 {
		t.Errorf("%d fields lead to the middle layer, want 16", inMiddle)
	}
}

// The blob may be completed where it is if there is room behind it, and must be the same when there is none.
func TestChainInPlace(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		base := openTest(t, newTestBase(l).write(t, t.TempDir()))
		valid := newHeapOn(l, base).bytes()
		var results [][]byte
		for _, room := range []int{0, 1 << 16} {
			blob := append(make([]byte, 0, len(valid)+room), valid...)
			m, err := base.Chain(blob, newIndex(l, ""))
			if err != nil {
				t.Fatal(err)
			}
			data := heapOf(t, m)
			results = append(results, data)
			if inPlace := &data[0] == &blob[0]; inPlace != (room > 0) {
				t.Errorf("with room of %d bytes, completed in place: %v", room, inPlace)
			}
		}
		if !slices.Equal(results[0], results[1]) {
			t.Error("the results differ")
		}
	})
}

func TestChainRefuses(t *testing.T) {
	planted, own := recordForm(plantedRecords{}), recordForm(heapRecords{})
	eachLayout(t, func(t *testing.T, l *testLayout) {
		base := openTest(t, newTestBase(l).write(t, t.TempDir()))
		for _, test := range []struct {
			name, want string
			only       recordForm
			spoil      func(h *newHeap, index *Index)
		}{
			{"no lists", "does not lead to the base's objects", nil, func(h *newHeap, _ *Index) { h.storage = newTestHeap(l).storage }},
			{"too few lists", "does not lead to the base's objects", nil, func(h *newHeap, _ *Index) { h.set(uint32(h.storage), uint64(h.records.planted()-1)) }},
			{"short list", "list 1 of the new heap has not 3 elements", nil, func(h *newHeap, _ *Index) { h.code = h.code[1:]; h.plant() }},
			{"fewer cells than lines", "list 5 of the new heap has not 5 elements", planted, func(_ *newHeap, index *Index) { index.Globals = append(index.Globals, "x") }},
			{"more code than lines", "list 4 of the new heap has not 2 elements", planted, func(_ *newHeap, index *Index) { index.Code = index.Code[:2] }},
			{"wrong object", "list of code instances", nil, func(h *newHeap, _ *Index) { h.code[0] = uint32(h.contents[0]); h.plant() }},
			{"wrong module", "list of modules", nil, func(h *newHeap, _ *Index) { h.mods[0] = h.code[0]; h.plant() }},
			{"wrong new object", "list of new code instances", planted, func(h *newHeap, _ *Index) { h.fresh[0] = h.mods[0]; h.plant() }},
			{"symbol for an object", "element 0 of the new heap's list of cell contents", nil, func(h *newHeap, _ *Index) { h.data[0] = h.contents[1]; h.plant() }},
			{"empty cell", "nothing for cell cell3", planted, func(h *newHeap, _ *Index) { h.contents[2] = 0; h.plant() }},
			{"lost binding", "Points.z, which the new heap lacks", own, func(h *newHeap, _ *Index) { h.set(h.bindings["Points.z"], h.symbol("more")) }},
			{"more records than names", "names 5 functions, index.txt 2", own, func(_ *newHeap, index *Index) { index.Functions = index.Functions[:2] }},
			{"more cells than names", "fills 3 cells, index.txt names 0", own, func(_ *newHeap, index *Index) { index.Globals = nil }},
			{"record beyond the base's", "function 6 of the base, which has 6", own, func(_ *newHeap, index *Index) { index.Functions[1].Base = 6 }},
			{"record of no code instance", "leads to no code instance", own, func(h *newHeap, _ *Index) { h.functions[0] = h.contents[0] }},
			{"older Julia", "another version of Julia", own, func(h *newHeap, _ *Index) { h.olderKinds() }},
			{"function beyond the base's", "function 6 of the base, which has 6", nil, func(_ *newHeap, index *Index) { index.Used = []int{6} }},
			{"code with the base's function", "function 1, which is not a new one", planted, func(_ *newHeap, index *Index) { index.Code[1].Spec = 1 }},
			{"code without function", "function 5, which is not a new one", planted, func(_ *newHeap, index *Index) { index.Code[0].Invoke = 5 }},
			{"convention that there is not", "calling convention -3", planted, func(_ *newHeap, index *Index) { index.Code[1].Invoke = -3 }},
			{"function twice", "julia_f_2001 to two code instances", planted, func(_ *newHeap, index *Index) { index.Code[1].Spec = 2 }},
			{"two ways to call", "new code instance 1 of the new heap can be called already", planted, func(h *newHeap, _ *Index) {
				h.setRef(h.fresh[1]+h.testHeap.code.invoke, h.ref(refFunction, 2), false)
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				if test.only != nil && test.only != l.records {
					t.Skip("heaps of this form have no such thing")
				}
				h := newHeapOn(l, base)
				index := newIndex(l, "")
				test.spoil(h, index)
				if _, err := base.Chain(h.bytes(), index); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one with %q", err, test.want)
				}
			})
		}
	})
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
