package sysimage

// This file has an image's heap in memory when Julia comes to it.
//
// To load an image, Julia writes to nearly each page of its objects: it puts addresses in the place of references (jl_restore_system_image_from_stream in
// src/staticdata.c). Each first touch of a page of the file is a fault, in which the kernel copies that page alone. With the heap of Julia's own image
// that is half of a start. So a constructor of the image copies the objects first, into memory of large pages where the system has any, and puts that
// in the place of the file's pages:
//
//	for each range of objects, without constants, which are only read:
//	  new = mmap(NULL, size + a large page)       the range goes to the place in it that has the range's distance from a large page
//	  madvise(MADV_HUGEPAGE), madvise(MADV_POPULATE_WRITE)
//	  copy, mremap(to where the range was)
//
// Whatever of that a system cannot do leaves the pages as they were, and Julia touches them one by one.
//
// Only the topmost image of a chain has a heap that is used. Each image exports a symbol with its number in the chain, pagesPrefix, and has a weak
// reference to that of the next one: who finds it has another image above, and does nothing.

import (
	"strconv"

	"chainbuild/elfpatch"
)

const (
	pagesPrefix = "chainbuild_pages_"
	pagesCopy   = "chainbuild_copy_pages"
	// pagesRanges are what is copied, two words each: distance from the blob's start, and size in bytes. Both are multiples of smallPage.
	pagesRanges  = "pages.ranges"
	pagesSection = ".rodata.pages"

	smallPage = 4096
	largePage = 2 << 20
	// leastRange is the size of a range from which on it is copied: smaller ones have no large page.
	leastRange = 2 * largePage
)

// pageRanges are the parts of the blob that are copied: its objects, without the constants among them.
func pageRanges(objects int, constants [][2]uint32) (ranges [][2]uint64) {
	from := uint64(0)
	add := func(to uint64) {
		start, end := (from+smallPage-1)&^(smallPage-1), to&^(smallPage-1)
		if end >= start+leastRange {
			ranges = append(ranges, [2]uint64{start, end - start})
		}
	}
	for _, c := range constants {
		add(uint64(c[0]))
		from = uint64(c[1])
	}
	add(uint64(objects))
	return ranges
}

// addPages has the image copy its objects.
func (c *chaining) addPages(m *Merged) error {
	number := len(c.base.exported(pagesPrefix)) + 1
	ranges := pageRanges(c.heap.objects.end(), m.Note.Constants)
	t := elfpatch.Section{Name: pagesSection, Align: 8, Symbols: []elfpatch.Symbol{
		{Name: pagesPrefix + strconv.Itoa(number), Export: true}, {Name: pagesRanges, Size: uint64(16 * len(ranges))},
	}}
	for _, r := range ranges {
		t.Data = le.AppendUint64(le.AppendUint64(t.Data, r[0]), r[1])
	}
	if len(ranges) == 0 {
		t.Data = make([]byte, 8) // for the symbols to be in
	}
	m.Sections = append(m.Sections, t)
	if len(ranges) == 0 {
		return nil
	}
	a := new(elfpatch.Asm)
	assemblePages(a, len(ranges), pagesPrefix+strconv.Itoa(number+1))
	object, err := a.Object("the code that copies the heap")
	m.objects = append(m.objects, object)
	return err
}

// System calls, and their flags (include/uapi of Linux).
const (
	sysMmap, sysMunmap, sysMremap, sysMadvise = 9, 11, 25, 28

	mapPrivateAnonymousNoReserve = 0x4022
	protReadWrite                = 3
	remapMayMoveFixed            = 3
	adviseHugePage               = 14
	advisePopulateWrite          = 23
	errorsFrom                   = -4095 // what a system call returns is an error from here on
)

// assemblePages assembles the constructor, for n ranges. Nothing happens if another library defines next.
func assemblePages(a *elfpatch.Asm, n int, next string) {
	const row, left, old, size, room, place = elfpatch.RBX, elfpatch.RBP, elfpatch.R12, elfpatch.R13, elfpatch.R14, elfpatch.R15
	call := func(number int64) {
		a.MoveImm(elfpatch.RAX, number)
		a.Syscall()
	}
	advise := func(advice int64) {
		a.Move(elfpatch.RDI, place)
		a.Move(elfpatch.RSI, size)
		a.MoveImm(elfpatch.RDX, advice)
		call(sysMadvise)
	}
	unmap := func() { // from RDI up to RSI
		a.Sub(elfpatch.RSI, elfpatch.RDI)
		call(sysMunmap)
	}
	again, nothing, failed, further := a.NewLabel(), a.NewLabel(), a.NewLabel(), a.NewLabel()
	a.Begin(pagesCopy)
	a.Constructor()
	a.Enter(8, row, left, old, size, room, place)
	a.Load(elfpatch.RAX, a.AtWeakGOT(next))
	a.Test(elfpatch.RAX, elfpatch.RAX)
	a.Jump(elfpatch.NotEqual, nothing)
	a.Address(row, elfpatch.AtSymbol(pagesRanges, 0))
	a.MoveImm(left, int64(n))
	a.Bind(again)
	a.Address(old, elfpatch.AtSymbol("jl_system_image_data", 0))
	a.AddMem(old, elfpatch.At(row, 0))
	a.Load(size, elfpatch.At(row, 8))
	a.MoveImm(elfpatch.RDI, 0)
	a.Move(elfpatch.RSI, size)
	a.AddImm(elfpatch.RSI, largePage)
	a.MoveImm(elfpatch.RDX, protReadWrite)
	a.MoveImm(elfpatch.R10, mapPrivateAnonymousNoReserve)
	a.MoveImm(elfpatch.R8, -1)
	a.MoveImm(elfpatch.R9, 0)
	call(sysMmap)
	a.CompareImm(elfpatch.RAX, errorsFrom)
	a.Jump(elfpatch.AboveEqual, nothing)
	a.Move(room, elfpatch.RAX)
	a.Move(place, old)
	a.Sub(place, room)
	a.AndImm(place, largePage-1)
	a.Add(place, room)
	advise(adviseHugePage)
	advise(advisePopulateWrite)
	a.Move(elfpatch.RDI, place)
	a.Move(elfpatch.RSI, old)
	a.Move(elfpatch.RCX, size)
	a.CopyBytes()
	a.Move(elfpatch.RDI, place)
	a.Move(elfpatch.RSI, size)
	a.Move(elfpatch.RDX, size)
	a.MoveImm(elfpatch.R10, remapMayMoveFixed)
	a.Move(elfpatch.R8, old)
	call(sysMremap)
	a.CompareImm(elfpatch.RAX, errorsFrom)
	a.Jump(elfpatch.AboveEqual, failed)
	// What is left of the room lies on both sides of the place that it has no more.
	a.Move(elfpatch.RDI, room)
	a.Move(elfpatch.RSI, place)
	unmap()
	a.Move(elfpatch.RDI, place)
	a.Add(elfpatch.RDI, size)
	a.Bind(further)
	a.Move(elfpatch.RSI, room)
	a.Add(elfpatch.RSI, size)
	a.AddImm(elfpatch.RSI, largePage)
	unmap()
	a.AddImm(row, 16)
	a.SubImm(left, 1)
	a.Jump(elfpatch.NotEqual, again)
	a.Go(nothing)
	a.Bind(failed)
	a.Move(elfpatch.RDI, room)
	a.Go(further)
	a.Bind(nothing)
	a.Leave()
	a.Return()
	a.End()
}
