package sysimage

// This file writes heaps in the form of Julia 1.5, which is at the head of heap_v5.go.

import (
	"slices"
	"testing"
)

func (h *testHeap) bindInline(module string, names []string) {
	m := h.modules[module]
	h.set(m+16, uint64(len(names)))
	for i, n := range names {
		at := m + 608 + 8 + 48*uint32(i)
		h.setRef(at-8, h.ref(refBinding, 0), true)
		h.setRef(at, h.symbol(n), false)
		h.bindings[module+"."+n] = at
	}
}

func (h *testHeap) blobV5() []byte {
	var relocs, globals, functions []byte
	for _, list := range [][]uint32{h.types, h.refs} {
		for _, r := range append(slices.Clone(list), 0) {
			relocs = le.AppendUint32(relocs, r)
		}
	}
	for _, g := range h.globals {
		globals = le.AppendUint32(globals, uint32(g))
	}
	for _, f := range h.functions {
		functions = le.AppendUint64(functions, f)
	}
	b := slices.Clone(h.objects)
	le.PutUint32(b, uint32(len(b)-4))
	b = le.AppendUint32(b, uint32(len(h.constants)))
	b = append(b, make([]byte, -len(b)&15)...)
	b = append(b, h.constants...)
	for _, section := range [][]byte{h.symbolBytes(), relocs, globals, functions} {
		b = append(le.AppendUint32(b, uint32(len(section))), section...)
	}
	var tail []uint32
	for _, root := range append(slices.Clone(h.roots), h.storage) {
		tail = append(tail, uint32(root))
	}
	tail = append(tail, 7, 8, 9)
	for _, object := range h.finish {
		how, ok := h.how[object]
		if !ok {
			how = 2
		}
		tail = append(tail, object, how)
	}
	tail = append(tail, 0)
	for _, method := range h.callable {
		tail = append(tail, method, 3)
	}
	for _, word := range append(tail, 0) {
		b = le.AppendUint32(b, word)
	}
	return b
}

// olderKinds makes the heap one of which a reference has a bit more for what it counts.
func (h *testHeap) olderKinds() {
	for _, at := range h.bindings {
		h.set(at-8, 4<<28)
	}
}

// Julia up to 1.5.2 has one bit more for what a reference counts.
func TestParseHeapOlderKinds(t *testing.T) {
	h := newTestHeap(test1_5)
	h.olderKinds()
	p := mustParse(t, h)
	if p.shift != 28 {
		t.Errorf("shift %d, want 28", p.shift)
	}
	if kind, n := p.split(6<<28 + 1<<28 - 1); kind != refBuiltin || n != 1<<28-1 {
		t.Errorf("kind %d, number %#x", kind, n)
	}
}
