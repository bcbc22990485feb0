package sysimage

// This file is the form of heaps of Julia 1.10: jl_save_system_image_to_stream in src/staticdata.c writes it,
// jl_restore_system_image_from_stream_ reads it in place. Little endian; sizes are 8 bytes and come before what they are of.
// Offsets and alignment count from the start of the blob, which is 64 byte aligned.
//
//	bytes                what
//	8                    size of the heap's objects
//	heap size            objects
//	8                    size of the constants
//	to a multiple of 64  zeros
//	constants size       objects and arrays without pointers, layouts of types. References to them count in units of 8 bytes
//	8                    size of the symbols; this and the following sections start at a multiple of 8
//	symbols size         symbols
//	8 + size             relocations: positions of words, two lists: type tags of objects (gctags), then all other
//	                     references. Each position is the difference from the one before in its list, which may be
//	                     negative, as an unsigned LEB128 number modulo 2^64; the number 0 ends the list. After them
//	                     u64 n, n × u64 offsets of objects to be finished by the loader: modules, IdDicts
//	8 + size             gvar_record: a reference of 8 bytes per cell of native code
//	8 + size             fptr_record: 8 bytes per function
//	8 × number of roots  at a multiple of 8: references to what the runtime itself knows by name (get_tags), then to
//	                     jl_global_roots_table
//	8                    reference to the root task's local storage
//	4, 8, 8              gensym counter, world counter, world of type inference
//	4 × 4                numbers of links to other images, 0 in a system image
//	4                    index of the first cell for a function of another image: the number of cells
//	8, 8 × n             n, offsets of methods to be made callable from C
//
// A reference has 64 bits, of which the top 3 say what it counts.
//
// Among the constants, the word before an object is the number of a type that the runtime knows (jl_small_typeof).

import (
	"encoding/binary"
	"fmt"
)

var heapV10 = &heapForm{
	width: 8, align: 8, constantsAlign: 64,
	kinds:              []refKind{refData, refConst, refTag, refSymbol, refFunction},
	builtin:            1 << (shiftV10 - 1),
	objectsInConstants: true,
	parse:              parseV10,
	next: func(list []byte, last uint64) (word uint64, size int) {
		delta, size := binary.Uvarint(list)
		if word = last + delta; delta == 0 {
			return 0, size
		} else if word == 0 {
			return 0, 0
		}
		return word, size
	},
	append: func(list []byte, word, last uint64) []byte {
		if word == 0 {
			return append(list, 0)
		}
		return binary.AppendUvarint(list, word-last)
	},
	bindings: func(h *heap, module uint32) (count int, ok bool) {
		svec, ok := h.object(module+h.module.bindings, 8)
		bindings, ok2 := h.list(svec)
		if !ok || !ok2 {
			return 0, false
		}
		// Free places hold nothing, which is no object of the heap.
		for at := bindings.start; at < bindings.end(); at += 8 {
			if _, bound := h.object(uint32(at), 0); bound {
				count++
			}
		}
		return count, true
	},
	setTail: func(h *heap, tail []byte, storage uint64, cells int) {
		le.PutUint64(tail[h.storageAt():], storage)
		le.PutUint32(tail[h.linksAt()+4*4:], uint32(cells))
	},
}

const shiftV10 = 61

// linksAt is where in the tail the numbers of links to other images are.
func (h *heap) linksAt() int { return h.storageAt() + 8 + 4 + 8 + 8 }

// parseV10 reads the lists of relocations, with the list behind them, and what comes after the roots.
func parseV10(h *heap) error {
	h.shift = shiftV10
	tail := h.tail.of(h.data)
	callableAt := h.linksAt() + 4*4 + 4
	if len(tail) < callableAt+8 || h.hasLinks() {
		return h.otherRoots()
	}
	rest := len(tail) - callableAt - 8
	if n := le.Uint64(tail[callableAt:]); n == uint64(rest-sealSize)/8 {
		rest -= sealSize
	} else if n != uint64(rest)/8 || rest%8 != 0 {
		return h.otherRoots()
	}
	h.callable = h.numbers(extent{h.tail.start + callableAt + 8, rest})
	return h.parseFinished()
}

// hasLinks says that a heap refers to other images, for which its tail must be long enough.
func (h *heap) hasLinks() bool {
	for i := range 4 {
		if at32(h.tail.of(h.data)[h.linksAt():], i) != 0 {
			return true
		}
	}
	return false
}

// parseFinished reads the lists of relocations, of which there are more than two, and the list of objects to be finished behind them.
func (h *heap) parseFinished(more ...*extent) error {
	at, err := h.parseRelocs(more...)
	if err != nil {
		return err
	}
	rest := h.relocs.end() - at - 8
	if rest < 0 || le.Uint64(h.data[at:]) != uint64(rest)/8 || rest%8 != 0 {
		return fmt.Errorf("%w: the heap's list of objects to be finished is not one", ErrDamaged)
	}
	h.finish = h.numbers(extent{at + 8, rest})
	for _, offset := range h.finish {
		if offset < uint64(h.objects.size) && h.isModule(uint32(offset)) {
			h.modules = append(h.modules, uint32(offset))
		}
	}
	return nil
}
