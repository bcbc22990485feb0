package sysimage

// This file writes the tables of Julia 1.12 for tests, and says where its loader finds what in a shard (parse_sysimg in
// src/processor.cpp). The rest of the loader is in tables_shards_test.go.

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

// loadAddresses runs the loader of Julia 1.12 for one target of the image whose layers are given.
func loadAddresses(t *testing.T, layers []*elfpatch.Image, target int) loaded {
	t.Helper()
	m := newMemory(t, layers)
	return m.load(target, 64, heapShape{roots: 216, lists: 4, invoke: 112, nearHeader: true}, func(shard func(field uint64) uint64) shardView {
		return shardView{
			functions: m.u64(shard(0)), code: shard(1), indices: shard(2), cells: shard(3), cellBase: shard(3), cellIndices: shard(4),
			slots: shard(5), slotBase: shard(5), clones: shard(6), cloneIndices: shard(7), entry: 8, address: m.pointer,
		}
	})
}
