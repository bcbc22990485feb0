package anatomy

// This file says how an object is reached: Plots.TABLE.vals[3], or a method and what of it.

import (
	"fmt"
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
		place := w.heap.Place(x, r.At)
		if dict := w.dictOf(x); dict != sysimage.None {
			if key := w.key(dict, place); key != "" {
				x, place = dict, key
			}
		}
		places = append(places, place)
	}
	slices.Reverse(places)
	way := strings.Join(places, "")
	if h.module < 0 {
		return groupTitles[h.pkg] + way
	}
	if h.kind == ThingGlobal {
		// What lies between a variable and its value is the runtime's.
		way = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(way, ".partitions"), ".restriction"), ".value")
	}
	return w.start(h, x) + way
}

// start names the object of a thing that a route starts at, as an expression of Julia where there is one.
func (w *owners) start(h holder, x sysimage.Object) string {
	name := moduleName(w.image, h.module)
	switch h.kind {
	case ThingModule:
	case ThingGlobal:
		return name + "." + w.bindingName(x)
	default:
		name += "." + w.thing(h).Name
	}
	return name + ", " + w.heap.TypeName(x)
}

// dictOf returns the Dict whose values an array or a memory has, None if it is none of a Dict.
func (w *owners) dictOf(x sysimage.Object) sysimage.Object {
	if w.via[x] < 0 {
		return sysimage.None
	}
	dict := w.heap.Holder(w.heap.Reference(int(w.via[x])))
	if w.heap.TypeName(dict) != "Dict" || w.heap.Field(dict, "vals") != x {
		return sysimage.None
	}
	return dict
}

// maxKey is how long a key is written at most, in bytes.
const maxKey = 80

// key writes the key of a Dict that belongs to the value at a place of its values, "" for a key that is neither a String nor a Symbol.
func (w *owners) key(dict sysimage.Object, place string) string {
	keys := w.heap.Field(dict, "keys")
	if keys == sysimage.None {
		return ""
	}
	first, end := w.heap.References(keys)
	for i := first; i < end; i++ {
		r := w.heap.Reference(i)
		if r.To == keys || w.heap.Place(keys, r.At) != place {
			continue
		}
		if text, ok := w.heap.Text(r.To); ok && len(text) <= maxKey {
			return fmt.Sprintf("[%q]", text)
		}
		if name, ok := w.heap.Symbol(r.To); ok {
			return "[:" + name + "]"
		}
	}
	return ""
}
