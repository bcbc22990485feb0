package sysimage

// This file reads what an image was compiled for, and which code serves on each target. serialize_target_data in
// src/processor.cpp writes the list of targets, deserialize_target_data there reads it. Not aligned, little endian.
//
//	u32 number of targets, then per target
//	u32 flags (JL_TARGET_…, src/processor.h)
//	u32 number of words n of a set of features
//	n × u32 features that are on, n × u32 features that are off: bit f of the set is bit f%32 of word f/32
//	u32 length, name of the processor
//	u32 length, features that Julia passes on to LLVM without knowing them, with "," between them

import (
	"fmt"
	"slices"
	"strings"

	"chainbuild/elfpatch"
)

// A Target is a processor that native code was made for.
type Target struct {
	// Name is what Julia calls the processor, "generic" for the least that x86-64 has.
	Name string
	// Flags are Julia's JL_TARGET_…, of which only TargetVectorCalls and TargetUnknownName are in the file.
	Flags uint32
	// On and Off are the names of features, as LLVM calls them, that code for the target may use, and may not.
	On, Off []string
	// Extra are features that Julia does not know, each with a "+" or "-" before it.
	Extra []string
	// Complete says that there is code of its own for all functions; else that of target Fallback serves for those
	// that are not better off with their own.
	Complete bool
	Fallback int

	// on and off are the sets of features, with those that have no name.
	on, off featureSet
}

// Flags of targets (src/processor.h).
const (
	// TargetVectorCalls, JL_TARGET_VEC_CALL: functions may take or return vectors, in registers whose size depends on the target.
	TargetVectorCalls = 1 << 0
	// TargetUnknownName, JL_TARGET_UNKNOWN_NAME: Julia does not know the processor, and so none of its features.
	TargetUnknownName = 1 << 5
)

// LLVM returns the target as LLVM names it: a processor and a list of features, "+avx,-sse4a".
// get_llvm_target_noext in src/processor_x86.cpp does the same.
func (t Target) LLVM() (cpu, features string) {
	cpu = t.Name
	if cpu == "generic" {
		cpu = "x86-64"
	}
	var list []string
	for _, f := range t.On {
		list = append(list, "+"+f)
	}
	for _, f := range t.Off {
		list = append(list, "-"+f)
	}
	list = append(list, "+sse2", "+mmx", "+fxsr", "+64bit", "+cx8")
	return cpu, strings.Join(append(list, t.Extra...), ",")
}

// Option returns the target as julia's -C takes it: a name, and features to add and to remove.
func (t Target) Option() string {
	option := t.Name
	for _, f := range t.On {
		option += ",+" + f
	}
	for _, f := range t.Off {
		option += ",-" + f
	}
	return strings.Join(append([]string{option}, t.Extra...), ",")
}

// A featureSet is a set of features as a list of targets has it.
type featureSet []byte

func (s featureSet) has(bit int) bool { return bit/8 < len(s) && s[bit/8]>>(bit%8)&1 != 0 }

// A feature is a bit of a set and the name that LLVM gives it.
type feature struct {
	bit  int
	name string
}

// A clones is what tables say of a target: those of an image, or of a shard of it.
type clones struct {
	// complete: there is code for all functions.
	complete bool
	// fallback is the complete target whose code serves where an incomplete one has none.
	fallback int
	// indices are numbers of functions, with indexFlag if bit 31 says something, ascending.
	indices []uint32
	// code are virtual addresses: of all functions if complete, else of those that indices lists.
	code []uint64
}

// indexFlag is bit 31 of a count or of a function index of a clone table.
const indexFlag = 1 << 31

// readClones reads what two tables have for each of a number of targets. Take reads places of code from the second one, in the
// order of the first, which has:
//
//	u32 count, and
//	if bit 31 of count is set (all functions were cloned, always so for target 0, whose code is given as first):
//	  count × u32 function index, ascending: the functions that slots are to be filled with
//	else:
//	  u32 index of a complete target, whose code serves where this one has none
//	  count × u32 function index, ascending, bit 31 set if slots are to be filled with it
func readClones(indices *tableReader, take func(n uint32) ([]uint64, error), first []uint64, targets int) ([]clones, error) {
	n := uint32(len(first))
	var list []clones
	for i := range targets {
		count := indices.number()
		c := clones{complete: count&indexFlag != 0}
		count &^= indexFlag
		if i == 0 && !c.complete {
			return nil, fmt.Errorf("%w: the first target does not have all functions", ErrDamaged)
		}
		if !c.complete {
			c.fallback = int(indices.number())
			if c.fallback >= i || !list[c.fallback].complete {
				return nil, fmt.Errorf("%w: target %d falls back to target %d, which is not complete", ErrDamaged, i, c.fallback)
			}
		}
		c.indices = indices.numbers(count)
		if indices.err != nil {
			return nil, indices.err
		}
		var err error
		switch {
		case i == 0:
			c.code = first
		case c.complete:
			c.code, err = take(n)
		default:
			c.code, err = take(count)
		}
		if err != nil {
			return nil, err
		}
		previous := int64(-1)
		for _, entry := range c.indices {
			index := int64(entry &^ indexFlag)
			if index <= previous || index >= int64(n) {
				return nil, fmt.Errorf("%w: function indices of target %d do not ascend", ErrDamaged, i)
			}
			previous = index
		}
		list = append(list, c)
	}
	return list, nil
}

// chosen returns the code of each function that the loader chooses on a target.
func chosen(list []clones, target int) []uint64 {
	c := list[target]
	if c.complete {
		return c.code
	}
	code := slices.Clone(list[c.fallback].code)
	for i, entry := range c.indices {
		code[entry&^indexFlag] = c.code[i]
	}
	return code
}

// A slot is an entry of a table of cells that calls go through, to be filled with the chosen target's code.
type slot struct {
	function uint32
	cell     uint64 // virtual address
}

// checkSlots sees to it that slots are cells, in the order of their functions, and that each target fills only functions into
// slots that exist. There are n functions; the distances of cells from origin are multiples of 8; where says which of several
// tables it is, after a space.
func (b *Base) checkSlots(slots []slot, list []clones, n int, origin uint64, where string) error {
	slotted := make([]bool, n)
	previous, of := uint32(0), "function"
	if where != "" {
		of = "its function"
	}
	for i, s := range slots {
		if s.function < previous || int(s.function) >= n || !b.isCell(s.cell, origin) {
			return fmt.Errorf("%w: slot %d%s, of %s %d, is at %#x", ErrDamaged, i, where, of, s.function, s.cell)
		}
		previous, slotted[s.function] = s.function, true
	}
	for t, c := range list {
		for _, entry := range c.indices {
			if (c.complete || entry&indexFlag != 0) && !slotted[entry&^indexFlag] {
				return fmt.Errorf("%w: target %d fills slots of function %d%s, which has none", ErrDamaged, t, entry&^indexFlag, where)
			}
		}
	}
	return nil
}

// Bounds for what a file can make this program read; no Julia comes near them.
const (
	maxTargets      = 64
	maxFeatureWords = 64
	maxTargetString = 4096
)

// readTargets reads the targets at an address.
func readTargets(at elfpatch.Address, names []feature) ([]Target, error) {
	return parseTargets(func(n uint32) []byte {
		data, err := at.Base.Bytes(at.Offset, uint64(n))
		if err != nil {
			return nil
		}
		at.Offset += uint64(n)
		return data
	}, names)
}

// parseTargets reads targets from a list whose next bytes take returns, nil behind its end.
func parseTargets(take func(n uint32) []byte, names []feature) ([]Target, error) {
	damaged := fmt.Errorf("%w: its list of targets is not readable", ErrDamaged)
	number := func() (uint32, bool) {
		field := take(4)
		if field == nil {
			return 0, false
		}
		return le.Uint32(field), true
	}
	str := func() (string, bool) {
		n, ok := number()
		if !ok || n > maxTargetString {
			return "", false
		}
		data := take(n)
		return string(data), len(data) == int(n)
	}
	count, ok := number()
	if !ok || count == 0 || count > maxTargets {
		return nil, damaged
	}
	var targets []Target
	for range count {
		var t Target
		flags, ok1 := number()
		words, ok2 := number()
		if !ok1 || !ok2 || words > maxFeatureWords {
			return nil, damaged
		}
		on, off := take(4*words), take(4*words)
		name, ok3 := str()
		extra, ok4 := str()
		if len(on) != int(4*words) || len(off) != int(4*words) || !ok3 || !ok4 {
			return nil, damaged
		}
		t.Name, t.Flags, t.on, t.off = name, flags, on, off
		t.On, t.Off = featureNames(on, names), featureNames(off, names)
		if extra != "" {
			t.Extra = strings.Split(extra, ",")
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// featureNames lists the features whose bits are set.
func featureNames(set featureSet, names []feature) []string {
	var list []string
	for _, f := range names {
		if set.has(f.bit) {
			list = append(list, f.name)
		}
	}
	return list
}

// features1_5 are the features that Julia 1.5 knows and LLVM 9 too (src/features_x86.h). Words of the set are what CPUID
// returns: 0 leaf 1 ECX, 2 to 4 leaf 7 EBX, ECX, EDX, 5 leaf 0x80000001 ECX, 7 leaf 0xd.1 EAX, 8 leaf 0x80000008 EBX,
// 9 leaf 7.1 EAX, 10 leaf 0x14 EBX.
var features1_5 = []feature{
	{0, "sse3"},
	{1, "pclmul"},
	{9, "ssse3"},
	{12, "fma"},
	{13, "cx16"},
	{19, "sse4.1"},
	{20, "sse4.2"},
	{22, "movbe"},
	{23, "popcnt"},
	{25, "aes"},
	{26, "xsave"},
	{28, "avx"},
	{29, "f16c"},
	{30, "rdrnd"},
	{32*2 + 0, "fsgsbase"},
	{32*2 + 3, "bmi"},
	{32*2 + 5, "avx2"},
	{32*2 + 8, "bmi2"},
	{32*2 + 11, "rtm"},
	{32*2 + 16, "avx512f"},
	{32*2 + 17, "avx512dq"},
	{32*2 + 18, "rdseed"},
	{32*2 + 19, "adx"},
	{32*2 + 21, "avx512ifma"},
	{32*2 + 23, "clflushopt"},
	{32*2 + 24, "clwb"},
	{32*2 + 26, "avx512pf"},
	{32*2 + 27, "avx512er"},
	{32*2 + 28, "avx512cd"},
	{32*2 + 29, "sha"},
	{32*2 + 30, "avx512bw"},
	{32*2 + 31, "avx512vl"},
	{32*3 + 0, "prefetchwt1"},
	{32*3 + 1, "avx512vbmi"},
	{32*3 + 4, "pku"},
	{32*3 + 5, "waitpkg"},
	{32*3 + 6, "avx512vbmi2"},
	{32*3 + 7, "shstk"},
	{32*3 + 8, "gfni"},
	{32*3 + 9, "vaes"},
	{32*3 + 10, "vpclmulqdq"},
	{32*3 + 11, "avx512vnni"},
	{32*3 + 12, "avx512bitalg"},
	{32*3 + 14, "avx512vpopcntdq"},
	{32*3 + 22, "rdpid"},
	{32*3 + 25, "cldemote"},
	{32*3 + 27, "movdiri"},
	{32*3 + 28, "movdir64b"},
	{32*3 + 29, "enqcmd"},
	{32*4 + 8, "avx512vp2intersect"},
	{32*4 + 18, "pconfig"},
	{32*5 + 0, "sahf"},
	{32*5 + 5, "lzcnt"},
	{32*5 + 6, "sse4a"},
	{32*5 + 8, "prfchw"},
	{32*5 + 11, "xop"},
	{32*5 + 15, "lwp"},
	{32*5 + 16, "fma4"},
	{32*5 + 21, "tbm"},
	{32*5 + 29, "mwaitx"},
	{32*7 + 0, "xsaveopt"},
	{32*7 + 1, "xsavec"},
	{32*7 + 3, "xsaves"},
	{32*8 + 0, "clzero"},
	{32*8 + 9, "wbnoinvd"},
	{32*9 + 5, "avx512bf16"},
	{32*10 + 4, "ptwrite"},
}

// features1_10 are the features that Julia 1.10 knows and LLVM 15 too.
var features1_10 = append(slices.DeleteFunc(slices.Clone(features1_5), func(f feature) bool { return f.name == "lwp" }),
	feature{32*4 + 5, "uintr"},
	feature{32*4 + 14, "serialize"},
	feature{32*4 + 16, "tsxldtrk"},
	feature{32*4 + 22, "amx-bf16"},
	feature{32*4 + 23, "avx512fp16"},
	feature{32*4 + 24, "amx-tile"},
	feature{32*4 + 25, "amx-int8"},
	feature{32*9 + 4, "avxvnni"},
)

// features1_12 are the features that Julia 1.12 knows and LLVM 18 too. Word 10 of the set is leaf 7.1 EBX, 11 leaf 0x14 EBX.
var features1_12 = append(slices.DeleteFunc(slices.Clone(features1_10), func(f feature) bool {
	return slices.Contains([]string{"avx512pf", "avx512er", "prefetchwt1", "ptwrite"}, f.name)
}),
	feature{32*9 + 0, "sha512"},
	feature{32*9 + 1, "sm3"},
	feature{32*9 + 2, "sm4"},
	feature{32*9 + 3, "raoint"},
	feature{32*9 + 7, "cmpccxadd"},
	feature{32*9 + 21, "amx-fp16"},
	feature{32*9 + 22, "hreset"},
	feature{32*9 + 23, "avxifma"},
	feature{32*10 + 4, "avxvnniint8"},
	feature{32*10 + 5, "avxneconvert"},
	feature{32*10 + 8, "amx-complex"},
	feature{32*10 + 10, "avxvnniint16"},
	feature{32*10 + 14, "prefetchi"},
	feature{32*10 + 15, "usermsr"},
	feature{32*11 + 4, "ptwrite"},
)
