package elfpatch

// This file writes what the dynamic loader reads: symbols, their hash table and versions, relocations and PT_DYNAMIC.
//
// Sizes must be known before addresses can be given, so it is used in two passes:
//
//	var d dynamic
//	d.addNeeded("libbase.so")                          // pass 1: everything that has a size
//	f := d.define("answer", elf.STT_FUNC, 16)
//	m := d.importSym("memcpy", "GLIBC_2.14", "libc.so.6")
//	d.reserveRelas(1)
//	d.reserveTag(elf.DT_INIT_ARRAY)
//	for _, s := range d.layout() { s.addr = … }        // sizes are final; the caller decides on addresses
//	d.setValue(f, addr, sectionIndex)                  // pass 2: everything that is an address
//	d.setTag(elf.DT_INIT_ARRAY, addr)
//	d.rela(gotAddr, elf.R_X86_64_GLOB_DAT, m, 0)
//	err := d.finish()                                  // fills data of each section that layout returned
//
// The loader gets its relocations in the order that is quickest for it: RELATIVE first and counted by DT_RELACOUNT,
// then those with a symbol, all of one symbol together as it remembers the last one looked up, IRELATIVE last since
// their resolvers may use what the others have written.
//
// Sections that layout returns, in this order:
//
//	.gnu.hash      how the loader finds a defined symbol: its layout is at the top of imagedynamic.go
//	.dynsym        the null symbol, the imported ones, the defined ones by their bucket in .gnu.hash
//	.dynstr
//	.gnu.version   and .gnu.version_r: only if an import has a version
//	.rela.dyn      only if relocations were reserved
//	.dynamic       the one that is writable: some loaders store relocated addresses in it

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"
)

// A dynamic collects what the dynamic loader is told about one image. The zero value is empty.
type dynamic struct {
	runpath  string
	needed   []string
	symbols  []dynamicSymbol // by handle - 1
	imports  map[string]dynHandle
	tags     []dynamicTag
	relas    []Rela // Sym is a dynHandle
	reserved int    // relocations that layout makes room for

	// Set by layout.
	strings  []byte
	stringAt map[string]uint32
	sections []*dynSection
	index    []uint32 // place in .dynsym by handle - 1
	buckets  uint32
	versions []neededVersions
}

// A dynHandle stands for a symbol of a dynamic. 0 is none.
type dynHandle uint32

// A dynSection is a section that layout sized and finish filled.
type dynSection struct {
	name      string
	kind      elf.SectionType
	flags     elf.SectionFlag
	align     uint64
	entrySize uint64
	size      uint64 // bytes
	link      string // name of the section that sh_link refers to, "" for none
	info      uint32 // sh_info
	addr      uint64 // to be set by the caller between layout and finish
	data      []byte // size bytes, after finish
}

type dynamicSymbol struct {
	name         string
	info         uint8
	defined      bool
	size         uint64
	version, lib string
	value        uint64
	section      uint16
}

type dynamicTag struct {
	tag   elf.DynTag
	value uint64
}

// neededVersions are the versions that are needed of one library.
type neededVersions struct {
	lib   string
	names []string
	first uint16 // the version index of names[0]; the others follow
}

// addNeeded adds a library that is loaded along with the image.
func (d *dynamic) addNeeded(path string) { d.needed = append(d.needed, path) }

// setRunpath sets the folders, separated by colons, in which needed libraries are searched.
func (d *dynamic) setRunpath(path string) { d.runpath = path }

// define adds a global symbol of the image; size is in bytes. Its address is set later by setValue.
func (d *dynamic) define(name string, kind elf.SymType, size uint64) dynHandle {
	d.symbols = append(d.symbols, dynamicSymbol{name: name, info: elf.ST_INFO(elf.STB_GLOBAL, kind), defined: true, size: size})
	return dynHandle(len(d.symbols))
}

// importSym adds a symbol that other libraries define, once per name. Version and lib are "" for a symbol without
// version; lib should be needed by the image, since the loader looks for the version in it.
func (d *dynamic) importSym(name, version, lib string) dynHandle {
	if h, ok := d.imports[name]; ok {
		return h
	}
	d.symbols = append(d.symbols, dynamicSymbol{
		name: name, info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_NOTYPE), version: version, lib: lib,
	})
	h := dynHandle(len(d.symbols))
	if d.imports == nil {
		d.imports = make(map[string]dynHandle)
	}
	d.imports[name] = h
	return h
}

// weaken makes a symbol weak: an imported one may then be missing, and is 0.
func (d *dynamic) weaken(h dynHandle) {
	s := &d.symbols[h-1]
	s.info = elf.ST_INFO(elf.STB_WEAK, elf.ST_TYPE(s.info))
}

// reserveRelas makes room for n more relocations.
func (d *dynamic) reserveRelas(n int) { d.reserved += n }

// reserveTag makes room for an entry of the dynamic section, such as DT_INIT_ARRAY.
func (d *dynamic) reserveTag(tag elf.DynTag) { d.tags = append(d.tags, dynamicTag{tag: tag}) }

// setTag sets the value of an entry that was reserved.
func (d *dynamic) setTag(tag elf.DynTag, value uint64) {
	i := slices.IndexFunc(d.tags, func(t dynamicTag) bool { return t.tag == tag })
	d.tags[i].value = value
}

// setValue sets the virtual address of a defined symbol and the index of the section that it lies in.
func (d *dynamic) setValue(h dynHandle, value uint64, section uint16) {
	s := &d.symbols[h-1]
	s.value, s.section = value, section
}

// rela adds a relocation at a virtual address; sym is 0 for those without a symbol.
func (d *dynamic) rela(offset uint64, kind elf.R_X86_64, sym dynHandle, addend int64) {
	d.relas = append(d.relas, Rela{Offset: offset, Type: uint32(kind), Sym: uint32(sym), Addend: addend})
}

// dynamicBound has the entries with a constant value. All symbols are bound when the image is loaded:
// there is no lazy PLT, and what is missing must show at once and not in the middle of a run.
var dynamicBound = []dynamicTag{
	{elf.DT_FLAGS, uint64(elf.DF_BIND_NOW)},
	{elf.DT_FLAGS_1, uint64(elf.DF_1_NOW)},
}

// layout returns the sections with their final sizes. Nothing that has a size may be added after it.
func (d *dynamic) layout() []*dynSection {
	d.strings, d.stringAt = []byte{0}, map[string]uint32{"": 0}
	d.orderSymbols()
	d.collectVersions()
	for _, s := range d.symbols {
		d.intern(s.name)
	}
	for _, name := range d.needed {
		d.intern(name)
	}
	d.intern(d.runpath)
	versionSize := 0
	for _, v := range d.versions {
		d.intern(v.lib)
		for _, name := range v.names {
			d.intern(name)
		}
		versionSize += 16 + 16*len(v.names)
	}

	count := uint64(len(d.symbols) + 1)
	add := func(s dynSection) { d.sections = append(d.sections, &s) }
	alloc := elf.SHF_ALLOC
	add(dynSection{name: ".gnu.hash", kind: elf.SHT_GNU_HASH, flags: alloc, align: 8, link: ".dynsym",
		size: 16 + 8*uint64(d.filterWords()) + 4*uint64(d.buckets) + 4*uint64(d.definedCount())})
	add(dynSection{name: ".dynsym", kind: elf.SHT_DYNSYM, flags: alloc, align: 8, entrySize: symbolSize, link: ".dynstr",
		info: 1, size: count * symbolSize})
	add(dynSection{name: ".dynstr", kind: elf.SHT_STRTAB, flags: alloc, align: 1, size: uint64(len(d.strings))})
	if len(d.versions) > 0 {
		add(dynSection{name: ".gnu.version", kind: elf.SHT_GNU_VERSYM, flags: alloc, align: 2, entrySize: 2, link: ".dynsym",
			size: 2 * count})
		add(dynSection{name: ".gnu.version_r", kind: elf.SHT_GNU_VERNEED, flags: alloc, align: 8, link: ".dynstr",
			info: uint32(len(d.versions)), size: uint64(versionSize)})
	}
	if d.reserved > 0 {
		add(dynSection{name: ".rela.dyn", kind: elf.SHT_RELA, flags: alloc, align: 8, entrySize: relaSize, link: ".dynsym",
			size: uint64(d.reserved) * relaSize})
	}
	add(dynSection{name: ".dynamic", kind: elf.SHT_DYNAMIC, flags: alloc | elf.SHF_WRITE, align: 8, entrySize: dynSize,
		link: ".dynstr", size: uint64(len(d.entries())) * dynSize})
	return slices.Clone(d.sections)
}

// finish fills the data of the sections. It is an error of the caller, reported and not written over, if there are
// other relocations than were reserved or a defined symbol has no section.
func (d *dynamic) finish() error {
	if len(d.relas) != d.reserved {
		return fmt.Errorf("room was made for %d dynamic relocations but there are %d", d.reserved, len(d.relas))
	}
	for _, s := range d.symbols {
		if s.defined && s.section == 0 {
			return fmt.Errorf("the dynamic symbol %s was given no address", s.name)
		}
	}
	d.sortRelas()
	fill := map[string]func([]byte) []byte{
		".gnu.hash": d.appendHash, ".dynsym": d.appendSymbols, ".dynstr": func(b []byte) []byte { return append(b, d.strings...) },
		".gnu.version": d.appendVersym, ".gnu.version_r": d.appendVerneed, ".rela.dyn": d.appendRelas, ".dynamic": d.appendEntries,
	}
	for _, s := range d.sections {
		s.data = fill[s.name](make([]byte, 0, s.size))
	}
	return nil
}

// section returns the section called name, nil if layout left it out.
func (d *dynamic) section(name string) *dynSection {
	for _, s := range d.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// intern puts a string into .dynstr.
func (d *dynamic) intern(s string) uint32 {
	at, ok := d.stringAt[s]
	if !ok {
		at = uint32(len(d.strings))
		d.stringAt[s] = at
		d.strings = append(append(d.strings, s...), 0)
	}
	return at
}

// definedCount is how many symbols .gnu.hash finds.
func (d *dynamic) definedCount() int {
	n := 0
	for _, s := range d.symbols {
		if s.defined {
			n++
		}
	}
	return n
}

// filterWords is the size of .gnu.hash's filter in words of 8 bytes, a power of two: some 16 bits per symbol, of which
// each sets two, keep nearly all failing lookups away from the buckets.
func (d *dynamic) filterWords() uint32 {
	words := uint32(1)
	for int(words)*4 < d.definedCount() {
		words *= 2
	}
	return words
}

// order returns the handles in the order of .dynsym, which starts with the null symbol that has none.
func (d *dynamic) order() []dynHandle {
	order := make([]dynHandle, len(d.symbols))
	for i, place := range d.index {
		order[place-1] = dynHandle(i + 1)
	}
	return order
}

// orderSymbols gives each symbol its place in .dynsym: imports in the order in which they came, then the defined ones
// by bucket.
func (d *dynamic) orderSymbols() {
	d.buckets = uint32(max(1, d.definedCount()/2))
	order := make([]dynHandle, len(d.symbols))
	for i := range order {
		order[i] = dynHandle(i + 1)
	}
	key := func(h dynHandle) int64 {
		if s := &d.symbols[h-1]; s.defined {
			return int64(gnuHash(s.name) % d.buckets)
		}
		return -1
	}
	slices.SortStableFunc(order, func(a, b dynHandle) int { return cmp.Compare(key(a), key(b)) })
	d.index = make([]uint32, len(order))
	for place, h := range order {
		d.index[h-1] = uint32(place + 1)
	}
}

// collectVersions groups the versions of imports by library and numbers them. 0 and 1 are local and global symbols.
func (d *dynamic) collectVersions() {
	for _, s := range d.symbols {
		if s.version == "" {
			continue
		}
		i := slices.IndexFunc(d.versions, func(v neededVersions) bool { return v.lib == s.lib })
		if i < 0 {
			i = len(d.versions)
			d.versions = append(d.versions, neededVersions{lib: s.lib})
		}
		if v := &d.versions[i]; !slices.Contains(v.names, s.version) {
			v.names = append(v.names, s.version)
		}
	}
	next := uint16(2)
	for i := range d.versions {
		d.versions[i].first = next
		next += uint16(len(d.versions[i].names))
	}
}

// appendHash writes .gnu.hash.
func (d *dynamic) appendHash(b []byte) []byte {
	const shift = 26 // of the filter's second bit, taken from high bits of the hash as lld does
	words := d.filterWords()
	defined := d.definedCount()
	filter := make([]uint64, words)
	bucket := make([]uint32, d.buckets)
	chain := make([]uint32, defined)
	first := len(d.symbols) + 1 - defined
	for i, h := range d.order()[first-1:] {
		hash := gnuHash(d.symbols[h-1].name)
		filter[hash/64%words] |= 1<<(hash%64) | 1<<(hash>>shift%64)
		chain[i] = hash &^ 1
		if at := &bucket[hash%d.buckets]; *at == 0 {
			*at = uint32(first + i)
			if i > 0 {
				chain[i-1] |= 1 // this symbol starts a bucket, so the one before it ends one
			}
		}
	}
	if defined > 0 {
		chain[defined-1] |= 1
	}
	for _, v := range []uint32{d.buckets, uint32(first), words, shift} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range filter {
		b = le.AppendUint64(b, v)
	}
	for _, v := range bucket {
		b = le.AppendUint32(b, v)
	}
	for _, v := range chain {
		b = le.AppendUint32(b, v)
	}
	return b
}

// appendSymbols writes .dynsym.
func (d *dynamic) appendSymbols(b []byte) []byte {
	b = append(b, make([]byte, symbolSize)...)
	for _, h := range d.order() {
		s := &d.symbols[h-1]
		b = le.AppendUint32(b, d.intern(s.name))
		b = append(b, s.info, byte(elf.STV_DEFAULT))
		b = le.AppendUint16(b, s.section)
		b = le.AppendUint64(b, s.value)
		b = le.AppendUint64(b, s.size)
	}
	return b
}

// appendVersym writes .gnu.version.
func (d *dynamic) appendVersym(b []byte) []byte {
	b = le.AppendUint16(b, 0)
	for _, h := range d.order() {
		s := &d.symbols[h-1]
		index := uint16(1)
		for _, v := range d.versions {
			if i := slices.Index(v.names, s.version); i >= 0 && v.lib == s.lib && s.version != "" {
				index = v.first + uint16(i)
			}
		}
		b = le.AppendUint16(b, index)
	}
	return b
}

// appendVerneed writes .gnu.version_r.
func (d *dynamic) appendVerneed(b []byte) []byte {
	for i, v := range d.versions {
		next := uint32(16 + 16*len(v.names))
		if i == len(d.versions)-1 {
			next = 0
		}
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, uint16(len(v.names)))
		b = le.AppendUint32(b, d.intern(v.lib))
		b = le.AppendUint32(b, 16)
		b = le.AppendUint32(b, next)
		for j, name := range v.names {
			next := uint32(16)
			if j == len(v.names)-1 {
				next = 0
			}
			b = le.AppendUint32(b, sysvHash(name))
			b = le.AppendUint16(b, 0)
			b = le.AppendUint16(b, v.first+uint16(j))
			b = le.AppendUint32(b, d.intern(name))
			b = le.AppendUint32(b, next)
		}
	}
	return b
}

// sortRelas puts the relocations into the order that the head of this file explains.
func (d *dynamic) sortRelas() {
	class := func(r Rela) int {
		switch elf.R_X86_64(r.Type) {
		case elf.R_X86_64_RELATIVE:
			return 0
		case elf.R_X86_64_IRELATIVE:
			return 2
		}
		return 1
	}
	for i := range d.relas {
		if r := &d.relas[i]; r.Sym != 0 {
			r.Sym = d.index[r.Sym-1]
		}
	}
	slices.SortFunc(d.relas, func(a, b Rela) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), cmp.Compare(a.Sym, b.Sym), cmp.Compare(a.Offset, b.Offset),
			cmp.Compare(a.Type, b.Type), cmp.Compare(a.Addend, b.Addend))
	})
}

// appendRelas writes .rela.dyn.
func (d *dynamic) appendRelas(b []byte) []byte {
	for _, r := range d.relas {
		b = le.AppendUint64(b, r.Offset)
		b = le.AppendUint32(b, r.Type)
		b = le.AppendUint32(b, r.Sym)
		b = le.AppendUint64(b, uint64(r.Addend))
	}
	return b
}

// entries returns the dynamic section. Their number is the same before and after addresses are known.
func (d *dynamic) entries() []dynamicTag {
	var e []dynamicTag
	add := func(tag elf.DynTag, value uint64) { e = append(e, dynamicTag{tag, value}) }
	for _, name := range d.needed {
		add(elf.DT_NEEDED, uint64(d.intern(name)))
	}
	if d.runpath != "" {
		add(elf.DT_RUNPATH, uint64(d.intern(d.runpath)))
	}
	e = append(e, d.tags...)
	add(elf.DT_GNU_HASH, d.section(".gnu.hash").addr)
	add(elf.DT_SYMTAB, d.section(".dynsym").addr)
	add(elf.DT_SYMENT, symbolSize)
	add(elf.DT_STRTAB, d.section(".dynstr").addr)
	add(elf.DT_STRSZ, d.section(".dynstr").size)
	if s := d.section(".gnu.version_r"); s != nil {
		add(elf.DT_VERSYM, d.section(".gnu.version").addr)
		add(elf.DT_VERNEED, s.addr)
		add(elf.DT_VERNEEDNUM, uint64(len(d.versions)))
	}
	if s := d.section(".rela.dyn"); s != nil {
		add(elf.DT_RELA, s.addr)
		add(elf.DT_RELASZ, s.size)
		add(elf.DT_RELAENT, relaSize)
		relative := 0
		for relative < len(d.relas) && d.relas[relative].Type == uint32(elf.R_X86_64_RELATIVE) {
			relative++
		}
		add(elf.DT_RELACOUNT, uint64(relative))
	}
	e = append(e, dynamicBound...)
	add(elf.DT_NULL, 0)
	return e
}

// appendEntries writes .dynamic.
func (d *dynamic) appendEntries(b []byte) []byte {
	for _, e := range d.entries() {
		b = le.AppendUint64(b, uint64(e.tag))
		b = le.AppendUint64(b, e.value)
	}
	return b
}

// gnuHash is the hash function of .gnu.hash (glibc, elf/dl-lookup.c, dl_new_hash).
func gnuHash(name string) uint32 {
	h := uint32(5381)
	for i := range len(name) {
		h = h*33 + uint32(name[i])
	}
	return h
}

// sysvHash is the hash function of symbol versions (System V gABI, chapter 5, "Hash Table").
func sysvHash(name string) uint32 {
	var h uint32
	for i := range len(name) {
		h = h<<4 + uint32(name[i])
		h ^= h & 0xf0000000 >> 24
		h &= 0x0fffffff
	}
	return h
}
