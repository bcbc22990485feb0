package sysimage

// This file reads tables and pointers of the shared objects that make up an image. All is little endian.

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"chainbuild/elfpatch"
)

var le = binary.LittleEndian

// maxFunctions bounds what a file can make this program allocate: fifty times what Julia's own image has.
const maxFunctions = 1 << 20

// Calling conventions that a code instance without a wrapper may have (jl_callingconv_t).
const (
	conventionBoxed      = 1
	conventionParameters = 3
)

// at32 is element i of a table of 4 byte fields.
func at32(table []byte, i int) uint32 { return le.Uint32(table[4*i:]) }

// An extent is a part of a blob.
type extent struct{ start, size int }

func (e extent) end() int { return e.start + e.size }

func (e extent) of(data []byte) []byte { return data[e.start:e.end():e.end()] }

// parseSymbols lists the names of a blob's symbols: {u32 length, name, zero byte} each.
func parseSymbols(rest []byte) ([][]byte, error) {
	var names [][]byte
	for len(rest) > 0 {
		if len(rest) < 5 || int64(le.Uint32(rest))+5 > int64(len(rest)) {
			return nil, fmt.Errorf("%w: symbol %d of the heap reaches beyond its section", ErrDamaged, len(names))
		}
		length := le.Uint32(rest)
		names = append(names, rest[4:4+length:4+length])
		rest = rest[length+5:]
	}
	return names, nil
}

// A tableReader reads an exported table from its start on.
type tableReader struct {
	name string
	at   elfpatch.Address
	err  error
}

// take returns the next n 4 byte fields, nil after an error.
func (r *tableReader) take(n uint32) []byte {
	if r.err != nil {
		return nil
	}
	data, err := r.at.Base.Bytes(r.at.Offset, 4*uint64(n))
	if err != nil {
		r.err = fmt.Errorf("%w: table %s reaches beyond its segment", ErrDamaged, r.name)
		return nil
	}
	r.at.Offset += 4 * uint64(n)
	return data
}

// number returns the next field, 0 after an error.
func (r *tableReader) number() uint32 {
	if field := r.take(1); field != nil {
		return le.Uint32(field)
	}
	return 0
}

// count returns the next field, which says how many entries of size fields follow it.
func (r *tableReader) count(size uint32) uint32 {
	n := r.number()
	if r.err == nil && n > maxFunctions*16/size {
		r.err = fmt.Errorf("%w: table %s has %d entries", ErrDamaged, r.name, n)
		return 0
	}
	return n
}

// pointers reads n pointers in a row. The dynamic loader fills them, so what says where they lead are its relocations: places
// of the same layer, or, as in thin images, at a distance from a symbol of any layer.
func (b *Base) pointers(at elfpatch.Address, n int) ([]elfpatch.Address, error) {
	list := make([]elfpatch.Address, n)
	symbols := at.Base.DynSymbols()
	for _, r := range at.Base.Relocs() {
		place := r.Offset - at.Offset
		if place >= 8*uint64(n) || place%8 != 0 {
			continue
		}
		to := elfpatch.Address{Base: at.Base, Offset: uint64(r.Addend)}
		switch elf.R_X86_64(r.Type) {
		case elf.R_X86_64_RELATIVE:
		case elf.R_X86_64_64:
			layer, symbol, err := b.lookup(symbols[r.Sym].Name)
			if err != nil {
				return nil, err
			}
			to = elfpatch.Address{Base: layer, Offset: symbol.Value + uint64(r.Addend)}
		default:
			continue
		}
		list[place/8] = to
	}
	for i, to := range list {
		if to.Base == nil {
			return nil, fmt.Errorf("%w: the pointer at %#x leads nowhere", ErrUnknownFormat, at.Offset+8*uint64(i))
		}
	}
	return list, nil
}
