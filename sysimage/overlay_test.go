package sysimage

// Tests of overlays. The process is one that the tests make: the base's heap as a loader leaves it, and new objects elsewhere.

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// A testOverlay is a base whose types are known to the runtime, with objects of them, and a process on it.
type testOverlay struct {
	*testHeap
	base    *Base
	process *side
	// typ is a type with two references and a number. x and y are objects of it, list has both. Constants lie behind y, at island.
	typ, x, y, list, island uint32
	// fresh is what the process has allocated, at the address at.
	fresh []byte
	at    uint64
}

// overlayLayouts are the layouts of versions that have overlays.
var overlayLayouts = []*testLayout{test1_10, test1_12}

func newTestOverlay(t *testing.T, l *testLayout) *testOverlay {
	t.Helper()
	m := newTestBase(l)
	h := m.heap
	o := &testOverlay{testHeap: h}
	form := l.overlay
	for root, name := range map[int]string{
		0: "Any", form.symbolType: "Symbol", form.stringType: "String", form.nothingType: "Nothing", form.taskType: "Task",
		form.int64Type: "Int64", form.int32Type: "Int32", form.uint8Type: "UInt8",
	} {
		h.roots[root] = uint64(o.newType(name, false))
	}
	h.roots[form.typeNameType] = uint64(h.typeName)
	o.typ = o.newType("Pair", true, testField{"a", 8, true}, testField{"b", 8, true}, testField{"n", 8, false})
	o.x, o.y = h.object(uint64(o.typ), 3), h.object(uint64(o.typ), 3)
	h.setRef(o.x, uint64(o.y), false)
	h.setRef(o.x+8, h.ref(refTag, tagNothing), false)
	h.set(o.x+16, 5)
	h.setRef(o.y, uint64(o.x), false)
	h.setRef(o.y+8, h.symbol("old"), false)
	h.set(o.y+16, 7)
	o.island = uint32(len(h.objects))
	h.objects = append(h.objects, make([]byte, 32)...)
	o.list = h.svec(uint64(o.x), uint64(o.y))
	im, err := elfpatch.Parse("base.so", m.file())
	if err != nil {
		t.Fatal(err)
	}
	if o.base, err = Open(im); err != nil {
		t.Fatal(err)
	}
	o.base.Note = &Note{Constants: [][2]uint32{{o.island, o.island + 32}}}
	o.process = loadSide(o.base, o.base.heap, 1<<44)
	o.at = o.process.start + 5<<40
	return o
}

// newType makes a type with a layout. Its name has as many words as the runtime's have.
func (o *testOverlay) newType(name string, mutable bool, fields ...testField) uint32 {
	h := o.testHeap
	typeName := h.object(uint64(h.typeName), 16)
	h.setRef(typeName, h.symbol(name), false)
	h.setRef(typeName+8, uint64(h.modules["Points"]), false)
	if mutable {
		h.objects[typeName+uint32(h.overlay.typeName.flags)] = 2
	}
	var parts, pointers []byte
	offset := 0
	var types []uint64
	typ := h.object(h.roots[h.root.dataType], typeWords)
	for _, f := range fields {
		size := byte(f.size) << 1
		if f.pointer {
			size |= 1
			pointers = append(pointers, byte(offset/8))
		}
		parts = append(parts, size, byte(offset))
		offset += f.size
		types = append(types, h.roots[h.overlay.int64Type])
	}
	first := uint32(0)
	if len(pointers) == 0 {
		first = ^uint32(0)
	}
	var layout []byte
	for _, n := range []uint32{uint32(offset), uint32(len(fields)), uint32(len(pointers)), first, 8} {
		layout = le.AppendUint32(layout, n)
	}
	h.setRef(typ, uint64(typeName), false)
	h.setRef(typ+typeParameters, uint64(h.svec()), false)
	h.setRef(typ+typeFieldTypes, uint64(h.svec(types...)), false)
	h.setRef(typ+typeLayout, h.raw(append(append(layout, parts...), pointers...)), false)
	return typ
}

// address is where the process has an object of the base.
func (o *testOverlay) address(offset uint32) uint64 { return o.process.start + uint64(offset) }

// allocate makes an object of a type of the base in the process.
func (o *testOverlay) allocate(typ uint64, words ...uint64) uint64 {
	o.fresh = append(o.fresh, make([]byte, 8)...)
	o.fresh = le.AppendUint64(o.fresh, o.address(uint32(typ))|1) // a mark of the collector
	at := o.at + uint64(len(o.fresh))
	for _, word := range words {
		o.fresh = le.AppendUint64(o.fresh, word)
	}
	o.fresh = append(o.fresh, make([]byte, -len(o.fresh)&15)...)
	return at
}

// newSymbol makes a symbol in the process.
func (o *testOverlay) newSymbol(name string) uint64 {
	text := append([]byte(name), make([]byte, 8-len(name)%8)...)
	words := []uint64{0, 0, 0}
	for ; len(text) > 0; text = text[8:] {
		words = append(words, le.Uint64(text))
	}
	return o.allocate(o.roots[o.overlay.symbolType], words...)
}

// store writes a word of an object of the base in the process.
func (o *testOverlay) store(offset uint32, word uint64) {
	le.PutUint64(o.process.memory.image[offset:], word)
}

// ReadAt reads the process's memory.
func (o *testOverlay) ReadAt(p []byte, address int64) (int, error) {
	at := uint64(address)
	image, values := o.process.memory.image, o.process.start+sideValues
	switch {
	case at-o.process.start < uint64(len(image)):
		copy(p, image[at-o.process.start:])
	case at-o.at < uint64(len(o.fresh)):
		clear(p)
		copy(p, o.fresh[at-o.at:])
	case at-values < 1<<30:
		// What the loader makes has nothing but a type here: nothing.
		clear(p)
		for i := range p {
			if at := uint64(i) + at - values; at%32 == 8 && i+8 <= len(p) {
				le.PutUint64(p[i:], o.address(uint32(o.roots[o.overlay.nothingType])))
			}
		}
	default:
		return o.process.memory.from.ReadAt(p, address)
	}
	return len(p), nil
}

// overlay writes the process's heap, with an object as the root task's storage.
func (o *testOverlay) write(t *testing.T, storage uint64) (*heap, OverlayStats) {
	t.Helper()
	blob, stats, err := o.try(storage)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHeap(o.base.layout, blob)
	if err != nil {
		t.Fatal(err)
	}
	return h, stats
}

func (o *testOverlay) try(storage uint64) ([]byte, OverlayStats, error) {
	u, err := o.base.Underlay(func(size int64) ([]byte, error) { return make([]byte, size), nil })
	if err != nil {
		return nil, OverlayStats{}, err
	}
	return u.Overlay(Live{Memory: o, Any: o.address(uint32(o.roots[0])), Storage: storage, World: 11, Symbols: 12})
}

func eachOverlay(t *testing.T, test func(t *testing.T, o *testOverlay)) {
	for _, l := range overlayLayouts {
		t.Run(l.julia, func(t *testing.T) { test(t, newTestOverlay(t, l)) })
	}
}

// A process that has changed nothing has the base's heap.
func TestOverlayOfNothing(t *testing.T) {
	eachOverlay(t, func(t *testing.T, o *testOverlay) {
		h, stats := o.write(t, o.address(o.list))
		if stats != (OverlayStats{}) {
			t.Errorf("of a process that has changed nothing there is %+v", stats)
		}
		if kind, n := h.split(h.storage); kind != refData || uint32(n) != o.list {
			t.Errorf("the storage is %#x", h.storage)
		}
		for i, list := range []extent{h.types, h.references, h.owners, h.memories} {
			was := []extent{o.base.heap.types, o.base.heap.references, o.base.heap.owners, o.base.heap.memories}[i]
			if !slices.Equal(h.words(list), o.base.heap.words(was)) {
				t.Errorf("list %d of relocations is another one", i)
			}
		}
	})
}

// Changed words of the base are written in their places, and new objects behind it.
func TestOverlay(t *testing.T) {
	eachOverlay(t, func(t *testing.T, o *testOverlay) {
		z := o.allocate(uint64(o.typ), o.address(o.y), o.newSymbol("fresh"), 9)
		o.store(o.x+8, z)
		o.store(o.x+16, 6)
		o.store(o.y, 0)
		storage := o.allocate(o.roots[o.root.simpleVector], 3, z, o.address(o.list), o.newSymbol("old"))
		h, stats := o.write(t, storage)
		if stats.Words != 3 || stats.Objects != 2 {
			t.Errorf("there are %+v, and not 3 words and 2 objects", stats)
		}
		// References to constants are offsets now.
		changed := []uint32{o.x + 8, o.x + 16, o.y}
		for at := uint32(8); int(at) < o.base.heap.objects.end(); at += 8 {
			was := o.base.heap.word(at)
			if kind, n := h.split(was); kind == refConst && slices.Contains(o.refs, at) {
				was = uint64(o.base.heap.constants.start) + 8*n
			}
			if !slices.Contains(changed, at) && h.word(at) != was {
				t.Errorf("the word at %d is %#x and was %#x", at, h.word(at), was)
			}
		}
		fresh, ok := h.object(o.x+8, 24)
		if !ok || int(fresh) < o.base.heap.constants.end() {
			t.Fatalf("the new object is at %d", fresh)
		}
		if name, ok := h.symbolAt(fresh + 8); h.word(fresh) != uint64(o.y) || !ok || name != "fresh" || h.word(fresh+16) != 9 || h.word(fresh-8) != uint64(o.typ) {
			t.Errorf("the new object has the words %#x", h.numbers(extent{int(fresh) - 8, 32}))
		}
		if h.word(o.x+16) != 6 || h.word(o.y) != 0 {
			t.Errorf("changed words are %d and %#x", h.word(o.x+16), h.word(o.y))
		}
		references := h.words(h.references)
		if slices.Contains(references, o.y) || !slices.Contains(references, fresh) || !slices.Contains(references, o.x+8) || len(references) != len(o.base.heap.words(o.base.heap.references))-1+2+3 {
			t.Errorf("the references are at %d", references)
		}
		svec, ok := h.follow(h.storage, 8)
		if !ok || !slices.Equal(h.numbers(extent{int(svec), 24}), []uint64{3, uint64(fresh), uint64(o.list)}) {
			t.Errorf("the storage is %#x", h.storage)
		}
		if name, ok := h.symbolAt(svec + 24); !ok || name != "old" {
			t.Errorf("a symbol that the base has is called %q", name)
		}
	})
}

// Constants among the objects are compared too, if the object before them has changed or not; and those behind the objects.
func TestCompareConstants(t *testing.T) {
	eachOverlay(t, func(t *testing.T, o *testOverlay) {
		behind := uint32(o.base.heap.constants.start)
		for _, word := range []uint32{o.y + 16, o.island, o.island + 16, behind} {
			o.store(word, 1<<50)
			u, err := o.base.Underlay(func(size int64) ([]byte, error) { return make([]byte, size), nil })
			if err != nil {
				t.Fatal(err)
			}
			m, err := readLive(o.base.layout.form, o, o.process.start, nil)
			if err != nil {
				t.Fatal(err)
			}
			d := (&overlay{Underlay: u, memory: m, start: o.process.start}).compare()
			if word == o.y+16 {
				continue
			}
			if !slices.Equal(d.headers, []uint32{o.y - 8}) || !slices.Contains(d.constants, int(word)) {
				t.Errorf("the word at %d was changed, with the object at %d: there are %+v", word, o.y, d)
			}
		}
	})
}

// Lists of relocations are written in steps, and without words that were removed, in whatever order they come.
func TestRelocationSteps(t *testing.T) {
	h := &heap{layout: julia1_10, data: make([]byte, 1<<20), objects: extent{0, 1 << 20}}
	var words []uint32
	for i := range uint32(5 * stepWords) {
		words = append(words, 8+8*(i*7919%(12*stepWords)))
	}
	list := deltas(words)
	h.data = append(h.data, list...)
	bytes := extent{1 << 20, len(list) - 1}
	var l relocationList
	var read []uint32
	if err := l.read(h, bytes, func(word uint32) { read = append(read, word) }); err != nil || !slices.Equal(read, words) || len(l.steps) != 5 {
		t.Fatalf("%d words of %d were read, in %d steps: %v", len(read), len(words), len(l.steps), err)
	}
	for _, remove := range [][]int{nil, {0}, {stepWords - 1}, {stepWords}, {5*stepWords - 1}, {3, 4, 5, 2*stepWords + 7, 2*stepWords - 1}} {
		removed := newBitset(1 << 20)
		var want []uint32
		for i, word := range words {
			if slices.Contains(remove, i) {
				removed.add(word)
			} else {
				want = append(want, word)
			}
		}
		out, last := l.appendTo(nil, h, removed)
		if !slices.Equal(out, deltas(want)[:len(deltas(want))-1]) || last != uint64(want[len(want)-1]) {
			t.Errorf("without the words %d the list is another one", remove)
		}
	}
	h.data = h.data[:len(h.data)-2]
	bytes.size--
	h.data[len(h.data)-1] |= 0x80
	if err := new(relocationList).read(h, bytes, func(uint32) {}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a list that ends in the middle: %v", err)
	}
}

// What cannot be written is said, with what refers to it.
func TestOverlayRefuses(t *testing.T) {
	eachOverlay(t, func(t *testing.T, o *testOverlay) {
		task := o.allocate(o.roots[o.overlay.taskType])
		o.store(o.x+8, task)
		if _, _, err := o.try(o.address(o.list)); !errors.Is(err, ErrNoOverlay) || !strings.Contains(err.Error(), "there is a Task, which an object of type Pair refers to") {
			t.Errorf("a task: %v", err)
		}
	})
	im, err := elfpatch.Parse("base.so", newTestBase(test1_5).file())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(im)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Underlay(nil); !errors.Is(err, ErrNoOverlay) {
		t.Errorf("Julia 1.5: %v", err)
	}
}
