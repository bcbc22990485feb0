package sysimage

// This file compares two heaps of one process: an overlay, and what the runtime's serialiser has written. Both are loaded as the runtime's loader
// would do it, to addresses of no process, and walked in step from the roots. The same must be found behind the same references: objects of the
// same types with the same contents, each the partner of one object. What they hold weakly is left out where the other one has not got it.

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SameHeaps says whether two blobs, of which the first may be an overlay, hold the same objects behind the same roots. The error names the first
// difference and the way to it.
func (b *Base) SameHeaps(overlay, serialised []byte) error {
	var sides [2]*side
	for i, blob := range [][]byte{overlay, serialised} {
		h, err := parseHeap(b.layout, blob)
		if err != nil {
			return err
		}
		sides[i] = loadSide(b, h, uint64(i+1)<<44)
	}
	c := &comparison{a: sides[0], b: sides[1], partners: map[uint64]uint64{}, back: map[uint64]uint64{}, from: map[uint64]uint64{}}
	for i := range c.a.h.roots {
		if !slices.Contains(b.layout.overlay.globalRoots, i) {
			c.pair(c.a.rootAddress(i), c.b.rootAddress(i), 0)
		}
	}
	c.pair(c.a.live.Storage, c.b.live.Storage, 0)
	for len(c.queue) > 0 && c.err == nil {
		object := c.queue[0]
		c.queue = c.queue[1:]
		c.compare(object, c.partners[object])
	}
	for _, s := range sides {
		if c.err == nil {
			c.err = cmp2(s.err, s.memory.err)
		}
	}
	return c.err
}

func cmp2(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// A side is a heap that was loaded.
type side struct {
	*overlay // for reading types
}

// Addresses of what is not in the blob, counted from where that is.
const (
	sideSymbols   = 1 << 40
	sideValues    = 2 << 40
	sideFunctions = 3 << 40
)

// loadSide loads a heap to an address.
func loadSide(b *Base, h *heap, start uint64) *side {
	image := slices.Clone(h.data[:h.constants.end()])
	m := &liveMemory{image: image, start: start, pages: map[uint64][]byte{}, from: noMemory{}}
	o := &overlay{
		Underlay: &Underlay{h: h, base: b, form: b.layout.overlay, end: len(image)},
		memory:   m, start: start, sets: map[uint64]bool{}, lists: map[uint64]weakList{},
	}
	s := &side{o}
	symbols := make([]uint64, len(h.names))
	var names []byte
	for i, name := range h.names {
		names = append(names, make([]byte, 8-len(names)%8)...)
		symbols[i] = start + sideSymbols + uint64(len(names)) + 8
		names = append(append(append(names, make([]byte, 32)...), name...), 0)
	}
	address := func(ref uint64) uint64 {
		switch kind, n := h.split(ref); kind {
		case refData:
			return start + n
		case refConst:
			return start + uint64(h.constants.start) + 8*n
		case refSymbol:
			return symbols[n]
		case refTag:
			return start + sideValues + 32*n + 16
		default:
			return start + sideFunctions + ref&0xffff
		}
	}
	relocate := func(list extent) {
		h.walk(list, func(word uint64) error {
			if word != 0 {
				le.PutUint64(image[word:], address(le.Uint64(image[word:])))
			}
			return nil
		})
	}
	relocate(h.types)
	relocate(h.references)
	for _, list := range []extent{h.owners, h.memories} {
		h.walk(list, func(word uint64) error {
			if word != 0 {
				le.PutUint64(image[word:], le.Uint64(image[word:])+m.u64(le.Uint64(image[word+8:])+8))
			}
			return nil
		})
	}
	o.live = Live{Storage: address(h.storage), Any: address(h.roots[0])}
	m.from = sideMemory{start + sideSymbols, names}
	o.readRootTypes()
	header := address(h.roots[o.form.symbolType])
	for _, at := range symbols {
		le.PutUint64(names[at-8-start-sideSymbols:], header)
	}
	clear(m.pages)
	return s
}

// noMemory has nothing, sideMemory bytes from an address on.
type noMemory struct{}

func (noMemory) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

type sideMemory struct {
	start uint64
	data  []byte
}

func (s sideMemory) ReadAt(p []byte, address int64) (int, error) {
	clear(p)
	if at := uint64(address) - s.start; at < uint64(len(s.data)) {
		copy(p, s.data[at:])
	}
	return len(p), nil
}

// A comparison is the work of walking two heaps in step.
type comparison struct {
	a, b           *side
	partners, back map[uint64]uint64
	from           map[uint64]uint64 // from which object one was reached
	queue          []uint64
	err            error
}

// pair says that an object of one heap stands where one of the other does.
func (c *comparison) pair(x, y, from uint64) {
	if c.err != nil || x == 0 && y == 0 {
		return
	}
	inX, inY := c.a.isBase(x), c.b.isBase(y)
	switch was, known := c.partners[x]; {
	case inX != inY:
		c.differ(from, fmt.Sprintf("one leads to %s, the other to %s", c.a.describe(x), c.b.describe(y)))
	case !inX:
		if c.a.isSymbol(x) && c.b.isSymbol(y) {
			if c.a.symbolName(x) != c.b.symbolName(y) {
				c.differ(from, fmt.Sprintf("one has the symbol %s, the other %s", c.a.symbolName(x), c.b.symbolName(y)))
			}
		} else if x-c.a.start != y-c.b.start {
			c.differ(from, fmt.Sprintf("value %#x is %#x in the other", x-c.a.start, y-c.b.start))
		}
	case known && was != y, !known && c.back[y] != 0:
		c.differ(from, fmt.Sprintf("an object of the one, %s, stands for two of the other", c.a.describe(x)))
	case !known:
		c.partners[x], c.back[y], c.from[x] = y, x, from
		c.queue = append(c.queue, x)
	}
}

func (c *comparison) differ(at uint64, what string) {
	if c.err != nil {
		return
	}
	way := ""
	for i := 0; at != 0 && i < 12; i++ {
		way += " < " + c.a.describe(at)
		at = c.from[at]
	}
	c.err = fmt.Errorf("the heaps differ: %s, in%s", what, way)
}

// describe says what there is at an address.
func (s *side) describe(address uint64) string {
	if address == 0 {
		return "null"
	}
	t := s.typeOf(address)
	if t == nil {
		return fmt.Sprintf("%#x", address-s.start)
	}
	switch name := s.memory.u64(address); {
	case t.kind == kindModule, t.special == specialMethod, t.special == specialTypeName:
		return t.name + " " + s.symbolName(name)
	case t.special == specialDataType:
		return t.name + " " + s.symbolName(s.memory.u64(name)) + s.parameters(address)
	}
	return t.name
}

// parameters are those of a type, in braces, by the names of types.
func (s *side) parameters(address uint64) string {
	list := s.memory.u64(address + typeParameters)
	var names []string
	for i := range s.memory.u64(list) {
		p := s.memory.u64(list + 8 + 8*i)
		if s.isType(p) {
			names = append(names, s.symbolName(s.memory.u64(s.memory.u64(p))))
		} else {
			names = append(names, "…")
		}
	}
	if names == nil {
		return ""
	}
	return "{" + strings.Join(names, ", ") + "}"
}

// compare pairs what two objects refer to, and compares the rest of them.
func (c *comparison) compare(x, y uint64) {
	s, u := c.a.typeOf(x), c.b.typeOf(y)
	if s == nil || u == nil || s.kind != u.kind || s.name != u.name || s.special != u.special {
		c.differ(x, fmt.Sprintf("one has %s, the other %s", c.a.describe(x), c.b.describe(y)))
		return
	}
	c.pair(s.address, u.address, x)
	if s.identified && c.a.memory.u64(x-16) != c.b.memory.u64(y-16) {
		c.differ(x, "their identities differ")
	}
	refsX, restX := c.a.parts(x, s)
	refsY, restY := c.b.parts(y, u)
	switch {
	case len(refsX) != len(refsY):
		c.differ(x, fmt.Sprintf("one has %d references, the other %d", len(refsX), len(refsY)))
		return
	case !bytes.Equal(restX, restY):
		at := 0
		for at < min(len(restX), len(restY)) && restX[at] == restY[at] {
			at++
		}
		at &^= 7
		c.differ(x, fmt.Sprintf("%d and %d bytes from byte %d on: %.16x and %.16x", len(restX), len(restY), at, restX[at:], restY[at:]))
		return
	}
	weakReference := s.name == "WeakRef"
	for i := range refsX {
		if weakReference && c.b.isNothing(refsY[i]) {
			continue // the collector ran in between
		}
		c.pair(refsX[i], refsY[i], x)
	}
}

// parts are what an object refers to, and its other bytes, without what is held weakly and what the loader writes.
func (s *side) parts(address uint64, t *liveType) (refs []uint64, rest []byte) {
	m := s.memory
	switch t.kind {
	case kindList:
		if _, ok := s.sets[address]; ok {
			return nil, nil
		}
		for i := range m.u64(address) {
			refs = append(refs, m.u64(address+8+8*i))
		}
		return refs, nil
	case kindString:
		return nil, m.bytes(address, 8+int(m.u64(address)))
	case kindMemory:
		if _, ok := s.lists[address]; ok {
			return nil, nil
		}
		return s.elementParts(m.u64(address+8), int(m.u64(address)), s.memorySize(address, t), &t.element)
	case kindArray:
		a := s.arrayAt(address, t)
		refs, rest = s.elementParts(a.data, a.length, a.size(), &a.elementForm)
		return refs, append(rest, m.bytes(address+arrayLength, a.header-arrayLength)...)
	case kindModule:
		return s.moduleParts(address)
	case kindBigInt:
		n := int(m.u32(address))
		return nil, append(slices.Clone(m.bytes(address, 8)), m.bytes(m.u64(address+8), 8*n)...)
	case kindFields:
		return s.fieldParts(address, t)
	}
	return nil, m.bytes(address, t.size)
}

func (s *side) elementParts(data uint64, n, size int, e *elementForm) (refs []uint64, rest []byte) {
	rest = slices.Clone(s.memory.bytes(data, size))
	take := func(at int) {
		refs = append(refs, le.Uint64(rest[at:]))
		clear(rest[at : at+8])
	}
	for i := range n {
		if e.boxed {
			take(8 * i)
		}
		for _, offset := range e.pointers {
			take(i*e.width + int(offset))
		}
	}
	return refs, rest
}

func (s *side) moduleParts(address uint64) (refs []uint64, rest []byte) {
	m, form := s.memory, &s.form.module
	rest = slices.Clone(m.bytes(address, form.size))
	for _, at := range form.references {
		refs = append(refs, le.Uint64(rest[at:]))
		clear(rest[at : at+8])
	}
	list := form.usings + usingsItems
	items, n := le.Uint64(rest[list:]), le.Uint64(rest[form.usings:])
	for i := uint64(0); i < n; i += uint64(form.usingWords) {
		refs = append(refs, m.u64(items+8*i))
	}
	clear(rest[list : list+8+8*usingsInline])
	clear(rest[form.buildID : form.buildID+8])
	return refs, rest
}

func (s *side) fieldParts(address uint64, t *liveType) (refs []uint64, rest []byte) {
	m := s.memory
	if _, weak := s.lists[m.u64(address+8)]; weak && t.name == "Array" {
		return nil, nil // how long it is follows from what it holds
	}
	size := t.size
	if t.special == specialMethod {
		size = s.form.method.size
	}
	rest = slices.Clone(m.bytes(address, size))
	for _, at := range t.pointers {
		refs = append(refs, le.Uint64(rest[at:]))
		clear(rest[at : at+8])
	}
	for _, at := range t.memoryRefs {
		if memory := m.u64(address + uint64(at) + 8); memory != 0 {
			if of := s.typeOf(memory); of != nil && !of.element.union && of.element.width != 0 {
				le.PutUint64(rest[at:], le.Uint64(rest[at:])-m.u64(memory+8))
			}
		}
	}
	s.noteWeak(address, t.special)
	switch t.special {
	case specialInstance, specialBinding:
		if at := s.backedgesAt(t.special); at > 0 {
			// Of the Vector and the memory with its elements the lengths may differ.
			refs[slices.Index(t.pointers, uint32(at))] = 0
		}
	case specialDataType:
		if layout := m.u64(address + typeLayout); layout != 0 {
			form := s.layoutAt(layout)
			rest = append(rest, m.bytes(layout, form.bytes())...)
		}
		clear(rest[typeLayout : typeLayout+8])
	case specialTypeName:
		form := s.form.typeName
		size := (int(m.u64(m.u64(address+uint64(form.names)))) + 31) / 32 * 4
		for _, at := range []int{form.atomics, form.constants} {
			if bits := m.u64(address + uint64(at)); bits != 0 {
				rest = append(rest, m.bytes(bits, size)...)
			}
			clear(rest[at : at+8])
		}
		for _, at := range []int{form.set, form.list} {
			refs[slices.Index(t.pointers, uint32(at))] = 0
		}
	case specialCode:
		// How native code is called an overlay has from the base. Other functions of the runtime are the same if they have the same numbers.
		for at := s.h.code.invoke; at < s.h.code.invoke+16; at += 8 {
			function := le.Uint64(rest[at:]) - s.start
			if n := function - sideFunctions; function == -s.start || slices.Contains(slices.Collect(maps.Values(s.h.code.conventions)), n) {
				function = 0
			}
			le.PutUint64(rest[at:], function)
		}
	}
	return refs, rest
}

// backedgesAt is where objects of a special type have a list of backedges, 0 if they have none that is weak.
func (s *side) backedgesAt(special specialType) int {
	if special == specialInstance {
		return s.form.instance.backedges
	}
	return s.form.binding.backedges
}
