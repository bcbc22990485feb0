package sysimage

// This file writes the sets of types that type names have: cache, a hash table, and linearcache, a list; both are svecs with nothing in free
// places. They hold types weakly: one that is reached from nowhere else is left out, as jl_prune_type_cache_hash and jl_prune_type_cache_linear
// in src/staticdata.c do.

// findCaches finds the sets of the base's type names.
func (o *overlay) findCaches() {
	want := o.h.roots[o.fields.typeNameType]
	for _, header := range o.headers {
		if o.h.word(header) == want {
			at := o.address(int(header) + 8)
			o.caches[o.memory.u64(at+uint64(o.fields.typeNameCache))] = true
			o.caches[o.memory.u64(at+uint64(o.fields.typeNameLinearCache))] = false
		}
	}
}

// writeCaches writes the sets when all else is written.
func (o *overlay) writeCaches() {
	nothing := o.h.join(refTag, tagNothing)
	for _, c := range o.cached {
		n := int(o.memory.u64(c.address))
		element := func(i int) uint64 { return o.memory.u64(c.address + 8 + 8*uint64(i)) }
		// A type that is put into a table in the order of the old one, from a free place on, comes no further from where it is looked for first.
		first := 0
		for i := range n {
			if ref, ok := o.valueReference(element(i)); ok && ref == nothing && o.caches[c.address] {
				first = i
				break
			}
		}
		var types []uint64
		for i := range n {
			t := element((first + i) % n)
			if o.isPlaced(t) {
				types = append(types, t)
			}
		}
		table := make([]uint64, n)
		for i := range table {
			table[i] = nothing
		}
		if !o.caches[c.address] {
			for i, t := range types {
				table[i] = o.reference(t)
			}
		} else if !o.hashTypes(table, types, nothing) {
			o.unknown("a set of types cannot be made smaller")
			return
		}
		if c.fresh {
			le.PutUint64(o.data[c.at:], uint64(n))
		}
		for i, ref := range table {
			o.setWord(c.at+8+8*i, ref, c.fresh)
		}
	}
}

// hashTypes fills a table as cache_insert_type_set_ in src/jltypes.c does.
func (o *overlay) hashTypes(table, types []uint64, nothing uint64) bool {
	n := len(table)
	if n == 0 {
		return len(types) == 0
	}
	most := 16
	if n > 1024 {
		most = n >> 6
	}
	for _, t := range types {
		at, probes := int(o.memory.u32(t+typeHash))&(n-1), 0
		for table[at] != nothing {
			if at, probes = (at+1)&(n-1), probes+1; probes > most || probes == n {
				return false
			}
		}
		table[at] = o.reference(t)
	}
	return true
}

// A weakList is a Vector of backedges, whose elements lie in a memory. It holds weakly the code that is to be invalidated.
type weakList struct {
	array uint64
	kind  weakKind
}

// A weakKind says how a list of backedges is made up.
type weakKind uint8

const (
	weakCallers weakKind = iota // of a method instance: code instances, some with the signature that they invoke before them
	weakUsers                   // of a binding: what uses it; other bindings are held
	weakPairs                   // of a type name in a method table: pairs of a signature and a code instance
)

// A pendingList is a memory that belongs to a weakList and has a place.
type pendingList struct {
	weakList
	memory uint64
	at     int
	fresh  bool
}

// findBackedges finds the lists of backedges of the base's objects.
func (o *overlay) findBackedges() {
	f, h := o.fields, o.h
	instance, binding, table := h.roots[h.root.methodInstance], h.roots[f.bindingType], h.roots[f.methodTableType]
	for _, header := range o.headers {
		at := o.address(int(header) + 8)
		switch h.word(header) {
		case instance:
			o.addBackedges(o.memory.u64(at+uint64(f.instanceBackedges)), weakCallers)
		case binding:
			o.addBackedges(o.memory.u64(at+uint64(f.bindingBackedges)), weakUsers)
		case table:
			o.addTable(o.memory.u64(at + uint64(f.tableBackedges)))
		}
	}
}

// addBackedges notes a Vector of backedges, if there is one.
func (o *overlay) addBackedges(array uint64, kind weakKind) {
	if array != 0 {
		o.weak[o.memory.u64(array+8)] = weakList{array, kind}
	}
}

// addTable notes the lists of a method table, which has them in a hash table by type names.
func (o *overlay) addTable(memory uint64) {
	n, data := o.memory.u64(memory), o.memory.u64(memory+8)
	for i := uint64(1); i < n && !o.failed(); i += 2 {
		if array := o.memory.u64(data + 8*i); array != 0 && o.typeOf(array) != nil && o.typeOf(array).kind == kindFields {
			o.addBackedges(array, weakPairs)
		}
	}
}

// holdBackedges places what a list of backedges holds not only weakly.
func (o *overlay) holdBackedges(l weakList) {
	for _, e := range o.backedges(l) {
		if e.signature != 0 {
			o.reference(e.signature)
		} else if l.kind == weakUsers {
			if t := o.typeOf(e.code); t != nil && t.special != specialCode && t.special != specialInstance && t.special != specialMethod {
				o.reference(e.code)
			}
		}
	}
}

// A backedge is an element of a list of them.
type backedge struct{ signature, code uint64 }

func (o *overlay) backedges(l weakList) (list []backedge) {
	data, n := o.memory.u64(l.array), o.memory.u64(l.array+16)
	next := uint64(0)
	element := func() uint64 {
		next++
		return o.memory.u64(data + 8*(next-1))
	}
	for next < n && !o.failed() {
		e := backedge{code: element()}
		t := o.typeOf(e.code)
		if l.kind == weakPairs || l.kind == weakCallers && t != nil && t.special != specialCode {
			e.signature, e.code = e.code, element()
		}
		list = append(list, e)
	}
	return list
}

// isPlaced says that an object is written.
func (o *overlay) isPlaced(address uint64) bool {
	_, ok := o.places[address]
	return ok || address-o.live.Blob < uint64(o.end)
}

// writeBackedges writes the lists when all else is written: what they hold weakly and nothing else holds is left out (jl_prune_mi_backedges and others).
func (o *overlay) writeBackedges() {
	for _, l := range o.lists {
		m := o.memory
		size := int(m.u64(l.memory))
		first := int(m.u64(l.array)-m.u64(l.memory+8)) / 8
		words := make([]uint64, first, size)
		for _, e := range o.backedges(l.weakList) {
			if !o.isPlaced(e.code) && o.typeOf(e.code) != nil && o.typeOf(e.code).special != noSpecial {
				continue
			}
			if e.signature != 0 {
				words = append(words, o.reference(e.signature))
			}
			words = append(words, o.reference(e.code))
		}
		length := len(words) - first
		words = words[:size]
		for i, ref := range words {
			o.setWord(l.at+16+8*i, ref, l.fresh)
		}
		array := o.reference(l.array)
		o.setBits(int(array)+16, uint64(length))
	}
}

// setWord gives a word of data a reference, or none.
func (o *overlay) setWord(at int, ref uint64, fresh bool) {
	word := uint32(at)
	is := !fresh && o.isReference.has(word) && !o.removed.has(word)
	switch {
	case ref != 0 && !is:
		o.refs = append(o.refs, word)
	case ref == 0 && is:
		o.removed.add(word)
	}
	o.setBits(at, ref)
}

// setBits gives a word of data a value.
func (o *overlay) setBits(at int, value uint64) {
	if le.Uint64(o.data[at:]) != value {
		le.PutUint64(o.data[at:], value)
		o.stats.ChangedWords++
	}
}
