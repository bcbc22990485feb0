package sysimage

// This file reads the serialised heap of Julia 1.10: jl_save_system_image_to_stream in src/staticdata.c writes it,
// jl_restore_system_image_from_stream_ reads it in place. Little endian; sizes are 8 bytes and come before what they are of.
// Offsets and alignment count from the start of the blob, which is 64 byte aligned.
//
//	bytes                what
//	8                    size of the heap's objects
//	heap size            objects
//	8                    size of the constants
//	to a multiple of 64  zeros
//	constants size       objects and arrays without pointers, layouts of types. References to them count in units of 8 bytes
//	8                    size of the symbols; this and the following sections start at a multiple of 8
//	symbols size         {u32 length, name, zero byte} each, numbered from 0
//	8 + size             relocations: positions of words, two lists: type tags of objects (gctags), then all other
//	                     references. Each position is the difference from the one before in its list, which may be
//	                     negative, as an unsigned LEB128 number modulo 2^64; the number 0 ends the list. After them
//	                     u64 n, n × u64 offsets of objects to be finished by the loader: modules, IdDicts
//	8 + size             gvar_record: a reference of 8 bytes per cell of native code
//	8 + size             fptr_record: 8 bytes per function, the offset of its code instance, or the complement of that for
//	                     the instance's wrapper; 0 for a function that belongs to none
//	8 × 158              at a multiple of 8: references to what the runtime itself knows by name (get_tags)
//	8                    reference to jl_global_roots_table
//	8                    reference to the root task's local storage
//	4, 8, 8              gensym counter, world counter, world of type inference
//	4 × 4                numbers of links to other images, 0 in a system image
//	4                    index of the first cell for a function of another image: the number of cells
//	8, 8 × n             n, offsets of methods to be made callable from C
//
// A reference is a word whose top 3 bits say what it counts (enum RefTags).
//
// Objects are 16 byte aligned and have their type in the word before them: a reference, or, among the constants, the number
// of a type that the runtime knows (jl_small_typeof). Those that are read here (src/julia.h):
//
//	Module       0 name, 8 parent, 16 bindings (SimpleVector of Binding, nothing in places that are free)
//	CodeInstance 0 method instance, 80 invoke, 88 specptr
//	MethodInstance 0 method or module
//	Method       8 module
//	DataType     0 type name;  TypeName: 0 name
//	Array        0 data, 8 length, 24 more; elements follow at a multiple of 16 or 64
//	SimpleVector 0 length, then elements

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// What the top bits of a reference say.
const (
	kind110Data     = iota // offset in the blob
	kind110Const           // 8 byte units in the constants
	kind110Tag             // a value that the loader makes: the root task, nothing, small integers
	kind110Symbol          // index of a symbol
	kind110Function        // a calling convention of libjulia, or, with builtin110, a builtin function
	kind110None            // anything else is damage, or of package images
)

const shift110 = 61

// builtin110 is the bit of the number after kind110Function that stands for builtin functions.
const builtin110 = 1 << (shift110 - 1)

// The largest numbers that follow kinds.
const (
	max110Tag      = 1 + 2*1024 + 256
	max110Function = 5
	max110Builtin  = 48
)

// tag110Nothing is the number of nothing as a kind110Tag.
const tag110Nothing = 1

// Places in get_tags, whose order is that of src/staticdata.c.
const (
	root110DataType       = 3
	root110SimpleVector   = 5
	root110Module         = 11
	root110MethodInstance = 13
	root110Method         = 14
	root110CodeInstance   = 15
	root110ArrayAny       = 51
	root110Count          = 158
)

// Fields of objects.
const (
	moduleParent110   = 8
	moduleBindings110 = 16
	moduleSize110     = 32
	codeInvoke110     = 80
	codeSize110       = 96
	methodModule110   = 8
	arraySize110      = 40
)

// A blob110 is a heap as Julia 1.10 serialises it.
type blob110 struct {
	data []byte

	heap, constants, symbols, relocs, globals, functions, tail extent
	// types and references are the lists at the start of relocs, each without the 0 at its end.
	types, references extent
	// finish are the offsets of objects to be finished, ccallable those of methods.
	finish, ccallable extent
	// roots are the references at the start of the tail.
	roots [root110Count]uint64
	// modules are the offsets of all modules, ascending.
	modules []uint32
}

// Places in the tail.
const (
	tail110Table = 8 * root110Count
	tail110TLS   = tail110Table + 8
	tail110Links = tail110TLS + 8 + 4 + 8 + 8
	tail110Cells = tail110Links + 4*4
	tail110Size  = tail110Cells + 4 + 8
)

// parseBlob110 finds the parts of a blob and checks all that it has to walk through for that.
func parseBlob110(data []byte) (*blob110, error) {
	p := &blob110{data: data}
	pos := 0
	for _, s := range []struct {
		extent *extent
		name   string
		align  int
	}{
		{&p.heap, "objects", 1}, {&p.constants, "constants", 64}, {&p.symbols, "symbols", 8},
		{&p.relocs, "relocations", 8}, {&p.globals, "gvar_record", 8}, {&p.functions, "fptr_record", 8},
	} {
		if pos+8 > len(data) {
			return nil, fmt.Errorf("%w: the heap ends before its section %q", ErrDamaged, s.name)
		}
		size := le.Uint64(data[pos:])
		pos = alignInt(pos+8, s.align)
		if pos > len(data) || size > uint64(len(data)-pos) {
			return nil, fmt.Errorf("%w: section %q of the heap reaches beyond its end", ErrDamaged, s.name)
		}
		*s.extent = extent{pos, int(size)}
		pos += int(size)
	}
	p.heap = extent{0, p.heap.end()}
	if p.constants.end() > math.MaxUint32 {
		return nil, fmt.Errorf("%w: the heap has more than 4 GiB of objects", ErrUnknownFormat)
	}
	if p.globals.size%8 != 0 || p.functions.size%8 != 0 {
		return nil, fmt.Errorf("%w: a section of records in the heap has no whole number of records", ErrDamaged)
	}
	pos = min(alignInt(pos, 8), len(data))
	p.tail = extent{pos, len(data) - pos}
	for _, step := range []func() error{p.parseTail, p.parseRelocs} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func alignInt(n, align int) int { return (n + align - 1) &^ (align - 1) }

func (p *blob110) parseTail() error {
	other := fmt.Errorf("%w: the heap's roots are not those of Julia 1.10", ErrUnknownFormat)
	tail := p.tail.of(p.data)
	if len(tail) < tail110Size {
		return other
	}
	for i := range p.roots {
		p.roots[i] = le.Uint64(tail[8*i:])
	}
	for i := range 4 {
		if at32(tail[tail110Links:], i) != 0 {
			return other
		}
	}
	n := le.Uint64(tail[tail110Size-8:])
	if n != uint64(len(tail)-tail110Size)/8 || len(tail)%8 != tail110Size%8 {
		return other
	}
	p.ccallable = extent{p.tail.start + tail110Size, 8 * int(n)}
	return nil
}

// parseRelocs finds the ends of the lists of relocations, and the modules among the objects to be finished.
func (p *blob110) parseRelocs() error {
	at := p.relocs.start
	for _, list := range []*extent{&p.types, &p.references} {
		list.start = at
		for {
			delta, n := binary.Uvarint(p.data[at:p.relocs.end()])
			if n <= 0 {
				return fmt.Errorf("%w: a list of relocations of the heap does not end", ErrDamaged)
			}
			at += n
			if delta == 0 {
				list.size = at - n - list.start
				break
			}
		}
	}
	rest := p.relocs.end() - at
	if rest < 8 || le.Uint64(p.data[at:]) != uint64(rest-8)/8 || rest%8 != 0 {
		return fmt.Errorf("%w: the heap's list of objects to be finished is not one", ErrDamaged)
	}
	p.finish = extent{at + 8, rest - 8}
	for _, offset := range p.offsets(p.finish) {
		if offset < uint64(p.heap.size) && p.is(uint32(offset), root110Module, moduleSize110) {
			p.modules = append(p.modules, uint32(offset))
		}
	}
	slices.Sort(p.modules)
	return nil
}

// offsets reads a list of 8 byte numbers.
func (p *blob110) offsets(e extent) []uint64 {
	list := make([]uint64, e.size/8)
	for i := range list {
		list[i] = le.Uint64(p.data[e.start+8*i:])
	}
	return list
}

// inHeap says that size bytes at offset, and the type before them, lie among the objects.
func (p *blob110) inHeap(offset uint32, size int) bool {
	return offset >= 16 && offset%8 == 0 && int(offset)+size <= p.heap.size
}

// word returns the 8 bytes at offset, which must lie in the heap.
func (p *blob110) word(offset uint32) uint64 { return le.Uint64(p.data[offset:]) }

func (p *blob110) setWord(offset uint32, v uint64) { le.PutUint64(p.data[offset:], v) }

// split takes a reference apart.
func split110(ref uint64) (kind int, number uint64) {
	return min(int(ref>>shift110), kind110None), ref & (1<<shift110 - 1)
}

// ref110 is the reverse of split110.
func ref110(kind int, number uint64) uint64 { return uint64(kind)<<shift110 | number }

// place returns the offset in the blob of the object that ref refers to, be it among the constants.
func (p *blob110) place(ref uint64) (offset uint32, ok bool) {
	switch kind, n := split110(ref); kind {
	case kind110Data:
		return uint32(n), n <= uint64(p.heap.size) && p.inHeap(uint32(n), 0)
	case kind110Const:
		return uint32(uint64(p.constants.start) + 8*n), n <= uint64(p.constants.size)/8
	}
	return 0, false
}

// object follows the reference in the word at offset to an object among those with references that has at least size bytes.
func (p *blob110) object(offset uint32, size int) (uint32, bool) {
	if !p.inHeap(offset, 8) {
		return 0, false
	}
	return p.heapObject(p.word(offset), size)
}

// heapObject is object for a reference.
func (p *blob110) heapObject(ref uint64, size int) (uint32, bool) {
	kind, n := split110(ref)
	return uint32(n), kind == kind110Data && n <= uint64(p.heap.size) && p.inHeap(uint32(n), size)
}

// is says that there is an object at offset whose type is the one at the given place of get_tags, and that it has at least
// size bytes.
func (p *blob110) is(offset uint32, root, size int) bool {
	return p.inHeap(offset, size) && offset%16 == 0 && p.word(offset-8) == p.roots[root]
}

// tls is the reference to the root task's local storage.
func (p *blob110) tls() uint64 { return le.Uint64(p.data[p.tail.start+tail110TLS:]) }

// parseSymbols lists the names of all symbols.
func (p *blob110) parseSymbols() ([][]byte, error) { return parseSymbols(p.symbols.of(p.data)) }

// symbolAt returns the name of the symbol that the word at offset refers to.
func (p *blob110) symbolAt(offset uint32, names [][]byte) (string, bool) {
	if !p.inHeap(offset, 8) {
		return "", false
	}
	kind, n := split110(p.word(offset))
	if kind != kind110Symbol || n >= uint64(len(names)) {
		return "", false
	}
	return string(names[n]), true
}

// list returns where the elements of the SimpleVector or Vector{Any} at offset are.
func (p *blob110) list(offset uint32) (elements extent, ok bool) {
	var first uint32
	var length uint64
	switch {
	case p.is(offset, root110SimpleVector, 8):
		first, length = offset+8, p.word(offset)
	case p.is(offset, root110ArrayAny, arraySize110):
		length = p.word(offset + 8)
		if first, ok = p.object(offset, 0); !ok {
			return extent{}, false
		}
	default:
		return extent{}, false
	}
	if length > uint64(p.heap.size)/8 || !p.inHeap(first, 8*int(length)) {
		return extent{}, false
	}
	return extent{int(first), 8 * int(length)}, true
}

// sizes describes the blob to those who inspect an image.
func (p *blob110) sizes() BlobSizes {
	return BlobSizes{
		Total: int64(len(p.data)), Heap: int64(p.heap.size), Constants: int64(p.constants.size),
		Symbols: int64(p.symbols.size), Relocs: int64(p.relocs.size),
		Globals: int64(p.globals.size), Functions: int64(p.functions.size),
	}
}
