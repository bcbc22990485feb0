package sysimage

// This file writes the tables of Julia 1.12 for tests, and is the loader of Julia 1.12 as far as it reads tables: parse_sysimg
// (src/processor.cpp), written down line by line.

import (
	"testing"

	"chainbuild/elfpatch"
)

// addressTables writes tables in shards with addresses of functions.
func (m *testImage) addressTables() testTables {
	w := tableWriter{}
	w.relocs = map[uint64]uint64{}
	var shards []uint64
	for _, s := range m.shards {
		var indices, cellIndices []uint32
		for _, f := range s.functions {
			indices = append(indices, uint32(f))
		}
		// Offsets count from the table itself, whose place is known before it is written.
		next := w.fields()
		cells := []uint32{uint32(len(s.cells))}
		for c := range 100 {
			if addr, ok := s.cells[c]; ok {
				cells, cellIndices = append(cells, uint32(addr-next)), append(cellIndices, uint32(c))
			}
		}
		cellTable := w.fields(cells...)
		slotTable := w.fields(s.slotFields(w.fields())...)
		cloneIndices, places := s.cloneFields(m.targets, testCode)
		var clones []uint64
		for _, place := range places {
			clones = append(clones, testCode+uint64(place))
		}
		shards = append(shards, w.fields(uint32(len(s.functions)), 0), w.pointers(s.code[0]...), w.fields(indices...), cellTable, w.fields(cellIndices...),
			slotTable, w.pointers(clones...), w.fields(cloneIndices...))
	}
	return w.imagePointers(m, shards)
}

// loadAddresses runs the loader for one target of the image whose layers are given.
func loadAddresses(t *testing.T, layers []*elfpatch.Image, target int) loaded {
	t.Helper()
	m := newMemory(t, layers)
	u32, i32 := m.u32, m.i32
	const tag = uint32(0x80000000)
	out := newLoaded()

	pointers := m.symbol("jl_image_pointers")
	header, shards := m.pointer(pointers), m.pointer(pointers+8)
	if u32(header) != 1 {
		t.Fatalf("version %d", u32(header))
	}
	fvars, gvars := make([]uint64, u32(header+8)), make([]uint64, u32(header+12))
	var clones []clone
	for i := range uint64(u32(header + 4)) {
		shard := func(field uint64) uint64 { return m.pointer(shards + 64*i + 8*field) }
		nfunc := m.u64(shard(0))
		offsets := shard(1)
		slotTable := shard(5)
		nreloc := u32(slotTable)
		relocSlots := slotTable + 4
		cloneIdxs, clonePtrs := shard(7), shard(6)
		tagLen := u32(cloneIdxs)
		cloneIdxs += 4
		if tagLen&tag == 0 {
			t.Fatal("target 0 is not complete")
		}
		baseOffsets := []uint64{offsets}
		for i := range target {
			n := tagLen &^ tag
			if tagLen&tag != 0 {
				if i != 0 {
					clonePtrs += 8 * nfunc
				}
				cloneIdxs += 4 * uint64(n+1)
			} else {
				clonePtrs += 8 * uint64(n)
				cloneIdxs += 4 * uint64(n+2)
			}
			tagLen = u32(cloneIdxs - 4)
			if tagLen&tag != 0 {
				baseOffsets = append(baseOffsets, clonePtrs)
			} else {
				baseOffsets = append(baseOffsets, 0)
			}
		}
		cloneAll := tagLen&tag != 0
		idxs := shard(2)
		if cloneAll {
			if target != 0 {
				offsets = clonePtrs
			}
		} else {
			baseIdx := u32(cloneIdxs)
			if int(baseIdx) >= target || baseOffsets[baseIdx] == 0 {
				t.Fatalf("target %d has base %d", target, baseIdx)
			}
			offsets = baseOffsets[baseIdx]
			cloneIdxs += 4
			for i := range uint64(tagLen) {
				idx := u32(cloneIdxs + 4*i)
				clones = append(clones, clone{idx&tag | u32(idxs+4*uint64(idx&^tag)), m.pointer(clonePtrs + 8*i)})
			}
		}
		relocI := uint32(0)
		for i := range uint64(tagLen &^ tag) {
			idx := u32(cloneIdxs + 4*i)
			var code uint64
			if cloneAll {
				code = m.pointer(offsets + 8*uint64(idx))
			} else if idx&tag != 0 {
				idx &^= tag
				code = m.pointer(clonePtrs + 8*i)
			} else {
				continue
			}
			found := false
			for ; relocI < nreloc; relocI++ {
				relocIdx := u32(relocSlots + 8*uint64(relocI))
				if relocIdx == idx {
					found = true
					out.slots[slotTable+i32(relocSlots+8*uint64(relocI)+4)] = code
				} else if relocIdx > idx {
					break
				}
			}
			if !found {
				t.Errorf("target %d, shard %d: cannot find GOT entry for cloned function %d", target, i, idx)
			}
		}
		for i := range nfunc {
			fvars[u32(idxs+4*i)] = m.pointer(offsets + 8*i)
		}
		gidxs, cells := shard(4), shard(3)
		for i := range uint64(u32(cells)) {
			addr := cells + i32(cells+4*(i+1))
			// The loader keeps the distance from the header in 4 bytes.
			if distance := int64(addr - header); distance != int64(int32(distance)) {
				t.Errorf("cell %d is %d bytes from the header", u32(gidxs+4*i), distance)
			}
			gvars[u32(gidxs+4*i)] = addr
		}
	}
	return loadHeap(t, m, pointers, out, fvars, gvars, clones, heapShape{roots: 216, lists: 4, invoke: 112})
}
