package sysimage

// This file reads types: what an object is, what its words are called, and how Julia writes a type.
//
// A DataType says how its values are laid out: its TypeName has the names of the fields, and its layout, among the constants,
// where they are (jl_datatype_layout_t in src/julia.h). So no table of offsets is needed for the types that Julia's runtime defines,
// but for DataType and TypeName.
//
//	1.5 1.10  what
//	  -    0  u32 size in bytes, of an element where the type is that of a memory
//	  0    4  u32 number of fields
//	  4    8  u32 number of pointers
//	  8   12  i32 first pointer
//	 12   16  u16 alignment
//	 14   18  u16 bit 0: has padding, bits 1, 2: form of the descriptions of fields, 0 to 2: numbers of 8, 16, 32 bits
//	 16   20  fields: two numbers each, 1 bit: is a pointer, the other bits: size; offset

import (
	"fmt"
)

// Offsets in types, in bytes.
const (
	typeParameters = 16
	typeNameModule = 8
)

// typeFields are offsets in bytes that differ between versions.
type typeFields struct {
	layout  uint32 // of DataType's layout
	names   uint32 // of TypeName's names of fields
	counted uint32 // of the number of fields in a layout
}

// smallTypes are the types with a number of their own, from 1 on: JL_SMALL_TYPEOF in src/julia.h, of Julia 1.10 and 1.12.
var smallTypes = [...]string{
	"TypeofBottom", "DataType", "UnionAll", "Union", "TypeofVararg", "TypeVar", "Symbol", "Module", "SimpleVector", "String", "Task",
	"Bool", "Char", "Int16", "Int32", "Int64", "Int8", "UInt16", "UInt32", "UInt64", "UInt8",
}

// A heapType is what is known of a type that objects have.
type heapType struct {
	name   string // without parameters
	core   bool   // defined in Core
	fields []heapField
	// element is the size of a memory's elements, 0 if that is not known.
	element int
}

type heapField struct {
	name         string
	offset, size uint32
}

// Type returns the type of an object: None for a constant, a symbol, or a binding of Julia 1.5.
func (o *Objects) Type(x Object) Object {
	if x == None || int(x) >= o.heapCount() {
		return None
	}
	return o.at(o.h.word(o.starts[x] - 8))
}

// TypeName is the name of an object's type without parameters: "" for data that is no object, and for None.
func (o *Objects) TypeName(x Object) string {
	if x == None {
		return ""
	}
	switch o.Part(x) {
	case PartSymbols:
		return "Symbol"
	case PartConstants:
		if o.isTagged(x) {
			if number := o.h.constantTag(o.starts[x]) >> 4 & 63; number > 0 && number <= uint64(len(smallTypes)) {
				return smallTypes[number-1]
			}
		}
		return ""
	}
	if typ := o.Type(x); typ != None {
		return o.typeOf(typ).name
	}
	return "Binding"
}

// IsCore says that a type is defined in Core.
func (o *Objects) IsCore(typ Object) bool { return o.typeOf(typ).core }

// constantTag is the tag of the constant at an offset of the blob.
func (h *heap) constantTag(offset uint32) uint64 { return le.Uint64(h.data[offset-8:]) }

// typeOf reads a type.
func (o *Objects) typeOf(typ Object) *heapType {
	if t := o.types[typ]; t != nil {
		return t
	}
	t := &heapType{}
	o.types[typ] = t
	typename := o.follow(typ, 0)
	if typename == None {
		return t
	}
	t.name, _ = o.Symbol(o.follow(typename, 0))
	if module := o.follow(typename, typeNameModule); module != None {
		name, _ := o.Symbol(o.follow(module, 0))
		t.core = name == "Core"
	}
	o.readLayout(t, typ, typename)
	return t
}

// rawPlaces are the words of objects of a type that lead to constants without a tag (jl_write_values in src/staticdata.c). Nothing but
// the heap's own parts is known yet when this is asked.
func (h *heap) rawPlaces(tag uint64) []uint32 {
	name, ok := h.typeName(tag)
	if !ok {
		return nil
	}
	typ, _ := h.follow(tag, 8)
	typename, _ := h.object(typ, typeNameModule+8)
	module, ok := h.object(typename+typeNameModule, 8)
	if !ok {
		return nil
	}
	if name == "BigInt" {
		return []uint32{8}
	}
	if in, _ := h.symbolAt(module); in != "Core" {
		return nil
	}
	return map[string][]uint32{
		"Array": {0}, "GenericMemory": {8}, "DataType": {h.typeAt.layout}, "TypeName": {h.typeAt.names + 8, h.typeAt.names + 16},
	}[name]
}

// readLayout reads the fields of a type.
func (o *Objects) readLayout(t *heapType, typ, typename Object) {
	h := o.h
	ref, ok := o.word(typ, h.typeAt.layout)
	if !ok {
		return
	}
	kind, n := h.split(ref)
	if kind != refConst || 8*n+h.layoutSize() > uint64(h.constants.size) {
		return
	}
	layout := h.constants.of(h.data)[8*n:]
	counted := h.typeAt.counted
	if counted > 0 {
		t.element = int(le.Uint32(layout))
	}
	count, form := le.Uint32(layout[counted:]), le.Uint16(layout[counted+14:])>>1&3
	width := uint64(1) << form
	layout = layout[h.layoutSize():]
	if form > 2 || uint64(count)*2*width > uint64(len(layout)) {
		return
	}
	names := o.elements(o.follow(typename, h.typeAt.names))
	number := func(i uint64) uint32 {
		switch width {
		case 1:
			return uint32(layout[i])
		case 2:
			return uint32(le.Uint16(layout[2*i:]))
		}
		return le.Uint32(layout[4*i:])
	}
	for i := range uint64(count) {
		f := heapField{size: number(2*i) >> 1, offset: number(2*i + 1)}
		if i < uint64(len(names)) {
			f.name, _ = o.Symbol(names[i])
		}
		t.fields = append(t.fields, f)
	}
}

// layoutSize is the size of a layout before its fields.
func (h *heap) layoutSize() uint64 { return uint64(h.typeAt.counted) + 16 }

// word returns the 8 bytes at a distance from the start of an object.
func (o *Objects) word(x Object, place uint32) (uint64, bool) {
	if x == None || int(x) >= o.heapCount() || uint64(o.starts[x])+uint64(place)+8 > uint64(o.end(x)) {
		return 0, false
	}
	return o.h.word(o.starts[x] + place), true
}

// follow returns the object that a word of an object refers to, None if that is no reference to one.
func (o *Objects) follow(x Object, place uint32) Object {
	if x == None {
		return None
	}
	first, end := o.References(x)
	for i := first; i < end; i++ {
		if r := o.references[i]; r.At == o.starts[x]+place {
			return r.To
		}
	}
	return None
}

// offset is where a field of an object is, -1 if it has none of that name.
func (o *Objects) offset(x Object, field string) int {
	typ := o.Type(x)
	if typ == None {
		return -1
	}
	for _, f := range o.typeOf(typ).fields {
		if f.name == field {
			return int(f.offset)
		}
	}
	return -1
}

// Field returns the object that a field of an object refers to, None if it has no such field or that is not set.
func (o *Objects) Field(x Object, name string) Object {
	at := o.offset(x, name)
	if at < 0 || at%8 != 0 {
		return None
	}
	return o.follow(x, uint32(at))
}

// Number returns a field of 8 bytes that is no reference, 0 if there is none.
func (o *Objects) Number(x Object, name string) uint64 {
	at := o.offset(x, name)
	if at < 0 {
		return 0
	}
	n, _ := o.word(x, uint32(at))
	return n
}

// Number32 returns a field of 4 bytes.
func (o *Objects) Number32(x Object, name string) int32 {
	at := o.offset(x, name)
	if at < 0 || at+4 > len(o.Bytes(x)) {
		return 0
	}
	return int32(le.Uint32(o.Bytes(x)[at:]))
}

// Symbol returns the name that a symbol is.
func (o *Objects) Symbol(x Object) (string, bool) {
	if x == None || o.Part(x) != PartSymbols {
		return "", false
	}
	return string(o.Bytes(x)), true
}

// Text returns the bytes of a String.
func (o *Objects) Text(x Object) ([]byte, bool) {
	if x == None || o.TypeName(x) != "String" {
		return nil, false
	}
	data := o.Bytes(x)
	if len(data) < 8 || le.Uint64(data) > uint64(len(data)-8) {
		return nil, false
	}
	return data[8 : 8+le.Uint64(data)], true
}

// elements are the elements of a SimpleVector, None for those that no heap holds.
func (o *Objects) elements(x Object) []Object {
	words := o.elementWords(x)
	list := make([]Object, len(words))
	for i, ref := range words {
		list[i] = None
		if ref != 0 {
			list[i] = o.at(ref)
		}
	}
	return list
}

// elementWords are the references that the elements of a SimpleVector are.
func (o *Objects) elementWords(x Object) []uint64 {
	length, ok := o.word(x, 0)
	if !ok || length > uint64(o.end(x)-o.starts[x]-8)/8 {
		return nil
	}
	return o.h.numbers(extent{int(o.starts[x]) + 8, 8 * int(length)})
}

// Parameters are the parameters of a DataType.
func (o *Objects) Parameters(x Object) []Object { return o.elements(o.follow(x, typeParameters)) }

// Place says how Julia reaches the word at an offset, of an object: .field, [3].
func (o *Objects) Place(x Object, at uint32) string {
	place := at - o.starts[x]
	typ := o.Type(x)
	if typ == None {
		return [...]string{".name", "", ".globalref", ".owner"}[min(place/8, 3)]
	}
	t := o.typeOf(typ)
	switch {
	case t.core && t.name == "SimpleVector":
		return fmt.Sprintf("[%d]", place/8)
	case t.core && t.name == "Module":
		return [...]string{".name", ".parent", ".bindings", ""}[min(place/8, 3)]
	case t.core && (t.name == "Array" || t.name == "GenericMemory"):
		return o.elementPlace(x, at, t)
	}
	for i, f := range t.fields {
		if place < f.offset || place >= f.offset+f.size {
			continue
		}
		if f.name == "" {
			return fmt.Sprintf("[%d]", i+1)
		}
		return "." + f.name
	}
	return ""
}

// elementPlace says which element of an array or a memory the word at an offset is: "" for the reference to its data. From Julia 1.12
// on an array has no elements, its memory has them.
func (o *Objects) elementPlace(x Object, at uint32, t *heapType) string {
	data, element := uint32(0), t.element
	if t.name == "GenericMemory" {
		data = 8
	} else if flags, ok := o.word(x, 16); ok && o.h.array.size > 0 {
		element = int(flags >> 16 & 0xffff) // u16 flags, u16 elsize
	} else {
		return ""
	}
	ref, _ := o.word(x, data)
	kind, start := o.h.split(ref)
	if kind != refData || element == 0 || uint64(at) < start {
		return ""
	}
	return fmt.Sprintf("[%d]", (uint64(at)-start)/uint64(element)+1)
}
