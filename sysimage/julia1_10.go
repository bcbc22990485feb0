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
	module: moduleFields{bindings: 16, size: 32},
	method: methodFields{module: 8},
	code:   codeFields{invoke: 80, size: 96, conventions: conventionsOfAll},
	array:  arrayFields{size: 40},
	overlay: &overlayFields{
		stringType: 10, symbolType: 1, nothingType: 40, taskType: 48, int64Type: 68, int32Type: 67, uint8Type: 70, typeNameType: 44,
		bindingType: 8, methodTableType: 53,
		pointerName: 86, arrayName: 88,
		rootLists: []int{158},
		idTables:  true, callable: true, constantMark: 3,
		typeNameFlags: 100, typeNameConstants: 32, typeNameAtomics: 24, typeNameNames: 16, typeNameCache: 56, typeNameLinearCache: 64,
		methodSize: 200, methodRoots: 112, methodRootCount: 128, methodCallable: 136, vectorLength: 8,
		bindingConstant: 32,
		instanceFlags:   58,
		codeSpecFlags:   72,
		module: moduleForm{
			size: 368, references: []uint32{0, 8, 16, 24}, usings: 32, usingWords: 1, buildID: 288, ones: []uint32{320},
		},
	},
}
