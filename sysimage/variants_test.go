package sysimage

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
)

// variantsFrom are targets that those of the base with the given numbers serve on, called x0, x1 and so on.
func variantsFrom(b *Base, from ...int) *Variants {
	v := &Variants{from: from}
	for i, f := range from {
		t := b.Targets[f]
		t.Name = fmt.Sprint("x", i)
		v.Targets = append(v.Targets, t)
	}
	return v
}

// shardLayouts runs a test for each layout whose images may have new code for several targets.
func shardLayouts(t *testing.T, test func(t *testing.T, l *testLayout)) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		if l == test1_5 {
			t.Skip("new code has one variant")
		}
		test(t, l)
	})
}

// On each target of the image, new functions run their own variant, and those of the base the one that is meant for it. Images are built on images
// whose targets are others.
func TestVariants(t *testing.T) {
	shardLayouts(t, func(t *testing.T, l *testLayout) {
		for layouts, list := range map[[2]elfpatch.Layout][][2][]int{
			{elfpatch.Thin, elfpatch.Thin}: {
				{nil, nil}, {{0, 1, 2}, nil}, {{0, 2}, {0, 1}}, {{2, 0}, nil}, {{1}, {0, 0}}, {{1, 1, 2, 0}, {3, 2}}, {nil, {1, 2}},
			},
			{elfpatch.Standalone, elfpatch.Thin}: {{nil, {2, 0}}, {{2, 1}, nil}},
			{elfpatch.Thin, elfpatch.Standalone}: {{{2}, {0}}, {{0, 2}, {1, 1, 0}}},
		} {
			for _, froms := range list {
				t.Run(fmt.Sprint(layouts, froms), func(t *testing.T) {
					dir := t.TempDir()
					below := openTest(t, newTestBase(l).write(t, dir))
					for i, from := range froms {
						v := below.OwnVariants()
						if from != nil {
							v = variantsFrom(below, from...)
						}
						path, suffix := filepath.Join(dir, fmt.Sprintf("level%d.so", i)), strings.Repeat("_", i)
						h, addrs, _ := chainVariants(t, l, below, v, path, suffix, layouts[i])
						b := openTest(t, path)
						if err := b.Check(); err != nil {
							t.Error(err)
						}
						checkVariants(t, l, below, b, v, h, addrs, suffix)
						if got, want := targetNames(b.Targets), targetNames(v.Targets); got != want {
							t.Errorf("the targets are %s, not %s", got, want)
						}
						for j, name := range newIndex(l, suffix).newFunctions() {
							f := b.Functions[len(below.Functions)+j]
							for target, addr := range f.Variants {
								if addr != addrs[VariantSymbol(name, target)] {
									t.Errorf("variant %d of %s is read at %#x", target, name, addr)
								}
							}
						}
						below = b
					}
					// New code for one processor, on top of it all.
					path := filepath.Join(dir, "top.so")
					h, addrs, _ := chainTest(t, l, below, path, "top", elfpatch.Thin)
					checkAgainstBase(t, l, below, openTest(t, path), h, addrs, "top")
				})
			}
		}
	})
}

func TestVariantsRefused(t *testing.T) {
	base := openTest(t, newTestBase(test1_5).write(t, t.TempDir()))
	index := newIndex(test1_5, "")
	index.Variants = base.OwnVariants()
	if _, err := base.Chain(newHeapOn(test1_5, base).bytes(), index); err == nil || !strings.Contains(err.Error(), "images of Julia 1.5 get new code for one target") {
		t.Errorf("the error is %v", err)
	}
}

// A list of targets is written as it was read, and damage is found.
func TestTargetLists(t *testing.T) {
	shardLayouts(t, func(t *testing.T, l *testLayout) {
		base := openTest(t, newTestBase(l).write(t, t.TempDir()))
		var want []byte
		for _, field := range newTestBase(l).targetFields() {
			want = le.AppendUint32(want, field)
		}
		list := appendTargets(nil, base.Targets)
		if !bytes.Equal(list, want) {
			t.Errorf("the list is written as\n%x, not\n%x", list, want)
		}
		if targets, err := base.ParseTargets(list); err != nil || targetNames(targets) != targetNames(base.Targets) {
			t.Errorf("it is read as %s (%v)", targetNames(targets), err)
		}
		for n := range list {
			if targets, err := base.ParseTargets(list[:n]); err == nil {
				t.Errorf("%d bytes of it are read as %s", n, targetNames(targets))
			}
		}
		if _, err := base.ParseTargets(append(list, 0)); err == nil {
			t.Error("what is behind it is not seen")
		}
	})
}

// cpu is a target with features, by their bits, of which it lacks all others below 96.
func cpu(name string, bits ...int) Target {
	t := Target{Name: name, on: make(featureSet, 12), off: bytes.Repeat([]byte{0xff}, 12)}
	for _, bit := range bits {
		t.on[bit/8] |= 1 << (bit % 8)
		t.off[bit/8] &^= 1 << (bit % 8)
	}
	return t
}

// Which target of an image is chosen, as the loader says it (match_sysimg_targets).
func TestMatch(t *testing.T) {
	const cx16, sse3, fma, popcnt = 13, 0, 12, 23
	generic, sandy := cpu("generic", cx16), cpu("sandybridge", cx16, sse3, featureAVX)
	haswell, skylake := cpu("haswell", cx16, sse3, fma, featureAVX), cpu("skylake-avx512", cx16, sse3, fma, featureAVX, featureAVX512F)
	official := []Target{generic, sandy, haswell}
	for _, test := range []struct {
		image     []Target
		processor Target
		want      int
	}{
		{official, generic, 0}, {official, sandy, 1}, {official, haswell, 2}, {official, skylake, 2},
		{official, cpu("znver3", cx16, sse3, fma, popcnt, featureAVX), 2},
		{official, cpu("x86-64", cx16), 0},
		{official, cpu("nehalem", cx16, sse3, popcnt), 0},
		// One that lacks what its name stands for.
		{official, cpu("haswell", cx16, sse3, featureAVX), 1},
		// A name that fits counts more than registers.
		{[]Target{generic, skylake, haswell}, cpu("haswell", cx16, sse3, fma, featureAVX, featureAVX512F), 2},
		{[]Target{generic}, skylake, 0}, {[]Target{skylake, haswell, generic}, generic, 2},
		// Of two that are as good, the later one.
		{[]Target{generic, cpu("other", cx16)}, sandy, 1},
		{[]Target{haswell}, sandy, -1}, {[]Target{skylake}, haswell, -1}, {nil, generic, -1},
	} {
		got, ok := match(test.image, test.processor)
		if ok != (test.want >= 0) || ok && got != test.want {
			t.Errorf("of %s, %s gets target %d (%v), not %d", targetNames(test.image), test.processor.Name, got, ok, test.want)
		}
	}

	base := openTest(t, newTestBase(test1_12).write(t, t.TempDir()))
	base.Targets = official
	base.Targets[2].Flags = TargetVectorCalls
	v, err := base.VariantsFor([]Target{generic, skylake})
	if err != nil || !slices.Equal(v.from, []int{0, 2}) || v.Targets[0].Flags != 0 || v.Targets[1].Flags != TargetVectorCalls || skylake.Flags != 0 {
		t.Errorf("the variants are %+v (%v)", v, err)
	}
	base.Targets = []Target{haswell, skylake}
	if _, err := base.VariantsFor([]Target{haswell, sandy}); err == nil || !strings.Contains(err.Error(), `has no code that runs on each processor that "sandybridge" may be chosen for: it is for haswell, skylake-avx512`) {
		t.Errorf("the error is %v", err)
	}
}
