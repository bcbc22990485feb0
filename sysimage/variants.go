package sysimage

// This file says what a chained image is for when new functions have variants for several targets.
//
// The loader chooses one target of an image's list, for the base's functions and the new ones alike (sysimg_init_cb in src/processor_x86.cpp).
// So a list of targets stands for both. It is the base's own, or a new one, of which each target has a target of the base whose code
// serves: the one that the base's loader chooses on a processor that has what the new target has and no more. All processors on which the new target may be
// chosen have that, so the base's code runs there.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Variants are the targets for which each new function has a variant. The variant for target t has the symbol VariantSymbol(symbol, t).
type Variants struct {
	// Targets are those of the image.
	Targets []Target
	// from is, for each of them, the target of the base whose code serves.
	from []int
}

// VariantSymbol names the variant of a symbol for a target.
func VariantSymbol(symbol string, target int) string {
	if target == 0 {
		return symbol
	}
	return symbol + ".target" + strconv.Itoa(target)
}

// OwnVariants are variants for the base's own targets.
func (b *Base) OwnVariants() *Variants {
	v := &Variants{Targets: b.Targets}
	for i := range b.Targets {
		v.from = append(v.from, i)
	}
	return v
}

// ParseTargets reads a list of targets in the form that images of b's format have.
func (b *Base) ParseTargets(list []byte) ([]Target, error) {
	rest := list
	targets, err := parseTargets(func(n uint32) []byte {
		if int(n) > len(rest) {
			return nil
		}
		data := rest[:n:n]
		rest = rest[n:]
		return data
	}, b.layout.features)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%w: there are %d bytes behind the list of targets", ErrDamaged, len(rest))
	}
	return targets, err
}

// VariantsFor are variants for other targets than the base's own. The error says for which one the base has no code.
func (b *Base) VariantsFor(targets []Target) (*Variants, error) {
	v := &Variants{}
	for _, t := range targets {
		i, ok := match(b.Targets, t)
		if !ok {
			return nil, fmt.Errorf("%s has no code that runs on each processor that %q may be chosen for: it is for %s", b.Layers[0].Path, t.Name, targetNames(b.Targets))
		}
		t.Flags |= b.Targets[i].Flags & TargetVectorCalls
		v.Targets = append(v.Targets, t)
		v.from = append(v.from, i)
	}
	return v, nil
}

// own says that targets serve as they do in the base.
func (v *Variants) own(base *Base) bool {
	return slices.Equal(v.from, base.OwnVariants().from)
}

func targetNames(targets []Target) string {
	var names []string
	for _, t := range targets {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// match finds the target of an image that is chosen on a processor, as match_sysimg_targets in src/processor.cpp does.
func match(image []Target, processor Target) (best int, ok bool) {
	size, features, named := 0, 0, false
	for i, t := range image {
		if overlap(t.on, processor.off) {
			continue
		}
		if plainName(t.Name) == plainName(processor.Name) {
			if !named {
				size, features, named = 0, 0, true
			}
		} else if named {
			continue
		}
		itsSize, itsFeatures := vectorSize(t), t.on.count()
		if itsSize < size || itsSize == size && itsFeatures < features {
			continue
		}
		best, ok, size, features = i, true, itsSize, itsFeatures
	}
	return best, ok
}

// plainName is the name that Julia compares (normalize_cpu_name).
func plainName(name string) string {
	if name == "x86-64" || name == "x86_64" {
		return "generic"
	}
	return name
}

// Bits of features that decide about the size of vector registers, in all versions.
const (
	featureAVX     = 28
	featureAVX512F = 2*32 + 16
)

// vectorSize is how large vector registers are that code for the target uses, in bytes (max_vector_size).
func vectorSize(t Target) int {
	switch {
	case t.on.has(featureAVX512F):
		return 64
	case t.on.has(featureAVX):
		return 32
	}
	return 16
}

func overlap(a, b featureSet) bool {
	for i := range min(len(a), len(b)) {
		if a[i]&b[i] != 0 {
			return true
		}
	}
	return false
}

func (s featureSet) count() (n int) {
	for bit := range 8 * len(s) {
		if s.has(bit) {
			n++
		}
	}
	return n
}

// appendTargets appends a list of targets as the loader reads it.
func appendTargets(out []byte, targets []Target) []byte {
	out = le.AppendUint32(out, uint32(len(targets)))
	for _, t := range targets {
		out = le.AppendUint32(out, t.Flags)
		out = le.AppendUint32(out, uint32(len(t.on)/4))
		out = slices.Concat(out, t.on, t.off)
		for _, text := range []string{t.Name, strings.Join(t.Extra, ",")} {
			out = le.AppendUint32(out, uint32(len(text)))
			out = append(out, text...)
		}
	}
	return out
}
