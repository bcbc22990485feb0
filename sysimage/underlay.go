package sysimage

// This file prepares the base of an overlay: all that follows from the base's file alone, so that little is left to do when the process stands still.

import (
	"fmt"
	"math"
	"slices"
)

// An Underlay is a base that is ready to have one overlay written on it.
type Underlay struct {
	h    *heap
	base *Base
	form *overlayForm
	// end is where the base's objects and constants end in the blob.
	end int
	// islands are constants among the base's objects: those of its own base, if it is an overlay itself.
	islands []extent

	// data is what the blob begins with: the base's objects and constants, then new objects. memoryRoom is where the process's memory is read to.
	data, memoryRoom []byte
	symbols          symbolTable
	// headers are the positions of what is before the base's objects, ascending.
	headers []uint32
	// methodHeaders, arrayHeaders and weakHeaders are those of Methods, of arrays and memories, and of objects that hold others weakly.
	methodHeaders, arrayHeaders []uint32
	weakHeaders                 []weakHeader

	// isReference and isMemoryRef are the words that the lists of relocations name. A word that isRelative is a reference to an object or a constant,
	// and the loader adds the blob's address; of words that are isSpecial it makes something else.
	isReference, isMemoryRef, isRelative, isSpecial bitset
	// isNative are words of code instances that hold something of their native code.
	isNative bitset

	typeWords, referenceWords, ownerWords, memoryWords relocationList
	// checksum is that of the base's blob (seal).
	checksum uint32

	// written is what the overlay's lists of relocations are, once there is one.
	written *writtenLists
}

// writtenLists say of a blob what reading its lists of relocations would.
type writtenLists struct {
	sizes []int // in bytes, without their ends
	// fresh is where in the list of references those of the base end and new ones begin.
	fresh relocationStep
}

// A weakHeader is the header of an object of the base that holds others weakly.
type weakHeader struct {
	at      uint32
	special specialType
}

// Room gives memory of a size in bytes, which is zero. The slice should have capacity for more.
type Room func(size int64) ([]byte, error)

// Underlay prepares the base for an overlay, in memory that room gives: once for the overlay, once for what the process has.
func (b *Base) Underlay(room Room) (*Underlay, error) {
	if !b.HasOverlays() {
		return nil, fmt.Errorf("%w of Julia %s", ErrNoOverlay, b.layout.julia)
	}
	islands, err := b.islands()
	if err != nil {
		return nil, err
	}
	h := b.heap
	u := &Underlay{h: h, base: b, form: b.layout.overlay, end: h.constants.end(), islands: islands, symbols: newSymbolTable(h)}
	data, err := room(int64(len(h.data)))
	if err != nil {
		return nil, err
	}
	if u.memoryRoom, err = room(int64(len(h.data))); err != nil {
		return nil, err
	}
	u.data = append(data[:0], h.data[:u.end]...)
	const page = 4096
	for at := 0; at < len(u.memoryRoom); at += page {
		u.memoryRoom[at] = 0 // the first touch of a page takes longer than reading it
	}
	for _, set := range []*bitset{&u.isReference, &u.isMemoryRef, &u.isRelative, &u.isSpecial, &u.isNative} {
		*set = newBitset(h.objects.size)
	}
	u.checksum = checksum(h.data)
	return u, u.readRelocations()
}

// readRelocations reads the base's lists of relocations.
func (u *Underlay) readRelocations() error {
	kindOf := u.kindsOfObjects()
	nativeWords := u.nativeWords()
	err := u.typeWords.read(u.h, u.h.types, func(word uint32) {
		u.headers = append(u.headers, word)
		u.isSpecial.add(word)
		switch kind := kindOf(word); {
		case kind.hasElements:
			u.arrayHeaders = append(u.arrayHeaders, word)
		case kind.special == specialMethod:
			u.methodHeaders = append(u.methodHeaders, word)
		case kind.special == specialCode:
			for _, at := range nativeWords {
				u.isNative.add(word + 8 + at)
				u.isSpecial.add(word + 8 + at)
			}
		case kind.special != noSpecial:
			u.weakHeaders = append(u.weakHeaders, weakHeader{word, kind.special})
		}
	})
	if err != nil {
		return err
	}
	constants := uint64(u.h.constants.start)
	if err := u.referenceWords.read(u.h, u.h.references, func(word uint32) {
		u.isReference.add(word)
		switch kind, n := u.h.split(le.Uint64(u.data[word:])); kind {
		case refData:
			u.isRelative.add(word)
		case refConst:
			u.isRelative.add(word)
			le.PutUint64(u.data[word:], constants+8*n)
		default:
			u.isSpecial.add(word)
		}
	}); err != nil {
		return err
	}
	if err := u.ownerWords.read(u.h, u.h.owners, func(uint32) {}); err != nil {
		return err
	}
	return u.memoryWords.read(u.h, u.h.memories, func(word uint32) {
		u.isMemoryRef.add(word)
		u.isSpecial.add(word)
	})
}

// nativeWords are the words in a CodeInstance that hold something of its native code.
func (u *Underlay) nativeWords() []uint32 {
	invoke, form := u.h.code.invoke, u.form.code
	words := []uint32{invoke, invoke + 8, uint32(form.specialised) &^ 7}
	if form.time > 0 {
		words = append(words, uint32(form.time)&^7)
	}
	return words
}

// An objectKind is what overlays want to know of an object of the base.
type objectKind struct {
	special     specialType
	hasElements bool // it is an array or a memory
}

// kindsOfObjects returns a function that says of a header what object is behind it.
func (u *Underlay) kindsOfObjects() func(header uint32) objectKind {
	h, form := u.h, u.form
	known := map[uint64]objectKind{}
	for root, special := range map[int]specialType{
		h.root.method: specialMethod, h.root.codeInstance: specialCode, h.root.methodInstance: specialInstance,
		form.typeNameType: specialTypeName, form.bindingType: specialBinding, form.methodTableType: specialTable,
	} {
		known[h.roots[root]] = objectKind{special: special}
	}
	var names []uint64
	for _, root := range []int{form.arrayName, form.memoryName} {
		if root > 0 {
			names = append(names, h.roots[root])
		}
	}
	return func(header uint32) objectKind {
		t := h.word(header)
		kind, ok := known[t]
		if !ok {
			object, ok := h.follow(t, 8)
			kind.hasElements = ok && slices.Contains(names, h.word(object))
			known[t] = kind
		}
		return kind
	}
}

// A relocationList is a list of relocations of the base.
type relocationList struct {
	bytes extent
	// steps are places in the list from which on it can be read; last is its last word.
	steps []relocationStep
	last  uint64
}

// A relocationStep is an offset in a list, and the word before it; to the next step all words are between least and most. They need not ascend.
type relocationStep struct {
	at          int
	after       uint64
	least, most uint32
}

// stepWords is how many words are between two steps.
const stepWords = 1024

// read reads the list, and calls do with each word.
func (l *relocationList) read(h *heap, bytes extent, do func(word uint32)) error {
	l.bytes = bytes
	list := bytes.of(h.data)
	for at, n := 0, 0; at < len(list); n++ {
		if n%stepWords == 0 {
			l.steps = append(l.steps, relocationStep{at: at, after: l.last, least: math.MaxUint32})
		}
		word, size := h.form.next(list[at:], l.last)
		if size <= 0 || word == 0 || word+8 > uint64(h.objects.end()) {
			return fmt.Errorf("%w: a list of relocations of the heap ends in the middle", ErrDamaged)
		}
		do(uint32(word))
		step := &l.steps[len(l.steps)-1]
		step.least, step.most = min(step.least, uint32(word)), max(step.most, uint32(word))
		l.last = word
		at += size
	}
	return nil
}

// appendTo appends the list without the words that were removed, and returns the last one that is there too.
func (l *relocationList) appendTo(out []byte, h *heap, removed bitset) ([]byte, uint64) {
	list := l.bytes.of(h.data)
	last := uint64(0)
	for i, step := range l.steps {
		end, lastOfStep := len(list), l.last
		if i+1 < len(l.steps) {
			end, lastOfStep = l.steps[i+1].at, l.steps[i+1].after
		}
		if last == step.after && (removed == nil || !removed.hasAny(step.least, step.most+8)) {
			out = append(out, list[step.at:end]...)
			last = lastOfStep
			continue
		}
		for at, word := step.at, step.after; at < end; {
			var size int
			word, size = h.form.next(list[at:], word)
			at += size
			if !removed.has(uint32(word)) {
				out = h.form.append(out, word, last)
				last = word
			}
		}
	}
	return out, last
}
