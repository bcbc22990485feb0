package sysimage

// This file writes the tables of Julia 1.5 for tests, and is the loader of Julia 1.5 as far as it reads tables: parse_sysimg
// (src/processor.cpp), jl_update_all_fptrs and jl_update_all_gvars (src/staticdata.c), written down line by line. It reads what it
// is pointed to by the names of exported symbols and nothing else, as libjulia does, so it judges images without using what it is
// to test.

import (
	"testing"

	"chainbuild/elfpatch"
)

// symbolTables writes tables with the content of the image's one shard.
func (m *testImage) symbolTables() testTables {
	s := m.shards[0]
	w := tableWriter{}
	origin := s.lastCell()
	functions := []uint32{uint32(m.functions)}
	for _, addr := range s.code[0] {
		functions = append(functions, uint32(addr-testCode))
	}
	w.export("jl_sysimg_fvars_offsets", functions...)
	cells := []uint32{uint32(len(s.cells))}
	for i := range len(s.cells) {
		cells = append(cells, uint32(s.cells[i]-origin))
	}
	w.export("jl_sysimg_gvars_offsets", cells...)
	w.export("jl_dispatch_reloc_slots", s.slotFields(origin)...)
	w.export("jl_dispatch_target_ids", m.targetFields()...)
	indices, offsets := s.cloneFields(m.targets, testCode)
	w.export("jl_dispatch_fvars_idxs", indices...)
	w.export("jl_dispatch_fvars_offsets", offsets...)
	w.export("jl_system_image_size", uint32(len(m.heapBlob())), 0)
	w.export("jl_globalUnique", 1000, 0)
	w.symbols = append(w.symbols, elfpatch.Symbol{Name: "jl_sysimg_gvars_base", Offset: origin, Size: 8})
	return w.testTables
}

// loadSymbols runs the loader for one target of the image whose layers are given.
func loadSymbols(t *testing.T, layers []*elfpatch.Image, target int) loaded {
	t.Helper()
	m := newMemory(t, layers)
	u32, i32 := m.u32, m.i32
	const tag = uint32(0x80000000)
	out := newLoaded()

	// parse_sysimg
	dataBase, textBase := m.symbol("jl_sysimg_gvars_base"), m.symbol("jl_sysimg_fvars_base")
	offsets := m.symbol("jl_sysimg_fvars_offsets")
	nfunc := u32(offsets)
	offsets += 4
	relocSlots := m.symbol("jl_dispatch_reloc_slots")
	nreloc := u32(relocSlots)
	relocSlots += 4
	cloneIdxs, cloneOffsets := m.symbol("jl_dispatch_fvars_idxs"), m.symbol("jl_dispatch_fvars_offsets")
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
				cloneOffsets += 4 * uint64(nfunc)
			}
			cloneIdxs += 4 * uint64(n+1)
		} else {
			cloneOffsets += 4 * uint64(n)
			cloneIdxs += 4 * uint64(n+2)
		}
		tagLen = u32(cloneIdxs - 4)
		if tagLen&tag != 0 {
			baseOffsets = append(baseOffsets, cloneOffsets)
		} else {
			baseOffsets = append(baseOffsets, 0)
		}
	}
	cloneAll := tagLen&tag != 0
	nclones := uint32(0)
	if cloneAll {
		if target != 0 {
			offsets = cloneOffsets
		}
	} else {
		baseIdx := u32(cloneIdxs)
		if int(baseIdx) >= target || baseOffsets[baseIdx] == 0 {
			t.Fatalf("target %d has base %d", target, baseIdx)
		}
		offsets = baseOffsets[baseIdx]
		cloneIdxs += 4
		nclones = tagLen
	}
	relocI := uint32(0)
	for i := range uint64(tagLen &^ tag) {
		idx := u32(cloneIdxs + 4*i)
		var offset uint64
		if cloneAll {
			offset = i32(offsets + 4*uint64(idx))
		} else if idx&tag != 0 {
			idx &^= tag
			offset = i32(cloneOffsets + 4*i)
		} else {
			continue
		}
		found := false
		for ; relocI < nreloc; relocI++ {
			relocIdx := u32(relocSlots + 8*uint64(relocI))
			if relocIdx == idx {
				found = true
				out.slots[dataBase+i32(relocSlots+8*uint64(relocI)+4)] = textBase + offset
			} else if relocIdx > idx {
				break
			}
		}
		if !found {
			t.Errorf("target %d: cannot find GOT entry for cloned function %d", target, idx)
		}
	}

	// jl_restore_system_image_from_stream: where the records are
	blob := m.bytes(m.symbol("jl_system_image_data"), m.u64(m.symbol("jl_system_image_size")))
	pos := 0
	next := func(align int) []byte {
		n := int(le.Uint32(blob[pos:]))
		pos = (pos + 4 + align - 1) &^ (align - 1)
		pos += n
		return blob[pos-n : pos]
	}
	objects := len(next(1)) + 4
	next(16)
	next(1)
	relocs := next(1)
	list := 0
	for i := range len(relocs) / 4 {
		switch word := at32(relocs, i); {
		case word == 0:
			list++
		case list > 1 || int(word) >= objects:
			t.Fatalf("relocation at %d of %d in list %d", word, objects, list)
		default:
			out.relocs[list] = append(out.relocs[list], uint64(word))
		}
	}
	globals, functions := next(1), next(1)

	// jl_update_all_fptrs
	cloneIdx := uint64(0)
	for i := range uint32(len(functions) / 8) {
		offset := le.Uint32(functions[8*i:])
		if offset == 0 {
			continue
		}
		specfunc := true
		if offset&tag != 0 {
			specfunc = false
			offset = ^offset
		}
		code := i32(offsets + 4*uint64(i))
		for ; cloneIdx < uint64(nclones); cloneIdx++ {
			idx := u32(cloneIdxs+4*cloneIdx) &^ tag
			if idx < i {
				continue
			}
			if idx == i {
				code = i32(cloneOffsets + 4*cloneIdx)
			}
			break
		}
		if specfunc {
			out.spec[offset] = textBase + code
		} else {
			out.invoke[offset] = textBase + code
		}
	}

	// jl_update_all_gvars
	gvars := m.symbol("jl_sysimg_gvars_offsets") + 4
	for i := range uint64(len(globals) / 4) {
		if ref := le.Uint32(globals[4*i:]); ref != 0 {
			out.cells[dataBase+i32(gvars+4*i)] = uint64(ref)
		}
	}
	return out
}
