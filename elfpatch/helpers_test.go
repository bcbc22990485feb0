package elfpatch

// This file holds what several tests share: a writer of relocatable objects and the ways to the tools of the system.

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// writeObject writes an object as an ELF file. The sections and symbols of o keep their order, but for local symbols
// coming first as ELF wants it; symbol table, relocations and names follow in sections of their own.
func writeObject(o *Object) []byte {
	names, strtab := []byte{0}, []byte{0}
	name := func(table *[]byte, s string) uint32 {
		if s == "" {
			return 0
		}
		at := uint32(len(*table))
		*table = append(append(*table, s...), 0)
		return at
	}
	sections := append([]ObjectSection{}, o.Sections...)
	links, infos := make([]uint32, len(sections)), make([]uint32, len(sections))
	add := func(s ObjectSection, link, info uint32) {
		s.Size = uint64(len(s.Data))
		sections = append(sections, s)
		links, infos = append(links, link), append(infos, info)
	}
	order := make([]int, 0, len(o.Symbols))
	for _, local := range []bool{true, false} {
		for i := range o.Symbols {
			if (o.Symbols[i].Bind == uint8(elf.STB_LOCAL)) == local {
				order = append(order, i)
			}
		}
	}
	index := make([]uint32, len(o.Symbols))
	var symtab []byte
	globals := uint32(0)
	for place, i := range order {
		index[i] = uint32(place)
		s := o.Symbols[i]
		shndx := uint16(s.Section)
		switch s.Section {
		case SectionAbsolute:
			shndx = uint16(elf.SHN_ABS)
		case SectionCommon:
			shndx = uint16(elf.SHN_COMMON)
		}
		text := s.Name
		if elf.SymType(s.Type) == elf.STT_SECTION {
			text = ""
		}
		symtab = le.AppendUint32(symtab, name(&strtab, text))
		symtab = append(symtab, s.Bind<<4|s.Type, s.Visibility)
		symtab = le.AppendUint16(symtab, shndx)
		symtab = le.AppendUint64(symtab, s.Value)
		symtab = le.AppendUint64(symtab, s.Size)
		if s.Bind == uint8(elf.STB_LOCAL) {
			globals++
		}
	}
	symtabIndex := uint32(len(sections))
	add(ObjectSection{Name: ".symtab", Type: uint32(elf.SHT_SYMTAB), Align: 8, EntrySize: symbolSize, Data: symtab},
		symtabIndex+1, globals)
	add(ObjectSection{Name: ".strtab", Type: uint32(elf.SHT_STRTAB), Align: 1, Data: strtab}, 0, 0)
	for i, s := range o.Sections {
		if len(s.Relas) == 0 {
			continue
		}
		var table []byte
		for _, r := range s.Relas {
			table = le.AppendUint64(table, r.Offset)
			table = le.AppendUint32(table, r.Type)
			table = le.AppendUint32(table, index[r.Sym])
			table = le.AppendUint64(table, uint64(r.Addend))
		}
		add(ObjectSection{Name: ".rela" + s.Name, Type: uint32(elf.SHT_RELA), Flags: uint64(elf.SHF_INFO_LINK), Align: 8,
			EntrySize: relaSize, Data: table}, symtabIndex, uint32(i))
	}
	add(ObjectSection{Name: ".shstrtab", Type: uint32(elf.SHT_STRTAB), Align: 1}, 0, 0)
	nameAt := make([]uint32, len(sections))
	for i, s := range sections {
		nameAt[i] = name(&names, s.Name)
	}
	sections[len(sections)-1].Data, sections[len(sections)-1].Size = names, uint64(len(names))

	body := make([]byte, headerSize)
	var headers []byte
	for i, s := range sections {
		if i == 0 {
			headers = (&SectionHeader{}).appendTo(headers, 0)
			continue
		}
		at := alignUp(uint64(len(body)), s.Align)
		body = append(body, make([]byte, at-uint64(len(body)))...)
		body = append(body, s.Data...)
		h := SectionHeader{Type: s.Type, Flags: s.Flags, Offset: at, Size: s.Size, Link: links[i], Info: infos[i], Align: s.Align,
			EntrySize: s.EntrySize}
		headers = h.appendTo(headers, nameAt[i])
	}
	body = append(body, make([]byte, -len(body)&7)...)
	copy(body, appendFileHeader(nil, elf.ET_REL, 0, 0, uint64(len(body)), len(sections), len(sections)-1))
	return append(body, headers...)
}

// tool returns the path of a program of the system and skips the test without it.
func tool(t testing.TB, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: this test needs %s on the PATH", name)
	}
	return path
}

// run runs a program and returns what it prints; the test fails if it does.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// compile compiles C source with gcc and returns the path of the result, called name, in folder.
func compile(t testing.TB, folder, name, source string, args ...string) string {
	t.Helper()
	input := filepath.Join(folder, name+".c")
	if err := os.WriteFile(input, []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(folder, name)
	run(t, "gcc", append([]string{"-o", output, input}, args...)...)
	return output
}

// readelfAccepts fails the test if readelf finds something odd about a file, and returns all that it says.
func readelfAccepts(t testing.TB, path string) string {
	t.Helper()
	out := run(t, "readelf", "-aW", path)
	for line := range strings.SplitSeq(out, "\n") {
		if strings.Contains(line, "Warning") || strings.Contains(line, "Error") {
			t.Errorf("readelf -aW %s: %s", path, line)
		}
	}
	return out
}
