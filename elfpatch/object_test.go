package elfpatch

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// smallObject has one of each thing that objects have and needs no compiler.
func smallObject() *Object {
	return &Object{
		Name: "small.o",
		Sections: []ObjectSection{
			{Align: 1},
			{Name: ".text", Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Align: 16,
				Data: []byte{0xe8, 0, 0, 0, 0, 0xc3}, Size: 6, Relas: []Rela{{1, uint32(elf.R_X86_64_PLT32), 4, -4}}},
			{Name: ".bss", Type: uint32(elf.SHT_NOBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE), Align: 8, Size: 1 << 40},
			{Name: ".group", Type: uint32(elf.SHT_GROUP), Align: 4, EntrySize: 4, Data: []byte{1, 0, 0, 0, 1, 0, 0, 0}, Size: 8},
		},
		Symbols: []ObjectSymbol{
			{},
			{Name: ".text", Section: 1, Type: uint8(elf.STT_SECTION)},
			{Name: "constant", Section: SectionAbsolute, Value: 7},
			{Name: "shared", Section: SectionCommon, Value: 8, Size: 24, Bind: uint8(elf.STB_GLOBAL), Type: uint8(elf.STT_OBJECT)},
			{Name: "elsewhere", Bind: uint8(elf.STB_GLOBAL)},
			{Name: "function", Section: 1, Size: 6, Bind: uint8(elf.STB_WEAK), Type: uint8(elf.STT_FUNC), Visibility: uint8(elf.STV_HIDDEN)},
		},
	}
}

func TestParseObjectReadsWhatWasWritten(t *testing.T) {
	want := smallObject()
	got, err := ParseObject("small.o", writeObject(want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Symbols, want.Symbols) {
		t.Errorf("symbols: got %+v, want %+v", got.Symbols, want.Symbols)
	}
	if !reflect.DeepEqual(got.Sections[:len(want.Sections)], want.Sections) {
		t.Errorf("sections: got %+v, want %+v", got.Sections, want.Sections)
	}
	// writeObject leaves sh_info of groups 0: the signature is that of the null symbol.
	if want := []ObjectGroup{{Comdat: true, Members: []int{1}}}; !reflect.DeepEqual(got.Groups, want) {
		t.Errorf("groups: got %+v, want %+v", got.Groups, want)
	}
}

const objectSource = `
extern int external(int);
extern int imported;
static int private = 3;
int table[4] = {1, 2, 3, 4};
int *where = &table[2];
int zeros[100];
__attribute__((weak)) int weak(void) { return private; }
__attribute__((visibility("hidden"))) int hidden(void) { return 1; }
static int inner(int x) { return external(x) + imported; }
int outer(int x) { return inner(x) + weak() + hidden(); }
`

// What gcc writes must read the same as debug/elf reads it.
func TestObjectAgreesWithDebugELF(t *testing.T) {
	for name, options := range map[string][]string{
		"plain": {"-O0"}, "optimised": {"-O2", "-g", "-gz=none"}, "sections": {"-ffunction-sections", "-fdata-sections", "-fcommon"},
	} {
		t.Run(name, func(t *testing.T) {
			path := compile(t, t.TempDir(), "unit.o", objectSource, append(options, "-c", "-fPIC")...)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseObject(path, data)
			if err != nil {
				t.Fatal(err)
			}
			want, err := elf.NewFile(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			symbols, err := want.Symbols()
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Symbols) != len(symbols)+1 {
				t.Fatalf("%d symbols, want %d and the null symbol", len(got.Symbols), len(symbols))
			}
			for i, w := range symbols {
				g := got.Symbols[i+1]
				section := map[elf.SectionIndex]int{elf.SHN_ABS: SectionAbsolute, elf.SHN_COMMON: SectionCommon}[w.Section]
				if section == 0 {
					section = int(w.Section)
				}
				if elf.ST_TYPE(w.Info) == elf.STT_SECTION {
					w.Name = want.Sections[w.Section].Name
				}
				if g != (ObjectSymbol{w.Name, section, w.Value, w.Size, uint8(elf.ST_BIND(w.Info)), uint8(elf.ST_TYPE(w.Info)),
					uint8(elf.ST_VISIBILITY(w.Other))}) {
					t.Errorf("symbol %d: got %+v, want %+v", i+1, g, w)
				}
			}
			for i, w := range want.Sections {
				g := &got.Sections[i]
				if g.Name != w.Name || g.Type != uint32(w.Type) || g.Flags != uint64(w.Flags) || g.Align != max(w.Addralign, 1) ||
					g.EntrySize != w.Entsize || g.Size != w.Size {
					t.Errorf("section %d: got %+v, want %+v", i, g, w.SectionHeader)
				}
				if w.Type != elf.SHT_RELA {
					continue
				}
				table, err := w.Data()
				if err != nil {
					t.Fatal(err)
				}
				if relas := got.Sections[w.Info].Relas; !bytes.Equal(encode(relas), table) {
					t.Errorf("relocations of section %s: got %v, want % x", want.Sections[w.Info].Name, relas, table)
				}
			}
		})
	}
}

func encode(relas []Rela) []byte {
	var b []byte
	for _, r := range relas {
		b = le.AppendUint64(b, r.Offset)
		b = le.AppendUint32(b, r.Type)
		b = le.AppendUint32(b, r.Sym)
		b = le.AppendUint64(b, uint64(r.Addend))
	}
	return b
}

func TestObjectGroups(t *testing.T) {
	source := `__asm__(".section .text.shared,\"axG\",@progbits,shared_code,comdat\n.weak shared_code\nshared_code: ret\n.text");`
	path := compile(t, t.TempDir(), "unit.o", source, "-c")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o, err := ParseObject(path, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Groups) != 1 || o.Groups[0].Signature != "shared_code" || !o.Groups[0].Comdat || len(o.Groups[0].Members) != 1 ||
		o.Sections[o.Groups[0].Members[0]].Name != ".text.shared" {
		t.Errorf("groups: %+v", o.Groups)
	}
}

// More sections than 16 bits can number: symbols then have their section index in a table of its own.
func TestObjectWithManySections(t *testing.T) {
	const n = 66000
	var source strings.Builder
	source.WriteString("__asm__(\"")
	for i := range n {
		fmt.Fprintf(&source, ".section .d%d,\\\"aw\\\"\\ns%d: .byte 1\\n", i, i)
	}
	source.WriteString("\");")
	path := compile(t, t.TempDir(), "unit.o", source.String(), "-c")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o, err := ParseObject(path, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Sections) <= n {
		t.Fatalf("%d sections", len(o.Sections))
	}
	for _, i := range []int{0, 1000, n - 1} {
		s := slices.IndexFunc(o.Symbols, func(s ObjectSymbol) bool { return s.Name == fmt.Sprintf("s%d", i) })
		if s < 0 || o.Sections[o.Symbols[s].Section].Name != fmt.Sprintf(".d%d", i) {
			t.Errorf("symbol s%d is not in its section", i)
		}
	}
}

func TestParseObjectRefuses(t *testing.T) {
	good := writeObject(smallObject())
	for name, test := range map[string]struct {
		data   []byte
		change func(o *Object)
		want   error
		says   string
	}{
		"text":   {data: []byte("!<arch>\n"), want: ErrNotELF},
		"shared": {data: smallImage(t), want: ErrNotObject},
		"cut":    {data: good[:len(good)-1], want: ErrDamaged},
		"alignment": {change: func(o *Object) { o.Sections[2].Align = 24 }, want: ErrDamaged,
			says: "section .bss has the alignment 24"},
		"relocation beyond": {change: func(o *Object) { o.Sections[1].Relas[0].Offset = 6 }, want: ErrDamaged,
			says: "relocation at 0x6 lies outside of section .text"},
		"relocation of nothing": {change: func(o *Object) {
			o.Sections[2].Relas = []Rela{{0, uint32(elf.R_X86_64_64), 4, 0}}
		}, want: ErrDamaged, says: "outside of section .bss"},
		"section index": {change: func(o *Object) { o.Symbols[5].Section = 99 }, want: ErrDamaged, says: "function is in section 99"},
		"compressed":    {change: func(o *Object) { o.Sections[1].Flags |= uint64(elf.SHF_COMPRESSED) }, says: "-gz=none"},
		"no addends":    {change: func(o *Object) { o.Sections[1].Type = uint32(elf.SHT_REL) }, says: "without addends"},
	} {
		data := test.data
		if test.change != nil {
			o := smallObject()
			test.change(o)
			data = writeObject(o)
		}
		_, err := ParseObject("small.o", data)
		if err == nil || !strings.HasPrefix(err.Error(), "small.o ") || !strings.Contains(err.Error(), test.says) ||
			test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: got error %v, want %v that says %q", name, err, test.want, test.says)
		}
	}
}

func TestParseObjectSurvivesDamage(t *testing.T) {
	good := writeObject(smallObject())
	for n := range good {
		ParseObject("cut.o", good[:n])
	}
	b := bytes.Clone(good)
	for i := range b {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			b[i] ^= flip
			ParseObject("flipped.o", b)
			b[i] ^= flip
		}
	}
}
