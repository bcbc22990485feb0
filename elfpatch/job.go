// Package elfpatch reads ELF objects and shared libraries for x86-64 and links new libraries onto existing ones.
package elfpatch

// This file is the vocabulary of a link: what goes into an image, said without knowing what the image is for.

import (
	"cmp"
	"fmt"
	"slices"
)

// A Layout says how a new image reaches the code of the images it builds on.
type Layout int

const (
	// Thin images name their base as a needed library, by Image.Path as it is, and hold only what is new. Without a base,
	// that is an ordinary library.
	Thin Layout = iota
	// Standalone images carry a copy of the code and data of their bases. Constructors and destructors of the bases
	// are left out: it is for libraries whose only ones are those of compilers' start files and of thin images.
	Standalone
)

var layoutNames = [...]string{Thin: "thin", Standalone: "standalone"}

func (l Layout) String() string {
	if l < 0 || int(l) >= len(layoutNames) {
		return fmt.Sprintf("layout number %d", int(l))
	}
	return layoutNames[l]
}

// MarshalText refuses what is no layout.
func (l Layout) MarshalText() ([]byte, error) {
	if l < 0 || int(l) >= len(layoutNames) {
		return nil, fmt.Errorf("there is no %v: use %s or %s", l, Thin, Standalone)
	}
	return []byte(l.String()), nil
}

// UnmarshalText takes the name of a layout.
func (l *Layout) UnmarshalText(text []byte) error {
	for layout, name := range layoutNames {
		if name == string(text) {
			*l = Layout(layout)
			return nil
		}
	}
	return fmt.Errorf("use %s or %s", Thin, Standalone)
}

// An Address is a place in the image being written or in one of its bases.
type Address struct {
	// Base is the library that holds the place, one of Job.Bases or Job.Attached: nil for the image being written.
	Base *Image
	// Offset is a virtual address as the base's file counts them, or as it was moved. In the image being written it is added to Symbol's value.
	Offset uint64
	// Symbol, in the image being written, names a symbol of an object, of a Section or of a Slot.
	Symbol string
}

// A FixupKind says what a Fixup stores.
type FixupKind int

const (
	// Abs64 stores the 8 byte address of Target at run time.
	Abs64 FixupKind = iota
	// Diff32 stores Target − Anchor as an int32. Where the two lie in different libraries it is completed at load time,
	// before anything else can see it; a difference beyond 2 GiB stops the load with a message. The file then holds the
	// difference of the two virtual addresses, that of the new image as Job.Moved says, which says what the field means since no two images of a
	// chain overlap.
	Diff32
)

// A Fixup is a field of a Section that depends on where things end up. Fields must not overlap; what Data holds in them does
// not matter.
type Fixup struct {
	// Offset of the field in the section's data, in bytes.
	Offset uint64
	Kind   FixupKind
	Target Address
	// Anchor is what a Diff32 is counted from: as a rule a place of the lowest base, so that what its tables say can be
	// repeated as it is, while fields for places of the new image and of thin images in between are completed at load time.
	Anchor Address
}

// A Symbol is a named range of a Section.
type Symbol struct {
	Name string
	// Offset in the section and Size, in bytes.
	Offset, Size uint64
	// Export makes it visible to dlsym.
	Export bool
}

// A Section is data that the caller lays out itself: tables, a heap.
type Section struct {
	// Name of the ELF section, such as ".data.heap".
	Name string
	// Align is a power of two up to 4096, or 0 for none.
	Align uint64
	// Writable it must be for Abs64 fixups, which the loader applies.
	Writable bool
	// Data is written as it is, but for the fixups, and never changed.
	Data    []byte
	Symbols []Symbol
	Fixups  []Fixup
}

// A Slot is an 8 byte cell that holds the address of a function of a base. Objects refer to the function by Name:
// calls reach it through the cell, so a loader that writes another address into the cell redirects them all.
type Slot struct {
	// Name is the undefined symbol of the objects; Address{Symbol: SlotSymbol(Name)} is the cell itself.
	Name string
	// Target is what the cell holds until someone else writes to it.
	Target Address
	// Fixed says that nobody will: calls may then go to Target directly where the layout allows it.
	Fixed bool
}

// SlotSymbol names the cell of the slot called name.
func SlotSymbol(name string) string { return "slot." + name }

// A Fingerprint is a range of a base's file that tells builds of that base apart. The range must not be written to
// before the image's constructors ran.
type Fingerprint struct {
	Base       *Image
	Addr, Size uint64
}

// A Redirect has the imports of a library lead to a function of the image being written. The guard of a thin image, its first
// constructor, does it: whatever the library calls when it is loaded itself, or what it has kept the address of, is out of
// its reach. The image may import the same function itself; an 8 byte field of an object or of a Section that holds the
// function's address is never redirected, so it is the way to the function that the redirected calls were meant for. When
// several images of a chain redirect the same import, the last to be loaded, the one that all others are below, wins.
type Redirect struct {
	// Base is the library, nil for the image being written. One that does not import Symbol is left alone.
	Base *Image
	// Symbol is the name that Base imports.
	Symbol string
	// To names a function of an object.
	To string
}

// Symbols of the image being written.
const (
	// ImageStart is the virtual address 0 of its file, which is where the dynamic loader says that it has loaded the image.
	ImageStart = "image.start"
	// CodeStart and CodeEnd are the bounds of its code.
	CodeStart = "image.code.start"
	CodeEnd   = "image.code.end"
)

// A Job is everything that one image is written from.
type Job struct {
	Layout Layout
	// Bases are the libraries that the image builds on, in the order in which they need each other: Bases[0] is
	// the one that the new image is chained to, Bases[1] the one that Bases[0] needs in its turn if that is thin.
	Bases []*Image
	// Attached are further libraries that the image refers to, each by its Path, an absolute one, and moved (Image.Move) to addresses of its own.
	// Nothing of what they export need be theirs alone: a thin image opens them when it is loaded (attach.go).
	Attached []*Image
	// Drop are ranges of the bases that a standalone image leaves out (an old heap), by whole pages. Nothing that is
	// kept may refer to them.
	Drop []Fingerprint
	// Objects are relocatable files. Their undefined symbols are resolved, in this order, from the symbols of other
	// objects and of Sections, from Slots, from Aliases, and last by the dynamic loader. What they define stays within
	// the image, but for Exports.
	Objects  []*Object
	Sections []Section
	Slots    []Slot
	// Exports makes functions of objects visible to dlsym: the name to find it by and the symbol of the object.
	Exports map[string]string
	// Aliases resolve an undefined symbol to an address of a base: data that the objects share with it.
	Aliases map[string]Address
	// Check is compared with the base at load time, for a thin image: a difference ends the process with a message.
	Check []Fingerprint
	// Redirects change imports at load time, for a thin image.
	Redirects []Redirect
	// Note is the content of the image's own note section, read back with Image.Note.
	Note []byte
}

// Moved is what has to be added (Image.Move) to the virtual addresses of the file of the image being written, so that no library that it refers to has
// the same ones. A thin image's own begin at 0, so that a process needs no more room for it than it has bytes; a standalone image has
// addresses above those of its bases from the start.
func (job *Job) Moved() uint64 {
	if job.Layout == Standalone {
		return 0
	}
	return job.addressesEnd()
}

// addressesEnd is the first page above the virtual addresses of all libraries.
func (job *Job) addressesEnd() (end uint64) {
	for _, m := range job.libraries() {
		end = max(end, alignUp(m.EndAddr(), pageSize))
	}
	return end
}

// byAddress are the libraries in ascending order of their addresses.
func (job *Job) byAddress() []*Image {
	list := job.libraries()
	slices.SortFunc(list, func(a, b *Image) int { return cmp.Compare(start(a), start(b)) })
	return list
}

// start is the lowest address of an image's program.
func start(m *Image) uint64 {
	lowest := uint64(maxAddr)
	for _, s := range loaded(m) {
		lowest = min(lowest, s.Addr)
	}
	return lowest
}

// libraries are all that the image refers to.
func (job *Job) libraries() []*Image { return slices.Concat(job.Bases, job.Attached) }
