package julia

// This file finds out which of the patches in juliasrc-patches a Julia has, and what changes with them: each exports a symbol that no other Julia
// has.

import (
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/elfpatch"
)

// A patch is a change of Julia that makes a part of chainbuild unnecessary.
type patch struct {
	// name is that of its file in juliasrc-patches, without .patch.
	name string
	// library, "internal" or "codegen", is the one that exports symbol.
	library, symbol string
	// apply changes the series.
	apply func(*Series)
	// needless says that the series has what the patch brings; nil: none has.
	needless func(*Series) bool
}

// patches are those that chainbuild knows.
var patches = []patch{
	{"image-layers", "internal", "jl_register_image_layer", func(s *Series) { s.RegistersLayers = true }, nil},
	{"native-code-always", "internal", "jl_sysimage_native_code_always", func(s *Series) {
		s.KeepsBaseCode, s.KeepBaseCode = true, []string{"--sysimage-native-code=always"}
	}, func(s *Series) bool { return s.KeepsBaseCode }},
	{"gc-frame-order", "codegen", "jl_gc_frames_in_order", func(s *Series) { s.Roots = "roots_ordered.jl" }, nil},
}

// PatchNames are the names of all patches that chainbuild knows.
func PatchNames() (names []string) {
	for _, p := range patches {
		names = append(names, p.name)
	}
	return names
}

// Needs says whether the patch of that name would change something.
func (s *Series) Needs(name string) bool {
	return !slices.ContainsFunc(patches, func(p patch) bool { return p.name == name && p.needless != nil && p.needless(s) })
}

// patched returns the series of a Julia that has the patches of these names.
func (s *Series) patched(names []string) *Series {
	if len(names) == 0 {
		return s
	}
	changed := *s
	for _, p := range patches {
		if slices.Contains(names, p.name) {
			p.apply(&changed)
		}
	}
	return &changed
}

// findPatches looks for all patches in the libraries of this Julia. Where one cannot be read, chainbuild's own ways serve.
func (in *Installation) findPatches() (names []string) {
	libraries := map[string]string{"internal": in.LibJulia, "codegen": in.codegenLibrary()}
	for _, p := range patches {
		library, err := elfpatch.Open(libraries[p.library])
		if err != nil {
			continue
		}
		if _, has := library.Lookup(p.symbol); has {
			names = append(names, p.name)
		}
		library.Close()
	}
	return names
}

// codegenLibrary is the file of libjulia-codegen. Before Julia 1.9 there is one library for both.
func (in *Installation) codegenLibrary() string {
	return filepath.Join(filepath.Dir(in.LibJulia), strings.Replace(filepath.Base(in.LibJulia), "libjulia-internal", "libjulia-codegen", 1))
}
