package sysimage

// This file writes Arrays of versions in which these are no types with fields.
//
// jl_array_t (src/julia.h): where the elements are at 0, u64 length at 8, u16 flags at 16, u16 size of an element at 18, u32 number of elements
// that were taken from the start at 20, rows at 24, number of elements that there is room for at 32 (or columns), further dimensions. The elements
// follow, at a multiple of 16 or 64; those that hold no references lie among the constants. Bits of the flags: 0 and 1 how the elements are
// allocated, 2 to 10 the number of dimensions, 11 pooled, 12 elements are references, 13 they hold some, 14 shared.

import "slices"

const (
	arrayLength, arrayFlags, arrayElement, arrayTaken, arrayRoom = 8, 16, 18, 20, 32
	arrayHeader                                                  = 40

	arrayAllocation                = 3 | 1<<11 | 1<<14
	arrayBoxed, arrayHasReferences = 1 << 12, 1 << 13
)

// A liveArray is an array of a process.
type liveArray struct {
	elementForm
	data       uint64
	length     int
	flags      uint16
	dimensions int
	header     int // size in bytes of what comes before the elements
	hasRefs    bool
	taken      int // number of elements that were taken from the start of data's room
	room       int // number of elements that data has room for
}

func (o *overlay) arrayAt(address uint64, t *liveType) (a liveArray) {
	b := o.memory.bytes(address, arrayHeader)
	a.elementForm = t.element
	a.data, a.length, a.flags = le.Uint64(b), int(le.Uint64(b[arrayLength:])), le.Uint16(b[arrayFlags:])
	a.width = int(le.Uint16(b[arrayElement:]))
	a.dimensions = int(a.flags >> 2 & 0x1ff)
	a.header = arrayHeader + 8*max(0, a.dimensions-2)
	a.hasRefs = a.flags&(arrayBoxed|arrayHasReferences) != 0
	if a.boxed = a.flags&arrayBoxed != 0; a.boxed {
		a.pointers, a.union = nil, false
	}
	if a.room = a.length; a.dimensions == 1 {
		a.taken = int(le.Uint32(b[arrayTaken:]))
		a.room = int(le.Uint64(b[arrayRoom:])) - a.taken
	}
	return a
}

func (a *liveArray) references() bool { return a.hasRefs }

// size is that of the elements, with what follows them: what each of a union is, or a zero byte.
func (a *liveArray) size() int {
	return a.length*a.width + a.behind()
}

func (a *liveArray) behind() int {
	switch {
	case a.union:
		return a.length
	case a.width == 1:
		return 1
	}
	return 0
}

func (a *liveArray) align() int { return elementAlign(a.size()) }

// array writes an Array. The elements of one of the base that have outgrown their place come to lie elsewhere.
func (w *writing) array() {
	o, m := w.o, w.o.memory
	a := o.arrayAt(w.address, w.t)
	w.out = slices.Clone(m.bytes(w.address, a.header))
	le.PutUint16(w.out[arrayFlags:], a.flags&^arrayAllocation)
	le.PutUint32(w.out[arrayTaken:], 0)
	if a.dimensions == 1 {
		le.PutUint64(w.out[arrayRoom:], uint64(a.length))
	}
	if !a.references() {
		w.setRef(0, o.arrayConstants(&a))
		return
	}
	start := alignInt(w.at+a.header, a.align()) - w.at
	if !w.fresh {
		at := int(le.Uint64(o.data[w.at:]))
		start = at - w.at
		if start < a.header || start+a.size() > o.roomAt(w.at) {
			w.setRef(0, o.placeElements(w, &a))
			return
		}
	}
	w.out = append(w.out, make([]byte, start-len(w.out))...)
	w.out = append(w.out, m.bytes(a.data, a.size())...)
	w.setRef(0, uint64(w.at+start))
	w.elements(uint32(start), a.length, &a.elementForm)
}

// placeElements writes the elements of an array to a place of their own, and returns the reference to them.
func (o *overlay) placeElements(of *writing, a *liveArray) uint64 {
	at := alignInt(len(o.data), a.align())
	o.data = append(o.data, make([]byte, at+a.size()-len(o.data))...)
	w := writing{o: o, address: of.address, t: of.t, at: at, fresh: true, out: slices.Clone(o.memory.bytes(a.data, a.size()))}
	w.elements(0, a.length, &a.elementForm)
	copy(o.data[at:], w.out)
	for _, r := range w.refs {
		o.refs = append(o.refs, uint32(at)+r)
	}
	return uint64(at)
}

// arrayConstants returns the reference to elements that hold no references.
func (o *overlay) arrayConstants(a *liveArray) uint64 {
	n := a.length * a.width
	ref, copied := o.constantCopy(a.data, n, a.size(), a.align())
	switch {
	case copied == nil:
	case a.union:
		// They are behind the room for elements (jl_array_typetagdata).
		copy(copied[n:], o.memory.bytes(a.data+uint64(a.room*a.width+a.taken), a.length))
	case a.raw:
		forgetPointers(copied)
	}
	return ref
}
