package julia

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

func TestPatches(t *testing.T) {
	dir := t.TempDir()
	library := func(name, symbol string) string {
		var out bytes.Buffer
		shim := elfpatch.Shim{Needed: "/lib/libc.so.6", Symbol: symbol, Anchor: "anchor", Clear: "clear", ClearSize: 1}
		if err := elfpatch.WriteShim(&out, shim); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	in := &Installation{LibJulia: library("libjulia-internal.so.1.12", "jl_register_image_layer")}
	if found := in.findPatches(); !slices.Equal(found, []string{"image-layers"}) {
		t.Errorf("without the library for code generation, the patches are %q", found)
	}
	library("libjulia-codegen.so.1.12", "jl_gc_frames_in_order")
	if found := in.findPatches(); !slices.Equal(found, []string{"image-layers", "gc-frame-order"}) {
		t.Errorf("the patches are %q", found)
	}
	in = &Installation{LibJulia: library("libjulia.so.1.5", "jl_gc_frames_in_order")}
	if found := in.findPatches(); !slices.Equal(found, []string{"gc-frame-order"}) {
		t.Errorf("those of a Julia with one library are %q", found)
	}
}

// A patched Julia is a series of its own: what its patches change, and no more, and the table of series stays as it is.
func TestSeriesOfPatchedJulia(t *testing.T) {
	stock := Installation{Version: "1.10.8"}
	plain, err := stock.Series()
	if err != nil {
		t.Fatal(err)
	}
	patched := stock
	patched.Patches = PatchNames()
	changed, err := patched.Series()
	if err != nil {
		t.Fatal(err)
	}
	if plain.RegistersLayers || plain.KeepsBaseCode || !changed.RegistersLayers || !changed.KeepsBaseCode || len(changed.KeepBaseCode) != 1 {
		t.Errorf("a stock Julia is %+v, one with all patches %+v", plain, changed)
	}
	ordered := changed.Sources().Read("compile/roots.jl")
	if own := plain.Sources().Read("compile/roots.jl"); !strings.Contains(ordered, "place_roots(mod::Ref_)") || len(ordered) >= len(own) {
		t.Errorf("a patched Julia places roots by\n%s", ordered)
	}
	if newest := all[len(all)-1]; newest.Needs("native-code-always") || !newest.Needs("gc-frame-order") || !plain.Needs("native-code-always") {
		t.Error("it is not known which patches a series needs")
	}
	if plain.Sources().Compiling() == changed.Sources().Compiling() {
		t.Error("objects have the same keys with the patch and without")
	}
	patched.Patches = []string{"image-layers"}
	if changed, err = patched.Series(); err != nil || changed.KeepsBaseCode || changed.Roots != plain.Roots || changed.Name != "1.10" {
		t.Errorf("with one patch it is %+v, %v", changed, err)
	}
}
