package sysimage

// This file reads the serialised heap of Julia 1.5: jl_save_system_image_to_stream in src/staticdata.c writes it,
// jl_restore_system_image_from_stream reads it in place. Little endian; a section's size field comes before it.
//
//	bytes                what
//	4                    size of the heap's objects
//	heap size            objects. Their offsets count from the start of the blob, so from the size field on
//	4                    size of the constants
//	to a multiple of 16  zeros
//	constants size       arrays without pointers, layouts of types. References to them count in units of 8 bytes
//	4 + size             symbols: {u32 length, name, zero byte} each, numbered from 0
//	4 + size             relocations: u32 offsets of words in the heap, two lists, each ended by 0:
//	                     type tags of objects (gctags), then all other references
//	4 + size             gvar_record: a u32 reference per cell of native code; 0 leaves the cell alone
//	4 + size             fptr_record: 8 bytes per function, the first 4 of which are the offset of its code instance, or
//	                     the complement of that for the instance's wrapper; 0 for a function that belongs to none
//	4 × 138              references to what the runtime itself knows by name (_tags)
//	4                    reference to the root task's local storage
//	4, 4, 4              gensym counter, world counter, world of type inference
//	8 × n + 4            objects to be finished by the loader {u32 offset, u32 how: 1 rehash, 2 module}, ended by 0
//	8 × n + 4            methods to be made callable from C {u32 offset, u32 3}, ended by 0
//
// A reference is a number whose top 3 bits, of 32, say what it counts (enum RefTags). Up to Julia 1.5.2 it was 4 bits.
// In the heap it fills a word of 8 bytes.
//
// Objects are 16 byte aligned and have their type in the word before them. Those that are read here (src/julia.h):
//
//	Module       0 name, 8 parent, 16 number of bindings, 608 bindings of 48 bytes each: type tag 4<<29, then
//	             0 name, 8 value, 16 globalref, 24 owner, 32 flags
//	CodeInstance 0 method instance, 64 invoke, 72 specptr
//	MethodInstance 0 method or module
//	Method       8 module
//	DataType     0 type name;  TypeName: 0 name
//	Array        0 data, 8 length, 40 more; elements follow at a multiple of 64
//	SimpleVector 0 length, then elements

import (
	"fmt"
	"slices"
)

// What the top bits of a reference say.
const (
	refData      = iota // offset in the blob
	refConst            // 8 byte units in the constants
	refTag              // a value that the loader makes: the root task, small integers
	refSymbol           // index of a symbol
	refBinding          // the type tag of a binding, which is no object
	refFunction         // a calling convention of libjulia
	refBuiltin          // a builtin function
	refKindCount        // anything else is damage
)

// The largest number that follows refTag, refFunction and refBuiltin.
const (
	maxTag      = 2*1024 + 256
	maxFunction = 5
	maxBuiltin  = 36
)

// Places in _tags, whose order is that of src/staticdata.c.
const (
	tagDataType     = 3
	tagSimpleVector = 5
	tagModule       = 11
	tagMethodInst   = 13
	tagMethod       = 14
	tagCodeInstance = 15
	tagArrayAny     = 43
	tagNothing      = 101
	tagCount        = 138
)

// Fields of objects.
const (
	moduleBindings = 608
	bindingSize    = 48
	codeInvoke     = 64
	codeSpecptr    = 72
	arrayElements  = 64
)

// Ways in which the loader finishes an object.
const (
	finishRehash    = 1
	finishModule    = 2
	finishCCallable = 3
)

// A blob15 is a heap as Julia 1.5 serialises it.
type blob15 struct {
	data []byte
	// shift is the number of bits below a reference's tag, mask those bits.
	shift uint
	mask  uint32

	heap, constants, symbols, relocs, globals, functions, tail extent
	// tags are the references at the start of the tail.
	tags [tagCount]uint32
	// finish is where in the tail the list of objects to be finished starts, ccallable the list behind it.
	finish, ccallable extent
	// modules are the offsets of all modules, ascending.
	modules []uint32
}

// parseBlob15 finds the parts of a blob and checks all that it has to walk through for that.
func parseBlob15(data []byte) (*blob15, error) {
	p := &blob15{data: data}
	pos := 0
	section := func(e *extent, name string, align int) error {
		if pos+4 > len(data) {
			return fmt.Errorf("%w: the heap ends before its section %q", ErrDamaged, name)
		}
		size := int(le.Uint32(data[pos:]))
		pos = (pos + 4 + align - 1) &^ (align - 1)
		if pos > len(data) || size > len(data)-pos {
			return fmt.Errorf("%w: section %q of the heap reaches beyond its end", ErrDamaged, name)
		}
		*e = extent{pos, size}
		pos += size
		return nil
	}
	for _, s := range []struct {
		extent *extent
		name   string
		align  int
	}{
		{&p.heap, "objects", 1}, {&p.constants, "constants", 16}, {&p.symbols, "symbols", 1},
		{&p.relocs, "relocations", 1}, {&p.globals, "gvar_record", 1}, {&p.functions, "fptr_record", 1},
	} {
		if err := section(s.extent, s.name, s.align); err != nil {
			return nil, err
		}
	}
	p.heap = extent{0, p.heap.end()}
	p.tail = extent{pos, len(data) - pos}
	if p.relocs.size%4 != 0 || p.globals.size%4 != 0 || p.functions.size%8 != 0 {
		return nil, fmt.Errorf("%w: a section of records in the heap has no whole number of records", ErrDamaged)
	}
	if err := p.parseTail(); err != nil {
		return nil, err
	}
	return p, nil
}

// parseTail reads the references at the blob's end and the list of modules, which also tell the width of tags.
func (p *blob15) parseTail() error {
	pos := p.tail.start
	if p.tail.size < 4*(tagCount+4) {
		return fmt.Errorf("%w: the heap's roots are not those of Julia 1.5", ErrUnknownFormat)
	}
	for i := range p.tags {
		p.tags[i] = le.Uint32(p.data[pos+4*i:])
	}
	pos += 4 * (tagCount + 4)
	list := func() (extent, bool) {
		start := pos
		for pos+4 <= len(p.data) {
			if le.Uint32(p.data[pos:]) == 0 {
				pos += 4
				return extent{start, pos - 4 - start}, true
			}
			pos += 8
		}
		return extent{}, false
	}
	var ok1, ok2 bool
	p.finish, ok1 = list()
	p.ccallable, ok2 = list()
	if !ok1 || !ok2 || pos != len(p.data) {
		return fmt.Errorf("%w: the heap's roots are not those of Julia 1.5", ErrUnknownFormat)
	}
	for at := p.finish.start; at < p.finish.end(); at += 8 {
		if le.Uint32(p.data[at+4:]) == finishModule {
			p.modules = append(p.modules, le.Uint32(p.data[at:]))
		}
	}
	slices.Sort(p.modules)
	return p.findShift()
}

// findShift looks at the type tag of some module's first binding.
func (p *blob15) findShift() error {
	for _, m := range p.modules {
		if !p.inHeap(m, moduleBindings+8) || p.word(m+16) == 0 {
			continue
		}
		for _, shift := range []uint{29, 28} {
			if p.word(m+moduleBindings) == refBinding<<shift {
				p.shift, p.mask = shift, 1<<shift-1
				if uint64(p.heap.size) > uint64(p.mask) {
					return fmt.Errorf("%w: the heap has more bytes than its references can count", ErrDamaged)
				}
				return nil
			}
		}
		return fmt.Errorf("%w: the bindings of the heap's modules are not those of Julia 1.5", ErrUnknownFormat)
	}
	return fmt.Errorf("%w: the heap has no module", ErrUnknownFormat)
}

// inHeap says that size bytes at offset, and the type before them, lie among the objects.
func (p *blob15) inHeap(offset uint32, size int) bool {
	return offset >= 16 && offset%8 == 0 && int(offset)+size <= p.heap.size
}

// word returns the 8 bytes at offset, which must lie in the heap.
func (p *blob15) word(offset uint32) uint64 { return le.Uint64(p.data[offset:]) }

func (p *blob15) setWord(offset uint32, v uint64) { le.PutUint64(p.data[offset:], v) }

// split takes a reference apart. Words that are none have a kind that is none.
func (p *blob15) split(ref uint64) (kind int, number uint32) {
	if ref>>32 != 0 {
		return refKindCount, 0
	}
	return int(ref >> p.shift), uint32(ref) & p.mask
}

// ref is the reverse of split.
func (p *blob15) ref(kind int, number uint32) uint32 { return uint32(kind)<<p.shift | number }

// object follows the reference in the word at offset to an object with at least size bytes.
func (p *blob15) object(offset uint32, size int) (uint32, bool) {
	if !p.inHeap(offset, 8) {
		return 0, false
	}
	kind, target := p.split(p.word(offset))
	return target, kind == refData && p.inHeap(target, size)
}

// is says that there is an object at offset whose type is the one at the given place of _tags, and that it has at least
// size bytes.
func (p *blob15) is(offset uint32, tag, size int) bool {
	return p.inHeap(offset, size) && offset%16 == 0 && p.word(offset-8) == uint64(p.tags[tag])
}

// tls is the reference to the root task's local storage.
func (p *blob15) tls() uint32 { return le.Uint32(p.data[p.tail.start+4*tagCount:]) }

// parseSymbols lists the names of all symbols.
func (p *blob15) parseSymbols() ([][]byte, error) { return parseSymbols(p.symbols.of(p.data)) }

// symbolAt returns the name of the symbol that the word at offset refers to.
func (p *blob15) symbolAt(offset uint32, names [][]byte) (string, bool) {
	if !p.inHeap(offset, 8) {
		return "", false
	}
	kind, n := p.split(p.word(offset))
	if kind != refSymbol || int(n) >= len(names) {
		return "", false
	}
	return string(names[n]), true
}

// bindings returns how many bindings the module at offset has, having checked that there is room for them.
func (p *blob15) bindings(module uint32) (int, bool) {
	if !p.is(module, tagModule, moduleBindings) {
		return 0, false
	}
	count := p.word(module + 16)
	if count > uint64(p.heap.size)/bindingSize || !p.inHeap(module, moduleBindings+int(count)*bindingSize) {
		return 0, false
	}
	for i := range int(count) {
		if p.word(bindingAt(module, i)-8) != uint64(p.ref(refBinding, 0)) {
			return 0, false
		}
	}
	return int(count), true
}

// bindingAt is the offset of a module's binding.
func bindingAt(module uint32, i int) uint32 {
	return module + moduleBindings + 8 + uint32(i)*bindingSize
}

// anyVector returns the offsets of the words that hold the elements of the Vector{Any} at offset.
func (p *blob15) anyVector(offset uint32) (first uint32, count int, ok bool) {
	if !p.is(offset, tagArrayAny, arrayElements) {
		return 0, 0, false
	}
	length := p.word(offset + 8)
	first, ok = p.object(offset, 0)
	if !ok || length > uint64(p.heap.size)/8 || int(first)+8*int(length) > p.heap.size {
		return 0, 0, false
	}
	return first, int(length), true
}

// sizes describes the blob to those who inspect an image.
func (p *blob15) sizes() BlobSizes {
	return BlobSizes{
		Total: int64(len(p.data)), Heap: int64(p.heap.size), Constants: int64(p.constants.size),
		Symbols: int64(p.symbols.size), Relocs: int64(p.relocs.size),
		Globals: int64(p.globals.size), Functions: int64(p.functions.size),
	}
}
