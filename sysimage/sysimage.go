// Package sysimage reads Julia system images and chains new ones to them.
//
// A system image is a shared object that holds the serialised Julia heap (the blob), native code, and tables that tie
// the two together: which code instance runs which function, and which cell of the native code's data is filled with
// which object. Chaining gives the heap of a process that was started from a base image, and the code that is new in
// it, such tables, in which the base's functions keep their numbers and stay where they are.
//
// The package knows what the tables and the blob mean. How an image is an ELF file is the business of package elfpatch.
// Julia's versions are data: a layout (layout.go) says in numbers what their images are like, and which forms the heap and the
// tables have. Each form is in a file of its own; all else is written once.
package sysimage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"chainbuild/elfpatch"
	"chainbuild/internal/words"
)

// Errors that a caller may want to tell apart. They come wrapped with the name of the file.
var (
	// ErrNotSystemImage is returned for a shared object that is no Julia system image.
	ErrNotSystemImage = errors.New("not a Julia system image")
	// ErrUnknownFormat is returned for a system image of a format that this program does not know.
	ErrUnknownFormat = errors.New("system image of an unknown format")
	// ErrDamaged is returned for an image, a blob or an index whose parts contradict each other.
	ErrDamaged = errors.New("damaged")
	// ErrOtherBase is returned for a thin image whose base is not the one that it was built on.
	ErrOtherBase = errors.New("base was replaced by another build")
)

// A Base is a system image, opened for reading. Its methods may be used by several goroutines at once.
type Base struct {
	// Layers are the shared objects that make up the image: the one that Julia is started with, then, if that one is
	// thin, the one that it needs, and so on. Their virtual addresses do not overlap.
	Layers []*elfpatch.Image
	// Packages are the package images whose native code is part of the image, at addresses of their own (packageimage.go).
	Packages []*elfpatch.Image
	// Format names the format by the version of Julia that it is for: "1.5", "1.10".
	Format string
	// Note is what chaining left in the first layer, nil for an image that Julia itself has made.
	Note *Note
	// Blob says how large the parts of the serialised heap are.
	Blob BlobSizes
	// Targets are the CPUs that the native code was made for, in the image's order.
	Targets []Target
	// Functions is the function table, by function index.
	Functions []Function
	// Globals are the cells of native code that the loader fills, by cell index.
	Globals []Global
	// Code are the code instances that have native code, in ascending order of their offset.
	Code []CodeInstance
	// Modules are all modules of the heap, in ascending order of their offset.
	Modules []Module

	// data are the distinct offsets of Globals of kind GlobalData, ascending.
	data   []uint32
	layout *layout
	heap   *heap
	tables tables
}

// BlobSizes are the parts of a blob, in bytes.
type BlobSizes struct {
	Total     int64 // all of it
	Heap      int64 // objects
	Constants int64 // what objects point to and that holds no pointers: arrays of bits, layouts
	Symbols   int64 // names
	Relocs    int64 // positions of all references
	Globals   int64 // what goes into Base.Globals
	Functions int64 // what Base.Functions belong to
}

// A Function is an entry of the function table.
type Function struct {
	// Variants are virtual addresses of its code, one per target of the image: what the loader chooses on that target.
	// Base.Locate says which layer holds them.
	Variants []uint64
}

// single says that all targets run the same code.
func (f Function) single() bool {
	return !slices.ContainsFunc(f.Variants, func(v uint64) bool { return v != f.Variants[0] })
}

// A GlobalKind says what a cell is filled with.
type GlobalKind uint8

// The kinds of cells.
const (
	GlobalZero    GlobalKind = iota // nothing: the loader leaves the cell alone
	GlobalData                      // the object at Offset of the blob
	GlobalBinding                   // the binding called Name of Base.Modules[Module], which lies at Offset of the blob
	GlobalSymbol                    // the symbol called Name
	GlobalTag                       // a value that the loader makes itself, such as a small integer; Code says which
	GlobalPlanted                   // what the process has planted for it: of a package image whose code is taken over
)

// A Global is a cell of native code that the loader fills.
type Global struct {
	Kind   GlobalKind
	Offset uint32 // bytes from the start of the blob
	Module int    // index into Base.Modules
	Name   string
	Code   uint64 // the entry as the blob has it
}

// A CodeInstance is a compiled body of a method instance.
type CodeInstance struct {
	// Offset of the object in the blob, in bytes.
	Offset uint32
	// Invoke and Spec are the function indices of its wrapper and of its specialised body, -1 where it has none.
	Invoke, Spec int32
}

// A Module is a Julia module.
type Module struct {
	// Offset of the object in the blob, in bytes.
	Offset uint32
	Name   string
	// Parent is an index into Base.Modules. A module that is inside of no other one has itself, or Main, for a parent.
	Parent int
	// Bindings is how many names it binds.
	Bindings int
}

// Open reads the image whose layers are given: the file that Julia is started with, then, if that one is thin, the
// file that it needs, and so on (OpenFile finds them). The Base uses the layers as long as it lives and does not close them.
//
// It returns ErrNotSystemImage, ErrUnknownFormat or ErrDamaged, wrapped.
func Open(layers ...*elfpatch.Image) (*Base, error) { return open(layers, nil) }

// open is Open for an image that uses code of package images.
func open(layers, packages []*elfpatch.Image) (*Base, error) {
	top := layers[0]
	if _, ok := top.Lookup("jl_system_image_data"); !ok {
		return nil, fmt.Errorf("%s: %w: it defines no jl_system_image_data; give the sys.so of a Julia or an image built on it",
			top.Path, ErrNotSystemImage)
	}
	note, err := readNote(top)
	if err != nil {
		return nil, err
	}
	candidates := layouts
	if julia := seriesOf(layers); julia != "" {
		i := slices.IndexFunc(layouts, func(l *layout) bool { return l.julia == julia })
		if i < 0 {
			return nil, fmt.Errorf("%s: %w: it was made by Julia %s; use an image made by %s", top.Path, ErrUnknownFormat, julia, supported())
		}
		candidates = layouts[i : i+1]
	}
	var reasons []string
	for _, l := range candidates {
		b := &Base{Layers: layers, Packages: packages, Format: l.julia, Note: note, layout: l}
		err := b.read()
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, ErrUnknownFormat) {
			return nil, fmt.Errorf("%s: %w; build it again, or install the Julia again that it belongs to", top.Path, err)
		}
		reason := strings.TrimPrefix(err.Error(), ErrUnknownFormat.Error()+": ")
		reasons = append(reasons, "not of Julia "+l.julia+", since "+reason)
	}
	return nil, fmt.Errorf("%s: %w: %s; use an image made by %s", top.Path, ErrUnknownFormat, strings.Join(reasons, ", "), supported())
}

// seriesOf returns the series of the Julia that an image says it was linked for: the end of the name of libjulia, of which images up
// to Julia 1.9 say no more than "1", and so "".
func seriesOf(layers []*elfpatch.Image) string {
	for _, im := range layers {
		for _, needed := range im.Needed() {
			_, version, ok := strings.Cut(needed, "libjulia.so.")
			parts := strings.Split(version, ".")
			if !ok || len(parts) < 2 {
				continue
			}
			return parts[0] + "." + parts[1]
		}
	}
	return ""
}

// supported names the series that have a layout.
func supported() string {
	var names []string
	for _, l := range layouts {
		names = append(names, l.julia)
	}
	return "Julia " + words.Or(names)
}

// Check follows every reference of the image's tables and of its blob, and says what is wrong with one that is. It is for
// images that were just written: opening one only reads what it needs. No module may have a name that is in unwanted,
// those of tools that worked in the process that the heap was taken from.
func (b *Base) Check(unwanted ...string) error {
	for _, m := range b.Modules {
		if slices.Contains(unwanted, m.Name) {
			return fmt.Errorf("%s: module %s was left in the heap; build it again", b.Layers[0].Path, m.Name)
		}
	}
	if err := b.check(); err != nil {
		return fmt.Errorf("%s: %w; build it again", b.Layers[0].Path, err)
	}
	return nil
}

// Chain completes blob, the heap of a process that was started from b, for an image that holds the functions and cells
// in index besides those of b. The blob is changed in place and belongs to the result from then on. If its capacity leaves
// less than BlobRoom behind it, it may have to be copied.
//
// The result has symbols of index undefined, as objects define them: see Index.
func (b *Base) Chain(blob []byte, index *Index) (*Merged, error) {
	m, err := b.chain(blob, index)
	if err != nil {
		return nil, fmt.Errorf("chaining to %s: %w", b.Layers[0].Path, err)
	}
	return m, nil
}
