package sysimage

// This file is the form of heaps of Julia 1.5: jl_save_system_image_to_stream in src/staticdata.c writes it,
// jl_restore_system_image_from_stream reads it in place. Little endian; a section's size field comes before it.
//
//	bytes                what
//	4                    size of the heap's objects
//	heap size            objects. Their offsets count from the start of the blob, so from the size field on
//	4                    size of the constants
//	to a multiple of 16  zeros
//	constants size       arrays without pointers, layouts of types. References to them count in units of 8 bytes
//	4 + size             symbols
//	4 + size             relocations: u32 offsets of words in the heap, two lists, each ended by 0:
//	                     type tags of objects (gctags), then all other references
//	4 + size             gvar_record: a u32 reference per cell of native code; 0 leaves the cell alone
//	4 + size             fptr_record: 8 bytes per function, of which the first 4 count
//	4 × number of roots  references to what the runtime itself knows by name (_tags)
//	4                    reference to the root task's local storage
//	4, 4, 4              gensym counter, world counter, world of type inference
//	8 × n + 4            objects to be finished by the loader {u32 offset, u32 how: 1 rehash, 2 module}, ended by 0
//	8 × n + 4            methods to be made callable from C {u32 offset, u32 3}, ended by 0
//
// A reference has 32 bits, of which the top 3 say what it counts. Up to Julia 1.5.2 it was 4 bits. In the heap it fills a word
// of 8 bytes.
//
// A module's bindings follow it: 48 bytes each, of which the first word is the type tag of a binding, then
//
//	0 name, 8 value, 16 globalref, 24 owner, 32 flags
//
// and the module's word at offset 16 is their number.

import (
	"fmt"
	"slices"
)

var heapV5 = &heapForm{
	width: 4, align: 1, constantsAlign: 16,
	kinds:  []refKind{refData, refConst, refTag, refSymbol, refBinding, refFunction, refBuiltin},
	sparse: true,
	parse:  parseV5,
	next: func(list []byte, _ uint64) (word uint64, size int) {
		if len(list) < 4 {
			return 0, 0
		}
		return uint64(le.Uint32(list)), 4
	},
	append:   func(list []byte, word, _ uint64) []byte { return le.AppendUint32(list, uint32(word)) },
	bindings: inlineBindings,
	setTail: func(h *heap, tail []byte, storage uint64, _ int) {
		le.PutUint32(tail[h.storageAt():], uint32(storage))
	},
}

// Ways in which the loader finishes an object.
const (
	finishRehash   = 1
	finishModule   = 2
	finishCallable = 3
)

// The size of a module without its bindings, where their number is in it, and the size of a binding, in bytes.
const (
	moduleSizeV5     = 608
	moduleBindingsV5 = 16
	bindingSize      = 48
)

// parseV5 reads the lists of relocations and what comes after the roots.
func parseV5(h *heap) error {
	end, err := h.parseRelocs()
	if err != nil {
		return err
	}
	if end != h.relocs.end() {
		return fmt.Errorf("%w: the heap's list of relocations is not two lists", ErrDamaged)
	}
	pos := h.tail.start + h.storageAt() + 4*4
	// list calls add with each entry of the list at pos until that returns false.
	list := func(add func(offset, how uint32)) bool {
		for pos+4 <= len(h.data) {
			if le.Uint32(h.data[pos:]) == 0 {
				pos += 4
				return true
			}
			if pos+8 > len(h.data) {
				break
			}
			add(le.Uint32(h.data[pos:]), le.Uint32(h.data[pos+4:]))
			pos += 8
		}
		return false
	}
	var wrong error
	finish := list(func(offset, how uint32) {
		h.finish = append(h.finish, uint64(offset))
		switch how {
		case finishModule:
			h.modules = append(h.modules, offset)
		case finishRehash:
		default:
			wrong = fmt.Errorf("%w: the heap has no object at offset %d that the loader could finish in way %d", ErrDamaged, offset, how)
		}
	})
	callable := list(func(offset, how uint32) {
		h.callable = append(h.callable, uint64(offset))
		if how != finishCallable {
			wrong = fmt.Errorf("%w: the heap has no method at offset %d to be callable from C in way %d", ErrDamaged, offset, how)
		}
	})
	if !finish || !callable || pos != len(h.data) {
		return h.otherRoots()
	}
	if wrong != nil {
		return wrong
	}
	slices.Sort(h.modules)
	if err := h.findShift(); err != nil {
		return err
	}
	// What a cell is bound to is known by the module that it is written behind.
	after := uint32(0)
	for _, module := range h.modules {
		count, ok := inlineBindings(h, module)
		if !ok || module < after {
			return fmt.Errorf("%w: the module at offset %d of the heap is not one", ErrDamaged, module)
		}
		after = bindingAt(module, count) - 8
	}
	return nil
}

// findShift looks at the type tag of some module's first binding.
func (h *heap) findShift() error {
	for _, m := range h.modules {
		if !h.inHeap(m, moduleSizeV5+8) || h.word(m+moduleBindingsV5) == 0 {
			continue
		}
		for _, shift := range []uint{29, 28} {
			if h.shift = shift; h.word(m+moduleSizeV5) != h.join(refBinding, 0) {
				continue
			}
			if uint64(h.objects.size) >= 1<<shift {
				return fmt.Errorf("%w: the heap has more bytes than its references can count", ErrDamaged)
			}
			return nil
		}
		return fmt.Errorf("%w: the bindings of the heap's modules are not those of Julia %s", ErrUnknownFormat, h.julia)
	}
	return fmt.Errorf("%w: the heap has no module", ErrUnknownFormat)
}

// inlineBindings returns how many bindings the module at an offset has, having checked that there is room for them.
func inlineBindings(h *heap, module uint32) (int, bool) {
	if !h.isModule(module) {
		return 0, false
	}
	count := h.word(module + moduleBindingsV5)
	if count > uint64(h.objects.size)/bindingSize || !h.inHeap(module, moduleSizeV5+int(count)*bindingSize) {
		return 0, false
	}
	for i := range int(count) {
		if !h.isBinding(bindingAt(module, i)) {
			return 0, false
		}
	}
	return int(count), true
}

// bindingAt is the offset of a module's binding.
func bindingAt(module uint32, i int) uint32 {
	return module + moduleSizeV5 + 8 + uint32(i)*bindingSize
}

// isBinding says that what is at offset, among the objects, is a binding that is no object.
func (h *heap) isBinding(offset uint32) bool {
	return slices.Contains(h.form.kinds, refBinding) && h.word(offset-8) == h.join(refBinding, 0)
}
