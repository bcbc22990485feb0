package sysimage

// This file reads the serialised heap of an image, the blob, in terms that hold for every version of Julia. How the parts of a
// blob are written down is at the heads of heap_v5.go and heap_v10.go, what is where in objects in the layouts (layout.go).
//
// All versions have the same parts in the same order:
//
//	objects      16 byte aligned, the type of each in the word before it
//	constants    what objects point to and that holds no pointers
//	symbols      {u32 length, name, zero byte} each, numbered from 0
//	relocations  positions of words that hold references: first those of types of objects, then all others
//	gvar_record  a reference for each cell of native code
//	fptr_record  8 bytes for each function: the offset of its code instance, or the complement of that if the function is the
//	             code instance's wrapper, or 0 for a function that belongs to none
//	tail         references to what the runtime knows by name (the roots), one to the root task's local storage, counters
//
// A reference is a number whose top bits say what the rest counts (enum RefTags in src/staticdata.c).

import (
	"fmt"
	"math"
	"slices"
)

// A refKind says what the number of a reference counts.
type refKind uint8

// The kinds of references.
const (
	refData     refKind = iota // bytes from the start of the blob, to an object
	refConst                   // units of 8 bytes from the start of the constants
	refTag                     // values that the loader makes: the root task, small integers
	refSymbol                  // symbols
	refBinding                 // 0: the type of a binding, which is no object in Julia 1.5
	refFunction                // calling conventions of libjulia
	refBuiltin                 // builtin functions
	refNone                    // nothing: this is no reference
)

// Calling conventions of all versions.
const (
	conventionBoxed      = 1
	conventionParameters = 3
)

var conventionsOfAll = map[int]uint64{InvokeBoxed: conventionBoxed, InvokeParameters: conventionParameters}

// A heapForm is a way to write a heap down. The functions may be called by several goroutines at once.
type heapForm struct {
	// width is the size in bytes of a section's size, of a root, and of an entry of gvar_record. Numbers of fptr_record fill
	// as many of its 8 bytes.
	width int
	// Sections start at multiples of align, the constants at one of constantsAlign.
	align, constantsAlign int
	// kinds are the kinds of references by the number in their top bits.
	kinds []refKind
	// builtin is the bit of a number after refFunction that makes a refBuiltin of it, 0 if that is a kind of its own.
	builtin uint64
	// objectsInConstants: some objects lie among the constants.
	objectsInConstants bool
	// sparse: the loader leaves a cell alone that has an empty entry, or none.
	sparse bool

	// parse reads the lists of relocations and the tail of a heap whose sections are known.
	parse func(h *heap) error
	// next reads the position at the start of a list of relocations, which follows the position last in the list. 0 ends the
	// list. It has size bytes; if there is none, size is not positive.
	next func(list []byte, last uint64) (word uint64, size int)
	// append is the reverse of next.
	append func(list []byte, word, last uint64) []byte
	// bindings returns how many names the module at an offset binds.
	bindings func(h *heap, module uint32) (count int, ok bool)
	// setTail gives the tail of a heap another root task's local storage and number of cells.
	setTail func(h *heap, tail []byte, storage uint64, cells int)
}

// A heap is a blob taken apart.
type heap struct {
	*layout
	data []byte

	objects, constants, symbols, relocs, globals, functions, tail extent
	// types and references are the lists of relocations that all forms have, owners and memories those of heaps with memories
	// (heap_v12.go), each without its end.
	types, references, owners, memories extent
	// roots are references to what the runtime knows by name, storage is the one to the root task's local storage.
	roots   []uint64
	storage uint64
	// finish are offsets of objects that the loader finishes, callable those of methods that it makes callable from C.
	finish, callable []uint64
	// modules are the offsets of all modules, ascending.
	modules []uint32
	// names are those of the symbols.
	names [][]byte
	// shift is the number of bits below those that say a reference's kind.
	shift uint
	// written is what is known of the lists of relocations, nil if they have to be read.
	written *writtenLists
}

// An extent is a part of a blob.
type extent struct{ start, size int }

func (e extent) end() int { return e.start + e.size }

func (e extent) of(data []byte) []byte { return data[e.start:e.end():e.end()] }

// parseHeap finds the parts of a blob and checks all that it has to walk through for that.
func parseHeap(l *layout, data []byte) (*heap, error) { return parseWrittenHeap(l, data, nil) }

// parseWrittenHeap is parseHeap for a blob whose lists of relocations are known.
func parseWrittenHeap(l *layout, data []byte, written *writtenLists) (*heap, error) {
	h := &heap{layout: l, data: data, written: written}
	if err := h.parseSections(); err != nil {
		return nil, err
	}
	if err := h.parseSymbols(); err != nil {
		return nil, err
	}
	if err := h.parseRoots(); err != nil {
		return nil, err
	}
	if err := l.form.parse(h); err != nil {
		return nil, err
	}
	slices.Sort(h.modules)
	return h, nil
}

// parseSections finds the sections, which the blobs of package images have too.
func (h *heap) parseSections() error {
	data, form := h.data, h.form
	pos := 0
	for _, s := range []struct {
		extent *extent
		name   string
		align  int
	}{
		{&h.objects, "objects", 1}, {&h.constants, "constants", form.constantsAlign}, {&h.symbols, "symbols", form.align},
		{&h.relocs, "relocations", form.align}, {&h.globals, "gvar_record", form.align}, {&h.functions, "fptr_record", form.align},
	} {
		if pos+form.width > len(data) {
			return fmt.Errorf("%w: the heap ends before its section %q", ErrDamaged, s.name)
		}
		size := form.number(data[pos:])
		pos = alignInt(pos+form.width, s.align)
		if pos > len(data) || size > uint64(len(data)-pos) {
			return fmt.Errorf("%w: section %q of the heap reaches beyond its end", ErrDamaged, s.name)
		}
		*s.extent = extent{pos, int(size)}
		pos += int(size)
	}
	h.objects = extent{0, h.objects.end()} // offsets count from the start of the blob
	if h.constants.end() > math.MaxUint32 {
		return fmt.Errorf("%w: the heap has more than 4 GiB of objects", ErrUnknownFormat)
	}
	if h.globals.size%form.width != 0 || h.functions.size%8 != 0 {
		return fmt.Errorf("%w: a section of records in the heap has no whole number of records", ErrDamaged)
	}
	pos = min(alignInt(pos, form.align), len(data))
	h.tail = extent{pos, len(data) - pos}
	return nil
}

func alignInt(n, align int) int { return (n + align - 1) &^ (align - 1) }

// number reads a number of width bytes.
func (f *heapForm) number(b []byte) uint64 {
	if f.width == 4 {
		return uint64(le.Uint32(b))
	}
	return le.Uint64(b)
}

// appendNumber is the reverse of number.
func (f *heapForm) appendNumber(b []byte, n uint64) []byte {
	if f.width == 4 {
		return le.AppendUint32(b, uint32(n))
	}
	return le.AppendUint64(b, n)
}

// parseSymbols lists the names of all symbols.
func (h *heap) parseSymbols() error {
	for rest := h.symbols.of(h.data); len(rest) > 0; {
		if len(rest) < 5 || int64(le.Uint32(rest))+5 > int64(len(rest)) {
			return fmt.Errorf("%w: symbol %d of the heap reaches beyond its section", ErrDamaged, len(h.names))
		}
		length := le.Uint32(rest)
		h.names = append(h.names, rest[4:4+length:4+length])
		rest = rest[length+5:]
	}
	return nil
}

// parseRoots reads the references at the start of the tail.
func (h *heap) parseRoots() error {
	tail := h.tail.of(h.data)
	if len(tail) < h.storageAt()+h.form.width {
		return h.otherRoots()
	}
	h.roots = make([]uint64, h.root.count)
	for i := range h.roots {
		h.roots[i] = h.form.number(tail[i*h.form.width:])
	}
	h.storage = h.form.number(tail[h.storageAt():])
	return nil
}

// storageAt is where in the tail the reference to the root task's local storage is.
func (h *heap) storageAt() int { return h.root.count * h.form.width }

func (h *heap) otherRoots() error {
	return fmt.Errorf("%w: the heap's roots are not those of Julia %s", ErrUnknownFormat, h.julia)
}

// numbers reads a list of 8 byte numbers.
func (h *heap) numbers(e extent) []uint64 {
	list := make([]uint64, e.size/8)
	for i := range list {
		list[i] = le.Uint64(h.data[e.start+8*i:])
	}
	return list
}

// cellRecord is entry i of gvar_record.
func (h *heap) cellRecord(i int) uint64 {
	return h.form.number(h.data[h.globals.start+i*h.form.width:])
}

// cellRecords is the number of entries of gvar_record, functionRecords that of fptr_record.
func (h *heap) cellRecords() int     { return h.globals.size / h.form.width }
func (h *heap) functionRecords() int { return h.functions.size / 8 }

// functionRecord reads an entry of fptr_record; ok is false for an empty one. Offset may lie anywhere.
func (h *heap) functionRecord(entry uint64) (offset uint64, wrapper, ok bool) {
	bits := 8 * h.form.width
	mask := uint64(1)<<(bits-1) - 1
	if offset = entry & mask; entry>>(bits-1)&1 != 0 {
		return ^entry & mask, true, true
	}
	return offset, false, offset != 0
}

// makeFunctionRecord is the reverse of functionRecord.
func (h *heap) makeFunctionRecord(offset uint32, wrapper bool) uint64 {
	switch {
	case !wrapper:
		return uint64(offset)
	case h.form.width == 4:
		return uint64(^offset)
	}
	return ^uint64(offset)
}

// inHeap says that size bytes at offset, and the type before them, lie among the objects.
func (h *heap) inHeap(offset uint32, size int) bool {
	return offset >= 16 && offset%8 == 0 && size <= h.objects.size && int(offset)+size <= h.objects.size
}

// word returns the 8 bytes at offset, which must lie among the objects.
func (h *heap) word(offset uint32) uint64 { return le.Uint64(h.data[offset:]) }

func (h *heap) setWord(offset uint32, v uint64) { le.PutUint64(h.data[offset:], v) }

// split takes a reference apart.
func (h *heap) split(ref uint64) (kind refKind, number uint64) {
	top := ref >> h.shift
	if top >= uint64(len(h.form.kinds)) {
		return refNone, 0
	}
	kind, number = h.form.kinds[top], ref&(1<<h.shift-1)
	if kind == refFunction && number&h.form.builtin != 0 {
		return refBuiltin, number &^ h.form.builtin
	}
	return kind, number
}

// join is the reverse of split, for kinds that have a number of their own.
func (h *heap) join(kind refKind, number uint64) uint64 {
	return uint64(slices.Index(h.form.kinds, kind))<<h.shift | number
}

// place returns the offset in the blob of the object that ref refers to, be it among the constants.
func (h *heap) place(ref uint64) (offset uint32, ok bool) {
	switch kind, n := h.split(ref); {
	case kind == refData:
		return uint32(n), n <= uint64(h.objects.size) && h.inHeap(uint32(n), 0)
	case kind == refConst && h.form.objectsInConstants:
		return uint32(uint64(h.constants.start) + 8*n), n <= uint64(h.constants.size)/8
	}
	return 0, false
}

// object follows the reference in the word at offset to an object, not among the constants, that has at least size bytes.
func (h *heap) object(offset uint32, size int) (uint32, bool) {
	if !h.inHeap(offset, 8) {
		return 0, false
	}
	return h.follow(h.word(offset), size)
}

// follow is object for a reference.
func (h *heap) follow(ref uint64, size int) (uint32, bool) {
	kind, n := h.split(ref)
	return uint32(n), kind == refData && n <= uint64(h.objects.size) && h.inHeap(uint32(n), size)
}

// is says that there is an object at offset whose type is the root with the given place, and that it has at least size bytes.
func (h *heap) is(offset uint32, root, size int) bool {
	return h.inHeap(offset, size) && offset%16 == 0 && h.word(offset-8) == h.roots[root]
}

// isCode says that there is a code instance at offset.
func (h *heap) isCode(offset uint32) bool { return h.is(offset, h.root.codeInstance, h.code.size) }

// isModule says that there is a module at offset.
func (h *heap) isModule(offset uint32) bool { return h.is(offset, h.root.module, h.module.size) }

// symbolAt returns the name of the symbol that the word at offset refers to.
func (h *heap) symbolAt(offset uint32) (string, bool) {
	if !h.inHeap(offset, 8) {
		return "", false
	}
	kind, n := h.split(h.word(offset))
	if kind != refSymbol || n >= uint64(len(h.names)) {
		return "", false
	}
	return string(h.names[n]), true
}

// list returns where the elements of the SimpleVector or Vector{Any} at offset are.
func (h *heap) list(offset uint32) (elements extent, ok bool) {
	var first uint32
	var length uint64
	switch {
	case h.is(offset, h.root.simpleVector, 8):
		first, length = offset+8, h.word(offset)
	case h.root.array > 0 && h.is(offset, h.root.array, h.array.size):
		length = h.word(offset + 8)
		if first, ok = h.object(offset, 0); !ok {
			return extent{}, false
		}
	default:
		return extent{}, false
	}
	if length > uint64(h.objects.size)/8 || !h.inHeap(first, 8*int(length)) {
		return extent{}, false
	}
	return extent{int(first), 8 * int(length)}, true
}

// nothing is the reference to nothing.
func (h *heap) nothing() uint64 {
	if h.root.nothing > 0 {
		return h.roots[h.root.nothing]
	}
	return h.join(refTag, tagNothing)
}

// tagNothing is the number of nothing as a refTag, where it is one.
const tagNothing = 1

// walk calls do with each position of a list of relocations until do returns an error.
func (h *heap) walk(list extent, do func(word uint64) error) error {
	word := uint64(0)
	for rest := list.of(h.data); len(rest) > 0; {
		var size int
		word, size = h.form.next(rest, word)
		if err := do(word); err != nil {
			return err
		}
		rest = rest[size:]
	}
	return nil
}

// parseRelocs finds the lists of relocations, of which there may be more than two, and returns where the last one ends.
func (h *heap) parseRelocs(more ...*extent) (end int, err error) {
	at := h.relocs.start
	for i, list := range append([]*extent{&h.types, &h.references}, more...) {
		list.start = at
		if h.written != nil {
			list.size = h.written.sizes[i]
			at = list.end() + len(h.form.append(nil, 0, 0))
			continue
		}
		for word, last := uint64(1), uint64(0); word != 0; last = word {
			var size int
			word, size = h.form.next(h.data[at:h.relocs.end()], last)
			if size <= 0 {
				return 0, fmt.Errorf("%w: a list of relocations of the heap does not end", ErrDamaged)
			}
			list.size = at - list.start
			at += size
		}
	}
	return at, nil
}

// sizes describes the blob to those who inspect an image.
func (h *heap) sizes() BlobSizes {
	return BlobSizes{
		Total: int64(len(h.data)), Heap: int64(h.objects.size), Constants: int64(h.constants.size),
		Symbols: int64(h.symbols.size), Relocs: int64(h.relocs.size),
		Globals: int64(h.globals.size), Functions: int64(h.functions.size),
	}
}
