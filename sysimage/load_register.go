package sysimage

// This file is what images of Julia 1.10 do when they are loaded. It does what the loader does for one library of a system image only, the one whose
// jl_image_pointers it has found: the topmost of thin images, while all else lies in the layers below.
//
//   - Code of an image reaches four variables of the runtime at fixed distances (jl_pgcstack_func_slot, jl_pgcstack_key_slot,
//     jl_tls_offset, jl_small_typeof). So each thin image has storage for its own code. The loader fills that of the lowest
//     layer, to which all tables of the chain point.
//   - Backtraces know the code of a library by jl_register_fptrs (src/debuginfo.cpp), which the loader calls for one.
//
// The loader calls jl_register_fptrs once, at the end of restoring the heap, before any Julia code runs. libjulia has a
// trampoline for it, as for all functions that libjulia-codegen has (cli/trampolines/trampolines_x86_64.S):
//
//	f3 0f 1e fa              endbr64, in some builds
//	4c 8b 1d disp32          mov disp32(%rip),%r11
//	41 ff e3                 jmp *%r11
//
// So the function's address is in a variable at a place that the code tells. A constructor of the image puts another
// function there, which puts the old one back when it is called, fills the image's storage, and calls the old one. If
// the call was for this image, it repeats it for all layers below, which have the same tables of functions. In a chain of
// thin images each has replaced the function of the one below it, so they are called one by the other.
//
// A standalone image holds the code and the storage of the thin images that it was built on, whose constructors do not
// run in it, so it fills their storage in their place. It finds it by exported symbols.
//
// Where Julia has a patch for it, nothing is replaced (load_announce.go), unless cells of package images have to be filled.

import (
	"strconv"

	"chainbuild/elfpatch"
)

// registerImport is the function whose trampoline is looked into, startupHook what it is made to lead to.
const (
	registerImport = "jl_register_fptrs"
	startupHook    = "chainbuild_register_fptrs"
	startupInstall = "chainbuild_install"
)

// runtimeVariables are the variables of the runtime, in the order of the storage, and their sizes in bytes.
var runtimeVariables = []struct {
	name string
	size uint64
}{
	{"jl_pgcstack_func_slot", 8},
	{"jl_pgcstack_key_slot", 8},
	{"jl_tls_offset", 8},
	{"jl_small_typeof", 1024},
}

// storagePrefix begins the names of the symbols of storage. The rest tells thin images of a chain apart: their number.
const storagePrefix = "chainbuild_runtime_variables_"

// Data of the startup code.
const (
	startupSection = ".data.startup"
	// startupSlot is a cell with the address of the variable of the trampoline, startupSaved what that held.
	startupSlot  = "startup.slot"
	startupSaved = "startup.saved"
	// startupSources are cells with the addresses of the runtime variables in the lowest layer, startupStorage those of the variables
	// to fill, startupLayers those where the layers below and package images are loaded, startupLinks those of tables of links.
	startupSources = "startup.sources"
	startupStorage = "startup.storage"
	startupLayers  = "startup.layers"
	startupLinks   = "startup.links"
)

// loadRegister hooks jl_register_fptrs.
type loadRegister struct{}

// aliases say where the lowest layer has the runtime variables.
func (loadRegister) aliases(b *Base) map[string]elfpatch.Address {
	data := map[string]elfpatch.Address{}
	for i, at := range b.runtimeVariables() {
		data[runtimeVariables[i].name] = at
	}
	return data
}

// runtimeVariables are the places of the runtime variables in the lowest layer.
func (b *Base) runtimeVariables() []elfpatch.Address {
	t := b.tables.(*shardTables)
	return []elfpatch.Address{t.threadCells[0], t.threadCells[1], t.threadCells[2], t.smallTypeof}
}

// storages lists the storage of thin images in the layers.
func (b *Base) storages() []elfpatch.Address { return b.exported(storagePrefix) }

// packageVariables are the places of the runtime variables of a package image, in the order of runtimeVariables.
func (b *Base) packageVariables(im *elfpatch.Image) ([]elfpatch.Address, error) {
	alone := &Base{Layers: []*elfpatch.Image{im}, layout: b.layout}
	at, err := alone.symbol("jl_image_pointers")
	if err != nil {
		return nil, err
	}
	roots, err := alone.pointers(at, 5)
	if err != nil {
		return nil, err
	}
	threads, err := alone.pointers(roots[2], 3)
	if err != nil {
		return nil, err
	}
	return append(threads, roots[3]), nil
}

// spread are the places of all runtime variables in storages, which have them one behind the other.
func spread(storages []elfpatch.Address) (list []elfpatch.Address) {
	for _, at := range storages {
		for _, v := range runtimeVariables {
			list = append(list, at)
			at.Offset += v.size
		}
	}
	return list
}

// parts makes code and data. A standalone image without thin images inside needs nothing.
func (loadRegister) parts(c *chaining, layout elfpatch.Layout) (layoutParts, error) {
	t := &table{section: elfpatch.Section{Name: startupSection, Align: 8, Writable: true}}
	cells := func(name string, to ...elfpatch.Address) {
		t.section.Symbols = append(t.section.Symbols,
			elfpatch.Symbol{Name: name, Offset: uint64(t.begin()), Size: 8 * uint64(len(to))})
		for _, a := range to {
			t.pointer(a)
		}
	}
	room := func(name string, size uint64, export bool) {
		t.section.Symbols = append(t.section.Symbols,
			elfpatch.Symbol{Name: name, Offset: uint64(len(t.section.Data)), Size: size, Export: export})
		t.section.Data = append(t.section.Data, make([]byte, size)...)
	}
	storages := c.base.storages()
	packages, links := c.base.Packages, c.base.links()
	var layers []elfpatch.Address
	if layout == elfpatch.Thin {
		name := storagePrefix + strconv.Itoa(len(storages)+1)
		storages, links = []elfpatch.Address{{Symbol: name}}, nil
		packages = packages[len(packages)-c.index.Packages.imageCount():]
		t.section.Symbols = append(t.section.Symbols, elfpatch.Symbol{Name: name, Size: 24 + 1024, Export: true})
		for _, v := range runtimeVariables {
			room(v.name, v.size, false)
		}
		for _, im := range c.base.libraries() {
			layers = append(layers, elfpatch.Address{Base: im, Offset: im.Moved()})
		}
		checkDistance(t, c.base.tables.(*shardTables))
	} else if len(storages)+len(packages) == 0 {
		return layoutParts{}, nil
	}
	variables := spread(storages)
	for _, im := range packages {
		places, err := c.base.packageVariables(im)
		if err != nil {
			return layoutParts{}, err
		}
		variables = append(variables, places...)
	}
	if own := c.linkTable(t); own != (elfpatch.Address{}) {
		links = append(links, own)
	}
	if c.index.RegistersLayers && len(links) == 0 {
		return announcing(t, storages, packages, layers, variables)
	}
	room(startupSlot, 8, false)
	room(startupSaved, 8, false)
	cells(startupSources, c.base.runtimeVariables()...)
	cells(startupStorage, variables...)
	cells(startupLayers, layers...)
	cells(startupLinks, links...)

	a := new(elfpatch.Asm)
	assembleInstall(a)
	assembleStartup(a, len(variables)/len(runtimeVariables), len(layers), len(links), c.base.layout.functions)
	object, err := a.Object("the code for loading")
	return layoutParts{objects: []*elfpatch.Object{object}, sections: []elfpatch.Section{t.section}}, err
}

// checkDistance appends distances that nobody reads: the image's guard completes them when it is loaded, and refuses to go on
// if they do not fit 4 bytes. The loader counts functions and cells of all layers from one place each, in as many bytes, and looks at
// no overflow.
func checkDistance(t *table, base *shardTables) {
	for _, s := range base.shards[:min(1, len(base.shards))] {
		base.form.distances(t, s.pointers)
	}
}

// assembleInstall assembles the constructor.
func assembleInstall(a *elfpatch.Asm) {
	const (
		at, r1, r2 = elfpatch.RAX, elfpatch.RCX, elfpatch.RDX
		endbr64    = 0xfa1e0ff3
		moveR11    = 0x1d8b4c
		jumpR11    = 0xe3ff41
		threeBytes = 0xffffff
	)
	plain, other := a.NewLabel(), a.NewLabel()
	a.Begin(startupInstall)
	a.Constructor()
	a.Load(at, elfpatch.AtGOT(registerImport))
	a.Load32(r1, elfpatch.At(at, 0))
	a.MoveImm(r2, endbr64)
	a.Compare(r1, r2)
	a.Jump(elfpatch.NotEqual, plain)
	a.AddImm(at, 4)
	a.Bind(plain)
	a.Load32(r1, elfpatch.At(at, 0))
	a.AndImm(r1, threeBytes)
	a.CompareImm(r1, moveR11)
	a.Jump(elfpatch.NotEqual, other)
	a.Load32(r1, elfpatch.At(at, 7))
	a.AndImm(r1, threeBytes)
	a.CompareImm(r1, jumpR11)
	a.Jump(elfpatch.NotEqual, other)
	a.LoadSigned32(r1, elfpatch.At(at, 3))
	a.Address(at, elfpatch.AtIndex(at, r1, 1, 7))
	a.Store(elfpatch.AtSymbol(startupSlot, 0), at)
	a.Load(r1, elfpatch.At(at, 0))
	a.Store(elfpatch.AtSymbol(startupSaved, 0), r1)
	a.Address(r1, elfpatch.AtSymbol(startupHook, 0))
	a.Store(elfpatch.At(at, 0), r1)
	a.Return()
	a.Bind(other)
	a.Die("chainbuild: this image cannot be loaded by this build of Julia, whose jl_register_fptrs is not as expected: use the " +
		"Julia that it was built with, or build a standalone image\n")
	a.End()
}

// assembleStartup assembles
//
//	void hook(uint64_t image, const jl_image_fptrs_t *functions, jl_method_instance_t **instances, size_t n)
//
// that takes the place of jl_register_fptrs once. storages is how often there are runtime variables to fill, layers and links are numbers of cells.
func assembleStartup(a *elfpatch.Asm, storages, layers, links int, form functionList) {
	const (
		image, functions, instances, n = elfpatch.RBX, elfpatch.RBP, elfpatch.R12, elfpatch.R13
		row, left                      = elfpatch.R14, elfpatch.R15
		r1, r2, to                     = elfpatch.RAX, elfpatch.RCX, elfpatch.RDX
	)
	a.Begin(startupHook)
	a.Enter(8, image, functions, instances, n, row, left)
	a.Move(image, elfpatch.RDI)
	a.Move(functions, elfpatch.RSI)
	a.Move(instances, elfpatch.RDX)
	a.Move(n, elfpatch.RCX)
	a.Load(r1, elfpatch.AtSymbol(startupSlot, 0))
	a.Load(r2, elfpatch.AtSymbol(startupSaved, 0))
	a.Store(elfpatch.At(r1, 0), r2)

	// loop runs body for each of a number of cells; row leads to the current one.
	loop := func(cells string, number, size int, body func()) {
		if number == 0 {
			return
		}
		again := a.NewLabel()
		a.Address(row, elfpatch.AtSymbol(cells, 0))
		a.MoveImm(left, int64(number))
		a.Bind(again)
		body()
		a.AddImm(row, int32(size))
		a.SubImm(left, 1)
		a.Jump(elfpatch.NotEqual, again)
	}
	// register calls what the trampoline leads to with image's tables.
	register := func() {
		a.Move(elfpatch.RSI, functions)
		a.Move(elfpatch.RDX, instances)
		a.Move(elfpatch.RCX, n)
		a.Load(r1, elfpatch.AtSymbol(startupSlot, 0))
		a.CallMem(elfpatch.At(r1, 0))
	}

	loop(startupStorage, storages, 8*len(runtimeVariables), func() {
		for i, v := range runtimeVariables {
			a.Load(to, elfpatch.At(row, int32(8*i)))
			a.Load(r1, elfpatch.AtSymbol(startupSources, int32(8*i)))
			if v.size == 8 {
				a.Load(r2, elfpatch.At(r1, 0))
				a.Store(elfpatch.At(to, 0), r2)
				continue
			}
			word := a.NewLabel()
			a.MoveImm(elfpatch.RSI, int64(v.size/8))
			a.Bind(word)
			a.Load(r2, elfpatch.At(r1, 0))
			a.Store(elfpatch.At(to, 0), r2)
			a.AddImm(r1, 8)
			a.AddImm(to, 8)
			a.SubImm(elfpatch.RSI, 1)
			a.Jump(elfpatch.NotEqual, word)
		}
	})
	loop(startupLinks, links, 8, func() { form.assembleLinks(a, row, functions) })
	a.Move(elfpatch.RDI, image)
	register()
	done := a.NewLabel()
	a.Address(r1, elfpatch.AtSymbol(elfpatch.ImageStart, 0))
	a.Compare(r1, image)
	a.Jump(elfpatch.NotEqual, done)
	loop(startupLayers, layers, 8, func() {
		a.Load(elfpatch.RDI, elfpatch.At(row, 0))
		register()
	})
	a.Bind(done)
	a.Leave()
	a.Return()
	a.End()
}
