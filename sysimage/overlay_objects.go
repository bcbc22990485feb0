package sysimage

// This file writes objects of a process's heap, as jl_write_values in src/staticdata.c does for a system image.

import (
	"fmt"
	"slices"
)

// reference returns the reference to what is at an address. A new object gets a place.
func (o *overlay) reference(address uint64) uint64 {
	if address == 0 {
		return 0
	}
	if at := address - o.live.Blob; at < uint64(o.end) {
		if o.dormant[uint32(at)] {
			delete(o.dormant, uint32(at))
			o.rewrite(int(at))
		}
		return o.h.join(refData, at)
	}
	if ref, ok := o.places[address]; ok {
		return ref
	}
	if address == o.live.Task {
		return o.h.join(refTag, 0)
	}
	if address&7 != 0 || address < 4096 {
		o.fail(fmt.Errorf("%w: 0x%x is taken for an object", ErrNoOverlay, address))
		return 0
	}
	t := o.typeOf(address)
	if t == nil {
		o.fail(fmt.Errorf("%w: 0x%x is taken for an object", ErrNoOverlay, address))
		return 0
	}
	switch t.kind {
	case kindSymbol:
		return o.h.join(refSymbol, o.symbolNumber(address))
	case kindNothing, kindSmall:
		if ref, ok := o.valueReference(address); ok {
			return ref
		}
	case kindUnwritten:
		o.unknown("it holds a " + t.name)
		return 0
	}
	return o.place(address, t)
}

// symbolNumber returns the number of the symbol at an address.
func (o *overlay) symbolNumber(address uint64) uint64 {
	if n, ok := o.symbolsAt[address]; ok {
		return n
	}
	name := o.symbolName(address)
	n, ok := o.symbolNumbers[name]
	if !ok {
		n = o.symbolCount
		o.symbolCount++
		o.symbolNumbers[name] = n
		o.symbols = le.AppendUint32(o.symbols, uint32(len(name)))
		o.symbols = append(append(o.symbols, name...), 0)
	}
	o.symbolsAt[address] = n
	return n
}

// isSymbol says that there is a symbol at an address.
func (o *overlay) isSymbol(address uint64) bool {
	if address < 4096 || address&7 != 0 {
		return false
	}
	t := o.typeOf(address)
	return t != nil && t.kind == kindSymbol
}

// symbolName is the name of the symbol at an address: left, right and hash come before it (jl_sym_t).
func (o *overlay) symbolName(address uint64) string { return o.memory.text(address + 24) }

// valueReference is the reference to a value that the loader makes.
func (o *overlay) valueReference(address uint64) (ref uint64, ok bool) {
	if address == o.live.Task {
		return o.h.join(refTag, 0), true
	}
	if address < 4096 || address&7 != 0 {
		return 0, false
	}
	const boxes = 1024
	t := o.typeOf(address)
	if t == nil {
		return 0, false
	}
	switch {
	case t.kind == kindNothing:
		return o.h.join(refTag, tagNothing), true
	case t.kind != kindSmall:
	case t.size == 8:
		if v := int64(o.memory.u64(address)) + boxes/2; v >= 0 && v < boxes {
			return o.h.join(refTag, uint64(v)+2), true
		}
	case t.size == 4:
		if v := int64(int32(o.memory.u32(address))) + boxes/2; v >= 0 && v < boxes {
			return o.h.join(refTag, uint64(v)+2+boxes), true
		}
	case t.size == 1:
		return o.h.join(refTag, uint64(o.memory.bytes(address, 1)[0])+2+2*boxes), true
	}
	return 0, false
}

// place gives a new object a place, and queues it.
func (o *overlay) place(address uint64, t *liveType) uint64 {
	size := o.sizeOf(address, t)
	if size < 0 || size > 1<<31 {
		o.fail(fmt.Errorf("%w: the object of type %s at 0x%x has %d bytes", ErrNoOverlay, t.name, address, size))
		return 0
	}
	out := &o.data
	if t.constant {
		out = &o.constants
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
	var ref uint64
	if t.constant {
		le.PutUint64((*out)[at-8:], t.smallTag<<4|o.fields.constantMark)
		ref = o.h.join(refConst, uint64(at)/8)
	} else {
		le.PutUint64((*out)[at-8:], o.reference(t.address))
		o.tags = append(o.tags, uint32(at-8))
		ref = o.h.join(refData, uint64(at))
	}
	o.places[address] = ref
	o.parents[address] = o.current
	if dbg := false && t.kind == kindModule; dbg {
		o.trace(address)
	}
	o.queue = append(o.queue, pending{address, t, at, t.constant})
	o.stats.New++
	return ref
}

// identity is what jl_object_id says of an object that can be changed.
func (o *overlay) identity(address uint64) uint64 {
	const inImage = 4
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

// sizeOf is the size in bytes that an object is written with.
func (o *overlay) sizeOf(address uint64, t *liveType) int {
	m := o.memory
	switch t.kind {
	case kindList:
		return 8 + 8*int(m.u64(address))
	case kindString:
		return 8 + int(m.u64(address)) + 1
	case kindMemory:
		if t.element.pointer {
			return 16 + o.memorySize(address, t)
		}
		return 24
	case kindModule:
		form := o.fields.module
		if m.u64(address+uint64(form.usings)+16) == address+uint64(form.usings)+24 {
			return form.size
		}
		return form.size + 8*form.usingRoom(m.u64(address+uint64(form.usings)+8))
	case kindArray:
		a := o.arrayAt(address, t)
		if !a.pointers() {
			return a.header
		}
		return a.header + a.align() + a.size()
	case kindBigInt:
		return 16
	}
	if t.special == specialMethod {
		return o.fields.methodSize
	}
	return t.size
}

// drain writes all objects that are queued.
func (o *overlay) drain() {
	for len(o.queue) > 0 && !o.failed() {
		p := o.queue[0]
		o.queue = o.queue[1:]
		w := writing{o: o, address: p.address, t: p.t, at: p.at, fresh: true}
		o.current = p.address
		w.write()
		into := o.data
		if p.among {
			into = o.constants
		}
		copy(into[p.at:], w.out)
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
	o.current = w.address
	w.t = o.typeOf(w.address)
	if w.t == nil {
		o.unknown("an object of the base has no type any more")
		return
	}
	w.write()
	if o.failed() {
		return
	}
	if at+len(w.out) > o.roomAfter(at) {
		o.fail(fmt.Errorf("%w: %s is larger than its place in the base: %d, %d", ErrNoOverlay, o.describe(w.address), len(w.out), o.roomAfter(at)-at))
		return
	}
	refs := map[uint32]bool{}
	for _, r := range w.refs {
		refs[r] = true
	}
	changed := false
	for i := 0; i < len(w.out); i += 8 {
		n := min(8, len(w.out)-i)
		word := uint32(at + i)
		if slices.Equal(o.data[at+i:at+i+n], w.out[i:i+n]) && refs[uint32(i)] == o.isReference.has(word) {
			continue
		}
		changed = true
		o.stats.ChangedWords++
		switch {
		case refs[uint32(i)] && !o.isReference.has(word):
			o.refs = append(o.refs, word)
		case !refs[uint32(i)] && o.isReference.has(word):
			o.removed.add(word)
		}
		copy(o.data[at+i:], w.out[i:i+n])
	}
	for _, r := range w.memoryRefs {
		if word := uint32(at) + r; !o.isMemoryRef.has(word) {
			o.memoryRefs = append(o.memoryRefs, word)
		}
	}
	if changed {
		o.stats.Changed++
	}
}

// A writing is the work of writing one object.
type writing struct {
	o       *overlay
	address uint64
	t       *liveType
	at      int  // where it will lie
	fresh   bool // it is not the base's
	out     []byte
	// refs and memoryRefs are offsets in out.
	refs, memoryRefs []uint32
}

// set writes a reference to an object, which may be null.
func (w *writing) set(at uint32, object uint64) { w.setRef(at, w.o.reference(object)) }

func (w *writing) setRef(at uint32, ref uint64) {
	le.PutUint64(w.out[at:], ref)
	if ref != 0 {
		w.refs = append(w.refs, at)
	}
}

// setField is set for a field that may be one that can be assigned, in which a Ptr becomes null (get_replaceable_field).
func (w *writing) setField(at uint32, object uint64, mutable bool) {
	if mutable && object != 0 {
		if ref, ok := w.o.null(object); ok {
			w.setRef(at, ref)
			return
		}
	}
	w.set(at, object)
}

// null returns a reference to a null pointer in the place of a Ptr that is another one.
func (o *overlay) null(object uint64) (ref uint64, ok bool) {
	header := o.memory.u64(object-8) &^ markBits
	if header < smallHeaders || o.memory.u64(header) != o.rootAddress(o.fields.pointerName) {
		return 0, false
	}
	if v := o.memory.u64(object); v == 0 || v == ^uint64(0) {
		return 0, false
	}
	if ref, ok = o.nulls[header]; !ok {
		at := alignInt(len(o.data)+8, 16)
		o.data = append(o.data, make([]byte, at+8-len(o.data))...)
		le.PutUint64(o.data[at-8:], o.reference(header))
		o.tags = append(o.tags, uint32(at-8))
		ref = o.h.join(refData, uint64(at))
		o.nulls[header] = ref
	}
	return ref, true
}

func (w *writing) write() {
	o, m, t := w.o, w.o.memory, w.t
	switch t.kind {
	case kindList:
		n := int(m.u64(w.address))
		w.out = slices.Clone(m.bytes(w.address, 8+8*n))
		if _, ok := o.caches[w.address]; ok {
			o.cached = append(o.cached, typeCache{w.address, w.at, w.fresh})
			if w.out = nil; w.fresh {
				w.out = make([]byte, 8+8*n)
			}
			return
		}
		for i := range n {
			w.set(uint32(8+8*i), le.Uint64(w.out[8+8*i:]))
		}
	case kindString:
		w.out = append(slices.Clone(m.bytes(w.address, 8+int(m.u64(w.address)))), 0)
	case kindBytes, kindSmall, kindNothing:
		w.out = slices.Clone(m.bytes(w.address, t.size))
	case kindMemory:
		w.memory()
	case kindArray:
		w.array()
	case kindModule:
		w.module()
	case kindBigInt:
		size := int32(m.u32(w.address + 4))
		limbs := max(int(size), -int(size), 1)
		w.out = make([]byte, 16)
		le.PutUint32(w.out, uint32(limbs))
		le.PutUint32(w.out[4:], uint32(size))
		w.setRef(8, o.constant(m.u64(w.address+8), 8*limbs, 8*limbs, 8))
	case kindFields:
		w.fieldsOf()
	default:
		o.unknown("it holds a " + t.name)
	}
}

// constant returns the reference to n bytes of which the constants have a copy with the given size and alignment, be it the base's.
func (o *overlay) constant(address uint64, n, size, align int) uint64 {
	if at := address - o.live.Blob; at < uint64(o.end) && at%8 == 0 {
		return o.h.join(refData, at)
	}
	at := alignInt(len(o.constants), align)
	o.constants = append(o.constants, make([]byte, at+size-len(o.constants))...)
	copy(o.constants[at:], o.memory.bytes(address, n))
	return o.h.join(refConst, uint64(at)/8)
}

// memory writes a GenericMemory: its length, where its elements are, and for those that are no references, which lie among the constants, no owner.
func (w *writing) memory() {
	o, m, e := w.o, w.o.memory, &w.t.element
	n, data := int(m.u64(w.address)), m.u64(w.address+8)
	size := o.memorySize(w.address, w.t)
	if !e.pointer {
		w.out = make([]byte, 24)
		le.PutUint64(w.out, uint64(n))
		align, room := 16, size
		if size >= 2048 { // ARRAY_CACHE_ALIGN_THRESHOLD
			align = 64
		}
		if n == 0 {
			room = e.size
			if room == 0 && e.union {
				room = 1
			}
		} else if data != w.address+16 {
			room++ // a string may own it
		}
		fresh := len(o.constants)
		w.setRef(8, o.constant(data, size, room, align))
		if e.raw && len(o.constants) > fresh {
			for at := len(o.constants) - room; at < len(o.constants)-room+size; at += 8 {
				if le.Uint64(o.constants[at:]) != ^uint64(0) {
					le.PutUint64(o.constants[at:], 0)
				}
			}
		}
		return
	}
	list, weak := o.weak[w.address]
	if weak {
		o.holdBackedges(list)
		o.lists = append(o.lists, pendingList{list, w.address, w.at, w.fresh})
		size = 0
	}
	w.out = append(make([]byte, 16, 16+size), m.bytes(data, size)...)
	le.PutUint64(w.out, uint64(n))
	w.setRef(8, o.h.join(refData, uint64(w.at)+16))
	if weak {
		return
	}
	if e.boxed {
		for i := range n {
			w.setField(uint32(16+8*i), le.Uint64(w.out[16+8*i:]), true)
		}
		return
	}
	for i := range n {
		for _, at := range e.pointers {
			at += uint32(16 + i*e.size)
			w.setField(at, le.Uint64(w.out[at:]), true)
		}
	}
}

// module writes a module (jl_write_module).
func (w *writing) module() {
	o, m, form := w.o, w.o.memory, &w.o.fields.module
	w.out = slices.Clone(m.bytes(w.address, form.size))
	for _, at := range form.references {
		w.set(at, le.Uint64(w.out[at:]))
	}
	for _, z := range form.zeros {
		clear(z.of(w.out))
	}
	for _, at := range form.ones {
		le.PutUint64(w.out[at:], ^uint64(0))
	}
	items := form.usings + 16
	room := w.out[form.usings+24 : form.usings+24+29*8]
	clear(room)
	length, capacity := le.Uint64(w.out[form.usings:]), le.Uint64(w.out[form.usings+8:])
	list := m.bytes(le.Uint64(w.out[items:]), int(8*length))
	switch inside := le.Uint64(w.out[items:]) == w.address+uint64(form.usings)+24; {
	case inside:
		copy(room, list)
		w.setRef(items, o.h.join(refData, uint64(w.at)+uint64(form.usings)+24))
		w.usings(form.usings+24, int(length))
	case w.fresh:
		w.out = append(w.out, make([]byte, 8*form.usingRoom(capacity))...)
		copy(w.out[form.size:], list)
		w.setRef(items, o.h.join(refData, uint64(w.at)+uint64(form.size)))
		w.usings(uint32(form.size), int(length))
	default:
		w.moveUsings(list, capacity)
	}
	if w.fresh {
		o.finish = append(o.finish, uint64(w.at))
		clear(w.out[form.buildID : form.buildID+8])
	} else {
		copy(w.out[form.buildID:form.buildID+8], o.data[w.at+int(form.buildID):])
	}
}

// usingRoom is the number of words of a list that has room for so many.
func (f *moduleForm) usingRoom(words uint64) int { return int(words) / f.usingWords * f.usingWords }

// usings writes the references in a list of modules in use, of three words each.
func (w *writing) usings(at uint32, length int) {
	for i := 0; i < length; i += w.o.fields.module.usingWords {
		w.set(at+uint32(8*i), le.Uint64(w.out[at+uint32(8*i):]))
	}
}

// moveUsings writes the list of a module of the base that is not within the module. It stays where it is as long as it has room there.
func (w *writing) moveUsings(list []byte, capacity uint64) {
	o, form := w.o, &w.o.fields.module
	was := o.data[w.at : w.at+form.size]
	at := uint64(w.at + form.size)
	inPlace := le.Uint64(was[form.usings+16:]) == o.h.join(refData, at) && le.Uint64(was[form.usings+8:]) == capacity
	if inPlace {
		w.out = append(w.out, make([]byte, 8*form.usingRoom(capacity))...)
		copy(w.out[form.size:], list)
		w.setRef(form.usings+16, o.h.join(refData, at))
		w.usings(uint32(form.size), len(list)/8)
		return
	}
	at = uint64(alignInt(len(o.data), 16))
	o.data = append(o.data, make([]byte, int(at)+int(8*capacity)-len(o.data))...)
	copy(o.data[at:], list)
	for i := 0; i < len(list); i += 8 * form.usingWords {
		ref := o.reference(le.Uint64(list[i:]))
		le.PutUint64(o.data[int(at)+i:], ref)
		o.refs = append(o.refs, uint32(at)+uint32(i))
	}
	w.setRef(form.usings+16, o.h.join(refData, at))
}

// fieldsOf writes an object with fields.
func (w *writing) fieldsOf() {
	o, t := w.o, w.t
	w.out = slices.Clone(o.memory.bytes(w.address, t.size))
	raw := t.pointers
	for _, at := range t.raw {
		if le.Uint64(w.out[at:]) != ^uint64(0) {
			clear(w.out[at : at+8])
		}
	}
	values := make([]uint64, len(raw))
	for i, at := range raw {
		values[i] = le.Uint64(w.out[at:])
		clear(w.out[at : at+8])
	}
	for _, at := range t.memoryRefs {
		w.memoryRef(at)
	}
	w.finish(values)
	for i, at := range raw {
		mutable := t.mutable[i]
		if t.special == specialBinding && i == 0 && o.fields.bindingConstant > 0 && w.out[o.fields.bindingConstant]&1 != 0 {
			mutable = false
		}
		w.setField(at, values[i], mutable)
	}
	w.complete()
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
		o.unknown("a " + w.t.name + " refers to elements of something that is no memory")
		return
	}
	if !t.element.union && (t.element.size != 0 || t.element.boxed) {
		le.PutUint64(w.out[at:], le.Uint64(w.out[at:])-m.u64(memory+8))
		w.memoryRefs = append(w.memoryRefs, at)
	}
}

// finish changes values of references of objects that are not written as they are.
func (w *writing) finish(values []uint64) {
	o := w.o
	value := func(at uint32) *uint64 {
		if i := slices.Index(w.t.pointers, at); i >= 0 {
			return &values[i]
		}
		return new(uint64)
	}
	switch w.t.special {
	case specialTypeName:
		o.caches[*value(uint32(o.fields.typeNameCache))] = true
		o.caches[*value(uint32(o.fields.typeNameLinearCache))] = false
	case specialInstance, specialBinding, specialTable:
		if o.fields.instanceBackedges > 0 {
			w.weakParts(value)
		}
	case specialIdTable:
		if w.fresh {
			o.finish = append(o.finish, uint64(w.at))
		}
	case specialOncePerProcess, specialOncePerThread:
		if w.fresh {
			o.unknown("it holds a new " + w.t.name)
		}
	}
}

// weakParts notes the lists of backedges that an object has.
func (w *writing) weakParts(value func(uint32) *uint64) {
	o, f := w.o, w.o.fields
	switch w.t.special {
	case specialInstance:
		o.addBackedges(*value(uint32(f.instanceBackedges)), weakCallers)
	case specialBinding:
		o.addBackedges(*value(uint32(f.bindingBackedges)), weakUsers)
	case specialTable:
		o.addTable(*value(uint32(f.tableBackedges)))
	}
}

// complete writes what an object has besides its references.
func (w *writing) complete() {
	o, m, f := w.o, w.o.memory, w.o.fields
	switch w.t.special {
	case specialMethod:
		w.out = append(w.out, make([]byte, f.methodSize-len(w.out))...)
		count := uint32(0)
		if roots := m.u64(w.address + uint64(f.methodRoots)); roots != 0 {
			count = uint32(m.u64(roots + uint64(f.vectorLength)))
		}
		le.PutUint32(w.out[f.methodRootCount:], count)
		if f.callable && w.fresh && m.u64(w.address+uint64(f.methodCallable)) != 0 {
			o.callable = append(o.callable, uint64(w.at))
		}
	case specialInstance:
		w.out[f.instanceFlags] = 0
	case specialCode:
		invoke := int(o.h.code.invoke)
		if f.codeTime > 0 {
			clear(w.out[f.codeTime : f.codeTime+2])
		}
		w.out[f.codeSpecFlags] = 0
		if w.fresh {
			clear(w.out[invoke : invoke+16])
			w.invoke(invoke)
			return
		}
		// What the loader does for native code it does for the base's again.
		copy(w.out[invoke:invoke+16], o.data[w.at+invoke:])
		for i := uint32(invoke); i < uint32(invoke)+16; i += 8 {
			if o.isReference.has(uint32(w.at) + i) {
				w.refs = append(w.refs, i)
			}
		}
	case specialDataType:
		if layout := m.u64(w.address + typeLayout); layout != 0 {
			size := o.layoutBytes(layout)
			w.setRef(typeLayout, o.constant(layout, size, size, 8))
		}
	case specialTypeName:
		names := m.u64(w.address + uint64(f.typeNameNames))
		for _, at := range []int{f.typeNameAtomics, f.typeNameConstants} {
			if bits := m.u64(w.address + uint64(at)); bits != 0 {
				size := (int(m.u64(names)) + 31) / 32 * 4
				w.setRef(uint32(at), o.constant(bits, size, size, 8))
			}
		}
	case specialOncePerProcess, specialOncePerThread:
		o.keep(w)
	}
}

// invoke writes the calling convention of code that returns a constant.
func (w *writing) invoke(at int) {
	o := w.o
	is := o.memory.u64(w.address + uint64(at))
	if is != 0 && is == o.constantReturn() {
		w.setRef(uint32(at), o.h.join(refFunction, 2)) // JL_API_CONST
	}
}

// constantReturn is the address of jl_fptr_const_return: what code instances of the base have that returns a constant.
func (o *overlay) constantReturn() uint64 {
	if o.constantReturnAt == 0 {
		want := o.h.join(refFunction, 2)
		invoke := o.h.code.invoke
		for _, header := range o.headers {
			at := header + 8
			if o.h.isCode(at) && o.isReference.has(at+invoke) && o.h.word(at+invoke) == want {
				o.constantReturnAt = o.memory.u64(o.address(int(at + invoke)))
				break
			}
		}
	}
	return o.constantReturnAt
}

// keep leaves what a process does once as the base has it: not done. The runtime writes it so (jl_set_precompile_field_replace).
func (o *overlay) keep(w *writing) {
	copy(w.out, o.data[w.at:w.at+len(w.out)])
	w.refs, w.memoryRefs = nil, nil
	for i := 0; i < len(w.out); i += 8 {
		if o.isReference.has(uint32(w.at + i)) {
			w.refs = append(w.refs, uint32(i))
		}
	}
}

// layoutBytes is the size of the layout at an address.
func (o *overlay) layoutBytes(layout uint64) int {
	head := o.memory.bytes(layout, layoutSize)
	fields, pointers, first, width := int(le.Uint32(head[4:])), int(le.Uint32(head[8:])), int32(le.Uint32(head[12:])), int(le.Uint16(head[18:])>>1&3)
	size := layoutSize + fields*(2<<width)
	if first != -1 {
		size += pointers << width
	}
	return size
}

func (o *overlay) describe(a uint64) string {
	t := o.typeOf(a)
	if t == nil {
		return "?"
	}
	m := o.memory
	x := t.name
	switch {
	case t.kind == kindModule:
		x += " " + o.symbolName(m.u64(a))
	case t.special == specialMethod:
		x += " " + o.symbolName(m.u64(a)) + " of " + o.symbolName(m.u64(m.u64(a+8)))
	case t.special == specialInstance:
		x += " <" + o.describe(m.u64(a)) + ">"
	case t.special == specialCode:
		x += " <" + o.describe(m.u64(a)) + ">"
	case t.special == specialDataType, t.special == specialTypeName:
		n := a
		if t.special == specialDataType {
			n = m.u64(a)
		}
		x += " " + o.symbolName(m.u64(n))
	case t.name == "GlobalRef":
		x += " " + o.symbolName(m.u64(m.u64(a))) + "." + o.symbolName(m.u64(a+8))
	}
	if a-o.live.Blob < uint64(o.h.objects.size) {
		x += fmt.Sprintf("@%x", a-o.live.Blob)
	}
	return x
}

func (o *overlay) trace(a uint64) {
	s := ""
	var last uint64
	for i := 0; a != 0 && i < 30; i++ {
		s += " <- " + o.describe(a)
		last = a
		a = o.parents[a]
	}
	println(s)
	for range 4 {
		if a = o.referrer(a0(&last)); a == 0 {
			break
		}
		println("   from", o.describe(a))
		last = a
	}
}

func a0(p *uint64) uint64 { return *p }

func (o *overlay) referrer(a uint64) (from uint64) {
	o.h.walk(o.h.references, func(w uint64) error {
		if w != 0 && from == 0 && o.memory.u64(o.address(int(w))) == a {
			i, found := slices.BinarySearch(o.headers, uint32(w))
			if !found && i > 0 {
				if f := o.address(int(o.headers[i-1]) + 8); f != a {
					from = f
				}
			}
		}
		return nil
	})
	return from
}
