package sysimage

// This file writes the tables of Julia 1.10 for tests, and is the loader of Julia 1.10 and 1.12 as far as it reads tables: parse_sysimg
// (src/processor.cpp), jl_update_all_fptrs, jl_update_all_gvars and jl_read_reloclist (src/staticdata.c), written down line by line.
// It reads what it is pointed to by the names of exported symbols and nothing else, as libjulia does, so it judges images without
// using what it is to test.

import (
	"slices"
	"testing"

	"chainbuild/elfpatch"
)

// shardTables writes tables in shards. Offsets of functions count from the first one of a shard, those of cells from its last cell.
func (m *testImage) shardTables() testTables {
	w := tableWriter{}
	w.relocs = map[uint64]uint64{}
	var shards []uint64
	for _, s := range m.shards {
		textBase, dataBase := s.code[0][0], s.lastCell()
		functions, indices := []uint32{uint32(len(s.functions))}, []uint32{}
		for i, f := range s.functions {
			functions, indices = append(functions, uint32(s.code[0][i]-textBase)), append(indices, uint32(f))
		}
		cells, cellIndices := []uint32{uint32(len(s.cells))}, []uint32{}
		for c := range 100 {
			if addr, ok := s.cells[c]; ok {
				cells, cellIndices = append(cells, uint32(addr-dataBase)), append(cellIndices, uint32(c))
			}
		}
		cloneIndices, cloneOffsets := s.cloneFields(m.targets, textBase)
		shards = append(shards, textBase, w.fields(functions...), w.fields(indices...), dataBase, w.fields(cells...), w.fields(cellIndices...),
			w.fields(s.slotFields(dataBase)...), w.fields(cloneOffsets...), w.fields(cloneIndices...))
	}
	return w.imagePointers(m, shards)
}

// imagePointers writes what leads to the shards.
func (w *tableWriter) imagePointers(m *testImage, shards []uint64) testTables {
	header, shardTable, targets := w.fields(m.header[:]...), w.pointers(shards...), w.fields(m.targetFields()...)
	threads := w.pointers(testThread, testThread+8, testThread+16)
	roots := w.pointers(header, shardTable, threads, testTypeof, targets)
	size := w.fields(uint32(len(m.heapBlob())), 0)
	w.symbols = append(w.symbols, elfpatch.Symbol{Name: "jl_image_pointers", Offset: roots, Size: 40},
		elfpatch.Symbol{Name: "jl_system_image_size", Offset: size, Size: 8})
	return w.testTables
}

// A clone is a function of an image and the code that is chosen for it.
type clone struct {
	first  uint32
	second uint64
}

// A shardView is what the loader finds by the pointers of a shard. Offsets of cells count from cellBase, those of slots from slotBase.
type shardView struct {
	functions            uint64 // how many
	code, indices        uint64
	cells, cellBase      uint64 // a table behind its count, as slots is
	cellIndices          uint64
	slots, slotBase      uint64
	clones, cloneIndices uint64
	// entry is the size of an entry of code and clones, address what one says.
	entry   uint64
	address func(at uint64) uint64
}

// loadShards runs the loader of Julia 1.10 for one target of the image whose layers are given.
func loadShards(t *testing.T, layers []*elfpatch.Image, target int) loaded {
	t.Helper()
	m := newMemory(t, layers)
	return m.load(target, 72, heapShape{roots: 160, lists: 2, invoke: 80}, func(shard func(field uint64) uint64) shardView {
		textBase := shard(0)
		return shardView{
			functions: uint64(m.u32(shard(1))), code: shard(1) + 4, indices: shard(2), cells: shard(4), cellBase: shard(3), cellIndices: shard(5),
			slots: shard(6), slotBase: shard(3), clones: shard(7), cloneIndices: shard(8),
			entry: 4, address: func(at uint64) uint64 { return textBase + m.i32(at) },
		}
	})
}

// load runs the loader, whose shards have the given size.
func (m *memory) load(target int, size uint64, shape heapShape, view func(shard func(field uint64) uint64) shardView) loaded {
	t := m.t
	t.Helper()
	u32, i32 := m.u32, m.i32
	const tag = uint32(0x80000000)
	out := newLoaded()

	// parse_sysimg
	pointers := m.symbol("jl_image_pointers")
	header, shards := m.pointer(pointers), m.pointer(pointers+8)
	if u32(header) != 1 {
		t.Fatalf("version %d", u32(header))
	}
	fvars, gvars := make([]uint64, u32(header+8)), make([]uint64, u32(header+12))
	var clones []clone
	for i := range uint64(u32(header + 4)) {
		s := view(func(field uint64) uint64 { return m.pointer(shards + size*i + 8*field) })
		code := s.code
		nreloc := u32(s.slots)
		relocSlots := s.slots + 4
		cloneIdxs, cloneCode := s.cloneIndices, s.clones
		tagLen := u32(cloneIdxs)
		cloneIdxs += 4
		if tagLen&tag == 0 {
			t.Fatal("target 0 is not complete")
		}
		bases := []uint64{code}
		for i := range target {
			n := tagLen &^ tag
			if tagLen&tag != 0 {
				if i != 0 {
					cloneCode += s.entry * s.functions
				}
				cloneIdxs += 4 * uint64(n+1)
			} else {
				cloneCode += s.entry * uint64(n)
				cloneIdxs += 4 * uint64(n+2)
			}
			tagLen = u32(cloneIdxs - 4)
			if tagLen&tag != 0 {
				bases = append(bases, cloneCode)
			} else {
				bases = append(bases, 0)
			}
		}
		cloneAll := tagLen&tag != 0
		if cloneAll {
			if target != 0 {
				code = cloneCode
			}
		} else {
			baseIdx := u32(cloneIdxs)
			if int(baseIdx) >= target || bases[baseIdx] == 0 {
				t.Fatalf("target %d has base %d", target, baseIdx)
			}
			code = bases[baseIdx]
			cloneIdxs += 4
			for i := range uint64(tagLen) {
				idx := u32(cloneIdxs + 4*i)
				clones = append(clones, clone{idx&tag | u32(s.indices+4*uint64(idx&^tag)), s.address(cloneCode + s.entry*i)})
			}
		}
		relocI := uint32(0)
		for i := range uint64(tagLen &^ tag) {
			idx := u32(cloneIdxs + 4*i)
			var addr uint64
			if cloneAll {
				addr = s.address(code + s.entry*uint64(idx))
			} else if idx&tag != 0 {
				idx &^= tag
				addr = s.address(cloneCode + s.entry*i)
			} else {
				continue
			}
			found := false
			for ; relocI < nreloc; relocI++ {
				relocIdx := u32(relocSlots + 8*uint64(relocI))
				if relocIdx == idx {
					found = true
					out.slots[s.slotBase+i32(relocSlots+8*uint64(relocI)+4)] = addr
				} else if relocIdx > idx {
					break
				}
			}
			if !found {
				t.Errorf("target %d, shard %d: cannot find GOT entry for cloned function %d", target, i, idx)
			}
		}
		for i := range s.functions {
			fvars[u32(s.indices+4*i)] = s.address(code + s.entry*i)
		}
		for i := range uint64(u32(s.cells)) {
			addr := s.cellBase + i32(s.cells+4*(i+1))
			if shape.nearHeader {
				if distance := int64(addr - header); distance != int64(int32(distance)) {
					t.Errorf("cell %d is %d bytes from the header", u32(s.cellIndices+4*i), distance)
				}
			}
			gvars[u32(s.cellIndices+4*i)] = addr
		}
	}
	return loadHeap(t, m, pointers, out, fvars, gvars, clones, shape)
}

// A heapShape is what the loader of a version takes for granted: references in the tail of a heap, lists of relocations, where a code
// instance has invoke, and whether it keeps the distances of cells from the header in 4 bytes.
type heapShape struct {
	roots, lists, invoke int
	nearHeader           bool
}

// loadHeap runs the rest of the loader, when it has taken the tables in.
func loadHeap(t *testing.T, m *memory, pointers uint64, out loaded, fvars, gvars []uint64, clones []clone, shape heapShape) loaded {
	t.Helper()
	const tag = uint32(0x80000000)
	blobInvoke := uint64(shape.invoke)
	if slices.Contains(fvars, 0) || slices.Contains(gvars, 0) {
		t.Fatal("missing function pointer, or missing global variable pointer")
	}
	slices.SortFunc(clones, func(a, b clone) int { return int(a.first&^tag) - int(b.first&^tag) })
	for i := range out.thread {
		out.thread[i] = m.pointer(m.pointer(pointers+16) + 8*uint64(i))
	}
	out.typeof = m.pointer(pointers + 24)

	// jl_restore_system_image_from_stream_: where the sections are
	blob := m.bytes(m.symbol("jl_system_image_data"), m.u64(m.symbol("jl_system_image_size")))
	pos := 0
	next := func(align int) []byte {
		n := int(le.Uint64(blob[pos:]))
		pos = (pos + 8 + align - 1) &^ (align - 1)
		pos += n
		return blob[pos-n : pos]
	}
	objects := len(next(1)) + 8
	next(64)
	next(8)
	relocs, globals, functions := next(8), next(8), next(8)
	pos = (pos + 7) &^ 7
	if begin := le.Uint32(blob[pos+8*shape.roots+20+16:]); int(begin) != len(gvars) {
		t.Errorf("the first cell of a function of others is %d of %d", begin, len(gvars))
	}

	// jl_read_reloclist
	current := 0
	for list := range shape.lists {
		lastPos := uint64(0)
		for {
			posDiff, cnt := uint64(0), uint(0)
			for {
				c := int8(relocs[current])
				current++
				posDiff |= (uint64(int64(c)) & 0x7F) << (7 * cnt)
				cnt++
				if c>>7 == 0 {
					break
				}
			}
			if posDiff == 0 {
				break
			}
			lastPos += posDiff
			if lastPos >= uint64(objects) {
				t.Fatalf("relocation at %d of %d", lastPos, objects)
			}
			if list < len(out.relocs) {
				out.relocs[list] = append(out.relocs[list], lastPos)
			} else if !slices.Contains(testMemories[list-2], uint32(lastPos)) {
				t.Errorf("list %d has a relocation at %d", list, lastPos)
			}
		}
	}
	if n := le.Uint64(relocs[current:]); int(n)*8+8 != len(relocs)-current {
		t.Errorf("%d objects to finish in %d bytes", n, len(relocs)-current)
	}

	// jl_update_all_gvars
	if len(globals)/8 != len(gvars) {
		t.Fatalf("%d cells, %d records", len(gvars), len(globals)/8)
	}
	for i, addr := range gvars {
		out.cells[addr] = le.Uint64(globals[8*i:])
	}

	// jl_update_all_fptrs
	cloneIdx := 0
	for i := range len(functions) / 8 {
		offset := le.Uint64(functions[8*i:])
		if offset == 0 {
			continue
		}
		specfunc := true
		if offset&(1<<63) != 0 {
			specfunc = false
			offset = ^offset
		}
		code := fvars[i]
		for ; cloneIdx < len(clones); cloneIdx++ {
			idx := clones[cloneIdx].first &^ tag
			if int(idx) < i {
				continue
			}
			if int(idx) == i {
				code = clones[cloneIdx].second
			}
			break
		}
		if specfunc {
			if le.Uint64(blob[offset+blobInvoke:]) == 0 && out.invoke[uint32(offset)] == 0 {
				t.Errorf("code instance %d has no invoke", offset)
			}
			out.spec[uint32(offset)] = code
		} else {
			if le.Uint64(blob[offset+blobInvoke:]) != 0 {
				t.Errorf("code instance %d has two kinds of invoke", offset)
			}
			out.invoke[uint32(offset)] = code
		}
	}
	return out
}
