package sysimage

// This file writes objects of a process's heap, as jl_write_values in src/staticdata.c does for a system image.

import (
	"fmt"
	"slices"
)

// A placed object has a place in the blob and is not written yet.
type placed struct {
	address uint64
	t       *liveType
	at      int // in overlay.data, or in overlay.added if its type's objects are constants
}

// reference returns the reference to the object at an address, 0 for none. A new object gets a place.
func (o *overlay) reference(address uint64) uint64 {
	if address == 0 {
		return 0
	}
	if at := address - o.start; at < uint64(o.end) {
		if o.dormant[uint32(at)] {
			delete(o.dormant, uint32(at))
			o.rewrite(int(at))
		}
		return at
	}
	if ref, ok := o.places[address]; ok {
		return ref
	}
	if ref, ok := o.valueReference(address); ok {
		return ref
	}
	t := o.typeOf(address)
	switch {
	case t == nil:
		o.unknown(fmt.Sprintf("there is no object at 0x%x", address))
		return 0
	case t.kind == kindSymbol:
		return o.h.join(refSymbol, o.symbols.number(address, o.symbolName(address)))
	case t.kind == kindUnwritten:
		o.unknown("there is a " + t.name)
		return 0
	}
	return o.place(address, t)
}

// valueReference is the reference to what the loader makes: the root task, nothing, small integers.
func (o *overlay) valueReference(address uint64) (ref uint64, ok bool) {
	const boxes = 1024 // NBOX_C
	if address == o.live.Task {
		return o.h.join(refTag, 0), true
	}
	t := o.typeOf(address)
	switch {
	case t == nil:
	case t.kind == kindNothing:
		return o.h.join(refTag, tagNothing), true
	case t.kind != kindSmall:
	case t.size == 8:
		if v := int64(o.memory.u64(address)) + boxes/2; v >= 0 && v < boxes {
			return o.h.join(refTag, 2+uint64(v)), true
		}
	case t.size == 4:
		if v := int64(int32(o.memory.u32(address))) + boxes/2; v >= 0 && v < boxes {
			return o.h.join(refTag, 2+boxes+uint64(v)), true
		}
	case t.size == 1:
		return o.h.join(refTag, 2+2*boxes+uint64(o.memory.bytes(address, 1)[0])), true
	}
	return 0, false
}

// isPlaced says that an object is written.
func (o *overlay) isPlaced(address uint64) bool {
	_, ok := o.places[address]
	return ok || address-o.start < uint64(o.end)
}

// place gives a new object a place, and queues it.
func (o *overlay) place(address uint64, t *liveType) uint64 {
	size := o.sizeOf(address, t)
	if size < 0 || size > 1<<31 {
		o.unknown(fmt.Sprintf("an object of type %s has %d bytes", t.name, size))
		return 0
	}
	out := &o.data
	if t.constant {
		out = &o.added
	}
	at := len(*out) + 8
	if t.identified {
		at += 8
	}
	at = alignInt(at, 16)
	*out = append(*out, make([]byte, at+size-len(*out))...)
	if t.identified {
		le.PutUint64((*out)[at-16:], o.identity(address))
	}
	ref := uint64(at)
	if t.constant {
		le.PutUint64((*out)[at-8:], t.smallTag<<4|o.form.constantMark)
		ref = o.h.join(refConst, uint64(at)/8)
	} else {
		o.tags = append(o.tags, uint32(at-8))
	}
	o.places[address] = ref
	o.queue = append(o.queue, placed{address, t, at})
	o.stats.Objects++
	if !t.constant {
		header := o.reference(t.address)
		le.PutUint64(o.data[at-8:], header)
	}
	return ref
}

// identity is what jl_object_id says of an object that can be changed: the hash of its address, or what an image has before it.
func (o *overlay) identity(address uint64) uint64 {
	const inImage = 4 // GC_IN_IMAGE
	if o.memory.u64(address-8)&inImage != 0 {
		return o.memory.u64(address - 16)
	}
	key := address // int64hash in src/support/hashing.c
	key = ^key + key<<21
	key ^= key >> 24
	key += key<<3 + key<<8
	key ^= key >> 14
	key += key<<2 + key<<4
	key ^= key >> 28
	return key + key<<31
}

// sizeOf is the number of bytes that an object is written with.
func (o *overlay) sizeOf(address uint64, t *liveType) int {
	m := o.memory
	switch t.kind {
	case kindList:
		return 8 + 8*int(m.u64(address))
	case kindString:
		return 8 + int(m.u64(address)) + 1
	case kindMemory:
		if t.element.references() {
			return 16 + o.memorySize(address, t)
		}
		return 24
	case kindArray:
		a := o.arrayAt(address, t)
		if !a.references() {
			return a.header
		}
		return a.header + a.align() + a.size()
	case kindModule:
		form := &o.form.module
		list := address + uint64(form.usings)
		if m.u64(list+usingsItems) == list+usingsRoom {
			return form.size
		}
		return form.size + 8*form.usingRoom(m.u64(list+usingsCapacity))
	case kindBigInt:
		return 16
	}
	if t.special == specialMethod {
		return o.form.method.size
	}
	return t.size
}

// drain writes all objects that have a place.
func (o *overlay) drain() {
	for len(o.queue) > 0 && !o.failed() {
		p := o.queue[0]
		o.queue = o.queue[1:]
		w := writing{o: o, address: p.address, t: p.t, at: p.at, fresh: true}
		w.write()
		if p.t.constant {
			copy(o.added[p.at:], w.out)
			continue
		}
		copy(o.data[p.at:], w.out)
		for _, at := range w.refs {
			o.refs = append(o.refs, uint32(p.at)+at)
		}
		for _, at := range w.memoryRefs {
			o.memoryRefs = append(o.memoryRefs, uint32(p.at)+at)
		}
	}
}

// rewrite writes the base's object at an offset anew.
func (o *overlay) rewrite(at int) {
	w := writing{o: o, address: o.address(at), at: at}
	if w.t = o.typeOf(w.address); w.t == nil {
		o.unknown("an object of the base has no type any more")
		return
	}
	w.write()
	if o.failed() {
		return
	}
	if room := o.roomAt(at); len(w.out) > room {
		o.unknown(fmt.Sprintf("a %s has %d bytes and a place of %d", w.t.name, len(w.out), room))
		return
	}
	isReference := newBitset(len(w.out))
	for _, at := range w.refs {
		isReference.add(at)
	}
	for i := 0; i < len(w.out); i += 8 {
		word, end := uint32(at+i), min(i+8, len(w.out))
		is, was := isReference.has(uint32(i)), o.isReference.has(word)
		if is == was && slices.Equal(o.data[at+i:at+end], w.out[i:end]) {
			continue
		}
		o.stats.Words++
		switch {
		case is && !was:
			o.refs = append(o.refs, word)
		case was && !is:
			o.removed.add(word)
		}
		copy(o.data[at+i:], w.out[i:end])
	}
	for _, r := range w.memoryRefs {
		if word := uint32(at) + r; !o.isMemoryRef.has(word) {
			o.memoryRefs = append(o.memoryRefs, word)
		}
	}
}

// roomAt is the number of bytes from an offset to the next object of the base, or to constants.
func (o *overlay) roomAt(at int) int {
	end := o.h.objects.size
	if i, _ := slices.BinarySearch(o.headers, uint32(at)); i < len(o.headers) {
		end = int(o.headers[i])
	}
	for _, island := range o.islands {
		if island.start > at {
			end = min(end, island.start)
		}
	}
	return end - at
}

// setReference gives a word of data a reference, or none if it is 0. Fresh words had none.
func (o *overlay) setReference(at int, ref uint64, fresh bool) {
	word := uint32(at)
	was := !fresh && o.isReference.has(word) && !o.removed.has(word)
	switch {
	case ref != 0 && !was:
		o.refs = append(o.refs, word)
	case ref == 0 && was:
		o.removed.add(word)
	}
	o.setWord(at, ref)
}

func (o *overlay) setWord(at int, value uint64) {
	if le.Uint64(o.data[at:]) != value {
		le.PutUint64(o.data[at:], value)
		o.stats.Words++
	}
}

// constantCopy returns the reference to n bytes that hold no references. New ones are copied, to size bytes among the constants.
func (o *overlay) constantCopy(address uint64, n, size, align int) (ref uint64, copied []byte) {
	if at := address - o.start; at < uint64(o.end) && at%8 == 0 {
		return at, nil
	}
	at := alignInt(len(o.added), align)
	o.added = append(o.added, make([]byte, at+size-len(o.added))...)
	copied = o.added[at:]
	copy(copied, o.memory.bytes(address, n))
	return o.h.join(refConst, uint64(at)/8), copied
}

// forgetPointers makes elements of type Ptr null, but for those that are all ones (MAP_FAILED, INVALID_HANDLE).
func forgetPointers(elements []byte) {
	for at := 0; at+8 <= len(elements); at += 8 {
		if le.Uint64(elements[at:]) != ^uint64(0) {
			clear(elements[at : at+8])
		}
	}
}

// A writing is the work of writing one object.
type writing struct {
	o       *overlay
	address uint64
	t       *liveType
	at      int  // where it will lie in the blob
	fresh   bool // it is not the base's
	out     []byte
	// refs and memoryRefs are offsets in out.
	refs, memoryRefs []uint32
}

// set writes a reference to an object, or to none.
func (w *writing) set(at uint32, object uint64) { w.setRef(at, w.o.reference(object)) }

func (w *writing) setRef(at uint32, ref uint64) {
	le.PutUint64(w.out[at:], ref)
	if ref != 0 {
		w.refs = append(w.refs, at)
	}
}

// setField is set for what is in a field; one that can be assigned loses a Ptr that is an object (get_replaceable_field).
func (w *writing) setField(at uint32, object uint64, assignable bool) {
	if assignable && object != 0 {
		if ref, ok := w.o.null(object); ok {
			w.setRef(at, ref)
			return
		}
	}
	w.set(at, object)
}

// null returns a reference to a null pointer for an object of type Ptr that is not null.
func (o *overlay) null(object uint64) (ref uint64, ok bool) {
	header := o.memory.u64(object-8) &^ markBits
	if header < smallHeaders || o.memory.u64(header) != o.rootAddress(o.form.pointerName) {
		return 0, false
	}
	if v := o.memory.u64(object); v == 0 || v == ^uint64(0) {
		return 0, false
	}
	if ref, ok = o.nulls[header]; !ok {
		at := alignInt(len(o.data)+8, 16)
		o.data = append(o.data, make([]byte, at+8-len(o.data))...)
		ref = uint64(at)
		o.nulls[header] = ref
		o.tags = append(o.tags, uint32(at-8))
		header = o.reference(header)
		le.PutUint64(o.data[at-8:], header)
	}
	return ref, true
}

// write writes the object.
func (w *writing) write() {
	o, m := w.o, w.o.memory
	before := o.writing
	o.writing = w.t
	defer func() { o.writing = before }()
	switch w.t.kind {
	case kindList:
		w.list()
	case kindString:
		w.out = append(slices.Clone(m.bytes(w.address, 8+int(m.u64(w.address)))), 0)
	case kindBytes, kindSmall, kindNothing:
		w.out = slices.Clone(m.bytes(w.address, w.t.size))
	case kindMemory:
		w.memory()
	case kindArray:
		w.array()
	case kindModule:
		w.module()
	case kindBigInt:
		w.bigInt()
	case kindFields:
		w.fields()
	default:
		o.unknown("there is a " + w.t.name)
	}
}

// list writes a SimpleVector: its length and its elements. A set of types is written later.
func (w *writing) list() {
	n := int(w.o.memory.u64(w.address))
	if _, ok := w.o.sets[w.address]; ok {
		w.o.weakSets = append(w.o.weakSets, placedSet{w.address, w.at, w.fresh})
		return
	}
	w.out = slices.Clone(w.o.memory.bytes(w.address, 8+8*n))
	for at := uint32(8); int(at) < len(w.out); at += 8 {
		w.set(at, le.Uint64(w.out[at:]))
	}
}

// bigInt writes a BigInt: the number of limbs twice, the second with the sign, and where they are.
func (w *writing) bigInt() {
	m := w.o.memory
	size := int32(m.u32(w.address + 4))
	limbs := max(int(size), -int(size), 1)
	w.out = make([]byte, 16)
	le.PutUint32(w.out, uint32(limbs))
	le.PutUint32(w.out[4:], uint32(size))
	ref, _ := w.o.constantCopy(m.u64(w.address+8), 8*limbs, 8*limbs, 8)
	w.setRef(8, ref)
}

// memory writes a GenericMemory: its length, where its elements are, and these, or an owner, which is none, if they lie among the constants.
func (w *writing) memory() {
	o, m, e := w.o, w.o.memory, &w.t.element
	n, data := int(m.u64(w.address)), m.u64(w.address+8)
	size := o.memorySize(w.address, w.t)
	if !e.references() {
		w.out = make([]byte, 24)
		le.PutUint64(w.out, uint64(n))
		room := size
		switch {
		case n == 0:
			room = max(e.width, btoi(e.union))
		case data != w.address+16:
			room++ // a String may own them
		}
		ref, copied := o.constantCopy(data, size, room, elementAlign(size))
		if e.raw {
			forgetPointers(copied)
		}
		w.setRef(8, ref)
		return
	}
	list, weak := o.lists[w.address]
	if weak {
		o.holdBackedges(list)
		o.weakLists = append(o.weakLists, placedList{list, w.address, w.at, w.fresh})
		size = 0
	}
	w.out = append(make([]byte, 16, 16+size), m.bytes(data, size)...)
	le.PutUint64(w.out, uint64(n))
	w.setRef(8, uint64(w.at)+16)
	if !weak {
		w.elements(16, n, e)
	}
}

// elements writes references that elements from an offset on are, or hold.
func (w *writing) elements(at uint32, n int, e *elementForm) {
	for range n {
		if e.boxed {
			w.setField(at, le.Uint64(w.out[at:]), true)
		}
		for _, offset := range e.pointers {
			w.setField(at+offset, le.Uint64(w.out[at+offset:]), true)
		}
		at += uint32(e.width)
	}
}

// elementAlign is how elements of the given size in all are aligned (ARRAY_CACHE_ALIGN_THRESHOLD).
func elementAlign(size int) int {
	if size >= 2048 {
		return 64
	}
	return 16
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// memorySize is the size in bytes of a memory's elements, with the bytes behind them that say what elements of a union are.
func (o *overlay) memorySize(address uint64, t *liveType) int {
	n := int(o.memory.u64(address))
	return n * (t.element.width + btoi(t.element.union))
}

// fields writes an object by the fields of its type.
func (w *writing) fields() {
	o, t := w.o, w.t
	w.out = slices.Clone(o.memory.bytes(w.address, t.size))
	for _, hole := range t.holes {
		clear(hole.of(w.out))
	}
	for _, at := range t.raw {
		forgetPointers(w.out[at : at+8])
	}
	first := 0 // of the pointers that are written as they are
	if t.special == specialOnce && w.fresh && w.forgetOnce() {
		first = 1
	}
	values := make([]uint64, len(t.pointers))
	for i := first; i < len(t.pointers); i++ {
		at := t.pointers[i]
		values[i] = le.Uint64(w.out[at:])
		clear(w.out[at : at+8])
	}
	for _, at := range t.memoryRefs {
		w.memoryRef(at)
	}
	w.noteWeak()
	for i := first; i < len(t.pointers); i++ {
		w.setField(t.pointers[i], values[i], t.assignable[i] && !(i == 0 && w.isConstant()))
	}
	w.finish()
}

// memoryRef makes the pointer of a MemoryRef an offset from where the elements begin (record_memoryref).
func (w *writing) memoryRef(at uint32) {
	o, m := w.o, w.o.memory
	memory := m.u64(w.address + uint64(at) + 8)
	if memory == 0 {
		return
	}
	t := o.typeOf(memory)
	if t == nil || t.kind != kindMemory {
		o.unknown(fmt.Sprintf("there is no Memory at 0x%x", memory))
		return
	}
	if !t.element.union && t.element.width != 0 {
		le.PutUint64(w.out[at:], le.Uint64(w.out[at:])-m.u64(memory+8))
		w.memoryRefs = append(w.memoryRefs, at)
	}
}

// isConstant says of a Binding that its value is constant.
func (w *writing) isConstant() bool {
	flags := w.o.form.binding.flags
	return w.t.special == specialBinding && flags > 0 && w.out[flags]&1 != 0
}
