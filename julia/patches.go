package julia

// This file finds out which of the patches in juliasrc-patches a Julia has: each exports a symbol that no other Julia has.

import (
	"path/filepath"
	"strings"

	"chainbuild/elfpatch"
)

// A Patch is a change of Julia that makes a part of chainbuild unnecessary.
type Patch struct {
	// Name is that of its file in juliasrc-patches, without .patch.
	Name string
	// Has says whether the Julia has it.
	Has bool
}

// patches are the symbols of the patches, and which library of Julia exports them.
var patches = []struct{ name, library, symbol string }{
	{"image-layers", "internal", "jl_register_image_layer"},
	{"native-code-always", "internal", "jl_sysimage_native_code_always"},
	{"gc-frame-order", "codegen", "jl_gc_frames_in_order"},
}

// Patches looks for all patches in the libraries of this Julia. Before Julia 1.9 there is one library for both.
func (in *Installation) Patches() ([]Patch, error) {
	var found []Patch
	for _, p := range patches {
		path := filepath.Join(filepath.Dir(in.LibJulia), strings.Replace(filepath.Base(in.LibJulia), "libjulia-internal", "libjulia-"+p.library, 1))
		library, err := elfpatch.Open(path)
		if err != nil {
			return nil, err
		}
		_, has := library.Lookup(p.symbol)
		library.Close()
		found = append(found, Patch{p.name, has})
	}
	return found, nil
}
