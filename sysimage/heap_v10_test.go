package sysimage

// This file writes heaps in the forms of Julia 1.10 and 1.12, which are at the heads of heap_v10.go and heap_v12.go.

import (
	"encoding/binary"
	"slices"
)

// bindList gives a module a list of bindings, some of whose places are free.
func (h *testHeap) bindList(module string, names []string) {
	var list []uint64
	for range names {
		list = append(list, h.value(), h.ref(refTag, 1))
	}
	h.setRef(h.modules[module]+h.testLayout.layout.module.bindings, uint64(h.svec(list...)), false)
}

// deltas writes a list of positions as jl_write_offsetlist does.
func deltas(list []uint32) (out []byte) {
	last := uint64(0)
	for _, word := range list {
		out = binary.AppendUvarint(out, uint64(word)-last)
		last = uint64(word)
	}
	return append(out, 0)
}

// countedNumbers appends a list of 8 byte numbers behind how many they are.
func countedNumbers(out []byte, list []uint32) []byte {
	out = le.AppendUint64(out, uint64(len(list)))
	for _, n := range list {
		out = le.AppendUint64(out, uint64(n))
	}
	return out
}

func (h *testHeap) blobV10() []byte {
	return countedNumbers(h.blobOfLists(h.types, h.refs), h.callable)
}

// testMemories are positions of references into memories.
var testMemories = [2][]uint32{{}, {64, 96}}

func (h *testHeap) blobV12() []byte {
	return h.blobOfLists(h.types, h.refs, testMemories[0], testMemories[1])
}

// blobOfLists writes a heap with these lists of relocations, up to the index of the first cell for a function of another image.
func (h *testHeap) blobOfLists(lists ...[]uint32) []byte {
	var relocs, globals, functions []byte
	for _, list := range lists {
		relocs = append(relocs, deltas(list)...)
	}
	relocs = countedNumbers(relocs, h.finish)
	for _, g := range h.globals {
		globals = le.AppendUint64(globals, g)
	}
	for _, f := range h.functions {
		functions = le.AppendUint64(functions, f)
	}
	b := slices.Clone(h.objects)
	le.PutUint64(b, uint64(len(b)-8))
	b = le.AppendUint64(b, uint64(len(h.constants)))
	b = append(b, make([]byte, -len(b)&63)...)
	b = append(b, h.constants...)
	for _, section := range [][]byte{h.symbolBytes(), relocs, globals, functions} {
		b = le.AppendUint64(b, uint64(len(section)))
		b = append(b, make([]byte, -len(b)&7)...)
		b = append(b, section...)
	}
	b = append(b, make([]byte, -len(b)&7)...)
	for _, root := range append(slices.Clone(h.roots), h.storage) {
		b = le.AppendUint64(b, root)
	}
	b = le.AppendUint64(le.AppendUint64(le.AppendUint32(b, 7), 8), 9)
	b = append(b, make([]byte, 16)...)
	return le.AppendUint32(b, uint32(len(h.globals)))
}
