package elfpatch

// These tests need no tools: objects come from a writer, and images are read back by this package.

import (
	"bytes"
	"debug/elf"
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A memory is a file in memory.
type memory struct{ data []byte }

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(m.data) {
		m.data = append(m.data, make([]byte, end-len(m.data))...)
	}
	return copy(m.data[at:], b), nil
}

// locked lets several goroutines write.
type locked struct {
	memory
	turn chan struct{}
}

func newMemory() *locked { return &locked{turn: make(chan struct{}, 1)} }

func (m *locked) WriteAt(b []byte, at int64) (int, error) {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	return m.memory.WriteAt(b, at)
}

func linkInMemory(t testing.TB, job *Job) *Image {
	t.Helper()
	f := newMemory()
	if _, err := Write(f, job); err != nil {
		t.Fatal(err)
	}
	m, err := Parse("linked.so", f.data)
	if err != nil {
		t.Fatal(err)
	}
	m.Move(job.Moved())
	return m
}

// Kinds of symbols, for objects made in tests.
const (
	local  = uint8(elf.STB_LOCAL)
	global = uint8(elf.STB_GLOBAL)
	weak   = uint8(elf.STB_WEAK)
	fn     = uint8(elf.STT_FUNC)
	object = uint8(elf.STT_OBJECT)
)

// testObject makes an object, by way of its file, whose sections are .text, .data, .bss and .rodata, numbered from 1, of
// 256 bytes each.
func testObject(t testing.TB, name string, symbols []ObjectSymbol, relas map[int][]Rela) *Object {
	t.Helper()
	o := &Object{Sections: []ObjectSection{{},
		{Name: ".text", Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Align: 16},
		{Name: ".data", Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE), Align: 32},
		{Name: ".data.rel.ro", Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE), Align: 32},
		{Name: ".rodata", Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC), Align: 4},
	}, Symbols: append([]ObjectSymbol{{}}, symbols...)}
	for i := 1; i < len(o.Sections); i++ {
		s := &o.Sections[i]
		s.Data, s.Size, s.Relas = bytes.Repeat([]byte{byte(i)}, 256), 256, relas[i]
	}
	parsed, err := ParseObject(name, writeObject(o))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// A relocated is a field of everyRelocation: a relocation against one of its symbols.
type relocated struct {
	kind   elf.R_X86_64
	symbol uint32
	addend int64
}

// The symbols of everyRelocation, by their numbers in it. "called" is for a slot of the job.
const toText, toData, toNumber, toImport, toSlot, toWeak = 1, 2, 3, 4, 5, 6

// everyRelocation is an object with every type of relocation against every kind of symbol: fields in .text, 8 bytes for
// each, and pointers in .data.rel.ro.
func everyRelocation(t testing.TB) (o *Object, symbols []ObjectSymbol, fields, pointers []relocated) {
	t.Helper()
	symbols = []ObjectSymbol{
		{Name: "in_text", Section: 1, Value: 16, Size: 5, Bind: local, Type: fn},
		{Name: "in_data", Section: 2, Value: 24, Size: 6, Bind: global, Type: object},
		{Name: "number", Section: SectionAbsolute, Value: 0x77, Bind: global},
		{Name: "imported", Bind: global},
		{Name: "called", Bind: global},
		{Name: "maybe", Bind: weak},
	}
	fields = []relocated{
		{elf.R_X86_64_PC32, toText, -4}, {elf.R_X86_64_PC32, toData, 12}, {elf.R_X86_64_PLT32, toText, -4},
		{elf.R_X86_64_PLT32, toImport, -4}, {elf.R_X86_64_PLT32, toSlot, -4}, {elf.R_X86_64_PC32, toSlot, -4},
		{elf.R_X86_64_PC64, toData, 3}, {elf.R_X86_64_GOTPCREL, toData, -4}, {elf.R_X86_64_GOTPCRELX, toImport, -4},
		{elf.R_X86_64_REX_GOTPCRELX, toSlot, -4}, {elf.R_X86_64_GOTPCREL64, toText, 1}, {elf.R_X86_64_GOT32, toData, 0},
		{elf.R_X86_64_GOT64, toImport, 0}, {elf.R_X86_64_GOTOFF64, toData, 2}, {elf.R_X86_64_GOTPC32, toData, -4},
		{elf.R_X86_64_GOTPC64, toText, 9}, {elf.R_X86_64_PLTOFF64, toImport, 0}, {elf.R_X86_64_PLTOFF64, toText, 7},
		{elf.R_X86_64_32, toNumber, 1}, {elf.R_X86_64_32S, toNumber, -0x78}, {elf.R_X86_64_16, toNumber, 2},
		{elf.R_X86_64_8, toNumber, 3}, {elf.R_X86_64_64, toNumber, 4}, {elf.R_X86_64_SIZE32, toText, 1},
		{elf.R_X86_64_SIZE64, toData, 1}, {elf.R_X86_64_NONE, toData, 1}, {elf.R_X86_64_GOTPCREL, toWeak, -4},
	}
	relas := map[int][]Rela{}
	for i, f := range fields {
		relas[1] = append(relas[1], Rela{Offset: uint64(8 * i), Type: uint32(f.kind), Sym: f.symbol, Addend: f.addend})
	}
	pointers = []relocated{
		{elf.R_X86_64_64, toText, 1}, {elf.R_X86_64_64, toData, -1}, {elf.R_X86_64_64, toImport, 5},
		{elf.R_X86_64_64, toSlot, 0}, {elf.R_X86_64_64, toWeak, 0},
	}
	for i, f := range pointers {
		relas[3] = append(relas[3], Rela{Offset: uint64(8 * i), Type: uint32(f.kind), Sym: f.symbol, Addend: f.addend})
	}
	return testObject(t, "all.o", symbols, relas), symbols, fields, pointers
}

// TestRelocations links an object with every type of relocation and compares each field with the formula of the ABI, for
// which it looks the addresses up in what was written.
func TestRelocations(t *testing.T) {
	o, symbols, fields, pointers := everyRelocation(t)
	m := linkInMemory(t, &Job{Objects: []*Object{testObject(t, "first.o", nil, nil), o},
		Slots: []Slot{{Name: "called", Target: Address{Symbol: "in_data", Offset: 8}}}})

	// What the image says about itself.
	addr := func(section string) uint64 {
		_, at, ok := m.Section(section)
		if !ok {
			t.Fatalf("there is no section %s", section)
		}
		return at
	}
	got, plt, slots := addr(".got"), addr(".plt"), addr(".data.slots")
	at := map[uint32]uint64{toText: staticAddr(t, m, "in_text"), toData: staticAddr(t, m, "in_data"), toNumber: 0x77}
	if at[toText] != addr(".text")+256+16 || at[toData] != addr(".data")+256+24 {
		t.Fatalf("the symbols lie at %#x", at)
	}
	loaded := map[uint64]Rela{} // relocations of the loader by place
	names := map[uint64]string{}
	for _, r := range m.Relocs() {
		loaded[r.Offset] = r
		names[r.Offset] = m.DynSymbols()[r.Sym].Name
	}
	name := func(symbol uint32) string { return symbols[symbol-1].Name }
	// entry finds where the address of a symbol is loaded from.
	entry := func(symbol uint32) uint64 {
		if symbol == toSlot {
			return slots
		}
		data, _, _ := m.Section(".got")
		for p := got; p < got+uint64(len(data)); p += 8 {
			r, ok := loaded[p]
			if ok && (names[p] == name(symbol) && names[p] != "" || r.Type == uint32(elf.R_X86_64_RELATIVE) && uint64(r.Addend) == at[symbol]) {
				return p
			}
		}
		t.Fatalf("%s has no entry in .got", name(symbol))
		return 0
	}
	// stub finds the jump that goes where an entry points.
	stub := func(symbol uint32) uint64 {
		data, _, _ := m.Section(".plt")
		for p := 0; p < len(data); p += stubSize {
			if next := plt + uint64(p) + 6; next+uint64(int64(int32(le.Uint32(data[p+2:])))) == entry(symbol) && data[p] == 0xff && data[p+1] == 0x25 {
				return plt + uint64(p)
			}
		}
		return at[symbol]
	}
	text, err := m.Bytes(addr(".text")+256, 256)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fields {
		p := addr(".text") + 256 + uint64(8*i)
		a := uint64(f.addend)
		var want uint64
		size := 4
		switch f.kind {
		case elf.R_X86_64_PC32, elf.R_X86_64_PLT32:
			want = at[f.symbol] + a - p
			if f.symbol == toImport || f.symbol == toSlot {
				want = stub(f.symbol) + a - p
			}
		case elf.R_X86_64_PC64:
			want, size = at[f.symbol]+a-p, 8
		case elf.R_X86_64_GOTPCREL, elf.R_X86_64_GOTPCRELX, elf.R_X86_64_REX_GOTPCRELX:
			want = entry(f.symbol) + a - p
		case elf.R_X86_64_GOTPCREL64:
			want, size = entry(f.symbol)+a-p, 8
		case elf.R_X86_64_GOT32:
			want = entry(f.symbol) + a - got
		case elf.R_X86_64_GOT64:
			want, size = entry(f.symbol)+a-got, 8
		case elf.R_X86_64_GOTOFF64:
			want, size = at[f.symbol]+a-got, 8
		case elf.R_X86_64_GOTPC32:
			want = got + a - p
		case elf.R_X86_64_GOTPC64:
			want, size = got+a-p, 8
		case elf.R_X86_64_PLTOFF64:
			want, size = at[f.symbol]+a-got, 8
			if f.symbol == toImport {
				want = stub(f.symbol) + a - got
			}
		case elf.R_X86_64_32, elf.R_X86_64_32S:
			want = at[f.symbol] + a
		case elf.R_X86_64_64:
			want, size = at[f.symbol]+a, 8
		case elf.R_X86_64_16:
			want, size = at[f.symbol]+a, 2
		case elf.R_X86_64_8:
			want, size = at[f.symbol]+a, 1
		case elf.R_X86_64_SIZE32:
			want = symbols[f.symbol-1].Size + a
		case elf.R_X86_64_SIZE64:
			want, size = symbols[f.symbol-1].Size+a, 8
		case elf.R_X86_64_NONE:
			size = 0
		}
		expected := le.AppendUint64(nil, want)[:size]
		expected = append(expected, bytes.Repeat([]byte{1}, 8-size)...) // the rest is as it was
		if !bytes.Equal(text[8*i:8*i+8], expected) {
			t.Errorf("%s against %s: % x and not % x", f.kind, name(f.symbol), text[8*i:8*i+8], expected)
		}
	}
	for i, f := range pointers {
		p := addr(".data.rel.ro") + 256 + uint64(8*i)
		r, want := loaded[p], Rela{Type: uint32(elf.R_X86_64_RELATIVE), Addend: int64(at[f.symbol]) + f.addend}
		switch f.symbol {
		case toImport, toWeak:
			want.Type, want.Addend = uint32(elf.R_X86_64_64), f.addend
			if names[p] != name(f.symbol) {
				t.Errorf("the pointer to %s is to %s", name(f.symbol), names[p])
			}
		case toSlot:
			want.Addend = int64(stub(toSlot))
		}
		if r.Type != want.Type || r.Addend != want.Addend {
			t.Errorf("the pointer to %s is relocated by %+v and not by %+v", name(f.symbol), r, want)
		}
	}
	if r := loaded[slots]; r.Type != uint32(elf.R_X86_64_RELATIVE) || uint64(r.Addend) != at[toData]+8 {
		t.Errorf("the slot is relocated by %+v", r)
	}
	for _, s := range m.DynSymbols() {
		if s.Name == "maybe" && elf.ST_BIND(s.Info) != elf.STB_WEAK || s.Name == "imported" && elf.ST_BIND(s.Info) != elf.STB_GLOBAL {
			t.Errorf("%s is toImport with the binding %s", s.Name, elf.ST_BIND(s.Info))
		}
	}
}

// TestFixups checks fields of the caller's sections, also across the border of what is written at a time.
func TestFixups(t *testing.T) {
	s := Section{Name: ".data.big", Align: 64, Writable: true, Data: bytes.Repeat([]byte{9}, 2*chunkSize+100),
		Symbols: []Symbol{{Name: "start"}, {Name: "later", Offset: 2 * chunkSize}}}
	offsets := []uint64{chunkSize - 2, 0, 2 * chunkSize, chunkSize + 2, chunkSize - 6}
	for i, offset := range offsets {
		s.Fixups = append(s.Fixups, Fixup{Offset: offset, Kind: Diff32,
			Target: Address{Symbol: "later", Offset: uint64(i)}, Anchor: Address{Symbol: "start"}})
	}
	pointer := Address{Symbol: "start", Offset: 8}
	s.Fixups = append(s.Fixups, Fixup{Offset: 2*chunkSize - 4, Kind: Abs64, Target: pointer})
	data := bytes.Clone(s.Data)
	// The pointer overlaps a distance, so leave that one out.
	s.Fixups = append(s.Fixups[:2], s.Fixups[3:]...)
	offsets = append(offsets[:2], offsets[3:]...)
	additions := []uint32{0, 1, 3, 4}
	m := linkInMemory(t, &Job{Sections: []Section{s}})
	if !bytes.Equal(data, s.Data) {
		t.Error("the caller's data was written to")
	}
	got, at, _ := m.Section(".data.big")
	for i, offset := range offsets {
		le.PutUint32(data[offset:], 2*chunkSize+additions[i])
	}
	if !bytes.Equal(got, data) {
		t.Error("the section is not what its data and fixups say")
	}
	if at%64 != 0 {
		t.Errorf("the section lies at %#x", at)
	}
	r := m.Relocs()
	if len(r) != 1 || r[0].Offset != at+2*chunkSize-4 || uint64(r[0].Addend) != at+8 {
		t.Errorf("%+v", r)
	}
}

// TestExports has functions of objects found by other names, also in a standalone image of the image and where an image on top exports
// the same name.
func TestExports(t *testing.T) {
	functions := func() []*Object {
		return []*Object{testObject(t, "input.o", []ObjectSymbol{
			{Name: "first", Section: 1, Value: 16, Size: 8, Bind: global, Type: fn, Visibility: uint8(elf.STV_HIDDEN)},
			{Name: "second", Section: 1, Value: 32, Size: 8, Bind: global, Type: fn},
		}, nil)}
	}
	exported := func(m *Image, name string) uint64 {
		t.Helper()
		s, ok := m.Lookup(name)
		if !ok || elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Size != 8 {
			t.Fatalf("%s is %+v, %t", name, s, ok)
		}
		return s.Value
	}
	lower := linkInMemory(t, &Job{Objects: functions(), Exports: map[string]string{"one": "first", "other": "second"}})
	lower.Path = "lower.so"
	if _, text, _ := lower.Section(".text"); exported(lower, "one") != text+16 || exported(lower, "other") != text+32 {
		t.Errorf("one is at %#x, other at %#x, the code at %#x", exported(lower, "one"), exported(lower, "other"), text)
	}
	if _, ok := lower.Lookup("second"); ok {
		t.Error("second is exported under its own name")
	}
	upper := linkInMemory(t, &Job{Layout: Standalone, Bases: []*Image{lower}, Objects: functions(), Exports: map[string]string{"one": "second"}})
	if exported(upper, "one") == exported(lower, "one") || exported(upper, "other") != exported(lower, "other") {
		t.Errorf("one is at %#x, other at %#x", exported(upper, "one"), exported(upper, "other"))
	}
}

// TestSameBytes links twice, with different numbers of goroutines.
func TestSameBytes(t *testing.T) {
	job := &Job{
		Objects: []*Object{manyFunctions("a", 700), manyFunctions("b", 900), manyFunctions("c", 50)},
		Sections: []Section{
			{Name: ".data.heap", Align: 8, Writable: true, Data: make([]byte, 3<<20)},
			entries("a1", "b2"),
		},
		Note: []byte("x"),
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	first := newMemory()
	if _, err := Write(first, job); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 7} {
		runtime.GOMAXPROCS(n)
		m := newMemory()
		if _, err := Write(m, job); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.data, first.data) {
			t.Errorf("another image came out with %d threads", n)
		}
	}
	job.Note = []byte("y")
	other := linkInMemory(t, job)
	image, err := Parse("first.so", first.data)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(image.BuildID(), other.BuildID()) {
		t.Error("different jobs have the same build-id")
	}
	anchors := 0
	for _, s := range other.DynSymbols() {
		if strings.HasPrefix(s.Name, AnchorPrefix) {
			if _, ok := image.Lookup(s.Name); ok {
				t.Errorf("different images both have the anchor %s", s.Name)
			}
			anchors++
		}
	}
	if anchors != 1 {
		t.Errorf("the image has %d anchors", anchors)
	}
}

// TestFrames checks that .eh_frame_hdr finds a frame for each function and none for what was left out.
func TestFrames(t *testing.T) {
	twice := manyFunctions("f", 20)
	for i := range twice.Symbols {
		if twice.Symbols[i].Bind == global {
			twice.Symbols[i].Bind = weak
		}
	}
	twice.Symbols = append(twice.Symbols, ObjectSymbol{Name: "group", Section: 1, Bind: local})
	twice.Groups = []ObjectGroup{{Signature: "group", Comdat: true, Members: []int{1}}}
	m := linkInMemory(t, &Job{Objects: []*Object{twice, twice, manyFunctions("g", 10)}})
	fdes, err := m.EHFrameHdr()
	if err != nil {
		t.Fatal(err)
	}
	text, at, _ := m.Section(".text")
	if len(text) != 30*1000+16-30*1000%16 && len(text) != 20*1000+10*1000 {
		t.Errorf(".text has %d bytes", len(text))
	}
	frames, framesAt, _ := m.Section(".eh_frame")
	for i, f := range fdes {
		start := f.Addr - framesAt
		id := le.Uint32(frames[start+4:])
		pc := f.Addr + 8 + uint64(int64(int32(le.Uint32(frames[start+8:]))))
		if pc != f.PC || frames[start+4-uint64(id)+4] != 0 {
			t.Errorf("entry %d is for %#x and its frame for %#x", i, f.PC, pc)
		}
		if want := at + uint64(i)*1000; f.PC != want {
			t.Errorf("entry %d is for %#x and not for %#x", i, f.PC, want)
		}
	}
	if len(fdes) != 30 {
		t.Errorf("there are %d entries", len(fdes))
	}
	for offset := uint32(0); ; { // the records follow each other up to the end mark
		length := le.Uint32(frames[offset:])
		if offset += length + 4; length == 0 {
			if int(offset) != len(frames) {
				t.Errorf("the frames end at %d of %d", offset, len(frames))
			}
			break
		}
	}
}

// exports is a section with symbols that are exported.
func exports(names ...string) Section {
	s := Section{Name: ".data.x", Data: make([]byte, 32)}
	for _, name := range names {
		s.Symbols = append(s.Symbols, Symbol{Name: name, Size: 8, Export: true})
	}
	return s
}

// TestRefusals has jobs that cannot be linked, and what the error has to name.
func TestRefusals(t *testing.T) {
	f := Address{Symbol: "f"}
	defines := func(object, name string) *Object {
		return testObject(t, object, []ObjectSymbol{{Name: name, Section: 1, Bind: global, Type: fn}}, nil)
	}
	reference := func(kind elf.R_X86_64, section int, s ObjectSymbol) *Object {
		return testObject(t, "input.o", []ObjectSymbol{s}, map[int][]Rela{section: {{Type: uint32(kind), Sym: 1}}})
	}
	imported := ObjectSymbol{Name: "elsewhere", Bind: global}
	hidden := ObjectSymbol{Name: "elsewhere", Bind: global, Visibility: uint8(elf.STV_HIDDEN)}
	here := ObjectSymbol{Name: "here", Section: 2, Bind: global}
	beyond := map[int][]Rela{1: {{Offset: 254, Type: uint32(elf.R_X86_64_PC32), Sym: 1}}}
	with := func(change func(*ObjectSection)) *Object {
		o := testObject(t, "input.o", nil, nil)
		change(&o.Sections[2])
		return o
	}
	base := linkInMemory(t, &Job{Sections: []Section{exports("x")}})
	base.Path = "base.so"
	start := Address{Base: base}
	stranger := linkInMemory(t, &Job{})
	stranger.Path = "stranger.so"
	section := func(f Fixup, symbols ...Symbol) []Section {
		return []Section{{Name: ".data.s", Data: make([]byte, 16), Symbols: symbols, Fixups: []Fixup{f}}}
	}
	for _, test := range []struct {
		name string
		job  Job
		want []string
	}{
		{"two definitions",
			Job{Objects: []*Object{defines("a.o", "f"), defines("b.o", "f")}},
			[]string{"a.o", "b.o", "f is defined"}},
		{"object and section",
			Job{Objects: []*Object{defines("a.o", "f")}, Sections: section(Fixup{Kind: Diff32, Target: f, Anchor: f}, Symbol{Name: "f"})},
			[]string{"a.o", "section .data.s"}},
		{"near an import",
			Job{Objects: []*Object{reference(elf.R_X86_64_PC32, 1, imported)}},
			[]string{"input.o", "elsewhere", "-fPIC"}},
		{"small pointer",
			Job{Objects: []*Object{reference(elf.R_X86_64_32S, 1, here)}},
			[]string{"input.o", "here", "-fPIC"}},
		{"pointer in constants",
			Job{Objects: []*Object{reference(elf.R_X86_64_64, 4, here)}},
			[]string{"input.o", "here", ".rodata", "-fPIC"}},
		{"thread-local relocation",
			Job{Objects: []*Object{reference(elf.R_X86_64_TLSGD, 1, imported)}},
			[]string{"input.o", "TLSGD"}},
		{"hidden and missing",
			Job{Objects: []*Object{reference(elf.R_X86_64_PLT32, 1, hidden)}},
			[]string{"input.o", "elsewhere"}},
		{"field beyond the end",
			Job{Objects: []*Object{testObject(t, "input.o", []ObjectSymbol{here}, beyond)}},
			[]string{"input.o", ".text", "0xfe"}},
		{"thread-local data",
			Job{Objects: []*Object{with(func(s *ObjectSection) { s.Flags |= uint64(elf.SHF_TLS) })}},
			[]string{"input.o", ".data", "thread-local"}},
		{"alignment",
			Job{Objects: []*Object{with(func(s *ObjectSection) { s.Align = 1 << 16 })}},
			[]string{"input.o", ".data", "65536"}},
		{"reserved name",
			Job{Objects: []*Object{with(func(s *ObjectSection) { s.Name = ".got" })}},
			[]string{"input.o", ".got"}},
		{"unknown fixup target",
			Job{Sections: section(Fixup{Kind: Diff32, Target: Address{Symbol: "nothing"}})},
			[]string{".data.s", "0x0", "nothing"}},
		{"pointer in a constant section",
			Job{Sections: section(Fixup{Target: Address{Symbol: "s"}}, Symbol{Name: "s"})},
			[]string{".data.s", "Writable"}},
		{"fixup beyond the end",
			Job{Sections: section(Fixup{Offset: 9, Target: Address{Symbol: "s"}}, Symbol{Name: "s"})},
			[]string{".data.s", "0x9"}},
		{"symbol beyond the end",
			Job{Sections: section(Fixup{}, Symbol{Name: "s", Offset: 8, Size: 9})},
			[]string{".data.s", "symbol s"}},
		{"base not listed",
			Job{Slots: []Slot{{Name: "f", Target: Address{Base: base}}}},
			[]string{"base.so", "slot f"}},
		{"two slots",
			Job{Bases: []*Image{base}, Slots: []Slot{{Name: "f", Target: start}, {Name: "f", Target: start}}},
			[]string{"two slots", "f"}},
		{"bases in one place", Job{Bases: []*Image{base, stranger}}, []string{"base.so", "stranger.so", "0x1000"}},
		{"standalone of nothing", Job{Layout: Standalone}, []string{"standalone"}},
		{"export of nothing", Job{Exports: map[string]string{"f": "nowhere"}}, []string{"f ", "nowhere"}},
		{"undroppable",
			Job{Layout: Standalone, Bases: []*Image{base}, Drop: []Fingerprint{{stranger, 0, 10}}},
			[]string{"stranger.so"}},
		{"check beyond the end",
			Job{Bases: []*Image{base}, Check: []Fingerprint{{base, 1 << 40, 10}}},
			[]string{"base.so"}},
	} {
		_, err := Write(newMemory(), &test.job)
		if err == nil {
			t.Errorf("%s: linked without an error", test.name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", test.name, err, want)
			}
		}
	}
}

// TestRedirection refuses an export that would lead a base astray: thin images reach their bases by name.
func TestRedirection(t *testing.T) {
	lower := linkInMemory(t, &Job{Sections: []Section{exports("x", "y")}})
	lower.Path = "lower.so"
	// The loader is led by an anchor, which nothing else will define; so let the upper one import a plain name as well.
	needsY := testObject(t, "a.o", []ObjectSymbol{{Name: "y", Bind: global}},
		map[int][]Rela{1: {{Type: uint32(elf.R_X86_64_GOTPCREL), Sym: 1}}})
	upper := linkInMemory(t, &Job{Bases: []*Image{lower}, Objects: []*Object{needsY}})
	upper.Path = "upper.so"
	if _, err := Write(newMemory(), &Job{Bases: []*Image{upper, lower}, Sections: []Section{exports("x")}}); err != nil {
		t.Error(err)
	}
	_, err := Write(newMemory(), &Job{Bases: []*Image{upper, lower}, Sections: []Section{exports("y")}})
	if err == nil || !strings.Contains(err.Error(), "upper.so uses that name to reach into lower.so") {
		t.Error(err)
	}
}

type fullFile struct{}

func (fullFile) WriteAt([]byte, int64) (int, error) { return 0, syscall.ENOSPC }

func TestWriteError(t *testing.T) {
	_, err := Write(fullFile{}, &Job{Objects: []*Object{manyFunctions("a", 3000)}})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}
