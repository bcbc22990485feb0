package elfpatch

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// builtDynamic lays out one section after the other from address 0x1000 and finishes.
func builtDynamic(t *testing.T, d *dynamic, values func()) {
	t.Helper()
	at := uint64(0x1000)
	for _, s := range d.layout() {
		s.addr = alignUp(at, s.align)
		at = s.addr + s.size
	}
	values()
	if err := d.finish(); err != nil {
		t.Fatal(err)
	}
	for _, s := range d.sections {
		if uint64(len(s.data)) != s.size {
			t.Errorf("section %s has %d bytes, its size was given as %d", s.name, len(s.data), s.size)
		}
	}
}

// lookUp finds a symbol as the loader does (glibc, elf/dl-lookup.c, do_lookup_x) and returns its index.
func lookUp(d *dynamic, name string) (index uint32, found bool) {
	table, symbols := d.section(".gnu.hash").data, d.section(".dynsym").data
	strings := stringTable(d.section(".dynstr").data)
	buckets, first, words, shift := le.Uint32(table), le.Uint32(table[4:]), le.Uint32(table[8:]), le.Uint32(table[12:])
	hash := gnuHash(name)
	filter := le.Uint64(table[16+8*(hash/64&(words-1)):])
	if filter>>(hash&63)&(filter>>(hash>>shift&63))&1 == 0 {
		return 0, false
	}
	bucketTable := table[16+8*words:]
	chain := bucketTable[4*buckets:]
	i := le.Uint32(bucketTable[4*(hash%buckets):])
	if i == 0 {
		return 0, false
	}
	for ; ; i++ {
		link := le.Uint32(chain[4*(i-first):])
		if (link^hash)>>1 == 0 {
			if s, _ := strings.at(le.Uint32(symbols[i*symbolSize:])); s == name {
				return i, true
			}
		}
		if link&1 != 0 {
			return 0, false
		}
	}
}

func TestEverySymbolIsFound(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 17, 1000} {
		var d dynamic
		d.importSym("imported", "", "")
		handles := make([]dynHandle, n)
		for i := range handles {
			handles[i] = d.define(fmt.Sprintf("symbol_%d", i), elf.STT_FUNC, 8)
		}
		builtDynamic(t, &d, func() {
			for i, h := range handles {
				d.setValue(h, uint64(0x5000+i), 3)
			}
		})
		symbols := d.section(".dynsym").data
		for i := range handles {
			index, found := lookUp(&d, fmt.Sprintf("symbol_%d", i))
			if !found {
				t.Errorf("of %d symbols, symbol_%d is not found", n, i)
			} else if value := le.Uint64(symbols[index*symbolSize+8:]); value != uint64(0x5000+i) {
				t.Errorf("of %d symbols, symbol_%d has the value %#x", n, i, value)
			}
		}
		for _, name := range []string{"imported", "symbol_", fmt.Sprintf("symbol_%d", n)} {
			if index, found := lookUp(&d, name); found {
				t.Errorf("of %d symbols, %s is found at %d", n, name, index)
			}
		}
	}
}

func TestRelocationsAreSorted(t *testing.T) {
	var d dynamic
	f := d.define("f", elf.STT_FUNC, 1)
	g := d.importSym("g", "", "")
	if again := d.importSym("g", "", ""); again != g {
		t.Errorf("g was imported twice, as %d and %d", g, again)
	}
	d.reserveRelas(6)
	builtDynamic(t, &d, func() {
		d.setValue(f, 0x2000, 1)
		d.rela(0x10, elf.R_X86_64_IRELATIVE, 0, 0x99)
		d.rela(0x20, elf.R_X86_64_GLOB_DAT, f, 0)
		d.rela(0x30, elf.R_X86_64_RELATIVE, 0, 0x88)
		d.rela(0x40, elf.R_X86_64_64, g, 5)
		d.rela(0x08, elf.R_X86_64_RELATIVE, 0, -1)
		d.rela(0x18, elf.R_X86_64_GLOB_DAT, f, 0)
	})
	// g, which is imported, comes before f in .dynsym.
	want := []Rela{
		{0x08, uint32(elf.R_X86_64_RELATIVE), 0, -1},
		{0x30, uint32(elf.R_X86_64_RELATIVE), 0, 0x88},
		{0x40, uint32(elf.R_X86_64_64), 1, 5},
		{0x18, uint32(elf.R_X86_64_GLOB_DAT), 2, 0},
		{0x20, uint32(elf.R_X86_64_GLOB_DAT), 2, 0},
		{0x10, uint32(elf.R_X86_64_IRELATIVE), 0, 0x99},
	}
	if got := appendRelas(nil, d.section(".rela.dyn").data); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	entries := d.section(".dynamic").data
	for ; len(entries) > 0; entries = entries[dynSize:] {
		if elf.DynTag(le.Uint64(entries)) == elf.DT_RELACOUNT && le.Uint64(entries[8:]) != 2 {
			t.Errorf("DT_RELACOUNT is %d, want 2", le.Uint64(entries[8:]))
		}
	}
}

func TestDynamicRefusesWhatWasNotLaidOut(t *testing.T) {
	for want, use := range map[string]func(d *dynamic){
		"room was made for 0 dynamic relocations but there are 1": func(d *dynamic) { d.rela(0, elf.R_X86_64_RELATIVE, 0, 0) },
		"the dynamic symbol f was given no address":               func(d *dynamic) {},
	} {
		var d dynamic
		d.define("f", elf.STT_FUNC, 1)
		d.layout()
		use(&d)
		if err := d.finish(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// What is written with versions must read the same.
func TestVersionsReadBack(t *testing.T) {
	type symbol struct{ name, version, lib string }
	imports := []symbol{
		{"memcpy", "GLIBC_2.14", "libc.so.6"}, {"plain", "", ""}, {"sin", "GLIBC_2.2.5", "libm.so.6"},
		{"free", "GLIBC_2.2.5", "libc.so.6"}, {"malloc", "GLIBC_2.2.5", "libc.so.6"},
	}
	var d dynamic
	d.addNeeded("libc.so.6")
	d.addNeeded("libm.so.6")
	d.setRunpath("/a:/b")
	d.reserveTag(elf.DT_INIT_ARRAY)
	f := d.define("f", elf.STT_OBJECT, 24)
	for _, s := range imports {
		d.importSym(s.name, s.version, s.lib)
	}
	weak := d.importSym("perhaps", "", "")
	d.weaken(weak)
	builtDynamic(t, &d, func() {
		d.setValue(f, 0x4242, 9)
		d.setTag(elf.DT_INIT_ARRAY, 0x7777)
	})

	m := imageOf(&d)
	if err := m.parseDynamic(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Needed(), d.needed) || m.Runpath() != "/a:/b" {
		t.Errorf("needed %q, runpath %q", m.Needed(), m.Runpath())
	}
	for i, s := range imports {
		if got := m.DynSymbols()[i+1]; (symbol{got.Name, got.Version, got.VersionLib}) != s || got.Shndx != 0 {
			t.Errorf("symbol %d: got %+v, want %+v", i+1, got, s)
		}
	}
	if got := m.DynSymbols()[d.index[weak-1]]; got.Name != "perhaps" || elf.ST_BIND(got.Info) != elf.STB_WEAK {
		t.Errorf("the weak symbol is %+v", got)
	}
	if got, ok := m.Lookup("f"); !ok || got.Value != 0x4242 || got.Size != 24 || got.Shndx != 9 || got.Version != "" {
		t.Errorf("f is %+v", got)
	}
}

// imageOf puts the finished sections into an image without headers, at file offsets equal to their addresses.
func imageOf(d *dynamic) *Image {
	m := &Image{Path: "built.so"}
	last := d.sections[len(d.sections)-1]
	m.Data = make([]byte, last.addr+last.size)
	for _, s := range d.sections {
		copy(m.Data[s.addr:], s.data)
	}
	m.Segments = []Segment{
		{Type: uint32(elf.PT_LOAD), FileSize: uint64(len(m.Data)), MemSize: uint64(len(m.Data))},
		{Type: uint32(elf.PT_DYNAMIC), Offset: last.addr, Addr: last.addr, FileSize: last.size, MemSize: last.size},
	}
	return m
}
