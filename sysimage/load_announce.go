package sysimage

// This file is what images do when they are loaded by a Julia with the patch image-layers (juliasrc-patches): a constructor makes their libraries
// known, and the loader does for each what it does for the one that has the tables.
//
//	int jl_register_image_layer(uint64_t base, const jl_image_ptls_t *ptls, void **small_typeof)
//
// takes where a library is loaded, and its copies of the runtime's variables or null. A library may be named again. 0 says that there are too many.

import "chainbuild/elfpatch"

const (
	layerImport     = "jl_register_image_layer"
	announceInstall = "chainbuild_announce"
	// announceLibraries are cells, announceRow for each library: its place, and those of its variables in the order of runtimeVariables.
	announceLibraries = "announce.libraries"
	announceRow       = 5
)

// announcing makes code and data that name the libraries: the image itself with each of its storages, package images, and layers. variables are the
// places of variables of storages and of packages, as spread lists them.
func announcing(t *table, storages []elfpatch.Address, packages []*elfpatch.Image, layers, variables []elfpatch.Address) (layoutParts, error) {
	n := 0
	row := func(library elfpatch.Address, variables []elfpatch.Address) {
		t.pointer(library)
		for _, at := range variables {
			t.pointer(at)
		}
		t.section.Data = append(t.section.Data, make([]byte, 8*(announceRow-1-len(variables)))...)
		n++
	}
	take := func() []elfpatch.Address {
		next := variables[:len(runtimeVariables)]
		variables = variables[len(runtimeVariables):]
		return next
	}
	start := t.begin()
	for range storages {
		row(elfpatch.Address{Symbol: elfpatch.ImageStart}, take())
	}
	for _, im := range packages {
		row(elfpatch.Address{Base: im, Offset: im.Moved()}, take())
	}
	for _, library := range layers {
		row(library, nil)
	}
	t.section.Symbols = append(t.section.Symbols, elfpatch.Symbol{Name: announceLibraries, Offset: uint64(start), Size: uint64(8 * announceRow * n)})
	a := new(elfpatch.Asm)
	assembleAnnounce(a, n)
	object, err := a.Object("the code for loading")
	return layoutParts{objects: []*elfpatch.Object{object}, sections: []elfpatch.Section{t.section}}, err
}

// assembleAnnounce assembles the constructor, for n libraries.
func assembleAnnounce(a *elfpatch.Asm, n int) {
	const row, left = elfpatch.RBX, elfpatch.RBP
	again, noVariables, refused := a.NewLabel(), a.NewLabel(), a.NewLabel()
	a.Begin(announceInstall)
	a.Constructor()
	a.Enter(8, row, left)
	a.Address(row, elfpatch.AtSymbol(announceLibraries, 0))
	a.MoveImm(left, int64(n))
	a.Bind(again)
	a.Load(elfpatch.RDI, elfpatch.At(row, 0))
	a.Load(elfpatch.RDX, elfpatch.At(row, 8*(announceRow-1)))
	a.MoveImm(elfpatch.RSI, 0)
	a.Test(elfpatch.RDX, elfpatch.RDX)
	a.Jump(elfpatch.Equal, noVariables)
	a.Address(elfpatch.RSI, elfpatch.At(row, 8)) // a jl_image_ptls_t
	a.Bind(noVariables)
	a.CallMem(elfpatch.AtGOT(layerImport))
	a.SignExtend32(elfpatch.RAX, elfpatch.RAX) // an int
	a.Test(elfpatch.RAX, elfpatch.RAX)
	a.Jump(elfpatch.Equal, refused)
	a.AddImm(row, 8*announceRow)
	a.SubImm(left, 1)
	a.Jump(elfpatch.NotEqual, again)
	a.Leave()
	a.Return()
	a.Bind(refused)
	a.Die("chainbuild: this image consists of more libraries than Julia takes: build it anew with --full\n")
	a.End()
}
