package sysimage

// This file writes the heap of a process as an overlay of its base's.
//
// A process that was started from the base has the base's objects in memory as the loader has left them, but for what it has changed since; what
// is new lies elsewhere. The runtime's serialiser (src/staticdata.c) writes all of that in a new order. An overlay leaves the base's objects and
// constants where they are in the base's blob, and costs a fraction of the time. What can be known of the base alone is prepared while the process is
// still at work (Underlay).
//
//	the base's objects     as in the base's file, but for words that the process has changed
//	the base's constants   likewise; their place is among the objects now, since new objects come behind them
//	new objects            as the serialiser writes them
//	new constants          the blob's section of constants
//	symbols, relocations   the base's, then new ones
//	tail                   the base's, with the process's counters and the new local storage of the root task
//
//	prepare    underlay.go          copies the base's blob and reads its lists of relocations
//	compare    overlay_compare.go   finds the objects of the base with changed words
//	rewrite    overlay_write.go     writes these in their places; what they refer to that is new gets a place
//	drain      overlay_write.go     writes what has a place, until there is nothing more
//	           overlay_weak.go      writes what holds other objects weakly, when all else is known
//	assemble                        puts the blob together
//
// What nobody refers to any more stays in the blob if it is the base's, and is not written if it is new.

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrNoOverlay is wrapped by errors of Overlay that say what it does not know how to write; the runtime's serialiser may.
var ErrNoOverlay = errors.New("the heap cannot be written as an overlay")

// A Live is a process that stands still and whose heap is to be written.
type Live struct {
	// Memory reads the process's memory; offsets are addresses.
	Memory io.ReaderAt
	// Any is the address of the type Any, which tells where the image is that the process is on: the base, or an overlay of it.
	Any uint64
	// Task is the address of the root task, Storage that of the object that will be its local storage.
	Task, Storage uint64
	// World is the world counter, Symbols that of generated symbols.
	World   uint64
	Symbols uint32
}

// OverlayStats say what an overlay is made of.
type OverlayStats struct {
	// Words of the base that have changed, and new objects, of which there are Bytes with their constants.
	Words, Objects int
	Bytes          int64
}

// An overlay is the work of writing one.
type overlay struct {
	*Underlay
	live   Live
	memory *liveMemory
	// start is the address of the blob in the process.
	start uint64

	// added are new constants.
	added []byte
	types typeTable
	// removed are words of the base that are no references any more.
	removed bitset
	// tags, refs and memoryRefs are positions of new relocations, by list.
	tags, refs, memoryRefs []uint32
	// finished are new objects for the loader to finish, methods those that C can call.
	finished, methods []uint64

	// places are references to new objects by address, queue those of them that are not written yet.
	places map[uint64]uint64
	queue  []placed
	// writing is the type of the object that is being written, for messages.
	writing *liveType
	// dormant are offsets of objects of the base that have changed and that nothing is known to refer to.
	dormant map[uint32]bool
	// nulls are references to null pointers by type.
	nulls map[uint64]uint64
	// sets are the sets of types, by address: whether one is a hash table. lists are the lists of backedges, by the memory of their elements.
	sets  map[uint64]bool
	lists map[uint64]weakList
	// weakSets and weakLists are those that are to be written.
	weakSets  []placedSet
	weakLists []placedList
	// constant is the address of jl_fptr_const_return, once it is known.
	constant uint64

	stats OverlayStats
	err   error
}

// fail keeps the first error; nil is none.
func (o *overlay) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// unknown says what cannot be written, and what refers to it.
func (o *overlay) unknown(what string) {
	by := ""
	if o.writing != nil {
		by = ", which an object of type " + o.writing.name + " refers to"
	}
	o.fail(fmt.Errorf("%w: %s%s", ErrNoOverlay, what, by))
}

func (o *overlay) failed() bool {
	if o.err == nil {
		o.err = o.memory.err
	}
	return o.err != nil
}

// address is where the process has what the base has at an offset.
func (o *overlay) address(at int) uint64 { return o.start + uint64(at) }

// isBase says that an address is in the base's part of the image.
func (o *overlay) isBase(address uint64) bool { return address-o.start < uint64(o.end) }

// Series is the series of Julia that the base belongs to, such as 1.10.
func (b *Base) Series() string { return b.layout.julia }

// HasOverlays says that heaps of processes on this base can be written as overlays.
func (b *Base) HasOverlays() bool { return b.layout.overlay != nil }

// Overlay writes the heap of a process that was started from the base, or from an image that is an overlay of it. The blob is one as the runtime's
// serialiser writes it without native code, but that the base's objects are where they are in the base. It lies in the room that the underlay was
// given, and there can be no other overlay on that.
func (u *Underlay) Overlay(live Live) ([]byte, OverlayStats, error) {
	h := u.h
	const anyType = 0
	kind, n := h.split(h.roots[anyType])
	if kind != refData {
		return nil, OverlayStats{}, h.otherRoots()
	}
	m, err := readLive(u.base.layout.form, live.Memory, live.Any-n, u.memoryRoom)
	if err != nil {
		return nil, OverlayStats{}, err
	}
	if len(m.image) < u.end {
		return nil, OverlayStats{}, fmt.Errorf("%w: the process is on an image that is no overlay of the base", ErrNoOverlay)
	}
	o := &overlay{
		Underlay: u, live: live, memory: m, start: m.start, removed: newBitset(h.objects.size),
		places: map[uint64]uint64{}, dormant: map[uint32]bool{}, nulls: map[uint64]uint64{},
		sets: map[uint64]bool{}, lists: map[uint64]weakList{},
	}
	o.readRootTypes()
	changed := o.compare()
	if len(changed.headers) > len(o.headers)/2 {
		o.unknown("the process is on an image that is no overlay of the base")
	}
	o.rewriteChanged(changed.headers)
	o.takeConstants(changed.constants)
	storage := o.reference(live.Storage)
	o.drain()
	o.writeSets()
	o.writeLists()
	if o.failed() {
		return nil, o.stats, o.err
	}
	o.stats.Bytes = int64(len(o.data) - u.end + len(o.added))
	return o.assemble(storage), o.stats, nil
}

// constants are those of Note.
func (b *Base) constants() [][2]uint32 {
	if b.Note == nil {
		return nil
	}
	return slices.Clone(b.Note.Constants)
}

// islands are where the blob has constants among its objects.
func (b *Base) islands() (list []extent, err error) {
	for _, c := range b.constants() {
		island := extent{int(c[0]), int(c[1]) - int(c[0])}
		if island.size < 0 || island.end() > b.heap.objects.end() {
			return nil, fmt.Errorf("%w: the note says that constants are where the heap has no objects", ErrDamaged)
		}
		list = append(list, island)
	}
	return list, nil
}

// rootAddress is where the process has what the runtime knows by name, 0 for what is not in the blob.
func (o *overlay) rootAddress(i int) uint64 {
	kind, n := o.h.split(o.h.roots[i])
	switch {
	case kind == refData && n != 0:
		return o.address(int(n))
	case kind == refConst:
		return o.address(o.h.constants.start + 8*int(n))
	}
	return 0
}

// assemble puts the blob together.
func (o *overlay) assemble(storage uint64) []byte {
	form := o.h.form
	pad := func(b []byte, align int) []byte { return append(b, make([]byte, -len(b)&(align-1))...) }
	out := pad(o.data, 8)
	copy(out, form.appendNumber(nil, uint64(len(out)-form.width)))
	o.added = pad(o.added, 8)
	out = pad(form.appendNumber(out, uint64(len(o.added))), form.constantsAlign)
	out = append(out, o.added...)
	for _, section := range [][]byte{append(slices.Clone(o.h.symbols.of(o.h.data)), o.symbols.added...), o.relocations(), nil, nil} {
		out = pad(form.appendNumber(out, uint64(len(section))), form.align)
		out = append(out, section...)
	}
	return append(pad(out, form.align), o.newTail(storage)...)
}

// newTail is the base's tail with what is new, and without a seal.
func (o *overlay) newTail(storage uint64) []byte {
	form := o.h.form
	tail := slices.Clone(o.h.tail.of(o.h.data))
	for i, root := range o.h.roots {
		if kind, n := o.h.split(root); kind == refConst {
			copy(tail[i*form.width:], form.appendNumber(nil, uint64(o.h.constants.start)+8*n))
		}
	}
	form.setTail(o.h, tail, storage, 0)
	counters := tail[o.h.storageAt()+form.width:]
	le.PutUint32(counters, o.live.Symbols)
	le.PutUint64(counters[4:], o.live.World)
	end := o.h.linksAt() + 4*4 + 4
	if !o.form.callable {
		return tail[:end]
	}
	tail = le.AppendUint64(tail[:end], uint64(len(o.h.callable)+len(o.methods)))
	for _, method := range slices.Concat(o.h.callable, o.methods) {
		tail = le.AppendUint64(tail, method)
	}
	return tail
}

// relocations writes the section of relocations: each list of the base without what was removed, and then what is new.
func (o *overlay) relocations() []byte {
	form := o.h.form
	out := make([]byte, 0, o.h.relocs.size+8*(len(o.tags)+len(o.refs)))
	o.written = &writtenLists{}
	list := func(of *relocationList, removed bitset, added []uint32) {
		var last uint64
		start := len(out)
		out, last = of.appendTo(out, o.h, removed)
		if of == &o.referenceWords {
			o.written.fresh = relocationStep{at: len(out) - start, after: last}
		}
		for _, word := range added {
			out = form.append(out, uint64(word), last)
			last = uint64(word)
		}
		o.written.sizes = append(o.written.sizes, len(out)-start)
		out = form.append(out, 0, last)
	}
	list(&o.typeWords, nil, o.tags)
	list(&o.referenceWords, o.removed, o.refs)
	if o.form.memoryRefName > 0 {
		list(&o.ownerWords, nil, nil)
		list(&o.memoryWords, nil, o.memoryRefs)
	}
	out = le.AppendUint64(out, uint64(len(o.h.finish)+len(o.finished)))
	for _, object := range slices.Concat(o.h.finish, o.finished) {
		out = le.AppendUint64(out, object)
	}
	return out
}

// A bitset is a set of words, by offset in bytes.
type bitset []uint64

func newBitset(size int) bitset     { return make(bitset, size>>9+1) }
func (s bitset) add(at uint32)      { s[at>>9] |= 1 << (at >> 3 & 63) }
func (s bitset) has(at uint32) bool { return int(at>>9) < len(s) && s[at>>9]>>(at>>3&63)&1 != 0 }

// hasAny says that one of the words from a first one to before an end is in the set.
func (s bitset) hasAny(first, end uint32) bool {
	for at := first; at < end; {
		if at&511 == 0 && end-at >= 512 {
			if int(at>>9) < len(s) && s[at>>9] != 0 {
				return true
			}
			at += 512
			continue
		}
		if s.has(at) {
			return true
		}
		at += 8
	}
	return false
}
