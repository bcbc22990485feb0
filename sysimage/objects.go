package sysimage

// This file reads a heap as a graph: its objects, how large each is, and which refers to which.
//
// The list of relocations for types has the position of each object's type tag, and the list for references that of all other
// words that lead somewhere (heap.go). So objects need not be parsed one by one: an object reaches from its tag to the next tag,
// and a word belongs to the object that it lies in. What lies before a tag for alignment counts for the object before.
//
// Constants have no such list. They begin where references lead to. One that is an object has a tag before it, which is
// jl_small_typeof's number of its type times 16 and the collector's bits; data of an array and layouts of types have none. Which of
// the two a constant is, the word says that refers to it.

import (
	"fmt"
	"iter"
	"slices"
)

// An Object is the number of an object of a heap: those among the objects come first, then the constants, then the symbols, each in
// the order of the blob.
type Object int32

// None is no object.
const None Object = -1

// A Part is the part of the blob that an object lies in.
type Part uint8

// The parts of a blob that have objects.
const (
	PartObjects Part = iota
	PartConstants
	PartSymbols
)

// A Reference is a word of an object that leads to another.
type Reference struct {
	At uint32 // offset of the word in the blob
	To Object
}

// Objects are the objects of a heap. Its methods may not be used by several goroutines at once.
type Objects struct {
	h *heap
	// objects and constants find the object that a word lies in.
	objects, constants rank
	// starts are offsets in the blob: of objects and of constants behind their tags, of symbols with their lengths.
	starts []uint32
	// tagged are the constants that are objects.
	tagged rank
	// symbols is the number of the first symbol.
	symbols Object
	// first is where each object's references start, one more for the end.
	first      []uint32
	references []Reference
	relocBytes []uint32
	// islands are constants among the objects (Base.islands). Constants are counted in words from origin, where the first of all lie.
	islands []extent
	origin  int
	types   []*heapType // by the number of the type, nil for those that were not read yet
}

// Objects reads the heap's objects. It follows every reference and returns ErrDamaged, wrapped, where one leads nowhere.
func (b *Base) Objects() (*Objects, error) {
	islands, err := b.islands()
	if err != nil {
		return nil, err
	}
	o := &Objects{h: b.heap, islands: islands, origin: b.heap.constants.start}
	for _, island := range islands {
		o.origin = min(o.origin, island.start&^7) // an island starts where the base's objects end, which may be within a word
	}
	for _, step := range []func() error{o.findObjects, o.countReferences, o.findConstants, o.findReferences} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Layers[0].Path, err)
		}
	}
	return o, nil
}

// findObjects finds where objects start.
func (o *Objects) findObjects() error {
	h := o.h
	o.objects = newRank(h.objects.size/8 + 1) // an object without fields may be at the very end
	err := h.walk(h.types, func(word uint64) error {
		if word == 0 {
			return nil
		}
		if word%8 != 0 || word < 8 || word > uint64(h.objects.size-8) {
			return fmt.Errorf("%w: the heap has the tag of an object at %d, which is no word of it", ErrDamaged, word)
		}
		if kind, n := h.split(h.word(uint32(word))); kind != refBinding || n != 0 {
			if _, ok := h.follow(h.word(uint32(word)), 8); !ok {
				return fmt.Errorf("%w: the object at offset %d of the heap has no type", ErrDamaged, word+8)
			}
		}
		o.objects.set(int(word/8) + 1)
		return nil
	})
	if err != nil {
		return err
	}
	o.starts = o.objects.list(8, 0)
	o.types = make([]*heapType, len(o.starts))
	return nil
}

// countReferences counts each object's references, notes how many bytes its relocations have, and marks constants.
func (o *Objects) countReferences() error {
	h := o.h
	words := (h.constants.end()-o.origin)/8 + 1
	o.constants, o.tagged = newRank(words), newRank(words)
	o.first = make([]uint32, o.heapCount()+1)
	o.relocBytes = make([]uint32, o.heapCount())
	for _, list := range []extent{h.types, h.owners, h.memories} {
		ahead := uint64(0)
		if list == h.types {
			ahead = 8 // the tag lies before its object
		}
		if err := o.eachReloc(list, ahead, func(Object, uint32, uint64) error { return nil }); err != nil {
			return err
		}
	}
	raw := map[uint64][]uint32{}
	err := o.eachReloc(h.references, 0, func(from Object, at uint32, ref uint64) error {
		if !h.validRef(ref) {
			return fmt.Errorf("%w: the word at offset %d of the heap is no reference: %#x", ErrDamaged, at, ref)
		}
		switch kind, n := o.split(ref); kind {
		case refData, refSymbol:
			o.first[from+1]++
		case refConst:
			o.first[from+1]++
			tag := h.word(o.starts[from] - 8)
			places, known := raw[tag]
			if !known {
				places = h.rawPlaces(tag)
				raw[tag] = places
			}
			o.markConstant(n, !h.form.objectsInConstants || slices.Contains(places, at-o.starts[from]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if h.form.objectsInConstants {
		for _, ref := range h.outside() {
			if kind, n := o.split(ref); kind == refConst && int(n) < words {
				o.markConstant(n, false)
			}
		}
	}
	for i := range o.heapCount() {
		o.first[i+1] += o.first[i]
	}
	return nil
}

func (o *Objects) markConstant(n uint64, raw bool) {
	o.constants.set(int(n))
	if !raw && n > 0 {
		o.tagged.set(int(n))
	}
}

// eachReloc calls do with each position of a list of relocations, the object that it lies in, and the word there.
func (o *Objects) eachReloc(list extent, ahead uint64, do func(from Object, at uint32, word uint64) error) error {
	h := o.h
	word := uint64(0)
	for rest := list.of(h.data); len(rest) > 0; {
		next, size := h.form.next(rest, word)
		if next == 0 {
			return nil
		}
		word, rest = next, rest[size:]
		if word%8 != 0 || word < 8 || word > uint64(h.objects.size-8) {
			return fmt.Errorf("%w: a relocation of the heap is for %d, which is no word of it", ErrDamaged, word)
		}
		from := o.objects.find(int((word + ahead) / 8))
		if from < 0 {
			return fmt.Errorf("%w: the word at offset %d of the heap belongs to no object", ErrDamaged, word)
		}
		o.relocBytes[from] += uint32(size)
		if err := do(Object(from), uint32(word), h.word(uint32(word))); err != nil {
			return err
		}
	}
	return nil
}

// findConstants finds where constants and symbols start.
func (o *Objects) findConstants() error {
	h := o.h
	o.tagged.list(8, 0)
	o.starts = append(o.starts, o.constants.list(8, uint32(o.origin))...)
	o.symbols = Object(len(o.starts))
	at := uint32(h.symbols.start)
	for _, name := range h.names {
		o.starts = append(o.starts, at)
		at += uint32(len(name)) + 5
	}
	return nil
}

// findReferences lists the references.
func (o *Objects) findReferences() error {
	h := o.h
	o.references = make([]Reference, o.first[o.heapCount()])
	place := make([]uint32, o.heapCount())
	copy(place, o.first)
	word := uint64(0)
	for rest := h.references.of(h.data); len(rest) > 0; {
		next, size := h.form.next(rest, word)
		if next == 0 {
			break
		}
		word, rest = next, rest[size:]
		if to := o.at(h.word(uint32(word))); to != None {
			from := o.objects.find(int(word / 8))
			o.references[place[from]] = Reference{uint32(word), to}
			place[from]++
		}
	}
	return nil
}

// split takes a reference apart, in which all constants are counted from origin.
func (o *Objects) split(ref uint64) (kind refKind, n uint64) {
	switch kind, n = o.h.split(ref); kind {
	case refData:
		for _, island := range o.islands {
			// Where it starts may be an object without fields. The first constant lies behind a number (heap.go).
			if n > uint64(island.start) && n < uint64(island.end()) {
				return refConst, (n - uint64(o.origin)) / 8
			}
		}
	case refConst:
		n += uint64(o.h.constants.start-o.origin) / 8
	}
	return kind, n
}

// at returns the object that a reference leads to, or into: None for what no heap holds.
func (o *Objects) at(ref uint64) Object {
	switch kind, n := o.split(ref); kind {
	case refData:
		return o.inObjects(n)
	case refConst:
		if int(n) > (o.h.constants.end()-o.origin)/8 {
			return None
		}
		if i := o.constants.find(int(n)); i >= 0 {
			return Object(o.heapCount() + i)
		}
	case refSymbol:
		if n < uint64(len(o.h.names)) {
			return o.symbols + Object(n)
		}
	}
	return None
}

// outside are the references that lie outside the objects: roots and cells of native code.
func (h *heap) outside() []uint64 {
	list := append(h.roots[:len(h.roots):len(h.roots)], h.storage)
	for i := range h.cellRecords() {
		list = append(list, h.cellRecord(i))
	}
	return list
}

func (o *Objects) heapCount() int { return o.objects.count }

// Len is the number of objects.
func (o *Objects) Len() int { return len(o.starts) }

// Part says where an object lies.
func (o *Objects) Part(x Object) Part {
	switch {
	case int(x) < o.heapCount():
		return PartObjects
	case x < o.symbols:
		return PartConstants
	}
	return PartSymbols
}

// All are all objects of a part.
func (o *Objects) All(p Part) iter.Seq[Object] {
	first, end := Object(0), Object(o.heapCount())
	switch p {
	case PartConstants:
		first, end = end, o.symbols
	case PartSymbols:
		first, end = o.symbols, Object(o.Len())
	}
	return func(yield func(Object) bool) {
		for x := first; x < end && yield(x); x++ {
		}
	}
}

// References says which references are those of an object, to others and to places in itself: from first on, before end.
func (o *Objects) References(x Object) (first, end int) {
	if int(x) >= o.heapCount() {
		return 0, 0
	}
	return int(o.first[x]), int(o.first[x+1])
}

// Reference is the reference with a number.
func (o *Objects) Reference(i int) Reference { return o.references[i] }

// Holder is the object that a reference lies in.
func (o *Objects) Holder(r Reference) Object { return Object(o.objects.find(int(r.At / 8))) }

// Find returns the object that lies at an offset of the blob among the objects, None if there is none.
func (o *Objects) Find(offset uint32) Object {
	return o.inObjects(uint64(offset))
}

// inObjects is Find. Where the objects end, there may be one without fields.
func (o *Objects) inObjects(n uint64) Object {
	end := uint64(o.h.objects.size)
	if n > end || n == end && (n%8 != 0 || !o.objects.has(int(n/8))) {
		return None
	}
	return Object(o.objects.find(int(n / 8)))
}

// Offset is where an object is in the blob, in bytes: behind its tag.
func (o *Objects) Offset(x Object) uint32 { return o.starts[x] }

// begin is where an object begins, with its tag.
func (o *Objects) begin(x Object) uint32 {
	if int(x) < o.heapCount() || o.isTagged(x) {
		return o.starts[x] - 8
	}
	return o.starts[x]
}

// isTagged says that a constant has a tag before it.
func (o *Objects) isTagged(x Object) bool {
	return o.Part(x) == PartConstants && o.tagged.has(int(o.starts[x]-uint32(o.origin))/8)
}

// end is where an object ends.
func (o *Objects) end(x Object) uint32 {
	part := o.Part(x)
	end := [...]extent{o.h.objects, o.h.constants, o.h.symbols}[part].end()
	if next := x + 1; int(next) < o.Len() && o.Part(next) == part {
		end = int(max(o.begin(next), o.starts[x]))
	}
	for _, island := range o.islands {
		switch at := int(o.starts[x]); {
		case part == PartObjects && at <= island.start:
			end = min(end, island.start)
		case part == PartConstants && at < island.end():
			end = min(end, island.end())
		}
	}
	return uint32(end)
}

// Size is the number of bytes of an object, with its tag and what lies between it and the next one.
func (o *Objects) Size(x Object) int64 {
	return int64(o.end(x)) - int64(o.begin(x))
}

// RelocSize is the number of bytes that the relocations of an object's words take in the blob.
func (o *Objects) RelocSize(x Object) int64 {
	if int(x) >= o.heapCount() {
		return 0
	}
	return int64(o.relocBytes[x])
}

// Bytes are the bytes of an object behind its tag, of a symbol its name.
func (o *Objects) Bytes(x Object) []byte {
	if x >= o.symbols {
		return o.h.names[x-o.symbols]
	}
	end := o.end(x)
	return o.h.data[o.starts[x]:end:end]
}

// Roots are the objects that the runtime knows by name.
func (o *Objects) Roots() iter.Seq[Object] {
	return o.each(append(o.h.roots[:len(o.h.roots):len(o.h.roots)], o.h.storage))
}

// Cells are the objects that cells of native code are filled with.
func (o *Objects) Cells() iter.Seq[Object] {
	var list []uint64
	for i := range o.h.cellRecords() {
		list = append(list, o.h.cellRecord(i))
	}
	return o.each(list)
}

func (o *Objects) each(refs []uint64) iter.Seq[Object] {
	return func(yield func(Object) bool) {
		for _, ref := range refs {
			if ref == 0 || !o.h.validRef(ref) {
				continue
			}
			if x := o.at(ref); x != None && !yield(x) {
				return
			}
		}
	}
}
