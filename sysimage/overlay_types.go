package sysimage

// This file reads types in a process's memory: how their objects are laid out, which is what writing them needs to know (src/julia.h).
//
//	DataType              name at 0, parameters at 16, types of the fields at 24, layout at 40, u32 hash at 48, u16 flags at 52, of which
//	                      the upper 6 bits are the number of a type that the runtime knows (jl_small_typeof)
//	jl_datatype_layout_t  u32 size, u32 number of fields, u32 number of pointers, i32 place of the first pointer or -1, u16 alignment, u16
//	                      flags; then the fields, of 2, 4 or 8 bytes by flags: half of it size and, in its first bit, whether it is a pointer,
//	                      half of it the offset; then the offsets of the pointers in words, of 1, 2 or 4 bytes
//
// The object before an address has the address of its type, or the number of it times 16, and marks of the collector in its lowest 4 bits.

const (
	typeFieldTypes, typeLayout, typeHash, typeFlags = 24, 40, 48, 52

	smallTagShift = 10
	markBits      = 0xf
	// smallHeaders is more than what is before objects of types that have a number.
	smallHeaders = 64 << 4
)

// A valueKind says how the objects of a type are written.
type valueKind uint8

const (
	kindFields    valueKind = iota // by the fields of the type
	kindBytes                      // without fields
	kindList                       // SimpleVector
	kindString                     // String
	kindMemory                     // GenericMemory
	kindArray                      // Array, where that has no fields
	kindModule                     // Module
	kindBigInt                     // its limbs are allocated by another library
	kindSymbol                     // by name
	kindNothing                    // by number
	kindSmall                      // Int64, Int32, UInt8: by number if they are small
	kindUnwritten                  // Task and types of other libraries, of which no image can hold objects
)

// A specialType has objects with parts that are not written as its fields say.
type specialType uint8

const (
	noSpecial specialType = iota
	specialDataType
	specialTypeName
	specialMethod
	specialInstance
	specialCode
	specialBinding
	specialTable
	specialDict
	specialOnce
)

// A liveType is a type of a process.
type liveType struct {
	address uint64
	name    string
	kind    valueKind
	special specialType
	// size is that of the objects, where it is that of all.
	size int
	// pointers are offsets of references, assignable says of each whether its field is.
	pointers   []uint32
	assignable []bool
	// raw are offsets of assignable fields that hold a Ptr, memoryRefs those of MemoryRefs.
	raw, memoryRefs []uint32
	// holes are bytes between the fields and behind them.
	holes    []extent
	element  elementForm
	smallTag uint64
	// identified: the objects are preceded by their identity. constant: they lie among the constants.
	identified, constant bool
}

// An elementForm is what elements of memories and arrays are like.
type elementForm struct {
	width             int
	boxed, union, raw bool // references; of a union without them; Ptr
	pointers          []uint32
}

// references says that elements are references or hold some.
func (e *elementForm) references() bool { return e.boxed || len(e.pointers) > 0 }

// A typeTable holds the types that were read: by address, and by number.
type typeTable struct {
	known map[uint64]*liveType
	small [smallHeaders >> 4]*liveType
	// header is what is before a DataType.
	header uint64
}

// readRootTypes reads the types that have a number.
func (o *overlay) readRootTypes() {
	o.types.known = map[uint64]*liveType{}
	header := func(address uint64) uint64 { return o.memory.u64(address-8) &^ markBits }
	o.types.header = header(o.rootAddress(0))
	for i := range o.h.roots {
		if t := o.rootAddress(i); t != 0 && header(t) == o.types.header {
			if tag := le.Uint16(o.memory.bytes(t+typeFlags, 2)) >> smallTagShift; tag != 0 {
				o.types.small[tag] = o.typeAt(t)
			}
		}
	}
}

// isType says that there is a DataType at an address.
func (o *overlay) isType(address uint64) bool {
	return o.memory.u64(address-8)&^markBits == o.types.header
}

// isNamed says that the type at an address has the type name that is a root.
func (o *overlay) isNamed(address uint64, root int) bool {
	return root > 0 && o.isType(address) && o.memory.u64(address) == o.rootAddress(root)
}

// typeOf returns the type of the object at an address, nil where none can be.
func (o *overlay) typeOf(object uint64) *liveType {
	if object%8 != 0 || object < 1<<12 {
		return nil
	}
	header := o.memory.u64(object-8) &^ markBits
	if header < smallHeaders {
		return o.types.small[header>>4]
	}
	return o.typeAt(header)
}

// typeAt returns the type at an address.
func (o *overlay) typeAt(address uint64) *liveType {
	t, ok := o.types.known[address]
	if !ok {
		t = o.readType(address)
		o.types.known[address] = t
	}
	return t
}

func (o *overlay) readType(address uint64) *liveType {
	m := o.memory
	typeName := m.u64(address)
	t := &liveType{address: address, name: o.symbolName(m.u64(typeName))}
	t.smallTag = uint64(le.Uint16(m.bytes(address+typeFlags, 2)) >> smallTagShift)
	var layout liveLayout
	if at := m.u64(address + typeLayout); at != 0 {
		layout = o.layoutAt(at)
	}
	t.size = layout.size
	t.kind, t.special = o.kindOf(t, typeName, &layout)
	mutable := m.bytes(typeName+uint64(o.form.typeName.flags), 1)[0]&2 != 0
	switch t.kind {
	case kindMemory:
		t.element = o.memoryElement(address, &layout)
	case kindArray:
		t.element = o.arrayElement(address)
	case kindFields:
		if layout.at != 0 {
			o.readFields(t, typeName, &layout, mutable)
		}
	}
	switch t.kind {
	case kindString, kindList, kindModule:
	default:
		t.identified = o.form.identities && mutable && t.special != specialDataType && t.special != specialTypeName
	}
	t.constant = t.smallTag != 0 && (t.kind == kindString || layout.references == 0 && (layout.fields == 0 || !mutable))
	return t
}

// kindOf says how objects of a type are written, from most to least particular.
func (o *overlay) kindOf(t *liveType, typeName uint64, layout *liveLayout) (valueKind, specialType) {
	root := func(i int) bool { return i > 0 && o.rootAddress(i) == t.address }
	named := func(i int) bool { return i > 0 && o.rootAddress(i) == typeName }
	in := func(module string) bool { return o.symbolName(o.memory.u64(o.memory.u64(typeName+8))) == module }
	places := &o.h.root
	switch {
	case layout.foreign, root(o.form.taskType):
		return kindUnwritten, noSpecial
	case root(places.simpleVector):
		return kindList, noSpecial
	case root(o.form.stringType):
		return kindString, noSpecial
	case root(places.module):
		return kindModule, noSpecial
	case root(o.form.symbolType):
		return kindSymbol, noSpecial
	case root(o.form.nothingType):
		return kindNothing, noSpecial
	case root(o.form.int64Type), root(o.form.int32Type), root(o.form.uint8Type):
		return kindSmall, noSpecial
	case named(o.form.memoryName):
		return kindMemory, noSpecial
	case named(o.form.arrayName):
		return kindArray, noSpecial
	case layout.at != 0 && layout.fields == 0:
		return kindBytes, noSpecial
	case t.name == "BigInt" && in("GMP"):
		return kindBigInt, noSpecial
	case root(places.dataType):
		return kindFields, specialDataType
	case root(o.form.typeNameType):
		return kindFields, specialTypeName
	case root(places.method):
		return kindFields, specialMethod
	case root(places.methodInstance):
		return kindFields, specialInstance
	case root(places.codeInstance):
		return kindFields, specialCode
	case root(o.form.bindingType):
		return kindFields, specialBinding
	case root(o.form.methodTableType):
		return kindFields, specialTable
	case o.form.finishDicts && t.name == "IdDict" && in("Base"):
		return kindFields, specialDict
	case (t.name == "OncePerProcess" || t.name == "OncePerThread") && in("Base"):
		return kindFields, specialOnce
	}
	return kindFields, noSpecial
}

// memoryElement reads what the elements of a GenericMemory are like.
func (o *overlay) memoryElement(address uint64, layout *liveLayout) (e elementForm) {
	e.boxed, e.union = layout.flags>>3&1 != 0, layout.flags>>4&1 != 0
	if e.width = layout.size; !e.boxed {
		e.pointers = layout.pointers
	}
	e.raw = o.isNamed(o.memory.u64(o.memory.u64(address+typeParameters)+8+8), o.form.pointerName)
	return e
}

// arrayElement reads what the elements of an Array are like; their size, and whether they are references, each array says itself.
func (o *overlay) arrayElement(address uint64) (e elementForm) {
	of := o.memory.u64(o.memory.u64(address+typeParameters) + 8)
	if !o.isType(of) {
		t := o.typeOf(of)
		e.union = t != nil && t.name == "Union"
		return e
	}
	e.raw = o.isNamed(of, o.form.pointerName)
	if layout := o.memory.u64(of + typeLayout); layout != 0 {
		e.pointers = o.layoutAt(layout).pointers
	}
	return e
}

// readFields reads where objects of a type have references and what else is not written as it is.
func (o *overlay) readFields(t *liveType, typeName uint64, layout *liveLayout, mutable bool) {
	m := o.memory
	constants := m.u64(typeName + uint64(o.form.typeName.constants))
	assignable := func(field int) bool {
		return mutable && (constants == 0 || !o.form.constantFields || m.u32(constants+uint64(field/32*4))>>(field%32)&1 == 0)
	}
	t.pointers = layout.pointers
	t.holes = o.holesIn(layout)
	field := 0
	for _, at := range t.pointers {
		for field+1 < layout.fields && o.fieldOf(layout, field+1).offset <= at {
			field++
		}
		t.assignable = append(t.assignable, assignable(field))
	}
	if o.isNamed(t.address, o.form.memoryRefName) {
		t.memoryRefs = []uint32{0}
		return
	}
	types := m.u64(t.address + typeFieldTypes)
	if types == 0 {
		o.unknown("type " + t.name + " has no types of fields")
		return
	}
	for i := range layout.fields {
		if f := o.fieldOf(layout, i); !f.pointer {
			of := m.u64(types + 8 + 8*uint64(i))
			if mutable && o.isNamed(of, o.form.pointerName) {
				t.raw = append(t.raw, f.offset)
			}
			o.findMemoryRefs(t, of, f.offset)
		}
	}
}

// holesIn returns what no field has of objects with a layout.
func (o *overlay) holesIn(layout *liveLayout) (holes []extent) {
	end := 0
	for i := range layout.fields {
		f := o.fieldOf(layout, i)
		if start := int(f.offset); start > end {
			holes = append(holes, extent{end, start - end})
		}
		end = max(end, int(f.offset)+f.size)
	}
	if end < layout.size {
		holes = append(holes, extent{end, layout.size - end})
	}
	return holes
}

// findMemoryRefs adds the MemoryRefs in an object of type `of` that lies at an offset in objects of t (record_memoryrefs_inside).
func (o *overlay) findMemoryRefs(t *liveType, of uint64, offset uint32) {
	switch {
	case o.form.memoryRefName == 0 || !o.isType(of):
		return
	case o.isNamed(of, o.form.memoryRefName):
		t.memoryRefs = append(t.memoryRefs, offset)
		return
	}
	at, types := o.memory.u64(of+typeLayout), o.memory.u64(of+typeFieldTypes)
	if at == 0 || types == 0 {
		return
	}
	layout := o.layoutAt(at)
	for i := range layout.fields {
		if f := o.fieldOf(&layout, i); !f.pointer {
			o.findMemoryRefs(t, o.memory.u64(types+8+8*uint64(i)), offset+f.offset)
		}
	}
}

// A liveLayout is what a type says of its objects' layout.
type liveLayout struct {
	at           uint64
	size, fields int
	flags        uint16
	foreign      bool
	width        int // of a field's size, and of its offset, as a power of 2
	references   int // not 0 where objects hold references, be their places in the layout or not
	pointers     []uint32
}

const layoutHeader = 20

// layoutAt reads the layout at an address.
func (o *overlay) layoutAt(at uint64) liveLayout {
	b := o.memory.bytes(at, layoutHeader)
	l := liveLayout{at: at, size: int(le.Uint32(b)), fields: int(le.Uint32(b[4:])), flags: le.Uint16(b[18:])}
	n, first := int(le.Uint32(b[8:])), int32(le.Uint32(b[12:]))
	l.width, l.references = int(l.flags>>1&3), n
	if l.foreign = l.width == 3; l.foreign || first < 0 {
		return l
	}
	if n > 1<<16 || l.fields > 1<<16 {
		o.unknown("a type has a layout without end")
		return l
	}
	offsets := o.memory.bytes(at+layoutHeader+uint64(l.fields*(2<<l.width)), n<<l.width)
	for i := range n {
		l.pointers = append(l.pointers, 8*number(offsets, i, l.width))
	}
	return l
}

// bytes is the size of the layout itself.
func (l *liveLayout) bytes() int {
	return layoutHeader + l.fields*(2<<l.width) + len(l.pointers)<<l.width
}

// A liveField is a field of a type.
type liveField struct {
	offset  uint32
	size    int
	pointer bool
}

func (o *overlay) fieldOf(l *liveLayout, i int) liveField {
	b := o.memory.bytes(l.at+layoutHeader+uint64(i*(2<<l.width)), 2<<l.width)
	size := number(b, 0, l.width)
	return liveField{offset: number(b, 1, l.width), size: int(size >> 1), pointer: size&1 != 0}
}

// number is number i of a list of numbers of 1, 2 or 4 bytes.
func number(list []byte, i, width int) uint32 {
	switch width {
	case 0:
		return uint32(list[i])
	case 1:
		return uint32(le.Uint16(list[2*i:]))
	}
	return le.Uint32(list[4*i:])
}
