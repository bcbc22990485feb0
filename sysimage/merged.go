package sysimage

// This file holds what chaining gives to the link.

import (
	"encoding/json"
	"fmt"
	"slices"

	"chainbuild/elfpatch"
)

// A Merged is everything but native code of a chained image.
type Merged struct {
	// Sections hold the blob, the tables and the cells of native code.
	Sections []elfpatch.Section
	// Slots are the functions of the base that objects refer to.
	Slots []elfpatch.Slot
	// Exports are functions of objects that are there for C.
	Exports map[string]string
	// Aliases are data of the base that objects share with it.
	Aliases map[string]elfpatch.Address
	// Check tells builds of the base apart, Drop is what of the base the new blob replaces.
	Check, Drop []elfpatch.Fingerprint
	// Note will be Base.Note when the image is opened. Its field Build may be set.
	Note Note

	bases, attached []*elfpatch.Image
	// objects are code of this package that all layouts have.
	objects []*elfpatch.Object
	// parts are what only one layout needs: thin images, libraries beside their bases, or standalone ones.
	thin, standalone layoutParts
}

// PackageImages are the paths of the package images whose code is used.
func (m *Merged) PackageImages() (paths []string) {
	for _, p := range m.Note.Packages {
		paths = append(paths, p.Path)
	}
	return paths
}

// A layoutParts is what an image of one layout has besides what all have.
type layoutParts struct {
	objects   []*elfpatch.Object
	sections  []elfpatch.Section
	redirects []elfpatch.Redirect
}

// Job is the link of the image with the objects that define its new functions.
func (m *Merged) Job(layout elfpatch.Layout, objects []*elfpatch.Object) (*elfpatch.Job, error) {
	said := m.Note
	if layout == elfpatch.Standalone {
		said.Packages = nil // their code is in the image
	}
	job := &elfpatch.Job{
		Layout: layout, Bases: m.bases, Attached: m.attached, Drop: m.Drop, Check: m.Check,
		Objects: objects, Sections: m.Sections, Slots: m.Slots, Exports: m.Exports, Aliases: m.Aliases,
	}
	said.Moved = job.Moved()
	note, err := json.Marshal(said)
	if err != nil {
		return nil, err
	}
	job.Note = note
	parts := m.standalone
	if layout == elfpatch.Thin {
		parts = m.thin
	}
	job.Objects = slices.Concat(objects, m.objects, parts.objects)
	job.Sections = slices.Concat(m.Sections, parts.sections)
	job.Redirects = parts.redirects
	return job, nil
}

// BlobRoom is how many bytes chaining may add to a blob: mostly records of the base, 8 bytes per function and 4 per cell.
const BlobRoom = 4 << 20

// A table is a Section in the making: named tables one behind the other, whose fields may be differences of addresses.
type table struct {
	section elfpatch.Section
	// anchor is what differences are counted from from now on.
	anchor elfpatch.Address
}

// begin starts a table at a multiple of 8 bytes; end gives it its name.
func (t *table) begin() (start int) {
	for len(t.section.Data)%8 != 0 {
		t.section.Data = append(t.section.Data, 0)
	}
	return len(t.section.Data)
}

// end exports what was appended since start as a symbol.
func (t *table) end(name string, start int) {
	t.section.Symbols = append(t.section.Symbols, elfpatch.Symbol{
		Name: name, Offset: uint64(start), Size: uint64(len(t.section.Data) - start), Export: true,
	})
}

func (t *table) uint32(v uint32) { t.section.Data = le.AppendUint32(t.section.Data, v) }

// blobSize exports the size of the blob.
func (t *table) blobSize(size uint64) {
	start := t.begin()
	t.section.Data = le.AppendUint64(t.section.Data, size)
	t.end("jl_system_image_size", start)
}

// diff appends the difference of target and the anchor, which the link fills in.
func (t *table) diff(target elfpatch.Address) {
	t.section.Fixups = append(t.section.Fixups, elfpatch.Fixup{
		Offset: uint64(len(t.section.Data)), Kind: elfpatch.Diff32, Target: target, Anchor: t.anchor,
	})
	t.uint32(0)
}

// pointer appends the address of a place, which the dynamic loader fills in.
func (t *table) pointer(target elfpatch.Address) {
	at := uint64(len(t.section.Data))
	t.section.Fixups = append(t.section.Fixups, elfpatch.Fixup{Offset: at, Kind: elfpatch.Abs64, Target: target})
	t.section.Data = append(t.section.Data, make([]byte, 8)...)
}

// Names of the sections that chaining adds.
const (
	heapSection     = ".data.heap"
	tableSection    = ".data.tables"
	constantSection = ".rodata.tables"
	globalSection   = ".data.globals"
)

// cellsSymbol is where the cells of new code start.
const cellsSymbol = "new.cells"

// cellSection is the section of the cells of new code.
func cellSection(names []string) elfpatch.Section {
	s := elfpatch.Section{Name: globalSection, Align: 8, Writable: true, Data: make([]byte, 8*len(names)),
		Symbols: []elfpatch.Symbol{{Name: cellsSymbol, Size: 8 * uint64(len(names))}}}
	for i, name := range names {
		s.Symbols = append(s.Symbols, elfpatch.Symbol{Name: name, Offset: 8 * uint64(i), Size: 8})
	}
	return s
}

// blobSection is the section of a blob.
func blobSection(blob []byte) elfpatch.Section {
	return elfpatch.Section{
		Name: heapSection, Align: smallPage, Writable: true, Data: blob,
		Symbols: []elfpatch.Symbol{{Name: "jl_system_image_data", Size: uint64(len(blob)), Export: true}},
	}
}

// used lists the functions of the base that objects refer to, ascending.
func (b *Base) used(index *Index) ([]int, error) {
	used := slices.Compact(slices.Sorted(slices.Values(index.Used)))
	if n := len(used); n > 0 && used[n-1] >= len(b.Functions) {
		return nil, fmt.Errorf("%w: %s names function %d of the base, which has %d", ErrDamaged, index.Name, used[n-1], len(b.Functions))
	}
	return used, nil
}

// slots are the slots of functions of the base.
func (b *Base) slots(functions []int) (list []elfpatch.Slot) {
	for _, i := range functions {
		target, _ := b.Locate(b.Functions[i].Variants[0])
		list = append(list, elfpatch.Slot{Name: BaseSymbol(i), Target: target, Fixed: b.Functions[i].single()})
	}
	return list
}

// fingerprints are ranges of a layer that no other build of it has: its tables, and the build-id, if it has one.
func fingerprints(im *elfpatch.Image, tables []elfpatch.Fingerprint) []elfpatch.Fingerprint {
	var list []elfpatch.Fingerprint
	if sym, ok := im.Lookup("jl_system_image_size"); ok {
		list = append(list, elfpatch.Fingerprint{Base: im, Addr: sym.Value, Size: 8})
	}
	if im.BuildID() != nil {
		for _, s := range im.Segments {
			if s.Type == ptNote {
				list = append(list, elfpatch.Fingerprint{Base: im, Addr: s.Addr, Size: s.FileSize})
			}
		}
	}
	return append(list, tables...)
}

// heapRange is where a layer has its blob.
func heapRange(im *elfpatch.Image) []elfpatch.Fingerprint {
	sym, ok := im.Lookup("jl_system_image_data")
	if id := identify(im); ok && id.Heap > 0 {
		return []elfpatch.Fingerprint{{Base: im, Addr: sym.Value, Size: id.Heap}}
	}
	return nil
}
