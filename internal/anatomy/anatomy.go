// Package anatomy tells what an image is made of: how many bytes of its file each package, module, method, type and global variable
// takes, and as what: code, objects of the heap by their types, constants, debug information.
//
// All numbers are bytes of the image's own file, and they add up to its size. Whom an object of the heap counts for is the rule at
// the head of owners.go. Code and debug information count for the method that they were compiled from.
package anatomy

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"chainbuild/sysimage"
)

// A Kind is what bytes are.
type Kind uint8

// The kinds, in the order in which they are shown.
const (
	Code        Kind = iota // machine code and the descriptions of its frames
	Debug                   // debug information and the table of symbols, which nothing loads
	HeapObjects             // objects of the heap
	Constants               // what objects of the heap point to and that holds no pointers: strings, data of arrays, layouts
	Symbols                 // names
	Relocations             // where the heap's references are
	Tables                  // all else: tables of functions and cells, headers, what lies between
	kindCount
)

// KindNames are the names of the kinds in JSON.
var KindNames = [kindCount]string{"code", "debug", "objects", "constants", "symbols", "relocations", "tables"}

// Sizes are bytes by kind.
type Sizes [kindCount]int64

// Total is the sum of all kinds.
func (s Sizes) Total() (sum int64) {
	for _, n := range s {
		sum += n
	}
	return sum
}

// Heap is the sum of what is a part of the heap.
func (s Sizes) Heap() int64 { return s[HeapObjects] + s[Constants] + s[Symbols] + s[Relocations] }

func (s *Sizes) add(other Sizes) {
	for k, n := range other {
		s[k] += n
	}
}

// An Anatomy is what an image's file is made of.
type Anatomy struct {
	// Bytes is the size of the file.
	Bytes int64
	Sizes Sizes
	// New is what it has beyond its base, nil if that was not asked for (Beyond).
	New *Sizes
	// Packages are all packages, and groups of what belongs to none, the largest first.
	Packages []*Package
	// Ages are the names of packages, the oldest first.
	Ages []string
}

// A Package is a top-level module with all that counts for it, or, with a name in round brackets, a group of what counts for none.
type Package struct {
	Name  string
	Sizes Sizes
	New   *Sizes
	// Modules are its modules, and those of other packages that have methods which are specialised for it, the largest first.
	Modules []*Module
}

// A Module is what a module has for a package.
type Module struct {
	Name  string
	Sizes Sizes
	New   *Sizes
	// Things are what it consists of, Types what its part of the heap consists of. Both add up to the same, but for code and debug
	// information, which have no type.
	Things []*Thing
	Types  []*Type
}

// A ThingKind says what a thing is.
type ThingKind string

// The kinds of things.
const (
	ThingMethod ThingKind = "method" // with its specialisations and their code
	ThingType   ThingKind = "type"   // with its instances for parameters; functions have types, too
	ThingGlobal ThingKind = "global" // a global variable, with what it holds
	ThingTable  ThingKind = "table"  // a table of methods: of a function, from Julia 1.12 on of all
	ThingModule ThingKind = "module" // the module itself
	ThingOther  ThingKind = "other"  // what belongs to no module
	ThingRest   ThingKind = "rest"   // small things of a module, see Fold
)

// A Thing is what a module consists of.
type Thing struct {
	Kind  ThingKind
	Name  string
	File  string // of methods
	Line  int
	Sizes Sizes
	New   *Sizes
	// Functions counts the functions with native code, those of the base with them.
	Functions int
	// Count is how many things it stands for, of kind ThingRest only.
	Count int
}

// A Type is a type of objects.
type Type struct {
	Name  string
	Count int
	Bytes int64
}

// Read takes an image apart.
func Read(image *sysimage.Base) (*Anatomy, error) {
	r := &reader{image: image}
	var group sync.WaitGroup
	var codeErr error
	group.Go(func() { codeErr = r.readCode() })
	heapErr := r.readHeap()
	group.Wait()
	if err := cmp.Or(heapErr, codeErr); err != nil {
		return nil, err
	}
	return r.assemble()
}

// A reader puts an Anatomy together.
type reader struct {
	image       *sysimage.Base
	code, debug shares
	owners      *owners
}

func (r *reader) readCode() (err error) {
	m := mapCode(r.image)
	if r.code, err = codeShares(r.image, m); err != nil {
		return err
	}
	r.debug = debugShares(r.image.Layers[0], m, len(r.image.Functions))
	return nil
}

func (r *reader) readHeap() error {
	heap, err := r.image.Objects()
	if err != nil {
		return err
	}
	r.owners = own(r.image, heap)
	return nil
}

// A typeKey says which objects are counted together.
type typeKey struct {
	module moduleKey
	label  string
}

type moduleKey struct{ pkg, module int }

// assemble adds up what each thing takes.
func (r *reader) assemble() (*Anatomy, error) {
	w := r.owners
	sizes := make([]Sizes, len(w.holders))
	types := map[typeKey]*Type{}
	labels := newLabels(w)
	heapPart := [...]Kind{sysimage.PartObjects: HeapObjects, sysimage.PartConstants: Constants, sysimage.PartSymbols: Symbols}
	for x := range sysimage.Object(w.heap.Len()) {
		owner, size, relocs := w.owner[x], w.heap.Size(x), w.heap.RelocSize(x)
		sizes[owner][heapPart[w.heap.Part(x)]] += size
		sizes[owner][Relocations] += relocs
		h := w.holders[owner]
		key := typeKey{moduleKey{h.pkg, h.module}, labels.of(x)}
		t := types[key]
		if t == nil {
			t = &Type{Name: key.label}
			types[key] = t
		}
		t.Count++
		t.Bytes += size + relocs
	}
	return r.collect(sizes, types)
}

// collect makes the tree.
func (r *reader) collect(sizes []Sizes, types map[typeKey]*Type) (*Anatomy, error) {
	w := r.owners
	functions := make([]int, len(w.holders))
	file := w.number(holder{pkg: groupFile, module: -1})
	for int(file) >= len(sizes) {
		sizes, functions = append(sizes, Sizes{}), append(functions, 0)
	}
	counted := make([]bool, len(r.image.Functions))
	for _, c := range r.image.Code {
		owner := w.owner[w.heap.Find(c.Offset)]
		for _, f := range []int32{c.Invoke, c.Spec} {
			if f >= 0 {
				counted[f] = true
				functions[owner]++
				sizes[owner][Code] += r.code.functions[f]
				sizes[owner][Debug] += r.debug.functions[f]
			}
		}
	}
	for f, done := range counted {
		if !done {
			sizes[file][Code] += r.code.functions[f]
			sizes[file][Debug] += r.debug.functions[f]
		}
	}
	sizes[file][Code] += r.code.rest
	sizes[file][Debug] += r.debug.rest
	a := &Anatomy{Bytes: int64(len(r.image.Layers[0].Data))}
	for _, top := range w.packages {
		a.Ages = append(a.Ages, r.image.Modules[top].Name)
	}
	for _, s := range sizes {
		a.Sizes.add(s)
	}
	tables := a.Bytes - a.Sizes.Total()
	if tables < 0 {
		return nil, fmt.Errorf("%s: %w: its parts are larger than the file", r.image.Layers[0].Path, sysimage.ErrDamaged)
	}
	a.Sizes[Tables] += tables
	sizes[file][Tables] += tables

	packages, modules := map[int]*Package{}, map[moduleKey]*Module{}
	things := map[*Module]map[string]*Thing{}
	module := func(key moduleKey) *Module {
		m := modules[key]
		if m == nil {
			m = &Module{Name: r.moduleTitle(key.module)}
			modules[key], things[m] = m, map[string]*Thing{}
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
	for i, h := range w.holders {
		if sizes[i] == (Sizes{}) {
			continue
		}
		m := module(moduleKey{h.pkg, h.module})
		t := w.thing(h)
		key := string(t.Kind) + " " + t.Name
		if same := things[m][key]; same != nil {
			t = same
		} else {
			things[m][key] = t
			m.Things = append(m.Things, t)
		}
		t.Sizes.add(sizes[i])
		t.Functions += functions[i]
		m.Sizes.add(sizes[i])
		packages[h.pkg].Sizes.add(sizes[i])
	}
	for key, t := range types {
		m := module(key.module)
		m.Types = append(m.Types, t)
	}
	a.sort()
	return a, nil
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
