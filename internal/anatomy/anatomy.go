// Package anatomy tells what an image is made of: how many bytes of its file each package, module, method, type and global variable
// takes, and as what: code, objects of the heap by their types, constants, debug information.
//
// All numbers are bytes of the image's own file, and they add up to its size. Whom an object of the heap counts for is the rule at
// the head of owners.go. Code and debug information count for the method that they were compiled from.
package anatomy

import (
	"cmp"
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
	return r.tree()
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
