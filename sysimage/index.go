package sysimage

// This file holds the two lists that a build's stages exchange about a heap: what of the base the new heap must lead
// back to, and what native code the new heap goes with.
//
// base.index, written for the process that makes the heap; little endian
//
//	offset size field
//	     0    8 magic "CBIX0001"
//	     8    4 nci: code instances
//	    12    4 ngv: objects that cells of native code are filled with
//	    16    4 nmod: modules
//	    20   12 × nci: {u32 offset of the object in the blob, i32 function index of its wrapper, of its body; -1 for none}
//	          4 × ngv: u32 offset of the object in the blob
//	          4 × nmod: u32 offset of the object in the blob
//
// All three lists ascend. An object's address in a process is that of jl_system_image_data plus its offset.
//
// index.txt, read from that process: lines of fields with tabs between them
//
//	fvar NAME  the next function of the new heap's function records, defined by an object
//	fvar @IDX  the next function of those records is the base's function IDX, whose own record serves
//	gvar NAME  the next cell of the new heap's cell records, which objects refer to
//	used IDX   objects refer to the base's function IDX, as the symbol base.IDX, or, from Julia 1.10 on, to slot.base.IDX,
//	           a cell that holds its address
//	code I S   from Julia 1.10 on, where the new heap has no function records: the next new code instance that the process
//	           planted; I is the index among all fvar lines of its wrapper, or -1 if any function with boxed arguments
//	           is called the same way, -2 if that also gets the method's type parameters; S that of its body, or -1
//	held N     the next code instance of a package image that the process planted, before the new ones, is number N of all (packages.go)
//	link N F   cell N of all of package images is to have the address of function F of the base, or of a package image behind it
//	entry NAME=SYMBOL  C finds the function SYMBOL, defined by an object, by NAME (Base.@ccallable)

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

const indexMagic = "CBIX0001"

// Index returns the content of base.index.
func (b *Base) Index() []byte {
	out := make([]byte, 0, len(indexMagic)+12+12*len(b.Code)+4*len(b.data)+4*len(b.Modules))
	out = append(out, indexMagic...)
	for _, n := range []int{len(b.Code), len(b.data), len(b.Modules)} {
		out = le.AppendUint32(out, uint32(n))
	}
	for _, c := range b.Code {
		out = le.AppendUint32(out, c.Offset)
		out = le.AppendUint32(out, uint32(c.Invoke))
		out = le.AppendUint32(out, uint32(c.Spec))
	}
	for _, offset := range b.data {
		out = le.AppendUint32(out, offset)
	}
	for _, m := range b.Modules {
		out = le.AppendUint32(out, m.Offset)
	}
	return out
}

// An Index says what native code a new heap goes with.
type Index struct {
	// Name of the file that it was read from, for messages.
	Name string
	// Functions in the order of the heap's function records.
	Functions []IndexFunction
	// Code are new code instances that have functions, in the order in which the process planted them. Heaps of Julia 1.5
	// say it themselves.
	Code []IndexCode
	// Globals are the symbols of the cells, in the order of the heap's cell records.
	Globals []string
	// KeepRoots leaves the root task's local storage as the process planted it, for an image whose processes start with that:
	// an svec that begins with the three lists of base.index, in its order. Else it is nothing, as in any other image.
	KeepRoots bool
	// RegistersLayers says that the runtime has jl_register_image_layer (juliasrc-patches), by which the image makes its libraries known.
	RegistersLayers bool
	// Underlay is what the new heap is an overlay on, nil if the runtime has serialised it.
	Underlay *Underlay
	// Entries are functions for C: the name that it knows them by and the symbol that an object defines.
	Entries map[string]string
	// Variants are the targets for which each new function has a variant; nil: it has one, which serves on all targets of the base.
	Variants *Variants
	// Packages are the package images whose code the process has loaded, nil for none.
	Packages *Held
	// Held are code instances of package images, which the process has planted before those of Code: their numbers among all.
	Held []int
	// Links are the cells of package images that hold addresses of functions.
	Links []IndexLink
	// Used are the indices of those functions of the base that objects refer to, each by the symbol BaseSymbol.
	Used []int
}

// An IndexFunction is a function of a new heap: a new one, or one of the base's.
type IndexFunction struct {
	// Symbol that an object defines, empty for a function of the base.
	Symbol string
	// Base is the function's index in the base, if Symbol is empty.
	Base int
}

// An IndexCode says which functions a new code instance has.
type IndexCode struct {
	// Invoke is the index of its wrapper in Index.Functions, InvokeBoxed, InvokeParameters or InvokeOpaque.
	Invoke int
	// Spec is the index of its body, -1 if it has none.
	Spec int
}

// An IndexLink says which function a cell of a package image is to lead to.
type IndexLink struct {
	// Cell is its number among all cells of package images, Function the index in the base with the package images.
	Cell, Function int
}

// Ways in which a code instance without a wrapper of its own is called.
const (
	InvokeBoxed      = -1 // jl_fptr_args: the arguments are boxed
	InvokeParameters = -2 // jl_fptr_sparam: and the method's type parameters are passed on
	InvokeOpaque     = -4 // jl_f_opaque_closure_call: an opaque closure is called, since Julia 1.12
)

// BaseSymbol is how objects call the function of the base that has the given index. The cell that its slot is, they call
// elfpatch.SlotSymbol of that.
func BaseSymbol(index int) string { return "base." + strconv.Itoa(index) }

// ReadIndex reads an index.txt.
func ReadIndex(path string) (*Index, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseIndex(path, text)
}

// ParseIndex reads the content of an index.txt called name.
func ParseIndex(name string, text []byte) (*Index, error) {
	index := &Index{Name: name, Entries: map[string]string{}}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSuffix(line, []byte("\n"))
		kind, value, ok := bytes.Cut(line, []byte("\t"))
		switch {
		case !ok || len(value) == 0:
			ok = false
		case string(kind) == "fvar" && value[0] == '@':
			var n int
			n, ok = parseNumber(value[1:])
			index.Functions = append(index.Functions, IndexFunction{Base: n})
		case string(kind) == "fvar":
			index.Functions = append(index.Functions, IndexFunction{Symbol: string(value)})
		case string(kind) == "code":
			var code IndexCode
			code, ok = parseCode(value)
			index.Code = append(index.Code, code)
		case string(kind) == "held":
			var n int
			n, ok = parseNumber(value)
			index.Held = append(index.Held, n)
		case string(kind) == "link":
			var link IndexLink
			cell, function, found := bytes.Cut(value, []byte("\t"))
			var ok2 bool
			link.Cell, ok = parseNumber(cell)
			link.Function, ok2 = parseNumber(function)
			ok = ok && ok2 && found
			index.Links = append(index.Links, link)
		case string(kind) == "gvar":
			index.Globals = append(index.Globals, string(value))
		case string(kind) == "entry":
			var entry, symbol []byte
			entry, symbol, ok = bytes.Cut(value, []byte("="))
			ok = ok && len(entry) > 0 && len(symbol) > 0
			index.Entries[string(entry)] = string(symbol)
		case string(kind) == "used":
			var n int
			n, ok = parseNumber(value)
			index.Used = append(index.Used, n)
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("%s:%d: %w: %q is none of the lines that it may have; keep the scratch folder and report this",
				name, number, ErrDamaged, line)
		}
	}
	return index, nil
}

// parseCode reads the fields of a line that starts with "code".
func parseCode(value []byte) (IndexCode, bool) {
	first, second, ok := bytes.Cut(value, []byte("\t"))
	invoke, err1 := strconv.ParseInt(string(first), 10, 32)
	spec, err2 := strconv.ParseInt(string(second), 10, 32)
	ok = ok && err1 == nil && err2 == nil && (invoke >= InvokeParameters || invoke == InvokeOpaque) && spec >= -1 && (invoke >= 0 || spec >= 0)
	return IndexCode{int(invoke), int(spec)}, ok
}

// parseNumber reads a non-negative decimal number.
func parseNumber(text []byte) (int, bool) {
	n, err := strconv.ParseUint(string(text), 10, 31)
	return int(n), err == nil
}
