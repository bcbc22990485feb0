package sysimage

// This file writes the heap of a process as an overlay of its base's: the base's blob as it is in its file, the words of it that the process
// has changed, and the process's new objects behind the base's. So the base's objects keep their places.
//
// Changed words are found by comparison: each reference that the base's lists of relocations name is turned back into what the file has for it,
// and what still differs has been changed. An object with a changed word is written as a new one is (overlay_objects.go), in its place.

import (
	"errors"
	"fmt"
	"slices"
)

// overlayFields are what writing a heap needs to know of a version besides what reading one does: places of roots, and offsets in objects.
type overlayFields struct {
	stringType, symbolType, nothingType, taskType, int64Type, int32Type, uint8Type, typeNameType, bindingType, methodTableType int
	memoryName, memoryRefName, pointerName, arrayName                                                                          int
	// identities: objects that can be changed are preceded by their identity. idTables: the loader finishes IdDicts. constantFields: fields of
	// objects that can be changed may be constant. callable: methods that C can call are listed.
	identities, idTables, constantFields, callable bool
	// constantMark are bits before an object among the constants.
	constantMark uint64
	// rootLists are places in the tail of the memories with the global roots, which stay as the base has them.
	rootLists []int

	typeNameFlags, typeNameConstants, typeNameAtomics, typeNameNames, typeNameCache, typeNameLinearCache int
	methodSize, methodRoots, methodRootCount                                                             int
	instanceBackedges, bindingBackedges, tableBackedges                                                  int
	methodCallable                                                                                       int
	bindingConstant                                                                                      int // flags of which the first says that the value is constant
	vectorLength                                                                                         int
	instanceFlags                                                                                        int
	codeTime, codeSpecFlags                                                                              int
	module                                                                                               moduleForm
}

// A moduleForm is where a module has what.
type moduleForm struct {
	size       int
	references []uint32 // fields that hold objects
	usings     uint32   // arraylist_t: u64 length, u64 capacity, items; then room for 29; all in words
	usingWords int      // words for each module in use; the first is the module
	ones       []uint32 // words that are written as all ones
	buildID    uint32   // its high half, which the loader sets
	zeros      []extent // what is written as zeros
}

// ErrNoOverlay is what Overlay returns when the process's heap holds something that it does not know how to write; the runtime's own serialiser may.
var ErrNoOverlay = errors.New("the heap cannot be written as an overlay")

// An overlay is the work of writing one.
type overlay struct {
	b      *Base
	fields *overlayFields
	h      *heap // the base's
	live   Live
	memory *liveMemory
	// end is where the base's objects and constants end, which the blob begins with.
	end int

	// data is the base's objects and constants with what has changed, followed by new objects; constants are new ones, symbols too.
	data, constants, symbols []byte
	symbolNumbers            map[string]uint64
	symbolsAt                map[uint64]uint64 // numbers of symbols by address
	symbolCount              uint64

	types       map[uint64]*liveType
	small       [64]*liveType
	dataTypeTag uint64

	// places are references to new objects by address, queue those that are not written yet.
	places  map[uint64]uint64
	parents map[uint64]uint64
	current uint64
	queue   []pending
	// nulls are references to null pointers by type.
	nulls map[uint64]uint64
	// caches are the sets of types that type names have, by address; they hold weakly what they hold. cached are those that are to be written.
	caches map[uint64]bool // whether it is hashed
	cached []typeCache
	// weak are the lists of backedges by the memories that hold their elements, lists those that are to be written.
	weak map[uint64]weakList
	// dormant are offsets of objects of the base that have changed and that nothing is known to refer to.
	dormant     map[uint32]bool
	isCandidate bitset
	lists       []pendingList
	// constantReturnAt is the address of jl_fptr_const_return.
	constantReturnAt uint64

	// isReference and isMemoryRef are sets of words of the base's objects that relocations name.
	isReference, isMemoryRef bitset
	removed                  bitset // of isReference
	headers                  []uint32
	tags, refs, memoryRefs   []uint32 // positions of new relocations
	finish, callable         []uint64

	stats OverlayStats
	err   error
}

// OverlayStats say what an overlay is made of.
type OverlayStats struct {
	Changed, ChangedWords, New int // objects of the base, words of them, new objects
	NewBytes                   int // of objects and constants
}

// A pending is an object that has a place and is not written yet.
type pending struct {
	address uint64
	t       *liveType
	at      int  // offset in data or constants
	among   bool // the constants
}

// A typeCache is a set of types: an svec, which lies at an address and at a place in data.
type typeCache struct {
	address uint64
	at      int
	fresh   bool
}

// A bitset is a set of words, by offset in bytes.
type bitset []uint64

func newBitset(size int) bitset          { return make(bitset, size/8/64+1) }
func (s bitset) add(at uint32)           { s[at>>9] |= 1 << (at >> 3 & 63) }
func (s bitset) has(at uint32) bool      { return int(at>>9) < len(s) && s[at>>9]>>(at>>3&63)&1 != 0 }
func (o *overlay) fail(err error)        { o.err = cmpErr(o.err, err) }
func (o *overlay) unknown(what string)   { o.fail(fmt.Errorf("%w: %s", ErrNoOverlay, what)) }
func (o *overlay) failed() bool          { return o.err != nil || o.memory.err != nil }
func (o *overlay) address(at int) uint64 { return o.live.Blob + uint64(at) }

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// Overlay writes the heap of a process that was started from b, or from an image that is an overlay of it. The blob is one as the runtime's
// serialiser writes it without native code, in which the base's objects are where they are in the base.
func (b *Base) Overlay(live Live) ([]byte, OverlayStats, error) {
	if b.layout.overlay == nil {
		return nil, OverlayStats{}, fmt.Errorf("%w of Julia %s", ErrNoOverlay, b.layout.julia)
	}
	m, err := newLiveMemory(b.layout.form, live)
	if err != nil {
		return nil, OverlayStats{}, err
	}
	h := b.heap
	end := h.constants.end()
	if len(m.image) < end {
		return nil, OverlayStats{}, fmt.Errorf("%w: the process is on an image that is no overlay of the base", ErrNoOverlay)
	}
	o := &overlay{
		b: b, fields: b.layout.overlay, h: h, live: live, memory: m, end: end,
		symbolNumbers: make(map[string]uint64, len(h.names)), symbolsAt: map[uint64]uint64{}, symbolCount: uint64(len(h.names)),
		types: map[uint64]*liveType{}, caches: map[uint64]bool{}, dormant: map[uint32]bool{}, weak: map[uint64]weakList{},
		places: map[uint64]uint64{}, parents: map[uint64]uint64{}, nulls: map[uint64]uint64{},
		isReference: newBitset(h.objects.size), isMemoryRef: newBitset(h.objects.size), removed: newBitset(h.objects.size),
	}
	o.data = append(make([]byte, 0, end+32<<20), h.data[:end]...)
	for i, name := range h.names {
		o.symbolNumbers[string(name)] = uint64(i)
	}
	o.dataTypeTag = m.u64(o.rootAddress(0)-8) &^ markBits
	for i := range h.roots {
		if kind, _ := h.split(h.roots[i]); kind == refData {
			t := o.rootAddress(i)
			if m.u64(t-8)&^markBits == o.dataTypeTag {
				if tag := le.Uint16(m.bytes(t+typeFlags, 2)) >> smallTagShift; tag != 0 {
					o.small[tag] = o.typeAt(t)
				}
			}
		}
	}
	changed := o.compare()
	o.findCaches()
	if o.fields.instanceBackedges > 0 {
		o.findBackedges()
	}
	o.findDormant(changed)
	for _, header := range changed {
		if at := header + 8; !o.dormant[at] {
			o.rewrite(int(at))
		}
		if o.failed() {
			break
		}
	}
	o.compareConstants()
	storage := o.reference(live.Storage)
	o.drain()
	o.writeCaches()
	o.writeBackedges()
	if err := cmpErr(o.err, m.err); err != nil {
		return nil, o.stats, err
	}
	o.stats.NewBytes = len(o.data) - end + len(o.constants)
	return o.assemble(storage), o.stats, nil
}

// rootAddress is where the process has what the runtime knows by name.
func (o *overlay) rootAddress(i int) uint64 {
	switch kind, n := o.h.split(o.h.roots[i]); kind {
	case refData:
		return o.address(int(n))
	case refConst:
		return o.address(o.h.constants.start + 8*int(n))
	}
	return 0
}

// compare returns the positions of the headers of the base's objects that have changed, ascending.
func (o *overlay) compare() []uint32 {
	h, live := o.h, slices.Clone(o.memory.image[:o.h.objects.size])
	file := h.objects.of(h.data)
	const changedWord = ^uint64(0)
	o.fail(h.walk(h.types, func(word uint64) error {
		if word != 0 {
			o.headers = append(o.headers, uint32(word))
			copy(live[word:word+8], file[word:])
		}
		return nil
	}))
	o.fail(h.walk(h.memories, func(word uint64) error {
		if word != 0 {
			o.isMemoryRef.add(uint32(word))
			if memory := le.Uint64(live[word+8:]); memory != 0 {
				le.PutUint64(live[word:], le.Uint64(live[word:])-o.memory.u64(memory+8))
			}
		}
		return nil
	}))
	symbols := make([]uint64, len(h.names))
	values := make([]uint64, h.max.tag+1)
	start, end := o.live.Blob, o.live.Blob+uint64(o.end)
	constants := uint64(h.constants.start)
	o.fail(h.walk(h.references, func(word uint64) error {
		if word == 0 {
			return nil
		}
		o.isReference.add(uint32(word))
		is, was := le.Uint64(live[word:]), le.Uint64(file[word:])
		switch kind, n := h.split(was); kind {
		case refData:
			if is >= start && is < end {
				is -= start
			} else {
				is = changedWord
			}
		case refConst:
			// The base's constants are among the objects of the overlay.
			ref := constants + 8*n
			le.PutUint64(o.data[word:], ref)
			if is == start+ref {
				is = was
			} else {
				is = changedWord
			}
		case refSymbol:
			if symbols[n] == 0 && o.isSymbol(is) && o.symbolName(is) == string(h.names[n]) {
				symbols[n] = is
			}
			if symbols[n] == is {
				is = was
			} else {
				is = changedWord
			}
		case refTag:
			if values[n] == 0 {
				if ref, ok := o.valueReference(is); ok && ref == was {
					values[n] = is
				}
			}
			if values[n] == is {
				is = was
			} else {
				is = changedWord
			}
		default:
			is = was // a function, which the loader gives its address
		}
		le.PutUint64(live[word:], is)
		return nil
	}))
	skip := o.rootLists()
	var changed []uint32
	next := 0 // in headers
	for at := 8; at+8 <= len(file); at += 8 {
		if le.Uint64(live[at:]) == le.Uint64(file[at:]) {
			continue
		}
		i, found := slices.BinarySearch(o.headers[next:], uint32(at))
		next += i
		if found {
			continue
		}
		if next == 0 {
			o.unknown("a word before the first object has changed")
			return nil
		}
		header := o.headers[next-1]
		if !slices.Contains(skip, header) {
			changed = append(changed, header)
		}
		if next < len(o.headers) {
			at = int(o.headers[next]) - 8 // the object is written as a whole
		} else {
			at = len(file)
		}
	}
	return slices.Compact(changed)
}

// findDormant finds among the base's objects that have changed those that no object of the base refers to any more, such as the memory that a
// Vector had before it grew. They are left as they were, unless a new object refers to them.
func (o *overlay) findDormant(headers []uint32) {
	o.isCandidate = newBitset(o.h.objects.size)
	for _, header := range headers {
		o.dormant[header+8] = true
		o.isCandidate.add(header + 8)
	}
	h := o.h
	wake := func(ref uint64) {
		if kind, n := h.split(ref); kind == refData {
			delete(o.dormant, uint32(n))
		}
	}
	for _, ref := range h.roots {
		wake(ref)
	}
	for _, at := range o.b.data {
		delete(o.dormant, at)
	}
	for _, c := range o.b.Code {
		delete(o.dormant, c.Offset)
	}
	o.fail(h.walk(h.references, func(word uint64) error {
		if is := le.Uint64(o.memory.image[word:]) - o.live.Blob; is < uint64(h.objects.size) && word != 0 && o.isCandidate.has(uint32(is)) {
			delete(o.dormant, uint32(is))
		}
		return nil
	}))
}

// rootLists are the headers of the memories with the global roots. What the process has added to them is for its own code.
func (o *overlay) rootLists() (headers []uint32) {
	for _, i := range o.fields.rootLists {
		if kind, n := o.h.split(o.h.roots[i]); kind == refData {
			headers = append(headers, uint32(n)-8)
		}
	}
	return headers
}

// compareConstants takes over what has changed among the base's constants: elements of memories.
func (o *overlay) compareConstants() {
	h := o.h
	file, live := h.constants.of(h.data), h.constants.of(o.memory.image)
	var owners []constantOwner
	for at := 0; at+8 <= len(file); at += 8 {
		is, was := le.Uint64(live[at:]), le.Uint64(file[at:])
		if is == was {
			continue
		}
		if owners == nil {
			owners = o.constantOwners()
		}
		i, _ := slices.BinarySearchFunc(owners, at+1, func(c constantOwner, at int) int { return c.start - at })
		if i == 0 || at >= owners[i-1].end {
			continue // a layout, or what follows from being loaded
		}
		if c := owners[i-1]; !c.raw {
			copy(o.data[h.constants.start+at:h.constants.start+min(at+8, c.end)], live[at:])
			o.stats.ChangedWords++
		}
	}
}

// A constantOwner is a memory whose elements lie among the constants.
type constantOwner struct {
	start, end int
	raw        bool
}

func (o *overlay) constantOwners() (list []constantOwner) {
	m, constants, roots := o.memory, o.address(o.h.constants.start), o.rootLists()
	for _, header := range o.headers {
		if slices.Contains(roots, header) {
			continue
		}
		object := o.address(int(header) + 8)
		t := o.typeOf(object)
		var data uint64
		size := 0
		switch {
		case t.kind == kindMemory && !t.element.pointer:
			data, size = m.u64(object+8), o.memorySize(object, t)
		case t.kind == kindArray:
			if a := o.arrayAt(object, t); !a.pointers() {
				data, size = a.data, a.size()
			}
		}
		if at := data - constants; size > 0 && at < uint64(o.h.constants.size) {
			list = append(list, constantOwner{int(at), int(at) + size, t.element.raw})
		}
	}
	slices.SortFunc(list, func(a, b constantOwner) int { return a.start - b.start })
	return list
}

// memorySize is the size in bytes of a memory's elements.
func (o *overlay) memorySize(object uint64, t *liveType) int {
	n := int(o.memory.u64(object))
	size := n * t.element.size
	if t.element.boxed {
		size = n * 8
	}
	if t.element.union {
		size += n
	}
	return size
}

// assemble puts the blob together.
func (o *overlay) assemble(storage uint64) []byte {
	h, form := o.h, o.h.form
	pad := func(b []byte, align int) []byte { return append(b, make([]byte, -len(b)&(align-1))...) }
	o.data = pad(o.data, 8)
	o.constants = pad(o.constants, 8)
	out := make([]byte, 0, len(o.data)+len(o.constants)+h.relocs.size+h.symbols.size+len(o.symbols)+h.tail.size+16<<20)
	out = append(out, o.data...)
	copy(out, form.appendNumber(nil, uint64(len(o.data)-form.width)))
	out = form.appendNumber(out, uint64(len(o.constants)))
	out = append(pad(out, form.constantsAlign), o.constants...)
	for _, section := range [][]byte{append(slices.Clone(h.symbols.of(h.data)), o.symbols...), o.relocations(), nil, nil} {
		out = pad(form.appendNumber(out, uint64(len(section))), form.align)
		out = append(out, section...)
	}
	tail := slices.Clone(h.tail.of(h.data))
	for i, root := range h.roots {
		if kind, n := h.split(root); kind == refConst {
			copy(tail[i*form.width:], form.appendNumber(nil, uint64(h.constants.start)+8*n))
		}
	}
	form.setTail(h, tail, storage, 0)
	o.fields.setCounters(h, tail, o.live)
	tail = tail[:h.linksAt()+4*4+4] // without a seal
	if o.fields.callable {
		tail = tail[:len(tail)+8+8*len(h.callable)]
	}
	if o.fields.callable {
		at := h.linksAt() + 4*4 + 4
		tail = tail[:at+8+8*len(h.callable)]
		le.PutUint64(tail[at:], uint64(len(h.callable)+len(o.callable)))
		for _, method := range o.callable {
			tail = le.AppendUint64(tail, method)
		}
	}
	return append(pad(out, form.align), tail...)
}

// relocations writes the section of relocations.
func (o *overlay) relocations() []byte {
	h, form := o.h, o.h.form
	out := make([]byte, 0, h.relocs.size+8*(len(o.tags)+len(o.refs)))
	list := func(of extent, removed bitset, more []uint32) {
		last := uint64(0)
		if removed == nil {
			out = append(out, of.of(h.data)...)
			h.walk(of, func(word uint64) error { last = word; return nil })
		} else {
			h.walk(of, func(word uint64) error {
				if word != 0 && !removed.has(uint32(word)) {
					out = form.append(out, word, last)
					last = word
				}
				return nil
			})
		}
		for _, word := range more {
			out = form.append(out, uint64(word), last)
			last = uint64(word)
		}
		out = form.append(out, 0, last)
	}
	list(h.types, nil, o.tags)
	list(h.references, o.removed, o.refs)
	if o.fields.memoryRefName > 0 {
		list(h.owners, nil, nil)
		list(h.memories, nil, o.memoryRefs)
	}
	finish := append(slices.Clone(h.finish), o.finish...)
	out = le.AppendUint64(out, uint64(len(finish)))
	for _, at := range finish {
		out = le.AppendUint64(out, at)
	}
	return out
}

func (f *overlayFields) setCounters(h *heap, tail []byte, live Live) {
	at := h.storageAt() + 8
	le.PutUint32(tail[at:], live.Symbols)
	le.PutUint64(tail[at+4:], live.World)
}

// DataTypeOffset is where DataType is in the base's heap.
func (b *Base) DataTypeOffset() uint64 {
	_, n := b.heap.split(b.heap.roots[b.layout.root.dataType])
	return n
}
