package sysimage

// This file says what a version of Julia is to this package: a layout. Each is a value in a file of its own, julia1_5.go and so
// on, which says in numbers what its images are like and names the forms that they have.

import "chainbuild/elfpatch"

// A layout is what images of a series of Julia are like. It is the same for all patch releases.
type layout struct {
	// julia is the series, such as "1.10".
	julia string
	// form is how the heap is written down, tables reads how the tables are, load is what a thin image does when it is loaded.
	form   *heapForm
	tables func(*Base) (tables, error)
	load   loadForm
	// records is how what new code belongs to is told.
	records recordForm
	// features are the features of processors that the series knows.
	features []feature

	root   rootPlaces
	max    referenceBounds
	typeAt typeFields
	module moduleFields
	method methodFields
	code   codeFields
	array  arrayFields
	// overlay is what writing overlays needs to know, nil where heaps are left to the runtime.
	overlay *overlayForm
	// packages says that code of package images can be taken over, and packageRefs is the number of references at the start of their tails.
	packages    bool
	packageRefs int
	// functions is the form of the list of functions that the loader registers.
	functions functionList
}

// layouts are those that this program knows, the oldest first.
var layouts = []*layout{julia1_5, julia1_10, julia1_12}

// rootPlaces are places in the list of roots, whose order is that of get_tags in src/staticdata.c.
type rootPlaces struct {
	dataType, simpleVector, module, methodInstance, method, codeInstance int
	// array is that of Array{Any,1}, 0 where that is no list (heap_v12.go).
	array int
	// nothing is that of nothing, 0 where that is a refTag.
	nothing int
	// count is the number of references before that to the root task's local storage.
	count int
}

// referenceBounds are the largest numbers of references of some kinds.
type referenceBounds struct{ tag, function, builtin uint64 }

// The following are offsets and sizes in bytes of what is read of objects (src/julia.h). What all versions have is not in
// them: Module has its name at 0 and its parent at 8, CodeInstance its method instance at 0, MethodInstance its method or
// module at 0, DataType its type name at 0, TypeName its name at 0, SimpleVector its length at 0 and its elements at 8.

type moduleFields struct {
	bindings uint32 // a SimpleVector of them, or their number
	size     int
}

type methodFields struct{ module uint32 }

type codeFields struct {
	invoke uint32 // specptr follows it
	size   int
	// conventions are the calling conventions that one without a wrapper of its own may have (jl_callingconv_t), by IndexCode.Invoke.
	conventions map[int]uint64
}

type arrayFields struct {
	size int // data at 0, length at 8
}

const moduleParent = 8

// tables are what an image's tables say of its native code: where functions and cells are. Reading them fills
// Base.Functions and Base.Targets.
type tables interface {
	// cells are the virtual addresses of the cells, by index.
	cells() []uint64
	// check follows what reading had no need to follow.
	check() error
	// merge returns sections with the tables of an image that is chained to this one and whose blob has the given size.
	merge(c *chaining, blobSize uint64) []elfpatch.Section
	// fingerprint is a table of a layer that no other build of it has, if the loader does not write to it.
	fingerprint(im *elfpatch.Image) []elfpatch.Fingerprint
}

// A loadForm is what an image does when it is loaded, for the loader or in its place.
type loadForm interface {
	// aliases are data of the base that new code shares with it.
	aliases(b *Base) map[string]elfpatch.Address
	// parts makes what an image of the given layout needs for that.
	parts(c *chaining, layout elfpatch.Layout) (layoutParts, error)
}

// A recordForm is how a process tells which functions its new code instances have, and what goes into new cells.
type recordForm interface {
	// planted is the number of lists that the process plants: first those of base.index, then those of what is new.
	planted() int
	// functions lists the new functions with their entries for fptr_record.
	functions(c *chaining) ([]newFunction, error)
	// cells appends the entries of the new cells to those of the base.
	cells(c *chaining, records []byte) ([]byte, error)
}
