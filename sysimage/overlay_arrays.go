package sysimage

// This file writes Arrays of versions where these are no types with fields.
//
// jl_array_t (src/julia.h): data at 0, u64 length at 8, u16 flags at 16, u16 size of an element at 18, u32 offset at 20, rows at 24, room at 32 (or
// the second dimension), further dimensions. The elements follow, at a multiple of 16 or 64; those that hold no references lie among the constants.
// Flags: how the elements are allocated in bits 0 and 1, the number of dimensions in 2 to 10, pooled in 11, elements are references in 12, hold
// references in 13, shared in 14.

import "slices"

const (
	arrayLength, arrayFlags, arrayElement, arrayOffset, arrayRoom = 8, 16, 18, 20, 32
	arrayHeader                                                   = 40

	arrayBoxed, arrayHasReferences = 1 << 12, 1 << 13
	arrayAllocation                = 3 | 1<<11 | 1<<14
)

// A liveArray is an array of a process.
type liveArray struct {
	data   uint64
	length int
	flags  uint16
	// element is the size of one, header that of what comes before them, inline where they come after that.
	element, header, inline int
	unions                  bool
	// room is the number of elements that there is room for.
	room   int
	offset int
}

func (o *overlay) arrayAt(address uint64, t *liveType) (a liveArray) {
	b := o.memory.bytes(address, arrayHeader)
	a.data, a.length, a.flags = le.Uint64(b), int(le.Uint64(b[arrayLength:])), le.Uint16(b[arrayFlags:])
	a.element, a.offset, a.room = int(le.Uint16(b[arrayElement:])), int(le.Uint32(b[arrayOffset:])), int(le.Uint64(b[arrayRoom:]))
	dimensions := int(a.flags >> 2 & 0x1ff)
	a.header = arrayHeader + 8*max(0, dimensions-2)
	if dimensions != 1 {
		a.room, a.offset = a.length, 0
	}
	a.unions = t.element.union && a.flags&arrayBoxed == 0
	a.inline = alignInt(a.header, a.align())
	return a
}

func (a *liveArray) pointers() bool { return a.flags&(arrayBoxed|arrayHasReferences) != 0 }

// size is that of the elements, with what follows them.
func (a *liveArray) size() int {
	switch size := a.length * a.element; {
	case a.unions:
		return size + a.length
	case a.element == 1:
		return size + 1
	default:
		return size
	}
}

func (a *liveArray) align() int {
	if a.size() >= 2048 { // ARRAY_CACHE_ALIGN_THRESHOLD
		return 64
	}
	return 16
}

// array writes an array. The elements of one of the base that has no room for them any more come to lie elsewhere.
func (w *writing) array() {
	o, m := w.o, w.o.memory
	a := o.arrayAt(w.address, w.t)
	w.out = slices.Clone(m.bytes(w.address, a.header))
	le.PutUint16(w.out[arrayFlags:], a.flags&^arrayAllocation)
	le.PutUint32(w.out[arrayOffset:], 0)
	if a.flags>>2&0x1ff == 1 {
		le.PutUint64(w.out[arrayRoom:], uint64(a.length))
	}
	if !a.pointers() {
		w.setRef(0, o.arrayConstants(&a, w.t))
		return
	}
	// inline is where the elements begin in the blob, and into what they are written there.
	into, start, base := &w.out, a.inline, uint32(w.at)
	if !w.fresh {
		kind, n := o.h.split(le.Uint64(o.data[w.at:]))
		start = int(n) - w.at
		if room := o.roomAfter(w.at) - int(n); kind != refData || start < a.header || room < a.size() {
			at := alignInt(len(o.data), a.align())
			o.data = append(o.data, make([]byte, at+a.size()-len(o.data))...)
			w.setRef(0, o.h.join(refData, uint64(at)))
			w.elements(&a, at)
			return
		}
	} else {
		start = alignInt(w.at+a.header, a.align()) - w.at
	}
	_ = base
	w.out = append(w.out, make([]byte, start-len(w.out))...)
	w.setRef(0, o.h.join(refData, uint64(w.at+start)))
	*into = append(*into, m.bytes(a.data, a.length*a.element)...)
	w.elementRefs(&a, start)
}

// elementRefs writes the references among elements that begin at an offset in out.
func (w *writing) elementRefs(a *liveArray, start int) {
	for i := range a.length {
		if a.flags&arrayBoxed != 0 {
			at := uint32(start + 8*i)
			w.setField(at, le.Uint64(w.out[at:]), true)
			continue
		}
		for _, at := range w.t.element.pointers {
			at += uint32(start + i*a.element)
			w.setField(at, le.Uint64(w.out[at:]), true)
		}
	}
}

// elements writes elements to a place of their own in data.
func (w *writing) elements(a *liveArray, at int) {
	o := w.o
	part := writing{o: o, t: w.t, address: w.address, at: at, out: slices.Clone(o.memory.bytes(a.data, a.length*a.element))}
	part.elementRefs(a, 0)
	copy(o.data[at:], part.out)
	for _, r := range part.refs {
		o.refs = append(o.refs, uint32(at)+r)
	}
}

// roomAfter is where the room of the base's object at an offset ends.
func (o *overlay) roomAfter(at int) int {
	i, _ := slices.BinarySearch(o.headers, uint32(at))
	if i == len(o.headers) {
		return o.h.objects.size
	}
	return int(o.headers[i])
}

// arrayConstants returns the reference to the elements of an array that hold no references.
func (o *overlay) arrayConstants(a *liveArray, t *liveType) uint64 {
	size := a.length * a.element
	fresh := len(o.constants)
	room := a.size()
	if a.unions {
		size = a.length * a.element
	}
	ref := o.constant(a.data, size, room, a.align())
	if len(o.constants) == fresh {
		return ref
	}
	at := len(o.constants) - room
	switch {
	case a.unions:
		tags := a.data + uint64((a.room-a.offset)*a.element+a.offset)
		copy(o.constants[at+size:], o.memory.bytes(tags, a.length))
	case t.element.raw:
		for ; at < len(o.constants); at += 8 {
			if le.Uint64(o.constants[at:]) != ^uint64(0) {
				le.PutUint64(o.constants[at:], 0)
			}
		}
	}
	return ref
}
