package sysimage

// This file finds what a process has changed of the base's objects and constants.
//
// The words of the process are turned back into what a file has for them, with the base's own lists of relocations; a word that still differs
// from the base's file has been changed.

import "slices"

// compare returns the headers of the base's objects that have a changed word, ascending. It fills the sets of relocations.
func (o *overlay) compare() []uint32 {
	file := o.h.objects.of(o.h.data)
	live := slices.Clone(o.h.objects.of(o.memory.image))
	o.fail(o.h.walk(o.h.types, func(word uint64) error {
		if word != 0 {
			o.headers = append(o.headers, uint32(word))
			copy(live[word:word+8], file[word:])
		}
		return nil
	}))
	o.fail(o.h.walk(o.h.memories, func(word uint64) error {
		if word != 0 {
			o.isMemoryRef.add(uint32(word))
			if memory := le.Uint64(live[word+8:]); memory != 0 {
				le.PutUint64(live[word:], le.Uint64(live[word:])-o.memory.u64(memory+8))
			}
		}
		return nil
	}))
	o.unrelocate(live, file)
	return o.differing(live, file)
}

// unrelocate turns the references in live, the process's words, back into those of the file, where they have not changed. In data it makes
// offsets in the blob of references to constants, which are among the objects there.
func (o *overlay) unrelocate(live, file []byte) {
	symbols := make([]uint64, len(o.h.names))
	values := make([]uint64, o.h.max.tag+1)
	constants := uint64(o.h.constants.start)
	o.fail(o.h.walk(o.h.references, func(word uint64) error {
		if word == 0 {
			return nil
		}
		o.isReference.add(uint32(word))
		is, was := le.Uint64(live[word:]), le.Uint64(file[word:])
		same := true // a function is given its address by the loader
		switch kind, n := o.h.split(was); kind {
		case refData:
			same = is-o.start == n
		case refConst:
			n = constants + 8*n
			le.PutUint64(o.data[word:], n)
			same = is-o.start == n
		case refSymbol:
			if symbols[n] == 0 && o.isSymbol(is) && o.symbolName(is) == string(o.h.names[n]) {
				symbols[n] = is
			}
			same = symbols[n] == is
		case refTag:
			if values[n] == 0 {
				if ref, ok := o.valueReference(is); ok && ref == was {
					values[n] = is
				}
			}
			same = values[n] == is
		}
		if same {
			le.PutUint64(live[word:], was)
		} else {
			le.PutUint64(live[word:], ^was)
		}
		return nil
	}))
}

// differing returns the headers of objects with words that differ.
func (o *overlay) differing(live, file []byte) (headers []uint32) {
	skip := o.globalRoots()
	next := 0 // in o.headers
	inConstants := within(o.islands)
	for at := 8; at+8 <= len(file); at += 8 {
		if le.Uint64(live[at:]) == le.Uint64(file[at:]) || inConstants(uint64(at)) {
			continue
		}
		i, _ := slices.BinarySearch(o.headers[next:], uint32(at))
		if next += i; next == 0 {
			o.unknown("a word before the first object")
			return nil
		}
		if header := o.headers[next-1]; !slices.Contains(skip, header) {
			headers = append(headers, header)
		}
		if next == len(o.headers) {
			break
		}
		at = int(o.headers[next]) - 8 // an object is written as a whole
	}
	return headers
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
	method := o.h.roots[o.h.root.method]
	for _, header := range o.headers {
		if at := int(header) + 8; o.h.word(header) == method && o.rootCount(o.address(at)) != le.Uint32(o.data[at+o.form.method.rootCount:]) {
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
	o.fail(o.h.walk(o.h.references, func(word uint64) error {
		if at := le.Uint64(o.memory.image[word:]) - o.start; word != 0 && at < uint64(o.h.objects.size) && candidates.has(uint32(at)) {
			delete(o.dormant, uint32(at))
		}
		return nil
	}))
}

// compareConstants takes over what has changed among the base's constants: elements of arrays and memories.
func (o *overlay) compareConstants() {
	file, live := o.h.data, o.memory.image
	var owners []constantOwner
	for _, constants := range append(o.islands, o.h.constants) {
		for at := alignInt(constants.start, 8); at+8 <= constants.end(); at += 8 {
			if le.Uint64(live[at:]) == le.Uint64(file[at:]) {
				continue
			}
			if owners == nil {
				owners = o.constantOwners()
			}
			i, _ := slices.BinarySearchFunc(owners, at+8, func(owner constantOwner, at int) int { return owner.start - at })
			if i == 0 || at >= owners[i-1].end || owners[i-1].raw {
				continue // a mark of the collector, or a Ptr
			}
			end := min(at+8, owners[i-1].end)
			copy(o.data[at:end], live[at:])
			o.stats.Words++
		}
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
	for _, header := range o.headers {
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
