package sysimage

// This file is the layout of images of Julia 1.12.

var julia1_12 = &layout{
	julia:   "1.12",
	form:    heapV12,
	tables:  readAddressShards,
	load:    loadRegister{},
	records: plantedRecords{},
	// jl_restore_system_image_from_stream_: restored, init_order, extext_methods, new_ext_cis, method_roots_list, edges
	packages: true, packageRefs: 6, functions: addressList,
	features: features1_12,
	// get_tags in src/staticdata.c: 150; the builtin functions (jl_n_builtins); jl_global_roots_list and jl_global_roots_keyset
	root: rootPlaces{
		dataType: 3, simpleVector: 5, module: 12, methodInstance: 14, method: 15, codeInstance: 16,
		count: 150 + 63 + 2,
	},
	// The task, nothing, small integers and bytes; jl_callingconv_t and id_to_fptrs of src/staticdata.c.
	max:    referenceBounds{tag: 1 + 2*1024 + 256, function: 6, builtin: 62},
	typeAt: typeFields{layout: 40, names: 24, counted: 4},
	module: moduleFields{bindings: 16, size: 32},
	method: methodFields{module: 8},
	code: codeFields{invoke: 112, size: 128, conventions: map[int]uint64{
		InvokeBoxed: conventionBoxed, InvokeParameters: conventionParameters, InvokeOpaque: 4,
	}},
	overlay: &overlayForm{
		symbolType: 1, stringType: 11, nothingType: 42, taskType: 50, int64Type: 72, int32Type: 71, uint8Type: 74,
		typeNameType: 46, bindingType: 8, methodTableType: 55,
		memoryName: 113, memoryRefName: 114, pointerName: 106,
		globalRoots: []int{150 + 63, 150 + 63 + 1},
		identities:  true, constantFields: true, constantMark: 7, // GC_OLD_MARKED | GC_IN_IMAGE
		typeName:    typeNameForm{flags: 104, atomics: 32, constants: 40, names: 24, set: 64, list: 72},
		method:      methodForm{roots: 120, rootCount: 136, size: 208},
		code:        codeForm{time: 106, specialised: 108},
		instance:    instanceForm{backedges: 24, flags: 41},
		binding:     bindingForm{backedges: 24},
		methodTable: struct{ backedges int }{32},
		vector:      struct{ length int }{16},
		module: moduleForm{
			size: 392, references: []uint32{0, 8, 16, 24, 32, 48, 56}, usings: 64, usingWords: 3, buildID: 320,
			zeros: []extent{{365, 1}}, // export_set_changed_since_require_world
		},
	},
}
