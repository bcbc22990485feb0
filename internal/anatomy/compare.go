package anatomy

// This file compares images: what a chained image has beyond its base, and what came, went and grew from one build to the next.
//
// Things are the same if they are of one kind and have one name in one module of one package. Numbers that Julia gives to closures
// differ from build to build and are left out of the comparison.

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// A key names what is compared: a package, a module of it, or a thing of that.
type key struct {
	pkg, module string
	kind        ThingKind
	name        string
}

// generated are numbers in names that Julia makes.
var generated = regexp.MustCompile(`#[0-9]+`)

func thingKey(p *Package, m *Module, t *Thing) key {
	name := t.Name
	if strings.IndexByte(name, '#') >= 0 {
		name = generated.ReplaceAllString(name, "#")
	}
	return key{p.Name, m.Name, t.Kind, name}
}

// sizes are those of all packages, modules and things.
func (a *Anatomy) sizes() map[key]Sizes {
	all := map[key]Sizes{}
	add := func(k key, s Sizes) {
		sum := all[k]
		sum.add(s)
		all[k] = sum
	}
	for _, p := range a.Packages {
		add(key{pkg: p.Name}, p.Sizes)
		for _, m := range p.Modules {
			add(key{pkg: p.Name, module: m.Name, kind: "in"}, m.Sizes)
			for _, t := range m.Things {
				add(thingKey(p, m, t), t.Sizes)
			}
		}
	}
	return all
}

func (s Sizes) minus(other Sizes) Sizes {
	for k, n := range other {
		s[k] -= n
	}
	return s
}

// Beyond notes what each part of an image has beyond the base that it was chained to. The base's code counts only if the image has
// a copy of it.
func (a *Anatomy) Beyond(base *Anatomy, copied bool) {
	old := base.sizes()
	beyond := func(s Sizes, k key) *Sizes {
		was := old[k]
		if !copied {
			was[Code], was[Debug], was[Tables] = 0, 0, 0
		}
		s = s.minus(was)
		return &s
	}
	all := base.Sizes
	if !copied {
		all[Code], all[Debug], all[Tables] = 0, 0, 0
	}
	sum := a.Sizes.minus(all)
	a.New = &sum
	for _, p := range a.Packages {
		p.New = beyond(p.Sizes, key{pkg: p.Name})
		for _, m := range p.Modules {
			m.New = beyond(m.Sizes, key{pkg: p.Name, module: m.Name, kind: "in"})
			for _, t := range m.Things {
				t.New = beyond(t.Sizes, thingKey(p, m, t))
			}
		}
	}
}

// A Change is how the size of a package or a thing differs between two images.
type Change struct {
	Package string
	// Module, Kind and Name are empty for a package.
	Module   string
	Kind     ThingKind
	Name     string
	Old, New Sizes
}

// By is how much it grew, negative if it shrank.
func (c Change) By() int64 { return c.New.Total() - c.Old.Total() }

// A Difference is what changed from one image to another.
type Difference struct {
	Old, New Sizes
	// Packages and Things are those whose sizes differ in some kind, the largest change first.
	Packages, Things []Change
}

// Compare says what changed from old to new.
func Compare(old, new *Anatomy) *Difference {
	d := &Difference{Old: old.Sizes, New: new.Sizes}
	was, is := old.sizes(), new.sizes()
	names := new.names()
	for k, name := range old.names() {
		if _, ok := names[k]; !ok {
			names[k] = name
		}
	}
	for k, name := range names {
		if was[k] == is[k] {
			continue
		}
		c := Change{k.pkg, k.module, k.kind, name, was[k], is[k]}
		if k.kind == "" {
			d.Packages = append(d.Packages, c)
		} else {
			d.Things = append(d.Things, c)
		}
	}
	for _, list := range [][]Change{d.Packages, d.Things} {
		slices.SortFunc(list, func(a, b Change) int {
			return cmp.Or(cmp.Compare(abs(b.By()), abs(a.By())), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Module, b.Module),
				cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
		})
	}
	return d
}

// names are the names of packages and things as they are.
func (a *Anatomy) names() map[key]string {
	names := map[key]string{}
	for _, p := range a.Packages {
		names[key{pkg: p.Name}] = ""
		for _, m := range p.Modules {
			for _, t := range m.Things {
				names[thingKey(p, m, t)] = t.Name
			}
		}
	}
	return names
}

func abs(n int64) int64 { return max(n, -n) }

// Fold keeps the largest things and counts the others of each module as one.
func (a *Anatomy) Fold(keep int) {
	var totals []int64
	for _, p := range a.Packages {
		for _, m := range p.Modules {
			for _, t := range m.Things {
				totals = append(totals, t.Sizes.Total())
			}
		}
	}
	if len(totals) <= keep {
		return
	}
	slices.Sort(totals)
	smallest := totals[len(totals)-keep]
	for _, p := range a.Packages {
		for _, m := range p.Modules {
			m.fold(smallest)
		}
	}
}

// fold makes one thing of those that are smaller than a size.
func (m *Module) fold(smallest int64) {
	first := len(m.Things)
	for first > 0 && m.Things[first-1].Sizes.Total() < smallest {
		first--
	}
	if first >= len(m.Things)-1 {
		return
	}
	rest := &Thing{Kind: ThingRest, Count: len(m.Things) - first}
	for _, t := range m.Things[first:] {
		rest.Sizes.add(t.Sizes)
		rest.Functions += t.Functions
		if t.New != nil {
			if rest.New == nil {
				rest.New = &Sizes{}
			}
			rest.New.add(*t.New)
		}
	}
	m.Things = append(m.Things[:first:first], rest)
}
