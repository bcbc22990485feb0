package julia

import (
	"bytes"
	"os"
	"path/filepath"
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
	if found, err := in.Patches(); err == nil {
		t.Errorf("without the library for code generation, patches are %v", found)
	}
	library("libjulia-codegen.so.1.12", "jl_gc_frames_in_order")
	found, err := in.Patches()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"image-layers": true, "native-code-always": false, "gc-frame-order": true}
	for _, p := range found {
		if p.Has != want[p.Name] {
			t.Errorf("of the patch %s it is said: %v", p.Name, p.Has)
		}
	}
	if len(found) != len(want) {
		t.Errorf("the patches are %v", found)
	}
	in = &Installation{LibJulia: library("libjulia.so.1.5", "jl_gc_frames_in_order")}
	if found, err := in.Patches(); err != nil || !found[2].Has || found[0].Has {
		t.Errorf("those of a Julia with one library are %v, %v", found, err)
	}
}
