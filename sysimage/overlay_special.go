package sysimage

// This file writes what objects that the runtime knows have besides their fields, or otherwise than these say (jl_write_values and jl_write_module
// in src/staticdata.c).

import "slices"

// finish completes an object that was written by its fields.
func (w *writing) finish() {
	switch w.t.special {
	case specialMethod:
		w.finishMethod()
	case specialInstance:
		w.out[w.o.form.instance.flags] = 0
	case specialCode:
		w.finishCode()
	case specialDataType:
		w.finishType()
	case specialTypeName:
		w.finishTypeName()
	case specialDict:
		if w.fresh {
			w.o.finished = append(w.o.finished, uint64(w.at))
		}
	case specialOnce:
		w.keepOnce()
	}
}

// finishMethod writes what is behind the fields, the number of roots, and whether C can call it.
func (w *writing) finishMethod() {
	o, m, form := w.o, w.o.memory, w.o.form.method
	w.out = append(w.out, make([]byte, form.size-len(w.out))...)
	le.PutUint32(w.out[form.rootCount:], o.rootCount(w.address))
	if o.form.callable && w.fresh && m.u64(w.address+uint64(form.callable)) != 0 {
		o.methods = append(o.methods, uint64(w.at))
	}
}

// rootCount is the number of roots of a method.
func (o *overlay) rootCount(method uint64) uint32 {
	roots := o.memory.u64(method + uint64(o.form.method.roots))
	if roots == 0 {
		return 0
	}
	return uint32(o.memory.u64(roots + uint64(o.form.vector.length)))
}

// finishCode writes a code instance without native code, but for one that returns a constant. Whoever adds native code says so in the blob.
func (w *writing) finishCode() {
	o, form := w.o, w.o.form.code
	if form.time > 0 {
		clear(w.out[form.time : form.time+2])
	}
	w.out[form.specialised] = 0
	invoke := o.h.code.invoke
	native := w.out[invoke : invoke+16]
	is := o.memory.u64(w.address + uint64(invoke))
	returnsConstant := is != 0 && is == o.constantReturn()
	clear(native)
	if !w.fresh {
		// The loader gives the base's native code back.
		copy(native, o.data[w.at+int(invoke):])
		for _, at := range []uint32{invoke, invoke + 8} {
			if o.isReference.has(uint32(w.at) + at) {
				w.refs = append(w.refs, at)
			}
		}
	}
	if returnsConstant && le.Uint64(native) == 0 {
		w.setRef(invoke, o.h.join(refFunction, conventionConstant))
	}
}

// conventionConstant is the calling convention of code that returns a constant (JL_API_CONST).
const conventionConstant = 2

// constantReturn is the address of jl_fptr_const_return: what code instances of the base have that return a constant.
func (o *overlay) constantReturn() uint64 {
	if o.constant == 0 {
		want := o.h.join(refFunction, conventionConstant)
		for _, header := range o.headers {
			code, invoke := header+8, header+8+o.h.code.invoke
			if o.h.isCode(code) && o.isReference.has(invoke) && o.h.word(invoke) == want {
				o.constant = o.memory.u64(o.address(int(invoke)))
				break
			}
		}
	}
	return o.constant
}

// finishType writes the layout of a type's objects.
func (w *writing) finishType() {
	if layout := w.o.memory.u64(w.address + typeLayout); layout != 0 {
		form := w.o.layoutAt(layout)
		size := form.bytes()
		ref, _ := w.o.constantCopy(layout, size, size, 8)
		w.setRef(typeLayout, ref)
	}
}

// finishTypeName writes the sets of fields that are atomic and constant.
func (w *writing) finishTypeName() {
	m, form := w.o.memory, w.o.form.typeName
	names := m.u64(w.address + uint64(form.names))
	for _, at := range []int{form.atomics, form.constants} {
		if bits := m.u64(w.address + uint64(at)); bits != 0 {
			size := (int(m.u64(names)) + 31) / 32 * 4
			ref, _ := w.o.constantCopy(bits, size, size, 8)
			w.setRef(uint32(at), ref)
		}
	}
}

// keepOnce leaves what a process does once as the base has it, not done: the process asked the runtime to write it so
// (jl_set_precompile_field_replace).
func (w *writing) keepOnce() {
	if w.fresh {
		return // see forgetOnce
	}
	copy(w.out, w.o.data[w.at:w.at+len(w.out)])
	w.refs, w.memoryRefs = nil, nil
	for at := uint32(0); int(at) < len(w.out); at += 8 {
		if w.o.isReference.has(uint32(w.at) + at) {
			w.refs = append(w.refs, at)
		}
	}
}

// forgetOnce makes what a package has a process do once not done, where this process has done it: the state of a OncePerProcess, its second field, is 0,
// and its value, the first, is nothing (base/lock.jl). It returns whether the first field is written.
func (w *writing) forgetOnce() bool {
	o := w.o
	layout := o.layoutAt(o.memory.u64(w.t.address + typeLayout))
	if layout.fields < 2 {
		o.unknown("there is a " + w.t.name + " without a state")
		return false
	}
	value, state := o.fieldOf(&layout, 0), o.fieldOf(&layout, 1)
	switch {
	case w.t.name == "OncePerThread":
		// It has values and states of threads in memories, which are empty at first.
		if o.memory.u64(le.Uint64(w.out[state.offset:])) != 0 {
			o.unknown("there is a OncePerThread that some thread has used")
		}
	case w.out[state.offset] == 0:
	case !value.pointer:
		o.unknown("there is a OncePerProcess that was used and whose value is no reference")
	default:
		w.out[state.offset] = 0
		w.setRef(value.offset, o.h.join(refTag, tagNothing))
		return true
	}
	return false
}

// module writes a Module, with the list of modules in use if that is not within it.
func (w *writing) module() {
	o, m, form := w.o, w.o.memory, &w.o.form.module
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
	if w.fresh {
		o.finished = append(o.finished, uint64(w.at))
		clear(w.out[form.buildID : form.buildID+8])
	} else {
		copy(w.out[form.buildID:form.buildID+8], o.data[w.at+int(form.buildID):])
	}
	w.usings()
}

// usings writes the list of modules in use. One of the base that has outgrown its place comes to lie elsewhere.
func (w *writing) usings() {
	o, form := w.o, &w.o.form.module
	header := w.out[form.usings : form.usings+usingsRoom]
	items := le.Uint64(header[usingsItems:])
	list := slices.Clone(o.memory.bytes(items, 8*int(le.Uint64(header[usingsLength:]))))
	capacity := le.Uint64(header[usingsCapacity:])
	within := form.usings + usingsRoom
	clear(w.out[within : within+8*usingsInline])
	if items == w.address+uint64(within) {
		copy(w.out[within:], list)
		w.setRef(form.usings+usingsItems, uint64(w.at)+uint64(within))
		w.usingRefs(within, len(list))
		return
	}
	behind := uint64(w.at + form.size)
	if !w.fresh {
		was := o.data[w.at+int(form.usings):]
		if le.Uint64(was[usingsItems:]) != behind || le.Uint64(was[usingsCapacity:]) != capacity {
			w.setRef(form.usings+usingsItems, o.placeUsings(list, int(capacity)))
			return
		}
	}
	w.out = append(w.out, make([]byte, 8*form.usingRoom(capacity))...)
	copy(w.out[form.size:], list)
	w.setRef(form.usings+usingsItems, behind)
	w.usingRefs(uint32(form.size), len(list))
}

// usingRefs writes the references in a list of modules in use that has size bytes.
func (w *writing) usingRefs(at uint32, size int) {
	for end := at + uint32(size); at < end; at += uint32(8 * w.o.form.module.usingWords) {
		w.set(at, le.Uint64(w.out[at:]))
	}
}

// placeUsings writes a list of modules in use to a place of its own, and returns the reference to it.
func (o *overlay) placeUsings(list []byte, capacity int) uint64 {
	at := alignInt(len(o.data), 16)
	o.data = append(o.data, make([]byte, at+8*capacity-len(o.data))...)
	for i := 0; i < len(list); i += 8 * o.form.module.usingWords {
		ref := o.reference(le.Uint64(list[i:]))
		le.PutUint64(list[i:], ref)
		o.refs = append(o.refs, uint32(at+i))
	}
	copy(o.data[at:], list)
	return uint64(at)
}
