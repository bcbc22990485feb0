package elfpatch

// This file lists the frame descriptions of a library that has no sorted table of them, as lld leaves it out of package images of Julia: from
// section .eh_frame itself, whose records are at the top of ehframe.go. A common information (CIE) has
//
//	     8    1 version: 1
//	     9      augmentation: letters, zero byte
//	            uleb128 factor of code, sleb128 factor of data, 1 byte column of the return address
//	            after augmentation "z…": uleb128 size, and per letter: R, 1 byte encoding of addresses; L, 1 byte; P, 1 byte encoding and an address

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
)

// Encodings of addresses that are distances from their own place (DW_EH_PE_pcrel).
const (
	frameNear = 0x1b // int32
	frameFar  = 0x1c // int64
)

// Frames returns the frame descriptions of a library, sorted by the code that they are about.
func (m *Image) Frames() ([]FDE, error) {
	if slices.ContainsFunc(m.Segments, func(s Segment) bool { return s.Type == uint32(elf.PT_GNU_EH_FRAME) }) {
		return m.EHFrameHdr()
	}
	data, addr, _ := m.Section(".eh_frame")
	encodings := map[uint64]byte{}
	var list []FDE
	for at := uint64(0); at+8 <= uint64(len(data)); {
		size := uint64(le.Uint32(data[at:]))
		if size == 0 {
			break
		}
		if size < 4 || size > uint64(len(data))-at-4 {
			return nil, damaged(m.Path, "its .eh_frame has a record of %d bytes at %#x", size, at)
		}
		body := data[at+4 : at+4+size]
		if back := uint64(le.Uint32(body)); back == 0 {
			encoding, err := frameEncoding(body[4:])
			if err != nil {
				return nil, damaged(m.Path, "its .eh_frame at %#x: %v", at, err)
			}
			encodings[at] = encoding
		} else {
			encoding := encodings[at+4-back]
			pc, ok := addr+at+8, false
			switch {
			case encoding == frameNear && len(body) >= 8:
				pc, ok = pc+uint64(int64(int32(le.Uint32(body[4:])))), true
			case encoding == frameFar && len(body) >= 12:
				pc, ok = pc+le.Uint64(body[4:]), true
			}
			if !ok {
				return nil, damaged(m.Path, "its .eh_frame has a frame at %#x without a start that can be read", at)
			}
			list = append(list, FDE{PC: pc, Addr: addr + at})
		}
		at += 4 + size
	}
	slices.SortFunc(list, func(a, b FDE) int { return cmp.Compare(a.PC, b.PC) })
	return list, nil
}

// frameEncoding returns how a CIE, of which b begins with the version, has addresses encoded.
func frameEncoding(b []byte) (byte, error) {
	bad := fmt.Errorf("a form that is not known")
	if len(b) == 0 || b[0] != 1 {
		return 0, bad
	}
	augmentation, rest, ok := bytes.Cut(b[1:], []byte{0})
	if !ok || !bytes.HasPrefix(augmentation, []byte("z")) {
		return 0, bad
	}
	skip := func(n int) bool {
		if n <= 0 || n > len(rest) {
			return false
		}
		rest = rest[n:]
		return true
	}
	for range 2 {
		_, n := binary.Uvarint(rest) // a signed one is as long
		if !skip(n) {
			return 0, bad
		}
	}
	if !skip(1) {
		return 0, bad
	}
	_, n := binary.Uvarint(rest)
	if !skip(n) {
		return 0, bad
	}
	for _, letter := range augmentation[1:] {
		if letter == 'S' || letter == 'B' {
			continue
		}
		if letter == 'R' && len(rest) > 0 {
			return rest[0], nil
		}
		if letter != 'L' || !skip(1) {
			return 0, bad
		}
	}
	return 0, bad
}
