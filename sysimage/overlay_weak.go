package sysimage

// This file writes what holds other objects weakly: what nothing else holds is left out of it, as the runtime prunes it before it writes an image.
//
// TypeName has two sets of types, a hash table and a list, both SimpleVectors with nothing in free places (jl_prune_type_cache_hash,
// jl_prune_type_cache_linear in src/staticdata.c).
//
// Where the runtime prunes them, backedges are in Vectors: of a MethodInstance the code instances that call it, some with the signature that they
// invoke before them; of a Binding what uses it; of a method table pairs of a signature and a code instance, in a Vector for each type name
// (jl_prune_mi_backedges, jl_prune_binding_backedges, jl_prune_mt_backedges).

// A placedSet is a set of types that has a place in data.
type placedSet struct {
	address uint64
	at      int
	fresh   bool
}

// A weakList is a Vector of backedges.
type weakList struct {
	array uint64
	kind  weakKind
}

// A weakKind says whose backedges they are.
type weakKind uint8

const (
	ofInstance weakKind = iota
	ofBinding
	ofTable
)

// A placedList is the memory with the elements of a weakList; it has a place in data.
type placedList struct {
	weakList
	memory uint64
	at     int
	fresh  bool
}

// findWeak finds the sets and lists of the base's objects.
func (o *overlay) findWeak() {
	for _, header := range o.weakHeaders {
		o.noteWeak(o.address(int(header.at)+8), header.special)
	}
}

// noteWeak notes the sets and lists that the object has which is written.
func (w *writing) noteWeak() { w.o.noteWeak(w.address, w.t.special) }

func (o *overlay) noteWeak(address uint64, special specialType) {
	field := func(at int) uint64 { return o.memory.u64(address + uint64(at)) }
	switch {
	case special == specialTypeName:
		o.sets[field(o.form.typeName.set)] = true
		o.sets[field(o.form.typeName.list)] = false
	case o.form.instance.backedges == 0:
		// They are held.
	case special == specialInstance:
		o.noteList(field(o.form.instance.backedges), ofInstance)
	case special == specialBinding:
		o.noteList(field(o.form.binding.backedges), ofBinding)
	case special == specialTable:
		o.noteTable(field(o.form.methodTable.backedges))
	}
}

// noteList notes a Vector of backedges, if there is one, by the memory with its elements.
func (o *overlay) noteList(array uint64, kind weakKind) {
	if array != 0 {
		o.lists[o.memory.u64(array+8)] = weakList{array, kind}
	}
}

// noteTable notes the lists of a method table, which are the values of a hash table in a memory.
func (o *overlay) noteTable(memory uint64) {
	n, data := o.memory.u64(memory), o.memory.u64(memory+8)
	for i := uint64(1); i < n && !o.failed(); i += 2 {
		array := o.memory.u64(data + 8*i)
		if t := o.typeOf(array); t != nil && t.name == "Array" {
			o.noteList(array, ofTable)
		}
	}
}

// writeSets writes the sets when all else is written.
func (o *overlay) writeSets() {
	nothing := o.h.join(refTag, tagNothing)
	for _, set := range o.weakSets {
		hashed := o.sets[set.address]
		types := o.typesIn(set.address, hashed)
		table := make([]uint64, o.memory.u64(set.address))
		for i := range table {
			table[i] = nothing
		}
		if !hashed {
			for i, t := range types {
				table[i] = o.reference(t)
			}
		} else if !o.hash(table, types, nothing) {
			o.unknown("a set of types cannot be written with fewer")
			return
		}
		if set.fresh {
			le.PutUint64(o.data[set.at:], uint64(len(table)))
		}
		for i, ref := range table {
			o.setReference(set.at+8+8*i, ref, set.fresh)
		}
	}
}

// typesIn returns the types of a set that are written. Those of a hash table begin behind a free place: types that are put into a table in the
// order of the old one, from a free place on, come to lie no further from where they are looked for first than they did.
func (o *overlay) typesIn(set uint64, hashed bool) (types []uint64) {
	n := int(o.memory.u64(set))
	element := func(i int) uint64 { return o.memory.u64(set + 8 + 8*uint64(i%n)) }
	first := 0
	for hashed && first < n && !o.isNothing(element(first)) {
		first++
	}
	for i := range n {
		if t := element(first + i); o.isPlaced(t) && !o.isNothing(t) {
			types = append(types, t)
		}
	}
	return types
}

func (o *overlay) isNothing(address uint64) bool {
	t := o.typeOf(address)
	return t != nil && t.kind == kindNothing
}

// hash puts types into a table as cache_insert_type_set_ in src/jltypes.c does. It says whether all of them could be.
func (o *overlay) hash(table, types []uint64, nothing uint64) bool {
	most := 16 // max_probe
	if len(table) > 1024 {
		most = len(table) >> 6
	}
	for _, t := range types {
		at := int(o.memory.u32(t+typeHash)) & (len(table) - 1)
		for probes := 0; table[at] != nothing; probes++ {
			if probes == most || probes == len(table) {
				return false
			}
			at = (at + 1) & (len(table) - 1)
		}
		table[at] = o.reference(t)
	}
	return true
}

// A backedge is an entry of a weakList; signature may be 0.
type backedge struct{ signature, code uint64 }

func (o *overlay) backedges(l weakList) (list []backedge) {
	data, n := o.memory.u64(l.array), o.memory.u64(l.array+uint64(o.form.vector.length))
	next := uint64(0)
	element := func() uint64 {
		next++
		return o.memory.u64(data + 8*(next-1))
	}
	for next < n && !o.failed() {
		e := backedge{code: element()}
		if l.kind == ofTable || l.kind == ofInstance && !o.isCode(e.code) {
			e.signature, e.code = e.code, element()
		}
		list = append(list, e)
	}
	return list
}

func (o *overlay) isCode(address uint64) bool {
	t := o.typeOf(address)
	return t != nil && t.special == specialCode
}

// isHeldWeakly says of the code of a backedge that it is there only if something else holds it. A binding that uses another one is held.
func (o *overlay) isHeldWeakly(l weakList, code uint64) bool {
	t := o.typeOf(code)
	return l.kind != ofBinding || t != nil && (t.special == specialCode || t.special == specialInstance || t.special == specialMethod)
}

// holdBackedges places what a list holds not only weakly.
func (o *overlay) holdBackedges(l weakList) {
	for _, e := range o.backedges(l) {
		o.reference(e.signature)
		if !o.isHeldWeakly(l, e.code) {
			o.reference(e.code)
		}
	}
}

// writeLists writes the lists when all else is written.
func (o *overlay) writeLists() {
	for _, l := range o.weakLists {
		size := int(o.memory.u64(l.memory))
		first := int(o.memory.u64(l.array)-o.memory.u64(l.memory+8)) / 8
		words := make([]uint64, first, size)
		for _, e := range o.backedges(l.weakList) {
			if !o.isPlaced(e.code) {
				continue
			}
			if e.signature != 0 {
				words = append(words, o.reference(e.signature))
			}
			words = append(words, o.reference(e.code))
		}
		length := len(words) - first
		for i, ref := range words[:size] {
			o.setReference(l.at+16+8*i, ref, l.fresh)
		}
		array := o.reference(l.array)
		o.setWord(int(array)+o.form.vector.length, uint64(length))
	}
}
