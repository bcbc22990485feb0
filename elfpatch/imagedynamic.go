package elfpatch

// This file reads what the dynamic loader uses of a shared object: symbols, their versions and relocations.
//
// PT_DYNAMIC is an array of pairs {8 bytes tag, 8 bytes value} that ends with tag DT_NULL. Values are virtual addresses
// unless said otherwise.
//
//	DT_NEEDED DT_SONAME DT_RUNPATH  offsets in bytes into the string table
//	DT_STRTAB, DT_STRSZ             string table and its size in bytes
//	DT_SYMTAB                       symbols; how many is not said, see symbolCount
//	DT_HASH                         u32 buckets, u32 symbols, …
//	DT_GNU_HASH                     u32 buckets, u32 first hashed symbol, u32 filter words, u32 shift,
//	                                u64 filter[words], u32 bucket[buckets], u32 chain[]: one per hashed symbol, the
//	                                lowest bit set in the last of a bucket (glibc, elf/dl-lookup.c, do_lookup_x)
//	DT_VERSYM                       u16 per symbol: version index, 0x8000 set if it is not the default one
//	DT_VERNEED, DT_VERNEEDNUM       versions that are needed: records
//	    u16 version (1), u16 count, u32 file name, u32 offset of the first of count
//	        { u32 hash, u16 flags, u16 index, u32 name, u32 offset of the next from here },
//	    u32 offset of the next record from here
//	DT_VERDEF, DT_VERDEFNUM         versions that are defined: records
//	    u16 version (1), u16 flags, u16 index, u16 count, u32 hash, u32 offset of the first of count
//	        { u32 name, u32 offset of the next from here }, the first being the version's own name,
//	    u32 offset of the next record from here
//	DT_RELA, DT_RELASZ              relocations and their size in bytes
//	DT_JMPREL, DT_PLTRELSZ          further relocations, those of .got.plt
//	DT_RELR, DT_RELRSZ              relative relocations as bitmaps: an even u64 is the address of one relocation; an
//	                                odd one has a bit (from bit 1) for each of the 63 words that follow the last
//
// Symbol (24 bytes, in objects too)
//
//	offset size field
//	     0    4 st_name     bytes into the string table
//	     4    1 st_info     binding<<4 | type
//	     5    1 st_other    visibility in the low 2 bits
//	     6    2 st_shndx    section index, 0 is undefined
//	     8    8 st_value
//	    16    8 st_size
//
// Relocation with addend (24 bytes, in objects too)
//
//	     0    8 r_offset
//	     8    4 type
//	    12    4 symbol index
//	    16    8 addend

import "debug/elf"

// A DynSymbol is an entry of the dynamic symbol table.
type DynSymbol struct {
	Name        string
	Value, Size uint64
	Info, Other uint8  // as in the file: binding and type, visibility
	Shndx       uint16 // 0 if undefined
	// Version is such as "GLIBC_2.2.5", or "" if the symbol has none. VersionLib is the library that an undefined
	// symbol's version is expected in, such as "libc.so.6".
	Version, VersionLib string
}

// A Rela is a relocation with addend, of an image or of an object's section.
type Rela struct {
	// Offset is a virtual address in an image, and counts from the start of its section in an object.
	Offset uint64
	// Type is such as R_X86_64_RELATIVE. Sym is an index into Image.DynSymbols or Object.Symbols.
	Type, Sym uint32
	Addend    int64
}

// dynamicInfo is what parseDynamic finds.
type dynamicInfo struct {
	needed          []string
	soname, runpath string
	symbols         []DynSymbol
	defined         map[string]int // index of the defined symbol of a name
	relocs          []Rela
}

// Needed returns the DT_NEEDED entries in the order in which the loader looks at them.
func (m *Image) Needed() []string { return m.dynamic.needed }

// Soname returns DT_SONAME, or "".
func (m *Image) Soname() string { return m.dynamic.soname }

// Runpath returns DT_RUNPATH, or the older DT_RPATH, or "".
func (m *Image) Runpath() string { return m.dynamic.runpath }

// DynSymbols returns the dynamic symbols, defined and undefined, by their index in the file; the null symbol is at 0.
func (m *Image) DynSymbols() []DynSymbol { return m.dynamic.symbols }

// Lookup returns the defined dynamic symbol of a name: that of the default version if there are several.
func (m *Image) Lookup(name string) (DynSymbol, bool) {
	i, ok := m.dynamic.defined[name]
	if !ok {
		return DynSymbol{}, false
	}
	return m.dynamic.symbols[i], true
}

// Relocs returns all dynamic relocations: those of DT_RELA, then DT_JMPREL, then DT_RELR. The latter appear as
// R_X86_64_RELATIVE with the addend that is stored in place.
func (m *Image) Relocs() []Rela { return m.dynamic.relocs }

const (
	dtRELRSZ = elf.DynTag(35)
	dtRELR   = elf.DynTag(36)
)

func (m *Image) parseDynamic() error {
	var table []byte
	for _, s := range m.Segments {
		if s.Type == uint32(elf.PT_DYNAMIC) {
			table = m.Data[s.Offset : s.Offset+s.FileSize]
		}
	}
	if table == nil {
		return damaged(m.Path, "it has no dynamic section")
	}
	value := map[elf.DynTag]uint64{}
	var needed []uint64
	for ; len(table) >= dynSize; table = table[dynSize:] {
		tag, v := elf.DynTag(le.Uint64(table)), le.Uint64(table[8:])
		if tag == elf.DT_NULL {
			break
		}
		if tag == elf.DT_NEEDED {
			needed = append(needed, v)
		} else {
			value[tag] = v
		}
	}

	d := &m.dynamic
	var names stringTable
	if value[elf.DT_STRSZ] > 0 {
		b, err := m.Bytes(value[elf.DT_STRTAB], value[elf.DT_STRSZ])
		if err != nil {
			return err
		}
		names = stringTable(b)
	}
	for _, offset := range needed {
		name, err := m.dynamicString(names, offset)
		if err != nil {
			return err
		}
		d.needed = append(d.needed, name)
	}
	for _, s := range []struct {
		tag elf.DynTag
		to  *string
	}{{elf.DT_SONAME, &d.soname}, {elf.DT_RPATH, &d.runpath}, {elf.DT_RUNPATH, &d.runpath}} {
		if offset, ok := value[s.tag]; ok {
			var err error
			if *s.to, err = m.dynamicString(names, offset); err != nil {
				return err
			}
		}
	}

	for _, r := range []struct{ addr, size elf.DynTag }{{elf.DT_RELA, elf.DT_RELASZ}, {elf.DT_JMPREL, elf.DT_PLTRELSZ}} {
		if value[r.size] == 0 {
			continue
		}
		b, err := m.Bytes(value[r.addr], value[r.size])
		if err != nil {
			return err
		}
		d.relocs = appendRelas(d.relocs, b)
	}
	if err := m.parseSymbols(value, names); err != nil {
		return err
	}
	for _, r := range d.relocs {
		if r.Sym != 0 && int(r.Sym) >= len(d.symbols) {
			return damaged(m.Path, "a relocation at %#x refers to symbol %d of %d", r.Offset, r.Sym, len(d.symbols))
		}
	}
	if value[dtRELRSZ] > 0 {
		b, err := m.Bytes(value[dtRELR], value[dtRELRSZ])
		if err != nil {
			return err
		}
		return m.parseRelr(b)
	}
	return nil
}

func (m *Image) dynamicString(names stringTable, offset uint64) (string, error) {
	if offset < uint64(len(names)) {
		if name, ok := names.at(uint32(offset)); ok {
			return name, nil
		}
	}
	return "", damaged(m.Path, "a name of its dynamic section lies outside of its string table")
}

// appendRelas decodes a table of relocations with addend; what is left of an incomplete entry is ignored.
func appendRelas(relas []Rela, table []byte) []Rela {
	relas = append(make([]Rela, 0, len(relas)+len(table)/relaSize), relas...)
	for ; len(table) >= relaSize; table = table[relaSize:] {
		relas = append(relas, Rela{
			Offset: le.Uint64(table), Type: le.Uint32(table[8:]), Sym: le.Uint32(table[12:]),
			Addend: int64(le.Uint64(table[16:])),
		})
	}
	return relas
}

// parseRelr decodes DT_RELR. Addresses must rise, as linkers write them: that bounds how many there can be.
func (m *Image) parseRelr(table []byte) error {
	var next uint64 // the lowest address that the next relocation may have
	add := func(addr uint64) error {
		word, err := m.Bytes(addr, 8)
		if err != nil {
			return err
		}
		if addr < next {
			return damaged(m.Path, "the relative relocation at %#x is out of order", addr)
		}
		next = addr + 8
		m.dynamic.relocs = append(m.dynamic.relocs,
			Rela{Offset: addr, Type: uint32(elf.R_X86_64_RELATIVE), Addend: int64(le.Uint64(word))})
		return nil
	}
	var base uint64
	for ; len(table) >= 8; table = table[8:] {
		entry := le.Uint64(table)
		if entry&1 == 0 {
			if err := add(entry); err != nil {
				return err
			}
			base = entry + 8
			continue
		}
		for bit := uint64(1); bit < 64; bit++ {
			if entry>>bit&1 != 0 {
				if err := add(base + (bit-1)*8); err != nil {
					return err
				}
			}
		}
		base += 63 * 8
	}
	return nil
}

// symbolCount says how many dynamic symbols there are. The loader needs no such number, so it is not stored as one:
// the section header has it; DT_HASH has it; DT_GNU_HASH leads to the last defined symbol. Undefined ones are in front of
// those, but in a library that defines none only the relocations tell how many.
func (m *Image) symbolCount(value map[elf.DynTag]uint64) (uint64, error) {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Type == uint32(elf.SHT_DYNSYM) && s.Addr == value[elf.DT_SYMTAB] {
			return s.Size / symbolSize, nil
		}
	}
	if addr, ok := value[elf.DT_HASH]; ok {
		b, err := m.Bytes(addr, 8)
		if err != nil {
			return 0, err
		}
		return uint64(le.Uint32(b[4:])), nil
	}
	var count uint64
	for _, r := range m.dynamic.relocs {
		count = max(count, uint64(r.Sym)+1)
	}
	addr, ok := value[elf.DT_GNU_HASH]
	if !ok {
		return count, nil
	}
	header, err := m.Bytes(addr, 16)
	if err != nil {
		return 0, err
	}
	buckets, first, words := uint64(le.Uint32(header)), uint64(le.Uint32(header[4:])), uint64(le.Uint32(header[8:]))
	bucketAddr := addr + 16 + words*8
	table, err := m.Bytes(bucketAddr, buckets*4)
	if err != nil {
		return 0, err
	}
	var last uint64 // where the chain of the last bucket starts
	for ; len(table) > 0; table = table[4:] {
		last = max(last, uint64(le.Uint32(table)))
	}
	if last < first || last == 0 {
		return max(count, first), nil
	}
	for {
		link, err := m.Bytes(bucketAddr+buckets*4+(last-first)*4, 4)
		if err != nil {
			return 0, err
		}
		last++
		if le.Uint32(link)&1 != 0 {
			return max(count, last), nil
		}
	}
}

const versionHidden = 0x8000 // in DT_VERSYM: not the version that a reference without one means

func (m *Image) parseSymbols(value map[elf.DynTag]uint64, names stringTable) error {
	if _, ok := value[elf.DT_SYMTAB]; !ok {
		return damaged(m.Path, "it has no dynamic symbols")
	}
	count, err := m.symbolCount(value)
	if err != nil {
		return err
	}
	if count > uint64(len(m.Data))/symbolSize {
		return damaged(m.Path, "%d dynamic symbols do not fit it", count)
	}
	table, err := m.Bytes(value[elf.DT_SYMTAB], count*symbolSize)
	if err != nil {
		return err
	}
	var versym []byte
	var versions map[uint16]symbolVersion
	if addr, ok := value[elf.DT_VERSYM]; ok {
		if versym, err = m.Bytes(addr, count*2); err != nil {
			return err
		}
		if versions, err = m.parseVersions(value, names); err != nil {
			return err
		}
	}

	d := &m.dynamic
	d.symbols = make([]DynSymbol, count)
	d.defined = make(map[string]int)
	for i := range d.symbols {
		entry := table[i*symbolSize:]
		name, ok := names.at(le.Uint32(entry))
		if !ok {
			return damaged(m.Path, "the name of dynamic symbol %d lies outside of its string table", i)
		}
		s := &d.symbols[i]
		*s = DynSymbol{
			Name: name, Info: entry[4], Other: entry[5], Shndx: le.Uint16(entry[6:]),
			Value: le.Uint64(entry[8:]), Size: le.Uint64(entry[16:]),
		}
		index := uint16(1)
		if versym != nil {
			index = le.Uint16(versym[i*2:])
			v := versions[index&^versionHidden]
			s.Version = v.name
			if s.Shndx == 0 {
				s.VersionLib = v.lib
			}
		}
		if s.Shndx == 0 || elf.ST_BIND(s.Info) == elf.STB_LOCAL {
			continue
		}
		if _, taken := d.defined[name]; !taken || index&versionHidden == 0 {
			d.defined[name] = i
		}
	}
	return nil
}

// A symbolVersion is a version that a library needs or defines: lib is "" if it defines it itself.
type symbolVersion struct{ name, lib string }

// parseVersions returns the versions by the index that DT_VERSYM uses.
func (m *Image) parseVersions(value map[elf.DynTag]uint64, names stringTable) (map[uint16]symbolVersion, error) {
	versions := map[uint16]symbolVersion{}
	// Records are linked by offsets from themselves. Each visited counts against the size of the file, so that
	// overlapping lists end.
	budget := len(m.Data) / 8
	visit := func(addr, size uint64) ([]byte, error) {
		if budget--; budget < 0 {
			return nil, damaged(m.Path, "its symbol versions do not end")
		}
		return m.Bytes(addr, size)
	}
	addr := value[elf.DT_VERNEED]
	for range value[elf.DT_VERNEEDNUM] {
		record, err := visit(addr, 16)
		if err != nil {
			return nil, err
		}
		lib, err := m.dynamicString(names, uint64(le.Uint32(record[4:])))
		if err != nil {
			return nil, err
		}
		entryAddr := addr + uint64(le.Uint32(record[8:]))
		for range le.Uint16(record[2:]) {
			entry, err := visit(entryAddr, 16)
			if err != nil {
				return nil, err
			}
			name, err := m.dynamicString(names, uint64(le.Uint32(entry[8:])))
			if err != nil {
				return nil, err
			}
			versions[le.Uint16(entry[6:])&^versionHidden] = symbolVersion{name, lib}
			entryAddr += uint64(le.Uint32(entry[12:]))
		}
		addr += uint64(le.Uint32(record[12:]))
	}
	const definesFile = 1 // VER_FLG_BASE: names the library itself, not a version
	addr = value[elf.DT_VERDEF]
	for range value[elf.DT_VERDEFNUM] {
		record, err := visit(addr, 20)
		if err != nil {
			return nil, err
		}
		if le.Uint16(record[2:])&definesFile == 0 {
			entry, err := visit(addr+uint64(le.Uint32(record[12:])), 8)
			if err != nil {
				return nil, err
			}
			name, err := m.dynamicString(names, uint64(le.Uint32(entry)))
			if err != nil {
				return nil, err
			}
			versions[le.Uint16(record[4:])&^versionHidden] = symbolVersion{name: name}
		}
		addr += uint64(le.Uint32(record[16:]))
	}
	return versions, nil
}
