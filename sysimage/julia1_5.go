package sysimage

// This file is the layout of images of Julia 1.5.

var julia1_5 = &layout{
	julia:    "1.5",
	form:     heapV5,
	tables:   readSymbolTables,
	load:     loadLookup{},
	records:  heapRecords{},
	features: features1_5,
	// _tags in src/staticdata.c
	root: rootPlaces{
		dataType: 3, simpleVector: 5, module: 11, methodInstance: 13, method: 14, codeInstance: 15, array: 43, nothing: 101,
		count: 138,
	},
	// The small integers and characters, jl_callingconv_t and id_to_fptrs of src/staticdata.c.
	max:    referenceBounds{tag: 2*1024 + 256, function: 5, builtin: 36},
	typeAt: typeFields{layout: 48, names: 16, counted: 0},
	module: moduleFields{bindings: moduleBindingsV5, size: moduleSizeV5},
	method: methodFields{module: 8},
	code:   codeFields{invoke: 64, size: 80, conventions: conventionsOfAll},
	array:  arrayFields{size: 64},
}
