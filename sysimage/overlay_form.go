package sysimage

// This file says what writing an overlay needs to know of a version of Julia besides what reading its heaps does.

// An overlayForm is what a version's objects are like. Types and names of types are places in the list of roots (get_tags in src/staticdata.c);
// all else are offsets and sizes in bytes (src/julia.h), 0 for what a version does not have.
type overlayForm struct {
	symbolType, stringType, nothingType, taskType, int64Type, int32Type, uint8Type int
	typeNameType, bindingType, methodTableType                                     int
	arrayName, memoryName, memoryRefName, pointerName                              int
	// globalRoots are objects in which the process notes what its own code needs; they stay as the base has them.
	globalRoots []int

	// identities: objects that can be changed are preceded by their identity. constantFields: some of their fields may not be assigned.
	// finishDicts: the loader finishes IdDicts. callable: methods that C can call are listed in the tail.
	identities, constantFields, finishDicts, callable bool
	// constantMark are the low bits before an object among the constants.
	constantMark uint64

	typeName    typeNameForm
	method      methodForm
	code        codeForm
	instance    instanceForm
	binding     bindingForm
	methodTable struct{ backedges int }
	// vector is where a Vector has its length.
	vector struct{ length int }
	module moduleForm
}

// A typeNameForm is where a TypeName has what: flags of which the second says that objects can be changed, sets of bits by field, names of fields,
// and the sets of its types.
type typeNameForm struct{ flags, atomics, constants, names, set, list int }

// A methodForm is where a Method has its roots, how many of them an image has, and whether C can call it; size includes a lock that no field is.
type methodForm struct{ roots, rootCount, callable, size int }

// A codeForm is where a CodeInstance has the time that its compilation took, of 2 bytes, and what is said of its native code, of 1.
type codeForm struct{ time, specialised int }

// An instanceForm is where a MethodInstance has its backedges and its flags, of 1 byte.
type instanceForm struct{ backedges, flags int }

// A bindingForm is where a Binding has its backedges, and flags of which the first says that its value, the first field, is constant.
type bindingForm struct{ backedges, flags int }

// A moduleForm is where a Module has what.
type moduleForm struct {
	size       int
	references []uint32
	// usings is an arraylist_t (src/support/arraylist.h): its length, its capacity, where the items are, and room for 29; all in words. An item
	// has usingWords, of which the first is a module.
	usings     uint32
	usingWords int
	// buildID is the half of the build id that the loader sets. zeros are bytes that are written as zeros, ones words that are written as ones.
	buildID uint32
	zeros   []extent
	ones    []uint32
}

// usingRoom is the number of words that a list of modules in use is written with, by its capacity.
func (f *moduleForm) usingRoom(words uint64) int { return int(words) / f.usingWords * f.usingWords }

const (
	usingsLength, usingsCapacity, usingsItems, usingsRoom = 0, 8, 16, 24
	usingsInline                                          = 29 // AL_N_INLINE
)
