package sysimage

// This file is what images of Julia 1.5 do when they are loaded: it lets backtraces see the code of thin ones.
//
// jl_lookup_code_address in src/stackwalk.c says which function an address belongs to. For code of a system image
// (jl_dylib_DI_for_fptr and jl_getDylibFunctionInfo in src/debuginfo.cpp) it knows the method instance, and cleans
// names up. But it takes only one library for the system image: the one that holds jl_sysimg_gvars_base, which is the
// lowest layer. Code of the layers above is C code to it, and frames of C code are not shown.
//
// A layer's calls of jl_lookup_code_address are bound when they are made first: jl_load_and_lookup in
// src/runtime_ccall.cpp, which each layer imports, looks the name up. The image has these imports of all layers, and
// its own, lead to a function which finds what the real one does, but for that one name, of which it gives a function
// that completes what the real one says. Code that Julia compiles at run time calls the real one directly. That only
// matters to methods which look addresses up themselves and are in no image: Base's are in the lowest layer.
//
// The real one returns a SimpleVector of frames, the innermost first, all but the last of them inlined. Each is a
// SimpleVector of 6 elements, made by boxing the fields of jl_frame_t:
//
//	offset element
//	     8 name           Symbol, the empty one if it is not known
//	    16 file           Symbol
//	    24 line           Int, −1 if there is no debug information, which then is the only frame
//	    32 linfo          method instance, or nothing
//	    40 is C           Bool
//	    48 is inlined     Bool
//
// The changes, which have every frame as lookup_pointer in src/debuginfo.cpp makes it for the system image:
//
//   - A frame with a line and a name is no C frame. The name of an inlined one ends before its first ';'.
//   - A frame without line is no C frame if jl_demangle understands its name, which becomes what is in the middle:
//     one of five prefixes, such as "julia_", then the name, then '_' and digits.
//   - The last frame gets the method instance of its function. Where the function starts is asked of the unwinder, as
//     Julia does: _Unwind_Find_FDE of libgcc finds the frame description that covers an address. By its start the
//     function is found in jl_sysimg_fvars_offsets, and by its index there the method instance in the blob's
//     fptr_record, into which jl_update_all_fptrs in src/staticdata.c has put it when the blob was loaded.
//
// What is stored into the SimpleVectors needs no write barrier: symbols, false and all objects of an image are old from
// the start. The SimpleVectors are not rooted, since nothing that is called after they were made can collect garbage.

import (
	"chainbuild/elfpatch"
)

// Imports that lead to the functions below, and names of these.
const (
	lookupImport    = "jl_load_and_lookup"
	lookupHook      = "chainbuild_load_and_lookup"
	backtraceImport = "jl_lookup_code_address"
	backtraceHook   = "chainbuild_lookup_code_address"
)

// Data of the hooks.
const (
	backtraceSection = ".data.backtrace"
	// backtraceOrigin is a cell with the address of jl_sysimg_fvars_base, which offsets of functions count from.
	backtraceOrigin = "backtrace.origin"
	// backtraceRanges are the bounds of the code of all thin layers, two cells each.
	backtraceRanges = "backtrace.ranges"
)

// Offsets in what the runtime returns, in bytes.
const (
	frameName  = 8
	frameLine  = 24
	frameLinfo = 32
	frameIsC   = 40

	svecData   = 8
	symbolName = 24
)

// manglings are the prefixes of the names of functions that jl_demangle understands.
var manglings = []string{"japi1_", "japi3_", "julia_", "jsys1_", "jlsys_"}

const manglingSize = 6

// A backtraceTables says where the hooks find what they look things up in.
type backtraceTables struct {
	// ranges is the number of pairs at backtraceRanges.
	ranges int
	// first and count delimit the functions of thin layers in jl_sysimg_fvars_offsets.
	first, count int
	// records is the offset of fptr_record in the blob.
	records int
}

// loadLookup redirects look-ups of addresses.
type loadLookup struct{}

// aliases are two variables that Julia fills when it loads an image; each module of new code refers to them.
func (loadLookup) aliases(b *Base) map[string]elfpatch.Address {
	list := map[string]elfpatch.Address{}
	for _, name := range []string{"jl_get_ptls_states_slot", "jl_tls_offset"} {
		if at, err := b.symbol(name); err == nil {
			list[name] = at
		}
	}
	return list
}

// parts makes the hooks and their data for a thin image. It returns nothing for an image without functions.
func (loadLookup) parts(c *chaining, layout elfpatch.Layout) (layoutParts, error) {
	if layout != elfpatch.Thin {
		return layoutParts{}, nil
	}
	bottom := c.base.Layers[len(c.base.Layers)-1]
	tables := backtraceTables{count: len(c.base.Functions) + len(c.functions), records: c.recordsAt}
	for tables.first < len(c.base.Functions) {
		if at, _ := c.base.Locate(c.base.Functions[tables.first].Variants[0]); at.Base != bottom {
			break
		}
		tables.first++
	}
	if tables.first == tables.count {
		return layoutParts{}, nil
	}
	data := elfpatch.Section{Name: backtraceSection, Align: 8, Writable: true}
	cell := func(to elfpatch.Address) {
		at := uint64(len(data.Data))
		data.Fixups = append(data.Fixups, elfpatch.Fixup{Offset: at, Kind: elfpatch.Abs64, Target: to})
		data.Data = append(data.Data, make([]byte, 8)...)
	}
	data.Symbols = append(data.Symbols, elfpatch.Symbol{Name: backtraceOrigin, Size: 8})
	origin, err := c.base.symbol("jl_sysimg_fvars_base")
	if err != nil {
		return layoutParts{}, err
	}
	cell(origin)
	data.Symbols = append(data.Symbols, elfpatch.Symbol{Name: backtraceRanges, Offset: 8})
	cell(elfpatch.Address{Symbol: elfpatch.CodeStart})
	cell(elfpatch.Address{Symbol: elfpatch.CodeEnd})
	tables.ranges = 1
	parts := layoutParts{redirects: []elfpatch.Redirect{{Symbol: lookupImport, To: lookupHook}}}
	for _, im := range c.base.Layers {
		parts.redirects = append(parts.redirects, elfpatch.Redirect{Base: im, Symbol: lookupImport, To: lookupHook})
		if im == bottom {
			break
		}
		for _, s := range im.Segments {
			if s.Type == ptLoad && s.Flags&pfExecute != 0 {
				cell(elfpatch.Address{Base: im, Offset: s.Addr})
				cell(elfpatch.Address{Base: im, Offset: s.Addr + s.MemSize})
				tables.ranges++
			}
		}
	}
	data.Symbols[1].Size = uint64(16 * tables.ranges)
	parts.sections = []elfpatch.Section{data}

	a := new(elfpatch.Asm)
	assembleLookupHook(a)
	assembleBacktraceHook(a, tables)
	object, err := a.Object("the code for backtraces")
	parts.objects = []*elfpatch.Object{object}
	return parts, err
}

// assembleLookupHook assembles
//
//	void *hook(const char *library, const char *name, void **handle)
//
// that takes the place of jl_load_and_lookup. It calls nothing, so that an error of the real function has the backtrace
// that it would have without.
func assembleLookupHook(a *elfpatch.Asm) {
	const (
		name    = elfpatch.RSI
		at      = elfpatch.RAX
		is, was = elfpatch.RCX, elfpatch.R8
	)
	compare, other, wanted := a.NewLabel(), a.NewLabel(), a.NewLabel()
	a.Begin(lookupHook)
	a.Address(elfpatch.R9, elfpatch.AtLabel(wanted))
	a.MoveImm(at, 0)
	a.Bind(compare)
	a.Load8(is, elfpatch.AtIndex(name, at, 1, 0))
	a.Load8(was, elfpatch.AtIndex(elfpatch.R9, at, 1, 0))
	a.Compare(is, was)
	a.Jump(elfpatch.NotEqual, other)
	a.AddImm(at, 1)
	a.Test(is, is)
	a.Jump(elfpatch.NotEqual, compare)
	a.Address(elfpatch.RAX, elfpatch.AtSymbol(backtraceHook, 0))
	a.Return()
	a.Bind(other)
	a.GoMem(a.AtPointer(lookupImport))
	a.End()
	a.Bind(wanted)
	a.Raw([]byte(backtraceImport + "\x00")...)
}

// assembleBacktraceHook assembles
//
//	jl_value_t *hook(void *address, int skipC)
//
// that takes the place of jl_lookup_code_address.
func assembleBacktraceHook(a *elfpatch.Asm, tables backtraceTables) {
	const (
		address = elfpatch.RBX
		frames  = elfpatch.R12
		frame   = elfpatch.RBP // the current one, at last the last one
		index   = elfpatch.R13 // how many frames were begun
		isFalse = elfpatch.R14 // jl_false
		// Arguments and scratch.
		arg1, arg2, result = elfpatch.RDI, elfpatch.RSI, elfpatch.RAX
		r1, r2             = elfpatch.RCX, elfpatch.RDX
	)
	a.Begin(backtraceHook)

	// Addresses outside of thin layers go to the real function, as do the arguments.
	inRange, next, ours := a.NewLabel(), a.NewLabel(), a.NewLabel()
	a.Address(result, elfpatch.AtSymbol(backtraceRanges, 0))
	a.MoveImm(r1, int64(tables.ranges))
	a.Bind(inRange)
	a.CompareMem(arg1, elfpatch.At(result, 0))
	a.Jump(elfpatch.Below, next)
	a.CompareMem(arg1, elfpatch.At(result, 8))
	a.Jump(elfpatch.Below, ours)
	a.Bind(next)
	a.AddImm(result, 16)
	a.SubImm(r1, 1)
	a.Jump(elfpatch.NotEqual, inRange)
	a.GoMem(elfpatch.AtGOT(backtraceImport))

	// With skipC the real function would not look at all.
	a.Bind(ours)
	a.Enter(32, address, frames, frame, index, isFalse)
	a.Move(address, arg1)
	a.MoveImm(arg2, 0)
	a.CallMem(elfpatch.AtGOT(backtraceImport))
	a.Move(frames, result)
	a.Load(isFalse, elfpatch.AtGOT("jl_false"))
	a.Load(isFalse, elfpatch.At(isFalse, 0))
	a.MoveImm(index, 0)

	loop, completed, mangled, cut, done := a.NewLabel(), a.NewLabel(), a.NewLabel(), a.NewLabel(), a.NewLabel()
	a.Bind(loop)
	a.CompareMem(index, elfpatch.At(frames, 0))
	a.Jump(elfpatch.AboveEqual, completed)
	a.Load(frame, elfpatch.AtIndex(frames, index, 8, svecData))
	a.AddImm(index, 1)
	a.Load(arg1, elfpatch.At(frame, frameName))
	a.AddImm(arg1, symbolName)
	a.Load8(result, elfpatch.At(arg1, 0))
	a.Test(result, result)
	a.Jump(elfpatch.Equal, loop)
	a.Load(result, elfpatch.At(frame, frameLine))
	a.Load(result, elfpatch.At(result, 0))
	a.CompareImm(result, -1)
	a.Jump(elfpatch.Equal, mangled)
	a.Store(elfpatch.At(frame, frameIsC), isFalse)
	a.CompareMem(index, elfpatch.At(frames, 0))
	a.Jump(elfpatch.Equal, completed)

	// An inlined frame: r1 goes to the first semicolon, if there is one.
	find := a.NewLabel()
	a.Move(r1, arg1)
	a.Bind(find)
	a.Load8(result, elfpatch.At(r1, 0))
	a.Test(result, result)
	a.Jump(elfpatch.Equal, loop)
	a.CompareImm(result, ';')
	a.Jump(elfpatch.Equal, cut)
	a.AddImm(r1, 1)
	a.Go(find)

	// The name is what is from arg1 to r1.
	a.Bind(cut)
	a.Move(arg2, r1)
	a.Sub(arg2, arg1)
	a.CallMem(elfpatch.AtGOT("jl_symbol_n"))
	a.Store(elfpatch.At(frame, frameName), result)
	a.Go(loop)

	// A frame without debug information: arg2 goes to what follows the prefix, r1 to the end. The prefix is compared
	// after it is known that the name, with the zero byte after it, has 8 bytes.
	end, ended, digits, prefixed := a.NewLabel(), a.NewLabel(), a.NewLabel(), a.NewLabel()
	a.Bind(mangled)
	a.Address(arg2, elfpatch.At(arg1, manglingSize))
	a.Move(r1, arg1)
	a.Bind(end)
	a.Load8(result, elfpatch.At(r1, 0))
	a.Test(result, result)
	a.Jump(elfpatch.Equal, ended)
	a.AddImm(r1, 1)
	a.Go(end)
	a.Bind(ended)
	a.Compare(r1, arg2)
	a.Jump(elfpatch.BelowEqual, loop)
	a.Load(result, elfpatch.At(arg1, 0))
	a.ShiftLeft(result, 64-8*manglingSize)
	for _, prefix := range manglings {
		a.MoveImm(r2, int64(le.Uint64([]byte("\x00\x00"+prefix))))
		a.Compare(result, r2)
		a.Jump(elfpatch.Equal, digits)
	}
	a.Go(loop)
	// The prefix ends with the character that is looked for.
	a.Bind(digits)
	a.SubImm(r1, 1)
	a.Load8(result, elfpatch.At(r1, 0))
	a.CompareImm(result, '_')
	a.Jump(elfpatch.Equal, prefixed)
	a.SubImm(result, '0')
	a.CompareImm(result, 9)
	a.Jump(elfpatch.BelowEqual, digits)
	a.Go(loop)
	a.Bind(prefixed)
	a.Compare(r1, arg2)
	a.Jump(elfpatch.BelowEqual, loop)
	a.Store(elfpatch.At(frame, frameIsC), isFalse)
	a.Move(arg1, arg2)
	a.Go(cut)

	// The method instance. struct dwarf_eh_bases of libgcc, at RSP: 8 text, 8 data, 8 start of the function.
	search, found := a.NewLabel(), a.NewLabel()
	a.Bind(completed)
	a.Test(index, index)
	a.Jump(elfpatch.Equal, done)
	a.Move(arg1, address)
	a.Move(arg2, elfpatch.RSP)
	a.CallMem(elfpatch.AtGOT("_Unwind_Find_FDE"))
	a.Test(result, result)
	a.Jump(elfpatch.Equal, done)
	a.Load(r2, elfpatch.At(elfpatch.RSP, 16))
	a.SubMem(r2, elfpatch.AtSymbol(backtraceOrigin, 0))
	a.Address(arg2, elfpatch.AtSymbol("jl_sysimg_fvars_offsets", 4))
	a.MoveImm(r1, int64(tables.first))
	a.Bind(search)
	a.LoadSigned32(result, elfpatch.AtIndex(arg2, r1, 4, 0))
	a.Compare(result, r2)
	a.Jump(elfpatch.Equal, found)
	a.AddImm(r1, 1)
	a.CompareImm(r1, int32(tables.count))
	a.Jump(elfpatch.Below, search)
	a.Go(done)
	a.Bind(found)
	a.Address(arg2, elfpatch.AtSymbol("jl_system_image_data", int32(tables.records)))
	a.Load(result, elfpatch.AtIndex(arg2, r1, 8, 0))
	a.Test(result, result)
	a.Jump(elfpatch.Equal, done)
	a.Store(elfpatch.At(frame, frameLinfo), result)

	a.Bind(done)
	a.Move(result, frames)
	a.Leave()
	a.Return()
	a.End()
}
