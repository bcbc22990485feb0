package anatomy

// This file adds up what each thing takes, and makes the tree of packages, modules and things of it.

import (
	"cmp"
	"fmt"
	"slices"

	"chainbuild/sysimage"
)

// A weight is what a holder takes, and how many functions it has.
type weight struct {
	sizes     Sizes
	functions int
}

// A typeKey says which objects are counted together: those of a module for a package that have a label.
type typeKey struct {
	module moduleKey
	label  int
}

type moduleKey struct{ pkg, module int }

// tree adds up and makes the tree.
func (r *reader) tree() (*Anatomy, error) {
	file := r.owners.number(holder{pkg: groupFile, module: -1})
	weights := make([]weight, len(r.owners.holders))
	types, labels := r.weighObjects(weights)
	r.weighFunctions(weights, &weights[file])
	a := &Anatomy{Bytes: int64(len(r.image.Layers[0].Data))}
	for _, w := range weights {
		a.Sizes.add(w.sizes)
	}
	tables := a.Bytes - a.Sizes.Total()
	if tables < 0 {
		return nil, fmt.Errorf("%s: %w: its parts are larger than the file", r.image.Layers[0].Path, sysimage.ErrDamaged)
	}
	a.Sizes[Tables] += tables
	weights[file].sizes[Tables] += tables
	for _, top := range r.owners.packages {
		a.Ages = append(a.Ages, r.image.Modules[top].Name)
	}
	r.grow(a, weights, types, labels)
	a.sort()
	return a, nil
}

// weighObjects adds what the heap's objects take, and counts them by their labels.
func (r *reader) weighObjects(weights []weight) (map[typeKey]*Type, []string) {
	w := r.owners
	labels, types := newLabeller(w), map[typeKey]*Type{}
	kinds := [...]Kind{sysimage.PartObjects: HeapObjects, sysimage.PartConstants: Constants, sysimage.PartSymbols: Symbols}
	for x := range sysimage.Object(w.heap.Len()) {
		owner, size, relocs := w.owner[x], w.heap.Size(x), w.heap.RelocSize(x)
		weights[owner].sizes[kinds[w.heap.Part(x)]] += size
		weights[owner].sizes[Relocations] += relocs
		h := &w.holders[owner]
		key := typeKey{moduleKey{h.pkg, h.module}, labels.of(x)}
		t := types[key]
		if t == nil {
			t = &Type{}
			types[key] = t
		}
		t.Count++
		t.Bytes += size + relocs
	}
	return types, labels.names
}

// weighFunctions adds what native code takes. What belongs to no code instance is the file's.
func (r *reader) weighFunctions(weights []weight, file *weight) {
	add := func(w *weight, function int32) {
		w.sizes[Code] += r.code.functions[function]
		w.sizes[Debug] += r.debug.functions[function]
	}
	counted := make([]bool, len(r.image.Functions))
	for _, c := range r.image.Code {
		owner := &weights[r.owners.owner[r.owners.heap.Find(c.Offset)]]
		for _, f := range []int32{c.Invoke, c.Spec} {
			if f >= 0 {
				counted[f] = true
				owner.functions++
				add(owner, f)
			}
		}
	}
	for f, done := range counted {
		if !done {
			add(file, int32(f))
		}
	}
	file.sizes[Code] += r.code.rest
	file.sizes[Debug] += r.debug.rest
}

// grow makes the tree.
func (r *reader) grow(a *Anatomy, weights []weight, types map[typeKey]*Type, labels []string) {
	packages, modules := map[int]*Package{}, map[moduleKey]*Module{}
	module := func(key moduleKey) *Module {
		m := modules[key]
		if m == nil {
			m = &Module{Name: r.moduleTitle(key.module)}
			modules[key] = m
			p := packages[key.pkg]
			if p == nil {
				p = &Package{Name: r.packageTitle(key.pkg)}
				packages[key.pkg] = p
				a.Packages = append(a.Packages, p)
			}
			p.Modules = append(p.Modules, m)
		}
		return m
	}
	// Things of one name are one: methods that were defined anew, say.
	type name struct {
		module *Module
		kind   ThingKind
		name   string
	}
	things := map[name]*Thing{}
	for i, h := range r.owners.holders {
		w := &weights[i]
		if w.sizes == (Sizes{}) {
			continue
		}
		m, t := module(moduleKey{h.pkg, h.module}), r.owners.thing(h)
		key := name{m, t.Kind, t.Name}
		if same := things[key]; same != nil {
			t = same
		} else {
			things[key], m.Things = t, append(m.Things, t)
		}
		t.Functions += w.functions
		for _, sizes := range []*Sizes{&t.Sizes, &m.Sizes, &packages[h.pkg].Sizes} {
			sizes.add(w.sizes)
		}
	}
	for key, t := range types {
		t.Name = labels[key.label]
		m := module(key.module)
		m.Types = append(m.Types, t)
	}
}

// sort puts the largest first.
func (a *Anatomy) sort() {
	slices.SortFunc(a.Packages, func(x, y *Package) int {
		return cmp.Or(cmp.Compare(y.Sizes.Total(), x.Sizes.Total()), cmp.Compare(x.Name, y.Name))
	})
	for _, p := range a.Packages {
		slices.SortFunc(p.Modules, func(x, y *Module) int {
			return cmp.Or(cmp.Compare(y.Sizes.Total(), x.Sizes.Total()), cmp.Compare(x.Name, y.Name))
		})
		for _, m := range p.Modules {
			slices.SortFunc(m.Things, func(x, y *Thing) int {
				return cmp.Or(cmp.Compare(y.Sizes.Total(), x.Sizes.Total()), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Kind, y.Kind))
			})
			slices.SortFunc(m.Types, func(x, y *Type) int {
				return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(x.Name, y.Name))
			})
		}
	}
}
