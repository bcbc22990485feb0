package elfpatch

// This file is the link from top to bottom: each pass is one line of Write and one file.
//
// This link differs from that of a system linker. Most of the output is data that the caller laid out. The libraries that
// the image builds on are known byte by byte. And the result must run beside the code of those libraries, or hold a copy of
// it. Hence three decisions that all passes share:
//
//   - Virtual addresses are unique among an image and its bases: an image starts above the highest address of its bases
//     (only the page of its ELF header lies at 0, so that the address it is loaded at is the one its addresses count
//     from). So a copy of the bases needs no moving, whether they are one or several.
//   - Nothing is lazy: the loader fills the global offset table before any of the code runs, and a stub for a call is a
//     single jump.
//   - Nothing depends on the order in which goroutines finish. Two links of one Job give the same bytes.
//
// Order of addresses, each group on pages of its own:
//
//	0           ELF header; thin: program headers; standalone: the segments of the bases
//	read        standalone: program headers; notes, dynamic symbols and relocations, .rodata, .eh_frame_hdr, .eh_frame
//	execute     .plt, .text
//	write       .init_array, .data.rel.ro, .dynamic, .got, .data.slots, .data, the caller's sections, .bss
//	not loaded  .debug_*, .symtab, .strtab, .shstrtab, section headers

import (
	"crypto/sha256"
	"io"
	"maps"
	"slices"
	"sync"
)

// A Result says what a link has written.
type Result struct {
	// Bytes is the size of the file.
	Bytes int64
	// Parts of it, in bytes of the file: machine code; constant data, with what the loader and the unwinder read; writable
	// data; debug information; symbol tables; what was copied from bases.
	Code, Constants, Data, Debug, Symbols, Copied int64
	// Imports are the names that the loader will look up outside of the image and its bases, sorted.
	Imports []string
}

// Write links job into the empty file w. It is up to the caller to create the file, and to give it its final name once
// Write returned no error. Inputs that cannot be linked are refused by name; errors of w are wrapped.
// Objects, sections and bases are only read, and by several goroutines.
func Write(w io.WriterAt, job *Job) (Result, error) {
	l := &linker{job: job, moved: job.Moved(), comdats: map[string]bool{}, globals: map[string]*symbol{}, outputs: map[string]*output{}}
	// The inputs are read by other goroutines: none of these may outlive the call, after which the caller may unmap a base.
	var identity [sha256.Size]byte
	var hashing sync.WaitGroup
	hashing.Go(func() { identity = jobIdentity(job) })
	defer hashing.Wait()
	for _, pass := range []func() error{
		// Which libraries there are, and by what exported names the loader can lead to their insides.
		l.prepareBases,
		// What a standalone image takes over from its bases.
		l.carryBases,
		// Which sections of the objects are kept: one of each COMDAT group, none that only linkers read.
		l.collectSections,
		// What each name means, in the order that Job promises.
		l.resolveSymbols,
		// What each relocation needs beside bytes of its own: a slot in .got, a stub, a relocation by the loader.
		l.scanRelocations,
		// The same for the fixups of the caller's sections.
		l.scanFixups,
		// The constructor of a thin image needs to be among the sections before these get addresses.
		l.addGuard,
		// Frames of code that was left out must go, since an unwinder searches a sorted table of all frames.
		l.collectFrames,
		// Where each piece lies in its section.
		l.placePieces,
		// All that has a size but needs no address yet: symbol tables, notes.
		func() error { hashing.Wait(); return l.addTables(identity) },
		// Addresses and offsets in the file.
		l.layOut,
		// What is made of addresses: .got, stubs, frame table, dynamic section.
		l.fill,
		// One pass over everything, relocating what is copied.
		func() error { return l.write(w) },
	} {
		if err := pass(); err != nil {
			return Result{}, err
		}
	}
	return l.result(), nil
}

// A linker is the state of one link. Each pass adds to it what later ones read.
type linker struct {
	job     *Job
	moved   uint64 // Job.Moved
	bases   []*base
	objects []*Object // those of the job, and the guard of a thin image

	// By object and index of its sections and symbols; nil for sections that are not kept.
	pieces  [][]*piece
	symbols [][]*symbol
	// By index in Job.Sections.
	tablePieces []*piece
	fixups      [][]fixup

	comdats    map[string]bool // signatures of the groups that were seen
	globals    map[string]*symbol
	lastLookup *symbol // memory of targetOfAddress
	pointers   []pointer
	runs       []distanceRun

	outputs    map[string]*output
	ordered    []*output // all outputs, in the order of the section header table once they are laid out
	got, stubs []*symbol
	gotOutput  *output // these are nil if nothing needs them
	plt        *output
	slots      *output
	// codeStart and codeEnd are no sections but the places before and after those of code.
	codeStart, codeEnd output

	frames  frameTable
	loader  loaderTables
	symtab  symbolTable
	carried carried
	file    fileLayout
}

// An output is a section of the file.
type output struct {
	name       string
	kind       uint32 // SHT_PROGBITS …
	flags      uint64 // SHF_ALLOC|…
	align      uint64
	entrySize  uint64
	linked     *output // what sh_link refers to, nil for none
	info       uint32  // sh_info
	size       uint64
	pieces     []*piece
	data       []byte // of a section that the linker makes: size bytes, filled in by fill
	addr       uint64 // virtual address; 0 if not loaded
	offset     uint64 // in the file
	index      int    // in the section header table
	nameOffset uint32 // in .shstrtab
}

// sortedKeys returns the keys of a map in an order that does not change from run to run.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
