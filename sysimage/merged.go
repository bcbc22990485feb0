package sysimage

// This file holds what chaining gives to the link.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
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

	bases []*elfpatch.Image
	thin  thinParts
}

// A thinParts is what only an image needs that is a library beside its base.
type thinParts struct {
	objects   []*elfpatch.Object
	sections  []elfpatch.Section
	redirects []elfpatch.Redirect
}

// Job is the link of the image with the objects that define its new functions.
func (m *Merged) Job(layout elfpatch.Layout, objects []*elfpatch.Object) (*elfpatch.Job, error) {
	note, err := json.Marshal(m.Note)
	if err != nil {
		return nil, err
	}
	job := &elfpatch.Job{
		Layout: layout, Bases: m.bases, Drop: m.Drop, Check: m.Check,
		Objects: objects, Sections: m.Sections, Slots: m.Slots, Exports: m.Exports, Aliases: m.Aliases, Note: note,
	}
	if layout == elfpatch.Thin {
		job.Objects = slices.Concat(objects, m.thin.objects)
		job.Sections = slices.Concat(m.Sections, m.thin.sections)
		job.Redirects = m.thin.redirects
	}
	return job, nil
}

// blobRoom is how many bytes chaining may add to a blob: mostly records of the base, 8 bytes per function and 4 per cell.
const blobRoom = 4 << 20

// ReadBlob reads a file that holds a blob, with room behind it for what Chain adds.
func ReadBlob(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	blob := make([]byte, info.Size(), info.Size()+blobRoom)
	if _, err := io.ReadFull(f, blob); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return blob, nil
}

// A table is a Section in the making: named tables one behind the other, whose fields may be differences of addresses.
type table struct {
	section elfpatch.Section
	// anchor is what differences are counted from.
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

// diff appends the difference of target and the anchor, which the link fills in.
func (t *table) diff(target elfpatch.Address) {
	t.section.Fixups = append(t.section.Fixups, elfpatch.Fixup{
		Offset: uint64(len(t.section.Data)), Kind: elfpatch.Diff32, Target: target, Anchor: t.anchor,
	})
	t.uint32(0)
}
