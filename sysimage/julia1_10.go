package sysimage

// This file is the layout of images of Julia 1.10.

var julia1_10 = &layout{
	julia:    "1.10",
	form:     heapV10,
	tables:   readOffsetShards,
	load:     loadRegister{},
	records:  plantedRecords{},
	features: features1_10,
	// get_tags in src/staticdata.c: 158, and jl_global_roots_table
	root: rootPlaces{
		dataType: 3, simpleVector: 5, module: 11, methodInstance: 13, method: 14, codeInstance: 15, array: 51,
		count: 158 + 1,
	},
	// The task, nothing, small integers and bytes; jl_callingconv_t and id_to_fptrs of src/staticdata.c.
	max:    referenceBounds{tag: 1 + 2*1024 + 256, function: 5, builtin: 48},
	typeAt: typeFields{layout: 40, names: 16, counted: 4},
	module: moduleFields{bindings: 16, size: 32},
	method: methodFields{module: 8},
	code:   codeFields{invoke: 80, size: 96, conventions: conventionsOfAll},
	array:  arrayFields{size: 40},
}
