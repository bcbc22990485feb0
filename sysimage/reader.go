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

// at32 is element i of a table of 4 byte fields.
func at32(table []byte, i int) uint32 { return le.Uint32(table[4*i:]) }

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

// numbers returns the next n fields, nil after an error.
func (r *tableReader) numbers(n uint32) []uint32 {
	data := r.take(n)
	list := make([]uint32, len(data)/4)
	for i := range list {
		list[i] = at32(data, i)
	}
	return list
}

// places returns the next n fields as distances from base, as virtual addresses. It has the form that readClones wants.
func (r *tableReader) places(base uint64) func(n uint32) ([]uint64, error) {
	return func(n uint32) ([]uint64, error) {
		data := r.take(n)
		list := make([]uint64, len(data)/4)
		for i := range list {
			list[i] = base + uint64(int64(int32(at32(data, i))))
		}
		return list, r.err
	}
}

// slots reads a table of slots, a count and {u32 function, i32 distance of the cell from base} each.
func (r *tableReader) slots(base uint64) []slot {
	fields := r.numbers(2 * r.count(2))
	list := make([]slot, len(fields)/2)
	for i := range list {
		list[i] = slot{fields[2*i], base + uint64(int64(int32(fields[2*i+1])))}
	}
	return list
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
			list[i] = b.attachedPointer(at.Base, at.Offset+8*uint64(i))
			to = list[i]
		}
		if to.Base == nil {
			return nil, fmt.Errorf("%w: the pointer at %#x leads nowhere", ErrUnknownFormat, at.Offset+8*uint64(i))
		}
	}
	return list, nil
}

// attachedPointer is where the pointer at addr leads to if it leads into a package image: the file has the address.
func (b *Base) attachedPointer(im *elfpatch.Image, addr uint64) elfpatch.Address {
	field, err := im.Bytes(addr, 8)
	if err != nil {
		return elfpatch.Address{}
	}
	to := le.Uint64(field)
	for _, p := range b.Packages {
		if to >= p.Moved() && to < p.EndAddr() {
			return elfpatch.Address{Base: p, Offset: to}
		}
	}
	return elfpatch.Address{}
}
