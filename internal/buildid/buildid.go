// Package buildid reads what linkers write into a library to identify it: a hash of its content.
//
// It is quick: the file is not read as a whole, and none of its symbols.
package buildid

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
)

// noteType is NT_GNU_BUILD_ID.
const noteType = 3

// Of returns the build id of the file at path, nil if it has none or is no ELF file. The layout of a note: u32 length of the
// name, u32 length of the descriptor, u32 type, the name, the descriptor, both padded to 4 bytes.
func Of(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	object, err := elf.NewFile(file)
	if err != nil {
		return nil, nil
	}
	for _, section := range object.Sections {
		if section.Type != elf.SHT_NOTE || section.Size > 1<<12 {
			continue
		}
		note, err := section.Data()
		if err != nil || len(note) < 16 || binary.LittleEndian.Uint32(note[8:]) != noteType || !bytes.Equal(note[12:16], []byte("GNU\x00")) {
			continue
		}
		if n := binary.LittleEndian.Uint32(note[4:]); n > 0 && uint64(n) <= uint64(len(note)-16) {
			return note[16 : 16+n], nil
		}
	}
	return nil, nil
}
