package sysimage

// This file is the layout of images of Julia 1.10.

var julia1_10 = &layout{
	julia:   "1.10",
	form:    heapV10,
	tables:  readOffsetShards,
	load:    loadRegister{},
	records: plantedRecords{},
	// jl_restore_system_image_from_stream_: restored, init_order, extext_methods, new_specializations, method_roots_list, ext_targets, edges
	packages: true, packageRefs: 7, functions: distanceList,
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
	overlay: &overlayForm{
		symbolType: 1, stringType: 10, nothingType: 40, taskType: 48, int64Type: 68, int32Type: 67, uint8Type: 70,
		typeNameType: 44, bindingType: 8, methodTableType: 53,
		arrayName: 88, pointerName: 86,
		globalRoots: []int{158},
		finishDicts: true, callable: true, constantMark: 3, // GC_OLD_MARKED
		typeName: typeNameForm{flags: 100, atomics: 24, constants: 32, names: 16, set: 56, list: 64},
		method:   methodForm{roots: 112, rootCount: 128, callable: 136, size: 200},
		code:     codeForm{specialised: 72},
		instance: instanceForm{flags: 58},
		binding:  bindingForm{flags: 32},
		vector:   struct{ length int }{8},
		module: moduleForm{
			size: 368, references: []uint32{0, 8, 16, 24}, usings: 32, usingWords: 1, buildID: 288,
			ones: []uint32{320}, // primary_world
		},
	},
}
