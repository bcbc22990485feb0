package elfpatch

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// filesSource has lines in three files, and two of the folders.
const filesSource = `#line 1 "@here/first.c"
int first(int x) { return x * x; }
#line 11 "@here/deep/second.c"
int second(int x) { return first(x) + 1; }
#line 21 "/fixed/third.c"
int third(int x) { return second(x) + first(x); }
`

// inFolder renames what is in the folder @here.
func inFolder(folder string) func(string) string {
	return func(name string) string {
		if rest, ok := strings.CutPrefix(name, "@here"); ok {
			return folder + rest
		}
		return name
	}
}

// debugTold is what the debug information of an object says: names of functions and units, and for each instruction where it comes from.
func debugTold(t *testing.T, o *Object) []string {
	t.Helper()
	m := linkInMemory(t, &Job{Objects: []*Object{o}})
	file, err := elf.NewFile(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	data, err := file.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	units := data.Reader()
	for {
		entry, err := units.Next()
		if err != nil {
			t.Fatal(err)
		}
		if entry == nil {
			return told
		}
		told = append(told, fmt.Sprint(entry.Tag, entry.Val(dwarf.AttrName), entry.Val(dwarf.AttrCompDir)))
		if entry.Tag != dwarf.TagCompileUnit {
			continue
		}
		lines, err := data.LineReader(entry)
		if err != nil {
			t.Fatal(err)
		}
		var line dwarf.LineEntry
		for {
			if err := lines.Next(&line); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			told = append(told, fmt.Sprintf("%#x %s:%d", line.Address, line.File.Name, line.Line))
		}
	}
}

// An object whose files are renamed says what it would say had it been compiled with those names, whether they are longer or shorter.
func TestRenameFiles(t *testing.T) {
	for _, folder := range []string{"/a/folder/with/a/name/that/is/longer/than/the/old/one", "/x"} {
		for _, version := range []string{"-gdwarf-2", "-gdwarf-3", "-gdwarf-4"} {
			t.Run(version+" "+folder, func(t *testing.T) {
				dir := t.TempDir()
				object := func(place string) *Object {
					source := strings.ReplaceAll(filesSource, "@here", place)
					data, err := os.ReadFile(compile(t, dir, "unit.o", source, "-c", "-fPIC", "-O1", version, "-gstrict-dwarf", "-fdebug-prefix-map="+dir+"="+place))
					if err != nil {
						t.Fatal(err)
					}
					o, err := ParseObject("unit.o", data)
					if err != nil {
						t.Fatal(err)
					}
					return o
				}
				want := debugTold(t, object(folder))
				o := object("@here")
				if before := debugTold(t, o); slices.Equal(before, want) {
					t.Fatal("there is nothing to rename")
				}
				if err := o.RenameFiles(inFolder(folder)); err != nil {
					t.Fatal(err)
				}
				if got := debugTold(t, o); !slices.Equal(got, want) {
					t.Errorf("it says\n%s\nand should say\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				for _, name := range []string{"/unit.o.c", "/deep/second.c:11", "/first.c:1"} {
					if !slices.ContainsFunc(want, func(s string) bool { return strings.Contains(s, folder+name) }) {
						t.Errorf("there is no %s in\n%s", folder+name, strings.Join(want, "\n"))
					}
				}
			})
		}
	}
}

// Nothing is copied, and nothing changes, where no file has another name.
func TestRenameFilesToTheSame(t *testing.T) {
	o := lineObject(lineProgram(4, "folder", "file.c"))
	data := &o.Sections[1].Data[0]
	if err := o.RenameFiles(func(name string) string { return name }); err != nil || &o.Sections[1].Data[0] != data {
		t.Errorf("the data is another (%v)", err)
	}
}

// lineProgram is a line number program of three bytes in the given version of DWARF, with a folder and a file in it.
func lineProgram(version uint16, folder, file string) []byte {
	header := []byte{1, 1, 1, 0xfb, 14, 3, 0, 1}
	if version < 4 {
		header = slices.Delete(header, 1, 2)
	}
	header = append(header, folder+"\x00\x00"+file+"\x00\x01\x80\x01\x00\x00"...)
	unit := le.AppendUint32(le.AppendUint16(nil, version), uint32(len(header)))
	unit = append(append(unit, header...), 1, 2, 3)
	return append(le.AppendUint32(nil, uint32(len(unit))), unit...)
}

// lineObject has the given .debug_line, and a section with relocations to its start, by each of two symbols, and to its end.
func lineObject(lines []byte) *Object {
	to := func(at int) Rela { return Rela{Type: uint32(elf.R_X86_64_32), Sym: 1, Addend: int64(at)} }
	return &Object{
		Name: "lines.o",
		Sections: []ObjectSection{
			{},
			{Name: ".debug_line", Type: uint32(elf.SHT_PROGBITS), Align: 1, Data: lines, Size: uint64(len(lines)),
				Relas: []Rela{{Offset: uint64(len(lines)) - 3, Type: uint32(elf.R_X86_64_8)}}},
			{Name: ".debug_info", Type: uint32(elf.SHT_PROGBITS), Align: 1, Data: make([]byte, 12), Size: 12,
				Relas: []Rela{to(0), {Type: uint32(elf.R_X86_64_64), Sym: 2, Addend: -int64(len(lines))}, to(len(lines))}},
		},
		Symbols: []ObjectSymbol{{}, {Name: ".debug_line", Section: 1, Type: uint8(elf.STT_SECTION)}, {Name: "end", Section: 1, Value: uint64(len(lines))}},
	}
}

// All that counts bytes of a section counts those that were added, in each of its programs.
func TestRenameFilesMovesWhatFollows(t *testing.T) {
	for _, version := range []uint16{2, 3, 4} {
		programs := func(folder string) []byte {
			return slices.Concat(lineProgram(version, folder, "a.c"), lineProgram(version, folder+"/x", "b.c"))
		}
		o := lineObject(programs("@here"))
		if err := o.RenameFiles(inFolder("/another/place")); err != nil {
			t.Fatal(err)
		}
		want := lineObject(programs("/another/place"))
		if got := &o.Sections[1]; !bytes.Equal(got.Data, want.Sections[1].Data) || got.Size != uint64(len(got.Data)) {
			t.Errorf("version %d: the programs are %q, not %q", version, got.Data, want.Sections[1].Data)
		}
		for i := 1; i < 3; i++ {
			if got, want := o.Sections[i].Relas, want.Sections[i].Relas; !slices.Equal(got, want) {
				t.Errorf("version %d: relocations of section %d are %v, not %v", version, i, got, want)
			}
		}
		if !slices.Equal(o.Symbols, want.Symbols) {
			t.Errorf("version %d: the symbols are %v, not %v", version, o.Symbols, want.Symbols)
		}
	}
}

func TestRenameFilesRefuses(t *testing.T) {
	whole := lineProgram(4, "@here", "a.c")
	with := func(change func(o *Object)) *Object {
		o := lineObject(slices.Clone(whole))
		change(o)
		return o
	}
	for what, o := range map[string]*Object{
		"a relocation in a name":      with(func(o *Object) { o.Sections[1].Relas[0].Offset = uint64(bytes.IndexByte(whole, '@')) + 2 }),
		"a reference into a name":     with(func(o *Object) { o.Sections[2].Relas[2].Addend = int64(bytes.IndexByte(whole, '@')) + 2 }),
		"a symbol in a name":          with(func(o *Object) { o.Symbols[2].Value = uint64(bytes.IndexByte(whole, '@')) + 2 }),
		"strings without an end":      with(func(o *Object) { o.Sections[2].Name, o.Sections[2].Data = ".debug_str", []byte("a\x00b") }),
		"a program without an end":    with(func(o *Object) { o.Sections[1].Data = append(o.Sections[1].Data, 100, 0, 0, 0, 4, 0, 0, 0, 0, 0) }),
		"a header without an end":     with(func(o *Object) { o.Sections[1].Data[6] = 200 }),
		"opcodes beyond the header":   with(func(o *Object) { o.Sections[1].Data[15] = 200 }),
		"no opcodes":                  with(func(o *Object) { o.Sections[1].Data[15] = 0 }),
		"a number that does not end":  with(func(o *Object) { o.Sections[1].Data[6] -= 4 }),
		"tables without an empty end": with(func(o *Object) { o.Sections[1].Data[6] -= 1 }),
	} {
		if err := o.RenameFiles(inFolder("/another/place")); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, o := range map[string]*Object{
		"version 5":            with(func(o *Object) { o.Sections[1].Data[4] = 5 }),
		"version 1":            with(func(o *Object) { o.Sections[1].Data[4] = 1 }),
		"64 bits":              with(func(o *Object) { copy(o.Sections[1].Data, "\xff\xff\xff\xff") }),
		"R_X86_64_PC32 into s": with(func(o *Object) { o.Sections[2].Relas[0].Type = uint32(elf.R_X86_64_PC32) }),
	} {
		if err := o.RenameFiles(inFolder("/another/place")); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "cannot be changed there") && !strings.Contains(err.Error(), "where names of files cannot be changed") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzRenameFiles renames files in damaged objects: they are refused, or can be read and renamed once more.
func FuzzRenameFiles(f *testing.F) {
	f.Add(writeObject(lineObject(slices.Concat(lineProgram(4, "@here", "a.c"), lineProgram(2, "@here/x", "@here/b.c")))))
	if hasGCC() {
		f.Add(readFile(f, compile(f, f.TempDir(), "seed.o", filesSource, "-c", "-fPIC", "-O1", "-gdwarf-4")))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseObject("fuzz.o", data)
		if err != nil {
			return
		}
		before := bytes.Clone(data)
		err = o.RenameFiles(inFolder("/another/place"))
		if !bytes.Equal(data, before) {
			t.Error("the object's data has changed")
		}
		if err != nil {
			return
		}
		if err := o.RenameFiles(func(name string) string {
			if strings.HasPrefix(name, "@here") {
				t.Errorf("%q is left", name)
			}
			return name
		}); err != nil {
			t.Errorf("what was renamed cannot be read: %v", err)
		}
	})
}
