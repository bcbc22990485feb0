package sysimage

// This file finds what a process has changed of the base's objects and constants.
//
// A word of the process is as in the base's file, or that plus the address of the blob if it is a reference, or what the loader makes of it; else it
// has been changed.

import (
	"math/bits"
	"slices"
)

// A difference is what the process has changed.
type difference struct {
	headers   []uint32 // of objects with a changed word, ascending
	constants []int    // words
}

// compare finds what the process has changed of the base.
func (o *overlay) compare() (d difference) {
	constant := o.constantReturn()
	parts, err := inParts(o.end, func(start, end int) (difference, error) {
		s := &scanner{
			overlay:   &overlay{Underlay: o.Underlay, live: o.live, memory: o.memory.view(), start: o.start, constant: constant},
			skip:      o.globalRoots(),
			symbolsAt: make([]uint64, len(o.h.names)), valuesAt: make([]uint64, o.h.max.tag+1),
		}
		s.readRootTypes()
		s.scan(start, end)
		s.fail(s.memory.err)
		return s.found, s.err
	})
	o.fail(err)
	for _, found := range parts {
		d.headers = append(d.headers, found.headers...)
		d.constants = append(d.constants, found.constants...)
	}
	d.headers = slices.Compact(d.headers)
	return d
}

// A scanner compares a part of the base with the process.
type scanner struct {
	*overlay // for reading types
	skip     []uint32
	// symbolsAt and valuesAt are addresses in the process, by number; 0 for what was not met yet.
	symbolsAt, valuesAt []uint64
	found               difference
}

// scan compares from one offset in the blob to another one.
func (s *scanner) scan(start, end int) {
	objects := min(end, s.h.objects.end())
	for at := max(start, 8); at+8 <= objects; {
		if at = s.nextDifference(at, objects); at+8 > objects {
			break
		}
		if i := slices.IndexFunc(s.islands, func(e extent) bool { return e.start <= at && at < e.end() }); i >= 0 {
			at = alignInt(s.islands[i].end(), 8)
			continue
		}
		i, _ := slices.BinarySearch(s.headers, uint32(at))
		if i == 0 {
			s.unknown("a word before the first object")
			return
		}
		if header := s.headers[i-1]; !slices.Contains(s.skip, header) {
			s.found.headers = append(s.found.headers, header)
		}
		if i == len(s.headers) {
			break
		}
		at = int(s.headers[i]) + 8 // an object is written as a whole
	}
	live, file := s.memory.image, s.data
	for _, constants := range append(slices.Clone(s.islands), s.h.constants) {
		for at := alignInt(max(start, constants.start), 8); at+8 <= min(end, constants.end()); at += 8 {
			if le.Uint64(live[at:]) != le.Uint64(file[at:]) {
				s.found.constants = append(s.found.constants, at)
			}
		}
	}
}

// nextDifference returns the first word from an offset on that differs, or the end.
func (s *scanner) nextDifference(at, end int) int {
	live, file := s.memory.image, s.data
	for at+8 <= end {
		relative, special := s.isRelative[at>>9]>>(at>>3&63), s.isSpecial[at>>9]>>(at>>3&63)
		for stop := min(end, (at|511)+1); at+8 <= stop; at += 8 {
			want := le.Uint64(file[at:]) + s.start*(relative&1)
			if le.Uint64(live[at:]) != want && (special&1 == 0 || s.isChanged(uint32(at))) {
				return at
			}
			relative >>= 1
			special >>= 1
		}
	}
	return end
}

// isChanged says of a special word whether the process has changed it. What is before an object, and functions, are the loader's.
func (s *scanner) isChanged(word uint32) bool {
	is, was := le.Uint64(s.memory.image[word:]), s.h.word(word)
	if s.isNative.has(word) {
		return s.isNativeChanged(word, is, was)
	}
	if s.isMemoryRef.has(word) {
		memory := le.Uint64(s.memory.image[word+8:])
		return memory == 0 || is-s.memory.u64(memory+8) != was
	}
	if !s.isReference.has(word) {
		return false
	}
	switch kind, n := s.h.split(was); kind {
	case refSymbol:
		if s.symbolsAt[n] == 0 && s.isSymbol(is) && s.symbolName(is) == string(s.h.names[n]) {
			s.symbolsAt[n] = is
		}
		return s.symbolsAt[n] != is
	case refTag:
		if s.valuesAt[n] == 0 {
			if ref, ok := s.valueReference(is); ok && ref == was {
				s.valuesAt[n] = is
			}
		}
		return s.valuesAt[n] != is
	}
	return false
}

// isNativeChanged is isChanged for a word that holds something of native code, of which an image gets what was compiled for it. Only code that returns
// a constant is in the heap.
func (s *scanner) isNativeChanged(word uint32, is, was uint64) bool {
	i, _ := slices.BinarySearch(s.headers, word)
	at := s.headers[i-1] + 8
	form := s.form.code
	switch word - at {
	case s.h.code.invoke:
		return was == 0 && is == s.constant
	case s.h.code.invoke + 8:
		return false
	}
	for i := range uint32(8) {
		if at := int(word - at + i); (form.time == 0 || at < form.time || at >= form.time+2) && at != form.specialised && byte(is>>(8*i)) != byte(was>>(8*i)) {
			return true
		}
	}
	return false
}

// globalRoots are the headers of objects that stay as the base has them.
func (o *overlay) globalRoots() (headers []uint32) {
	for _, i := range o.form.globalRoots {
		if kind, n := o.h.split(o.h.roots[i]); kind == refData {
			headers = append(headers, uint32(n)-8)
		}
	}
	return headers
}

// rewriteChanged writes the base's objects with the given headers anew.
func (o *overlay) rewriteChanged(headers []uint32) {
	o.findWeak()
	o.findDormant(headers)
	for _, header := range headers {
		if at := header + 8; !o.dormant[at] {
			o.rewrite(int(at))
		}
		if o.failed() {
			return
		}
	}
	// A method says how many roots it has in the image; these are in an object of their own.
	for _, header := range o.methodHeaders {
		if at := int(header) + 8; o.rootCount(o.address(at)) != le.Uint32(o.data[at+o.form.method.rootCount:]) {
			o.rewrite(at)
		}
	}
}

// findDormant finds those of the changed objects that no object of the base refers to any more, such as the memory that a Vector had before it
// grew. They stay as they were, unless a new object refers to them.
func (o *overlay) findDormant(headers []uint32) {
	candidates := newBitset(o.h.objects.size)
	for _, header := range headers {
		o.dormant[header+8] = true
		candidates.add(header + 8)
	}
	for _, root := range o.h.roots {
		if kind, n := o.h.split(root); kind == refData {
			delete(o.dormant, uint32(n))
		}
	}
	for _, at := range o.base.data {
		delete(o.dormant, at)
	}
	for _, code := range o.base.Code {
		delete(o.dormant, code.Offset)
	}
	held, _ := inParts(o.h.objects.size, func(start, end int) (bitset, error) {
		held := newBitset(o.h.objects.size)
		for i := start >> 9; i <= (end-1)>>9; i++ {
			for words := o.isReference[i]; words != 0; words &= words - 1 {
				word := i<<9 + bits.TrailingZeros64(words)<<3
				if at := le.Uint64(o.memory.image[word:]) - o.start; at < uint64(o.h.objects.size) && candidates.has(uint32(at)) {
					held.add(uint32(at))
				}
			}
		}
		return held, nil
	})
	for at := range o.dormant {
		if slices.ContainsFunc(held, func(part bitset) bool { return part.has(at) }) {
			delete(o.dormant, at)
		}
	}
}

// takeConstants takes over words that have changed among the base's constants: elements of arrays and memories.
func (o *overlay) takeConstants(words []int) {
	if len(words) == 0 {
		return
	}
	owners := o.constantOwners()
	for _, at := range words {
		i, _ := slices.BinarySearchFunc(owners, at+8, func(owner constantOwner, at int) int { return owner.start - at })
		if i == 0 || at >= owners[i-1].end || owners[i-1].raw {
			continue // a mark of the collector, or a Ptr
		}
		end := min(at+8, owners[i-1].end)
		copy(o.data[at:end], o.memory.image[at:])
		o.stats.Words++
	}
}

// A constantOwner is an object whose elements lie among the constants, from start to end in the blob.
type constantOwner struct {
	start, end int
	raw        bool // they are Ptrs, which are written as null
}

// constantOwners returns those of the base, ascending, but for the global roots.
func (o *overlay) constantOwners() (list []constantOwner) {
	skip := o.globalRoots()
	for _, header := range o.arrayHeaders {
		if slices.Contains(skip, header) {
			continue
		}
		object := o.address(int(header) + 8)
		t := o.typeOf(object)
		var data uint64
		size := 0
		switch {
		case t.kind == kindMemory && !t.element.references():
			data, size = o.memory.u64(object+8), o.memorySize(object, t)
		case t.kind == kindArray:
			if a := o.arrayAt(object, t); !a.references() {
				data, size = a.data, a.size()
			}
		}
		if at := data - o.start; size > 0 && at < uint64(o.end) {
			list = append(list, constantOwner{int(at), int(at) + size, t.element.raw})
		}
	}
	slices.SortFunc(list, func(a, b constantOwner) int { return a.start - b.start })
	return list
}
