package sysimage

// This file is the form of heaps of Julia 1.12: that of Julia 1.10 (heap_v10.go), with these differences.
//
//	relocations          four lists: after those of type tags and of references come the memories that references to elements
//	                     keep alive (memowner), and the references themselves (memref), which the loader makes pointers of when
//	                     the memories are in place. The objects to be finished are modules.
//	roots                what the runtime knows by name, the builtin functions, the list of global roots and the set of its keys
//	end                  nothing follows the index of the first cell for a function of another image: methods that can be called
//	                     from C are found by the tables of the image
//
// An Array holds a reference into a Memory, so lists are SimpleVectors.

var heapV12 = func() *heapForm {
	form := *heapV10
	form.parse = parseV12
	return &form
}()

// parseV12 reads the lists of relocations, with the list behind them, and sees to it that the roots are followed by what they should be.
func parseV12(h *heap) error {
	h.shift = shiftV10
	tail := h.tail.of(h.data)
	if end := h.linksAt() + 4*4 + 4; len(tail) != end && len(tail) != end+sealSize || h.hasLinks() {
		return h.otherRoots()
	}
	return h.parseFinished(&h.owners, &h.memories)
}
