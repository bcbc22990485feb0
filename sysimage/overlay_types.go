package sysimage

// This file reads types in a process's memory: how their objects are laid out, which is what writing them needs to know.
//
// DataType (src/julia.h): name at 0, super at 8, parameters at 16, types at 24, instance at 32, layout at 40, u32 hash at 48, u16 flags at 52
// TypeName: name at 0, module at 8; further fields by version (typeFields)
// jl_datatype_layout_t: u32 size, u32 nfields, u32 npointers, i32 first_ptr, u16 alignment, u16 flags; then the fields, of 2, 4 or 8 bytes by
// flags: bit 0 says that the field is a pointer, the others of the first half its size, the second half its offset; then the offsets in words
// of the pointers, of 1, 2 or 4 bytes

import "fmt"

// A valueKind says how the objects of a type are written.
type valueKind uint8

const (
	kindFields    valueKind = iota
	kindBytes               // no fields
	kindList                // SimpleVector
	kindString              //
	kindMemory              // GenericMemory
	kindArray               // Array, where it is no type with fields
	kindModule              //
	kindSymbol              // by name
	kindNothing             // by number
	kindSmall               // Int64, Int32, UInt8: by number if they are small
	kindBigInt              // its limbs are not Julia's
	kindUnwritten           // tasks, foreign types: no image can hold them
)

// A liveType is a type of objects.
type liveType struct {
	address uint64
	name    string // for messages
	kind    valueKind
	// size is that of the objects, where it does not depend on the object.
	size int
	// pointers are offsets of references, mutable says of each whether it is in a field that can be assigned.
	pointers []uint32
	mutable  []bool
	// raw are offsets of fields that hold a Ptr and can be assigned, memoryRefs those of MemoryRefs.
	raw, memoryRefs []uint32
	// element is the layout of a memory's elements.
	element struct {
		size                  int
		boxed, union, pointer bool
		pointers              []uint32
		raw                   bool // they are Ptr
	}
	smallTag uint64
	// identified: objects are preceded by their identity. constant: they lie among the constants.
	identified, constant bool
	special              specialType
}

// A specialType has parts that are not written as its fields say.
type specialType uint8

const (
	noSpecial specialType = iota
	specialMethod
	specialInstance
	specialCode
	specialDataType
	specialTypeName
	specialBinding
	specialTable
	specialIdTable
	specialOncePerProcess
	specialOncePerThread
)

const (
	typeParameters, typeTypes, typeInstance, typeLayout, typeHash, typeFlags = 16, 24, 32, 40, 48, 52

	smallTagShift = 10
	layoutSize    = 20
	markBits      = 0xf
	// smallHeaders is more than what is before objects whose types have a number (jl_small_typeof).
	smallHeaders = 64 << 4
)

// typeAt returns the type at an address.
func (o *overlay) typeAt(address uint64) *liveType {
	if t, ok := o.types[address]; ok {
		return t
	}
	t := o.readType(address)
	o.types[address] = t
	return t
}

// typeOf returns the type of the object at an address.
func (o *overlay) typeOf(object uint64) *liveType {
	header := o.memory.u64(object-8) &^ markBits
	if header < smallHeaders {
		return o.small[header>>4]
	}
	return o.typeAt(header)
}

func (o *overlay) readType(address uint64) *liveType {
	m := o.memory
	t := &liveType{address: address}
	typeName := m.u64(address)
	t.name = o.symbolName(m.u64(typeName))
	flags := le.Uint16(m.bytes(address+typeFlags, 2))
	t.smallTag = uint64(flags >> smallTagShift)
	mutable := m.bytes(typeName+uint64(o.fields.typeNameFlags), 1)[0]&2 != 0
	layout := m.u64(address + typeLayout)
	root := func(i int) bool { return i > 0 && o.rootAddress(i) == address }
	nfields := 0
	if layout != 0 {
		head := m.bytes(layout, layoutSize)
		t.size, nfields = int(le.Uint32(head)), int(le.Uint32(head[4:]))
		if le.Uint16(head[18:])>>1&3 == 3 {
			t.kind = kindUnwritten
			return t
		}
	}
	p := o.fields
	switch {
	case root(o.h.root.dataType):
		t.special = specialDataType
	case root(o.h.root.simpleVector):
		t.kind = kindList
	case root(p.stringType):
		t.kind = kindString
	case root(o.h.root.module):
		t.kind = kindModule
	case root(p.symbolType):
		t.kind = kindSymbol
	case root(p.nothingType):
		t.kind = kindNothing
	case root(p.taskType):
		t.kind = kindUnwritten
	case p.memoryName > 0 && typeName == o.rootAddress(p.memoryName):
		t.kind = kindMemory
	case p.arrayName > 0 && typeName == o.rootAddress(p.arrayName):
		t.kind = kindArray
		o.readArrayElement(t)
	case root(p.int64Type), root(p.int32Type), root(p.uint8Type):
		t.kind = kindSmall
	case layout != 0 && nfields == 0:
		t.kind = kindBytes
	case t.name == "BigInt" && o.symbolName(m.u64(m.u64(typeName+8))) == "GMP":
		t.kind = kindBigInt
	case root(o.h.root.method):
		t.special = specialMethod
	case root(o.h.root.methodInstance):
		t.special = specialInstance
	case root(o.h.root.codeInstance):
		t.special = specialCode
	case root(p.typeNameType):
		t.special = specialTypeName
	case root(p.bindingType):
		t.special = specialBinding
	case root(p.methodTableType):
		t.special = specialTable
	case p.idTables && t.name == "IdDict":
		t.special = specialIdTable
	case t.name == "OncePerProcess":
		t.special = specialOncePerProcess
	case t.name == "OncePerThread":
		t.special = specialOncePerThread
	}
	pointerCount := 0
	if layout != 0 {
		pointerCount = int(m.u32(layout + 8))
		if t.kind == kindMemory {
			o.readElement(t, layout)
		} else if t.kind == kindFields {
			o.readFields(t, address, typeName, layout, nfields, mutable)
		}
	}
	t.identified = p.identities && mutable && t.special != specialDataType && t.special != specialTypeName &&
		t.kind != kindString && t.kind != kindList && t.kind != kindModule
	t.constant = t.smallTag != 0 && (t.kind == kindString || pointerCount == 0 && (nfields == 0 || !mutable))
	return t
}

// readElement reads the layout of a memory's elements.
func (o *overlay) readElement(t *liveType, layout uint64) {
	m := o.memory
	head := m.bytes(layout, layoutSize)
	flags := le.Uint16(head[18:])
	e := &t.element
	e.size = int(le.Uint32(head))
	first := int32(le.Uint32(head[12:]))
	e.boxed, e.union, e.pointer = flags>>3&1 != 0, flags>>4&1 != 0, flags>>3&1 != 0 || first >= 0
	if e.pointer && !e.boxed {
		e.pointers = o.pointerOffsets(layout)
	}
	of := m.u64(m.u64(t.address+typeParameters) + 8 + 8)
	e.raw = o.isRaw(of)
}

// readArrayElement reads what an Array's elements are like; their size, and whether they are references, each array says itself.
func (o *overlay) readArrayElement(t *liveType) {
	m := o.memory
	of := m.u64(m.u64(t.address+typeParameters) + 8)
	t.element.raw = o.isRaw(of)
	if header := m.u64(of-8) &^ markBits; header == o.typeTag() {
		if layout := m.u64(of + typeLayout); layout != 0 {
			t.element.pointers = o.pointerOffsets(layout)
		}
	} else if of := o.typeOf(of); of != nil && of.name == "Union" {
		t.element.union = true
	}
}

// isRaw says that the object at an address is a type Ptr{T}.
func (o *overlay) isRaw(t uint64) bool {
	return o.memory.u64(t-8)&^markBits == o.typeTag() && o.memory.u64(t) == o.rootAddress(o.fields.pointerName)
}

// typeTag is what is before a DataType.
func (o *overlay) typeTag() uint64 { return o.dataTypeTag }

// pointerOffsets reads the offsets in bytes of pointers.
func (o *overlay) pointerOffsets(layout uint64) (list []uint32) {
	m := o.memory
	head := m.bytes(layout, layoutSize)
	fields, n, width := uint64(le.Uint32(head[4:])), uint64(le.Uint32(head[8:])), uint64(le.Uint16(head[18:])>>1&3)
	if int32(le.Uint32(head[12:])) < 0 {
		return nil
	}
	at := layout + layoutSize + fields*(2<<width)
	for i := range n {
		var words uint32
		switch b := m.bytes(at+i<<width, 1<<width); width {
		case 0:
			words = uint32(b[0])
		case 1:
			words = uint32(le.Uint16(b))
		case 2:
			words = le.Uint32(b)
		}
		list = append(list, 8*words)
	}
	return list
}

// A liveField is a field of a type.
type liveField struct {
	offset, size uint32
	pointer      bool
}

func (o *overlay) fieldAt(layout uint64, i int) liveField {
	m := o.memory
	width := m.bytes(layout+18, 1)[0] >> 1 & 3
	b := m.bytes(layout+layoutSize+uint64(i)*(2<<width), 2<<width)
	var size, offset uint32
	switch width {
	case 0:
		size, offset = uint32(b[0]), uint32(b[1])
	case 1:
		size, offset = uint32(le.Uint16(b)), uint32(le.Uint16(b[2:]))
	case 2:
		size, offset = le.Uint32(b), le.Uint32(b[4:])
	}
	return liveField{offset, size >> 1, size&1 != 0}
}

// readFields reads how a type with fields is laid out.
func (o *overlay) readFields(t *liveType, address, typeName, layout uint64, nfields int, mutable bool) {
	m := o.memory
	constants := m.u64(typeName + uint64(o.fields.typeNameConstants))
	assignable := func(i int) bool {
		return mutable && (constants == 0 || !o.fields.constantFields || m.u32(constants+uint64(i/32*4))>>(i%32)&1 == 0)
	}
	types := m.u64(address + typeTypes)
	t.pointers = o.pointerOffsets(layout)
	t.mutable = make([]bool, len(t.pointers))
	field := 0
	for i, at := range t.pointers {
		for field+1 < nfields && o.fieldAt(layout, field+1).offset <= at {
			field++
		}
		t.mutable[i] = assignable(field)
	}
	if o.fields.memoryRefName > 0 && typeName == o.rootAddress(o.fields.memoryRefName) {
		t.memoryRefs = append(t.memoryRefs, 0)
		return
	}
	if types == 0 {
		o.fail(fmt.Errorf("%w: type %s has a layout and no types of fields", ErrUnknownFormat, t.name))
		return
	}
	for i := range nfields {
		f := o.fieldAt(layout, i)
		if f.pointer {
			continue
		}
		of := m.u64(types + 8 + 8*uint64(i))
		if mutable && o.isRaw(of) {
			t.raw = append(t.raw, f.offset)
		}
		if o.fields.memoryRefName > 0 {
			o.findMemoryRefs(t, of, f.offset)
		}
	}
}

// findMemoryRefs adds the MemoryRefs that an object of type `of` holds which lies inline at an offset (record_memoryrefs_inside).
func (o *overlay) findMemoryRefs(t *liveType, of uint64, offset uint32) {
	m := o.memory
	if m.u64(of-8)&^markBits != o.typeTag() {
		return // a union
	}
	if m.u64(of) == o.rootAddress(o.fields.memoryRefName) {
		t.memoryRefs = append(t.memoryRefs, offset)
		return
	}
	layout, types := m.u64(of+typeLayout), m.u64(of+typeTypes)
	if layout == 0 || types == 0 {
		return
	}
	n := int(m.u32(layout + 4))
	for i := range n {
		if f := o.fieldAt(layout, i); !f.pointer {
			o.findMemoryRefs(t, m.u64(types+8+8*uint64(i)), offset+f.offset)
		}
	}
}
