package anatomy

// This file says how old packages are, and which is the youngest one that a type comes from. An age is a place in the order in which
// packages were loaded, the oldest first.

import (
	"cmp"
	"slices"

	"chainbuild/sysimage"
)

// findAges finds the packages and puts them into the order in which they were loaded.
func (w *owners) findAges() {
	never := ^uint64(0)
	first := map[int]uint64{}
	for i := range w.image.Modules {
		if top := w.image.TopLevel(i); first[top] == 0 {
			first[top] = never
			w.packages = append(w.packages, top)
		}
	}
	for x := range w.heap.All(sysimage.PartObjects) {
		if w.kind(x) != methodObject {
			continue
		}
		if m, ok := w.modules[w.heap.Field(x, "module")]; ok {
			top := w.image.TopLevel(m)
			first[top] = min(first[top], w.heap.Number(x, "primary_world"))
		}
	}
	// Core and Base come first in any case, Main last: it is nobody's package, and may use all.
	order := map[string]int{"Core": -2, "Base": -1, "Main": 1}
	slices.SortStableFunc(w.packages, func(a, b int) int {
		nameA, nameB := w.image.Modules[a].Name, w.image.Modules[b].Name
		return cmp.Or(cmp.Compare(order[nameA], order[nameB]), cmp.Compare(first[a], first[b]), cmp.Compare(nameA, nameB))
	})
	place := map[int]int{}
	for age, top := range w.packages {
		place[top] = age
	}
	w.age = make([]int, len(w.image.Modules))
	for i := range w.age {
		w.age[i] = place[w.image.TopLevel(i)]
	}
}

// maxTypeDepth bounds how deep a type is followed: none has parameters of parameters that deep, but a damaged heap may have circles.
const maxTypeDepth = 32

// ageOfType is the age of the youngest package that a type comes from.
func (w *owners) ageOfType(x sysimage.Object, depth int) int {
	if x == sysimage.None || depth > maxTypeDepth {
		return 0
	}
	var parts []sysimage.Object
	age := 0
	switch w.heap.TypeName(x) {
	case "DataType":
		if known, ok := w.typeAge[x]; ok {
			return known
		}
		w.typeAge[x] = 0
		if m, ok := w.modules[w.heap.Field(w.heap.Field(x, "name"), "module")]; ok {
			age = w.age[m]
		}
		parts = w.heap.Parameters(x)
	case "UnionAll":
		parts = []sysimage.Object{w.heap.Field(x, "var"), w.heap.Field(x, "body")}
	case "Union":
		parts = []sysimage.Object{w.heap.Field(x, "a"), w.heap.Field(x, "b")}
	case "TypeVar":
		parts = []sysimage.Object{w.heap.Field(x, "lb"), w.heap.Field(x, "ub")}
	case "TypeofVararg":
		parts = []sysimage.Object{w.heap.Field(x, "T")}
	default:
		return 0
	}
	for _, part := range parts {
		age = max(age, w.ageOfType(part, depth+1))
	}
	if w.heap.TypeName(x) == "DataType" {
		w.typeAge[x] = age
	}
	return age
}
