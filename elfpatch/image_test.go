package elfpatch

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// smallImage is an image that needs no compiler: a shim.
func smallImage(t testing.TB) []byte {
	var b bytes.Buffer
	err := WriteShim(&b, Shim{Needed: "libbase.so", Runpath: "/opt/lib", Symbol: "table", Anchor: "anchor", Delta: 64,
		Clear: "flag", ClearSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const librarySource = `
#include <stdlib.h>
static int counter = 5;
int *pointer = &counter;
int *pointers[70] = {&counter, 0, 0, &counter, [68] = &counter};
__attribute__((visibility("hidden"))) int hidden(int x) { return x * counter; }
int first(int x) { return hidden(x) + 1; }
int second(int x) { return first(x) + (getenv("HOME") != 0); }
__asm__(".symver old_answer, answer@VERSION_1\n.symver new_answer, answer@@VERSION_2");
int old_answer(void) { return 41; }
int new_answer(void) { return 42; }
`

const libraryVersions = "VERSION_1 { global: answer; };\nVERSION_2 { global: answer; first; second; pointer; pointers; local: *; } VERSION_1;\n"

// library links librarySource with more options.
func library(t testing.TB, options ...string) string {
	t.Helper()
	folder := t.TempDir()
	script := filepath.Join(folder, "versions")
	if err := os.WriteFile(script, []byte(libraryVersions), 0o666); err != nil {
		t.Fatal(err)
	}
	return compile(t, folder, "library.so", librarySource, append([]string{"-O1", "-fPIC", "-shared", "-Wl,--version-script=" + script,
		"-Wl,--build-id", "-Wl,-soname,libsmall.so.1", "-Wl,-rpath,/opt/one:/opt/two", "-Wl,--enable-new-dtags"}, options...)...)
}

// The same library, linked in the ways that differ in what Image reads, must read the same as debug/elf reads it.
func TestImageAgreesWithDebugELF(t *testing.T) {
	for name, options := range map[string][]string{
		"gnu hash":          {"-Wl,--hash-style=gnu"},
		"sysv hash":         {"-Wl,--hash-style=sysv"},
		"lazy binding":      {"-Wl,-z,lazy"},
		"packed relocation": {"-Wl,-z,pack-relative-relocs"},
	} {
		t.Run(name, func(t *testing.T) {
			path := library(t, options...)
			m, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			compareWithDebugELF(t, m)
		})
	}
}

func compareWithDebugELF(t *testing.T, m *Image) {
	want, err := elf.NewFile(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2][]string{
		"needed":  {dynString(t, want, elf.DT_NEEDED), m.Needed()},
		"soname":  {dynString(t, want, elf.DT_SONAME), {m.Soname()}},
		"runpath": {dynString(t, want, elf.DT_RUNPATH), {m.Runpath()}},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: got %q, want %q", what, pair[1], pair[0])
		}
	}

	symbols, err := want.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	got := m.DynSymbols()
	if len(got) != len(symbols)+1 {
		t.Fatalf("%d dynamic symbols, want %d and the null symbol", len(got), len(symbols))
	}
	for i, w := range symbols {
		g := got[i+1]
		lib := w.Library
		if w.Section != elf.SHN_UNDEF {
			lib = ""
		}
		if g.Name != w.Name || g.Value != w.Value || g.Size != w.Size || g.Info != w.Info || g.Other != w.Other ||
			g.Shndx != uint16(w.Section) || g.Version != w.Version || g.VersionLib != lib {
			t.Errorf("dynamic symbol %d: got %+v, want %+v", i+1, g, w)
		}
	}

	if len(m.Segments) != len(want.Progs) || len(m.Sections) != len(want.Sections) {
		t.Fatalf("%d segments and %d sections, want %d and %d", len(m.Segments), len(m.Sections), len(want.Progs), len(want.Sections))
	}
	for i, w := range want.Progs {
		g := m.Segments[i]
		if g != (Segment{uint32(w.Type), uint32(w.Flags), w.Off, w.Vaddr, w.Filesz, w.Memsz, w.Align}) {
			t.Errorf("segment %d: got %+v, want %+v", i, g, w)
		}
	}
	for i, w := range want.Sections {
		g := m.Sections[i]
		if g.Name != w.Name || g.Addr != w.Addr || g.Offset != w.Offset || g.Size != w.Size && w.Type != elf.SHT_NOBITS {
			t.Errorf("section %d: got %+v, want %+v", i, g, w)
		}
		if w.Type == elf.SHT_NULL || w.Type == elf.SHT_NOBITS {
			continue
		}
		data, err := w.Data()
		if err != nil {
			t.Fatal(err)
		}
		if w.Flags&elf.SHF_ALLOC != 0 {
			loaded, err := m.Bytes(w.Addr, w.Size)
			if err != nil || !bytes.Equal(loaded, data) {
				t.Errorf("bytes at the address of section %s differ (%v)", w.Name, err)
			}
		}
		section, addr, ok := m.Section(w.Name)
		if !ok || addr != w.Addr || !bytes.Equal(section, data) {
			t.Errorf("section %s differs", w.Name)
		}
	}

	// The pointers of librarySource: three in an array, one alone. All must be relocated, however that is written down.
	counter := uint64(0)
	for _, name := range []string{"pointer", "pointers"} {
		s, ok := m.Lookup(name)
		if !ok {
			t.Fatalf("%s is not defined", name)
		}
		offsets := []uint64{0}
		if name == "pointers" {
			offsets = []uint64{0, 3 * 8, 68 * 8}
		}
		for _, offset := range offsets {
			i := slices.IndexFunc(m.Relocs(), func(r Rela) bool { return r.Offset == s.Value+offset })
			if i < 0 {
				t.Fatalf("%s+%d is not relocated", name, offset)
			}
			r := m.Relocs()[i]
			if r.Type != uint32(elf.R_X86_64_RELATIVE) {
				t.Fatalf("%s+%d has relocation type %d", name, offset, r.Type)
			}
			if counter == 0 {
				counter = uint64(r.Addend)
			}
			if uint64(r.Addend) != counter {
				t.Errorf("%s+%d points to %#x, pointer to %#x", name, offset, r.Addend, counter)
			}
		}
	}
	if b, err := m.Bytes(counter, 4); err != nil || le.Uint32(b) != 5 {
		t.Errorf("the variable pointed to holds % x (%v), want 5", b, err)
	}
	i := slices.IndexFunc(m.Relocs(), func(r Rela) bool { return m.DynSymbols()[r.Sym].Name == "getenv" })
	if i < 0 {
		t.Error("no relocation refers to getenv")
	}
}

func dynString(t *testing.T, f *elf.File, tag elf.DynTag) []string {
	s, err := f.DynString(tag)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Without section headers the number of symbols has to be found out from the hash table.
func TestImageWithoutSectionHeaders(t *testing.T) {
	for _, style := range []string{"gnu", "sysv"} {
		path := library(t, "-Wl,--hash-style="+style)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Parse(path, bytes.Clone(data))
		if err != nil {
			t.Fatal(err)
		}
		clear(data[40:48])
		clear(data[60:64])
		bare, err := Parse(path, data)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(whole.DynSymbols(), bare.DynSymbols()) {
			t.Errorf("%s hash: got symbols %v, want %v", style, bare.DynSymbols(), whole.DynSymbols())
		}
		if len(bare.Sections) != 0 {
			t.Errorf("%s hash: %d sections, want none", style, len(bare.Sections))
		}
	}
}

func TestLookupPrefersTheDefaultVersion(t *testing.T) {
	m, err := Open(library(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	versions := map[string]bool{}
	for _, s := range m.DynSymbols() {
		if s.Name == "answer" {
			versions[s.Version] = true
		}
	}
	s, ok := m.Lookup("answer")
	if !ok || s.Version != "VERSION_2" || len(versions) != 2 {
		t.Errorf("answer is %+v, of versions %v", s, versions)
	}
	for _, name := range []string{"getenv", "hidden", "absent", ""} {
		if s, ok := m.Lookup(name); ok {
			t.Errorf("%q was found: %+v", name, s)
		}
	}
}

// Each entry of the table must lead to a description that says that it is about the entry's instruction.
func TestEHFrameHdr(t *testing.T) {
	m, err := Open(library(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	fdes, err := m.EHFrameHdr()
	if err != nil || len(fdes) == 0 {
		t.Fatalf("%d entries (%v)", len(fdes), err)
	}
	for _, fde := range fdes {
		b, err := m.Bytes(fde.Addr, 12)
		if err != nil {
			t.Fatal(err)
		}
		// length, distance of the common entry, then the first instruction as an int32 counted from itself
		if pc := fde.Addr + 8 + uint64(int64(int32(le.Uint32(b[8:])))); pc != fde.PC {
			t.Errorf("the entry of %#x leads to the description of %#x", fde.PC, pc)
		}
	}
	for _, name := range []string{"first", "second", "answer"} {
		s, _ := m.Lookup(name)
		if !slices.ContainsFunc(fdes, func(f FDE) bool { return f.PC == s.Value }) {
			t.Errorf("%s has no entry", name)
		}
	}
}

func TestNotes(t *testing.T) {
	path := library(t)
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if id := m.BuildID(); len(id) != 20 || !strings.Contains(strings.Join(strings.Fields(run(t, "readelf", "-nW", path)), " "),
		"Build ID: "+hex(id)) {
		t.Errorf("build id %x is not what readelf says", id)
	}
	if m.Note() != nil {
		t.Errorf("a foreign library has our note: %q", m.Note())
	}

	notes := appendNote(nil, "other", 7, []byte("abc"))
	notes = appendNote(notes, noteOwner, noteType+1, []byte("of another type"))
	notes = appendNote(notes, noteOwner, noteType, []byte("hello"))
	notes = appendNote(notes, buildIDOwner, buildIDType, []byte{1, 2, 3})
	for name, cut := range map[string]int{"whole": 0, "cut off": 12} {
		image := &Image{Data: notes[:len(notes)-cut],
			Segments: []Segment{{Type: uint32(elf.PT_NOTE), FileSize: uint64(len(notes) - cut), Align: 4}}}
		image.parseNotes()
		if string(image.Note()) != "hello" {
			t.Errorf("%s: note %q", name, image.Note())
		}
		if found := bytes.Equal(image.BuildID(), []byte{1, 2, 3}); found == (cut > 0) {
			t.Errorf("%s: build id %x", name, image.BuildID())
		}
	}
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, v := range b {
		s.WriteByte(digits[v>>4])
		s.WriteByte(digits[v&15])
	}
	return s.String()
}

func TestParseRefuses(t *testing.T) {
	good := smallImage(t)
	changed := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"empty":         {nil, ErrNotELF},
		"text":          {[]byte("#!/bin/sh\nexit 0\n"), ErrNotELF},
		"cut off":       {good[:40], ErrDamaged},
		"32 bit":        {changed(func(b []byte) { b[4] = 1 }), ErrMachine},
		"big endian":    {changed(func(b []byte) { b[5] = 2 }), ErrMachine},
		"arm":           {changed(func(b []byte) { le.PutUint16(b[18:], uint16(elf.EM_AARCH64)) }), ErrMachine},
		"executable":    {changed(func(b []byte) { le.PutUint16(b[16:], uint16(elf.ET_EXEC)) }), ErrNotShared},
		"object":        {changed(func(b []byte) { le.PutUint16(b[16:], uint16(elf.ET_REL)) }), ErrNotShared},
		"many segments": {changed(func(b []byte) { le.PutUint16(b[56:], 60000) }), ErrDamaged},
		"no dynamic":    {changed(func(b []byte) { le.PutUint32(b[headerSize+3*programHeaderSize:], uint32(elf.PT_NULL)) }), ErrDamaged},
		"huge segment": {changed(func(b []byte) {
			le.PutUint64(b[headerSize+32:], 1<<60)
			le.PutUint64(b[headerSize+40:], 1<<60)
		}), ErrDamaged},
	} {
		if _, err := Parse("some.so", test.data); !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), "some.so ") {
			t.Errorf("%s: got error %v, want %v", name, err, test.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	if _, err := Open(folder); !errors.Is(err, ErrNotELF) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(filepath.Join(folder, "absent.so")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	empty := filepath.Join(folder, "empty.so")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty); !errors.Is(err, ErrNotELF) {
		t.Errorf("an empty file: %v", err)
	}
}

// A file that is cut off anywhere, or in which any one byte is wrong, may be refused but must not bring the reader down.
func TestParseSurvivesDamage(t *testing.T) {
	good := smallImage(t)
	for n := range good {
		useAll(Parse("cut.so", good[:n]))
	}
	b := bytes.Clone(good)
	for i := range b {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			b[i] ^= flip
			useAll(Parse("flipped.so", b))
			b[i] ^= flip
		}
	}
}

// useAll calls what does not happen in Parse.
func useAll(m *Image, err error) {
	if err != nil {
		return
	}
	m.EHFrameHdr()
	m.EndAddr()
	for i := range m.Sections {
		m.SectionData(&m.Sections[i])
	}
	for _, s := range m.DynSymbols() {
		m.Lookup(s.Name)
		m.Bytes(s.Value, s.Size)
	}
	for _, r := range m.Relocs() {
		m.Bytes(r.Offset, 8)
	}
}
