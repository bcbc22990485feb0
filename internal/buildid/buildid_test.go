package buildid

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// noteFile is an ELF file with nothing but sections of notes.
func noteFile(notes ...[]byte) []byte {
	const headerSize, sectionSize = 64, 64
	header := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Ehsize: headerSize,
		Shoff: headerSize, Shentsize: sectionSize, Shnum: uint16(1 + len(notes)),
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	sections := []elf.Section64{{}}
	at := uint64(headerSize + sectionSize*(1+len(notes)))
	for _, note := range notes {
		sections = append(sections, elf.Section64{Type: uint32(elf.SHT_NOTE), Off: at, Size: uint64(len(note))})
		at += uint64(len(note))
	}
	var file bytes.Buffer
	binary.Write(&file, binary.LittleEndian, header)
	binary.Write(&file, binary.LittleEndian, sections)
	for _, note := range notes {
		file.Write(note)
	}
	return file.Bytes()
}

// note is one with a name of 4 bytes, and says how long its descriptor is.
func note(kind, length uint32, name, descriptor string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(name)))
	b = binary.LittleEndian.AppendUint32(b, length)
	b = binary.LittleEndian.AppendUint32(b, kind)
	return append(append(b, name...), descriptor...)
}

func TestOf(t *testing.T) {
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"no ELF":              {[]byte("text"), ""},
		"no notes":            {noteFile(), ""},
		"build id":            {noteFile(note(3, 4, "GNU\x00", "abcd")), "abcd"},
		"behind another note": {noteFile(note(1, 4, "GNU\x00", "xxxx"), note(3, 4, "GNU\x00", "abcd")), "abcd"},
		"of another owner":    {noteFile(note(3, 4, "Xen\x00", "abcd")), ""},
		"longer than it is":   {noteFile(note(3, 1<<31, "GNU\x00", "abcd")), ""},
		"empty":               {noteFile(note(3, 0, "GNU\x00", "")), ""},
		"cut":                 {noteFile(note(3, 4, "GNU\x00", "abcd")[:10]), ""},
		"beyond the file":     {noteFile(note(3, 4, "GNU\x00", "abcd"))[:200], ""},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := Of(path); err != nil || string(id) != test.want {
			t.Errorf("%s: the id is %q (%v), not %q", name, id, err, test.want)
		}
	}
	if _, err := Of(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a file that is not there has an id")
	}
}

// The linker's own idea of it.
func TestOfLinker(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no gcc")
	}
	path := filepath.Join(t.TempDir(), "library.so")
	cmd := exec.Command(gcc, "-shared", "-o", path, "-x", "c", "-", "-Wl,--build-id=0x0123456789abcdef")
	cmd.Stdin = strings.NewReader("int x;")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if id, err := Of(path); err != nil || hex.EncodeToString(id) != "0123456789abcdef" {
		t.Errorf("the id is %x (%v)", id, err)
	}
}

func FuzzOf(f *testing.F) {
	f.Add(noteFile(note(1, 4, "GNU\x00", "xxxx"), note(3, 4, "GNU\x00", "abcd")))
	path := filepath.Join(f.TempDir(), "file")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := Of(path); err != nil || len(id) > len(content) {
			t.Errorf("the id is %x (%v)", id, err)
		}
	})
}
