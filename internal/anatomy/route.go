package anatomy

// This file says how an object is reached: Plots.TABLE.vals[3], or a method and what of it.

import (
	"slices"
	"strings"

	"chainbuild/sysimage"
)

// route says how Julia's code, or its runtime, comes to an object from the thing that it counts for.
func (w *owners) route(x sysimage.Object) string {
	h := w.holders[w.owner[x]]
	var places []string
	for w.via[x] >= 0 {
		r := w.heap.Reference(int(w.via[x]))
		x = w.heap.Holder(r)
		places = append(places, w.heap.Place(x, r.At))
	}
	slices.Reverse(places)
	if h.module < 0 {
		return groupTitles[h.pkg] + strings.Join(places, "")
	}
	return w.start(h, x) + strings.Join(places, "")
}

// start names the object of a thing that a route starts at.
func (w *owners) start(h holder, x sysimage.Object) string {
	return w.heap.TypeName(x) + " " + w.thing(h).Name
}
