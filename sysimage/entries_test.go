package sysimage

import (
	"fmt"
	"path/filepath"
	"testing"

	"chainbuild/elfpatch"
)

// What C finds leads to the variant that the loader chooses, whether the function belongs to a code instance or not, also under an image on top.
func TestEntries(t *testing.T) {
	shardLayouts(t, func(t *testing.T, l *testLayout) {
		entries := map[string]string{"f_for_c": "julia_f_2001", "f_again": "julia_f_2001", "other_for_c": "jlcapi_other_7"}
		for _, layout := range []elfpatch.Layout{elfpatch.Thin, elfpatch.Standalone} {
			dir := t.TempDir()
			base := openTest(t, newTestBase(l).write(t, dir))
			index := newIndex(l, "")
			index.Entries, index.Variants = entries, variantsFrom(base, 0, 2)
			m, err := base.Chain(newHeapOn(l, base).bytes(), index)
			if err != nil {
				t.Fatal(err)
			}
			var functions []string
			for target := range index.Variants.Targets {
				for _, name := range append(index.newFunctions(), "jlcapi_other_7") {
					functions = append(functions, VariantSymbol(name, target))
				}
			}
			path := filepath.Join(dir, "chained.so")
			addrs := linkTest(t, path, m, layout, functions)
			chained := openTest(t, path)
			if err := chained.Check(); err != nil {
				t.Error(err)
			}
			if n := len(chained.Functions) - len(base.Functions); n != 5 {
				t.Errorf("%d new functions, not 5", n)
			}
			above := filepath.Join(dir, "above.so")
			chainVariants(t, l, chained, chained.OwnVariants(), above, "_", elfpatch.Thin)
			for _, b := range []*Base{chained, openTest(t, above)} {
				for target := range b.Targets {
					is := l.load(t, b.Layers, target)
					for name, symbol := range entries {
						if err := leads(chained.Layers[0], name, is.slots, addrs[VariantSymbol(symbol, target)]); err != nil {
							t.Errorf("%d layers, target %d: %v", len(b.Layers), target, err)
						}
					}
				}
			}
		}
	})
}

// leads sees to it that a function is a jump through a slot that holds an address.
func leads(im *elfpatch.Image, name string, slots map[uint64]uint64, want uint64) error {
	s, ok := im.Lookup(name)
	if !ok {
		return fmt.Errorf("there is no %s", name)
	}
	code, err := im.Bytes(s.Value, 6)
	if err != nil || code[0] != 0xff || code[1] != 0x25 { // jmp *disp32(%rip)
		return fmt.Errorf("%s is % x (%v)", name, code, err)
	}
	slot := s.Value + 6 + uint64(int64(int32(le.Uint32(code[2:]))))
	if got := slots[slot]; got != want || want == 0 {
		return fmt.Errorf("%s leads through slot %#x to %#x, not %#x", name, slot, got, want)
	}
	return nil
}
