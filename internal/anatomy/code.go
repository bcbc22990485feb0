package anatomy

// This file finds out how much of the file each function takes: its machine code, what an unwinder needs for it, and its names.
//
// Code belongs to the function that starts last before it. So padding counts for the function before, and so do helpers that have no
// entry in the function table.

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"slices"

	"chainbuild/elfpatch"
	"chainbuild/sysimage"
)

var le = binary.LittleEndian

// A codeMap says which function an instruction of the first layer belongs to.
type codeMap struct {
	// starts are virtual addresses at which code starts, functions the indices of the functions there, -1 for none.
	starts    []uint64
	functions []int32
}

// mapCode finds where the functions of an image are that its own file has.
func mapCode(image *sysimage.Base) codeMap {
	type start struct {
		at       uint64
		function int32
	}
	var list []start
	for i, f := range image.Functions {
		for _, at := range f.Variants {
			if inCode(image.Layers[0], at) {
				list = append(list, start{at, int32(i)})
			}
		}
	}
	for _, s := range image.Layers[0].Segments {
		if isCode(s) {
			list = append(list, start{s.Addr, -1}, start{s.Addr + s.FileSize, -1})
		}
	}
	slices.SortFunc(list, func(a, b start) int {
		return cmp.Or(cmp.Compare(a.at, b.at), -cmp.Compare(a.function, b.function))
	})
	list = slices.CompactFunc(list, func(a, b start) bool { return a.at == b.at })
	m := codeMap{make([]uint64, len(list)), make([]int32, len(list))}
	for i, s := range list {
		m.starts[i], m.functions[i] = s.at, s.function
	}
	return m
}

func isCode(s elfpatch.Segment) bool {
	return s.Type == uint32(elf.PT_LOAD) && s.Flags&uint32(elf.PF_X) != 0
}

func inCode(im *elfpatch.Image, addr uint64) bool {
	return slices.ContainsFunc(im.Segments, func(s elfpatch.Segment) bool { return isCode(s) && addr-s.Addr < s.FileSize })
}

// at returns the function that an address belongs to, -1 if none.
func (m codeMap) at(addr uint64) int32 {
	i, found := slices.BinarySearch(m.starts, addr)
	if !found {
		i--
	}
	if i < 0 {
		return -1
	}
	return m.functions[i]
}

// A shares adds up how many bytes each function takes of something.
type shares struct {
	functions []int64
	// rest is what belongs to no function.
	rest int64
}

func (s *shares) add(function int32, size int64) {
	if function < 0 {
		s.rest += size
	} else {
		s.functions[function] += size
	}
}

// total is all of it.
func (s *shares) total() int64 {
	sum := s.rest
	for _, n := range s.functions {
		sum += n
	}
	return sum
}

// codeShares divides the machine code, with the descriptions of frames.
func codeShares(image *sysimage.Base, m codeMap) (shares, error) {
	s := shares{functions: make([]int64, len(image.Functions))}
	for i, at := range m.starts {
		if i+1 < len(m.starts) && inCode(image.Layers[0], at) {
			s.add(m.functions[i], int64(m.starts[i+1]-at))
		}
	}
	frames, err := image.Layers[0].EHFrameHdr()
	if err != nil {
		return shares{}, err
	}
	table, address, _ := image.Layers[0].Section(".eh_frame")
	left := int64(len(table))
	for _, f := range frames {
		// The entry starts with its length, which does not count itself.
		if at := f.Addr - address; at < uint64(len(table)) && at+4 <= uint64(len(table)) {
			size := min(int64(le.Uint32(table[at:]))+4, left)
			s.add(m.at(f.PC), size)
			left -= size
		}
	}
	s.rest += left
	return s, nil
}

// A division divides a section: part i is what starts at an offset, and reaches to the next one.
type division []part

type part struct {
	at       uint64
	function int32
}

// share adds what the parts of a section of a size take. What lies before the first part belongs to no function.
func (d division) share(s *shares, size int) {
	slices.SortStableFunc(d, func(a, b part) int { return cmp.Compare(a.at, b.at) })
	end := uint64(size)
	for _, p := range slices.Backward(d) {
		if p.at < end {
			s.add(p.function, int64(end-p.at))
			end = p.at
		}
	}
	s.rest += int64(end)
}

const symbolSize = 24

// symbolShares divides the symbol table and its names, which nothing loads.
func symbolShares(image *elfpatch.Image, m codeMap, s *shares) {
	symbols, _, _ := image.Section(".symtab")
	var names division
	for at := 0; at+symbolSize <= len(symbols); at += symbolSize {
		entry := symbols[at:]
		function := int32(-1)
		if elf.ST_TYPE(entry[4]) == elf.STT_FUNC {
			function = m.at(le.Uint64(entry[8:]) + image.Moved())
		}
		s.add(function, symbolSize)
		if name := le.Uint32(entry); name != 0 {
			names = append(names, part{uint64(name), function})
		}
	}
	s.rest += int64(len(symbols) % symbolSize)
	strings, _, _ := image.Section(".strtab")
	names.share(s, len(strings))
}
