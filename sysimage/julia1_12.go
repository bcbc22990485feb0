package sysimage

// This file is the layout of images of Julia 1.12.

var julia1_12 = &layout{
	julia:    "1.12",
	form:     heapV12,
	tables:   readAddressShards,
	load:     loadRegister{},
	records:  plantedRecords{},
	features: features1_12,
	// get_tags in src/staticdata.c: 150; the builtin functions (jl_n_builtins); jl_global_roots_list and jl_global_roots_keyset
	root: rootPlaces{
		dataType: 3, simpleVector: 5, module: 12, methodInstance: 14, method: 15, codeInstance: 16,
		count: 150 + 63 + 2,
	},
	// The task, nothing, small integers and bytes; jl_callingconv_t and id_to_fptrs of src/staticdata.c.
	max:    referenceBounds{tag: 1 + 2*1024 + 256, function: 6, builtin: 62},
	module: moduleFields{bindings: 16, size: 32},
	method: methodFields{module: 8},
	code: codeFields{invoke: 112, size: 128, conventions: map[int]uint64{
		InvokeBoxed: conventionBoxed, InvokeParameters: conventionParameters, InvokeOpaque: 4,
	}},
	overlay: &overlayFields{
		stringType: 11, symbolType: 1, nothingType: 42, taskType: 50, int64Type: 72, int32Type: 71, uint8Type: 74, typeNameType: 46, bindingType: 8, methodTableType: 55,
		memoryName: 113, memoryRefName: 114, pointerName: 106,
		rootLists:     []int{150 + 63, 150 + 64},
		typeNameFlags: 104, typeNameConstants: 40, typeNameAtomics: 32, typeNameNames: 24, typeNameCache: 64, typeNameLinearCache: 72,
		methodSize: 208, methodRoots: 120, methodRootCount: 136,
		instanceBackedges: 24, bindingBackedges: 24, tableBackedges: 32,
		instanceFlags: 41, vectorLength: 16,
		identities: true, constantFields: true, constantMark: 7,
		codeTime: 106, codeSpecFlags: 108,
		module: moduleForm{
			size: 392, references: []uint32{0, 8, 16, 24, 32, 48, 56}, usings: 64, usingWords: 3, buildID: 320,
			zeros: []extent{{365, 1}},
		},
	},
}
