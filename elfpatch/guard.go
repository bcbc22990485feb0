package elfpatch

// This file makes the constructor of thin images: it sees to it that the libraries which were loaded are the ones that
// the image was written for, before anything else of the image is used, and completes what depends on how far apart
// they were loaded. It runs after the loader has relocated the image and calls nothing, libc included. In order:
//
//  1. Pins: exported symbols of a library, whose addresses the loader looked up, lie as far from each other as they did
//     in the file of that library. Only then is it safe to read at a distance from them.
//  2. Checks: ranges of the library have the hash that they have in its file.
//  3. Runs: int32 fields that hold the difference of two virtual addresses of different libraries get the difference
//     of the biases of those libraries added; a bias is the address at run time less the virtual address.
//
// A failure is one line on standard error and the end of the process with status 1: there is nobody to return an error to.

// A guardSpec is what a guard has to do.
type guardSpec struct {
	libraries []guardLibrary
	runs      []guardRun
}

// A guardLibrary is a base of the image.
type guardLibrary struct {
	path string // for the message
	// pins, at least one, are what is known to be exported. The first also tells the bias of the library.
	pins   []guardPin
	checks []guardCheck
}

// A guardPin is a symbol that the guard's object leaves undefined, to be resolved to the place addr of the library.
type guardPin struct {
	symbol string
	addr   uint64 // virtual address in the library's file
}

// A guardCheck is a range of a library.
type guardCheck struct {
	addr uint64 // virtual address in the library's file
	data []byte // what must be there
}

// A guardRun is a row of adjacent int32 fields of the image that hold target − anchor.
type guardRun struct {
	symbol         string // left undefined by the guard's object, to be resolved to a place of the image
	offset         uint64 // of the first field from there, in bytes
	count          uint32 // of fields
	target, anchor int    // index into guardSpec.libraries; guardImage is the image itself
}

const (
	// guardImage stands for the image itself among the libraries.
	guardImage = -1
	// guardStart is a symbol that the guard's object leaves undefined: it is to be resolved to virtual address 0 of the
	// image, where the image's bias is read off.
	guardStart = "image.start"
)

// guard(spec guardSpec) *Object returns the constructor as an object to be linked as the first one, with sections
// .text, .rodata, .data, .data.rel.ro and .init_array.
