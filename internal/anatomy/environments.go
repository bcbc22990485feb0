package anatomy

// This file finds copies of the environment in an image: dictionaries with names of its variables as keys, and lists of NAME=value.

import (
	"fmt"
	"slices"
	"strings"

	"chainbuild/sysimage"
)

// environmentNames are variables that each session has.
var environmentNames = []string{"HOME", "PATH", "USER", "LOGNAME", "PWD", "SHELL", "LANG", "TERM", "HOSTNAME", "OLDPWD"}

// minEnvironment is from how many of them on a collection is an environment.
const minEnvironment = 3

// environments lists the copies of the environment. It also returns the dictionaries and lists that they are.
func environments(w *owners, labels *labeller) ([]Finding, map[sysimage.Object]bool) {
	names := map[sysimage.Object]string{}
	for x := range sysimage.Object(w.heap.Len()) {
		text, ok := w.heap.Text(x)
		if !ok || len(text) > maxPath {
			continue
		}
		name, _, assigned := strings.Cut(string(text), "=")
		if slices.Contains(environmentNames, name) {
			names[x] = name
			if assigned {
				names[x] = name + "="
			}
		}
	}
	var list []Finding
	collections := map[sysimage.Object]bool{}
	for x := range w.heap.All(sysimage.PartObjects) {
		if typ := w.heap.TypeName(x); typ != "Array" && typ != "GenericMemory" {
			continue
		}
		var keys, assignments []string
		first, end := w.heap.References(x)
		for i := first; i < end; i++ {
			if name, ok := names[w.heap.Reference(i).To]; ok {
				if base, assigned := strings.CutSuffix(name, "="); assigned {
					assignments = append(assignments, base)
				} else {
					keys = append(keys, base)
				}
			}
		}
		switch {
		case len(assignments) >= minEnvironment:
			collections[x] = true
		case len(keys) >= minEnvironment && w.isKeys(x):
			collections[w.heap.Holder(w.heap.Reference(int(w.via[x])))] = true
		default:
			continue
		}
		all := append(keys, assignments...)
		slices.Sort(all)
		p := placeOf(w, labels, x)
		list = append(list, Finding{
			Path:  fmt.Sprintf("%d variables, among them %s", w.others(x), strings.Join(slices.Compact(all), ", ")),
			Class: ClassEnvironment, Holder: p.label, Route: p.route, Package: p.pkg,
		})
	}
	return list, collections
}

// others is how many references of an object lead to others.
func (w *owners) others(x sysimage.Object) (n int) {
	first, end := w.heap.References(x)
	for i := first; i < end; i++ {
		if w.heap.Reference(i).To != x {
			n++
		}
	}
	return n
}

// isValueOf says that an object is a value of one of some dictionaries, or an element of one of some lists.
func (w *owners) isValueOf(x sysimage.Object, collections map[sysimage.Object]bool) bool {
	if w.via[x] < 0 {
		return false
	}
	values := w.heap.Holder(w.heap.Reference(int(w.via[x])))
	return collections[values] || collections[w.dictOf(values)]
}

// isKeys says that an array has the keys of a dictionary.
func (w *owners) isKeys(x sysimage.Object) bool {
	if w.via[x] < 0 {
		return false
	}
	r := w.heap.Reference(int(w.via[x]))
	return strings.HasSuffix(w.heap.Place(w.heap.Holder(r), r.At), ".keys")
}
