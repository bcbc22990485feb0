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
	typeAt: typeFields{layout: 40, names: 24, counted: 4},
	module: moduleFields{bindings: 16, size: 32},
	method: methodFields{module: 8},
	code: codeFields{invoke: 112, size: 128, conventions: map[int]uint64{
		InvokeBoxed: conventionBoxed, InvokeParameters: conventionParameters, InvokeOpaque: 4,
	}},
}
