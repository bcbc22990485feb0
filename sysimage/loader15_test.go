package sysimage

// This file is the loader of Julia 1.5 as far as it reads tables: parse_sysimg (src/processor.cpp), jl_update_all_fptrs
// and jl_update_all_gvars (src/staticdata.c), written down line by line. It reads what it is pointed to by the names of
// exported symbols and nothing else, as libjulia does, so it judges images without using what it is to test.

import (
	"testing"

	"chainbuild/elfpatch"
)

// A loaded is what the loader has written into memory.
type loaded struct {
	invoke, spec map[uint32]uint64 // by offset of the code instance: address of its wrapper, of its body
	cells        map[uint64]uint32 // by address: the reference that it was filled with
	slots        map[uint64]uint64 // by address: the code that it was filled with
}

// load runs the loader for one target of the image whose layers are given.
func load(t *testing.T, layers []*elfpatch.Image, target int) loaded {
	t.Helper()
	symbol := func(name string) uint64 {
		for _, im := range layers {
			if s, ok := im.Lookup(name); ok {
				return s.Value
			}
		}
		t.Fatalf("no symbol %s", name)
		return 0
	}
	memory := func(addr, size uint64) []byte {
		for i := len(layers) - 1; i >= 0; i-- {
			if data, err := layers[i].Bytes(addr, size); err == nil {
				return data
			}
		}
		t.Fatalf("read of %d bytes at %#x", size, addr)
		return nil
	}
	u32 := func(addr uint64) uint32 { return le.Uint32(memory(addr, 4)) }
	u64 := func(addr uint64) uint64 { return le.Uint64(memory(addr, 8)) }
	i32 := func(addr uint64) uint64 { return uint64(int64(int32(u32(addr)))) }
	const tag = uint32(0x80000000)
	out := loaded{map[uint32]uint64{}, map[uint32]uint64{}, map[uint64]uint32{}, map[uint64]uint64{}}

	// parse_sysimg
	dataBase, textBase := symbol("jl_sysimg_gvars_base"), symbol("jl_sysimg_fvars_base")
	offsets := symbol("jl_sysimg_fvars_offsets")
	nfunc := u32(offsets)
	offsets += 4
	relocSlots := symbol("jl_dispatch_reloc_slots")
	nreloc := u32(relocSlots)
	relocSlots += 4
	cloneIdxs, cloneOffsets := symbol("jl_dispatch_fvars_idxs"), symbol("jl_dispatch_fvars_offsets")
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
	blob := memory(symbol("jl_system_image_data"), u64(symbol("jl_system_image_size")))
	pos := 0
	next := func(align int) []byte {
		n := int(le.Uint32(blob[pos:]))
		pos = (pos + 4 + align - 1) &^ (align - 1)
		pos += n
		return blob[pos-n : pos]
	}
	next(1)
	next(16)
	next(1)
	next(1)
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
	gvars := symbol("jl_sysimg_gvars_offsets") + 4
	for i := range uint64(len(globals) / 4) {
		if ref := le.Uint32(globals[4*i:]); ref != 0 {
			out.cells[dataBase+i32(gvars+4*i)] = ref
		}
	}
	return out
}
