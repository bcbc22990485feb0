package elfpatch

// This file changes names of files in the debug information of an object.
//
// They are strings of any length, so what is behind them moves. In .debug_line they are in the header of each line number program
// (DWARF 4, section 6.2.4):
//
//	offset size field
//	     0    4 unit_length: bytes behind this field; from 0xfffffff0 on, DWARF of 64 bits or nothing that is defined
//	     4    2 version: 2 to 4
//	     6    4 header_length: bytes between this field and the program
//	    10    1 minimum_instruction_length
//	    11    1 maximum_operations_per_instruction, from version 4 on
//	     …    1 default_is_stmt
//	     …    1 line_base
//	     …    1 line_range
//	     …    1 opcode_base: one more than there are standard_opcode_lengths
//	     …    … standard_opcode_lengths, 1 byte each
//	     …    … include_directories: strings, each ended by a 0; an empty one is the end
//	     …    … file_names: a string likewise, then the number of its folder, its time and its size as ULEB128; an empty one is the end
//
// The name of a unit's main file is in .debug_str, which is strings, each ended by a 0. What other debug sections say about places in these two,
// they say by relocations.

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// RenameFiles gives folders and files in the debug information the names that rename returns for them. It is given each string of .debug_str, and
// each folder and file of .debug_line, which may be relative to the folder; what it returns must not contain a 0. Debug information that another
// version of DWARF than 2 to 4 is in, or that relocations do not fit, is refused, and the object is of no use then. The data that the object
// was read from does not change.
func (o *Object) RenameFiles(rename func(name string) string) error {
	for i := range o.Sections {
		s := &o.Sections[i]
		var changes []change
		var err error
		switch s.Name {
		case ".debug_line":
			changes, err = lineChanges(o.Name, s.Data, rename)
		case ".debug_str":
			changes, err = stringChanges(o.Name, s.Data, rename)
		}
		if err == nil && len(changes) > 0 {
			err = o.changeSection(i, changes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A change has size bytes of a section, from the offset at on, replaced.
type change struct {
	at, size uint64
	text     string
}

// moved is where the place at an offset is after the changes, which are in the order of their offsets. What is inside of replaced bytes is nowhere.
func moved(changes []change, at uint64) (place uint64, ok bool) {
	place = at
	for _, c := range changes {
		switch {
		case at <= c.at:
			return place, true
		case at < c.at+c.size:
			return 0, false
		}
		place += uint64(len(c.text)) - c.size
	}
	return place, true
}

// changeSection applies the changes to a section and to all that refers to places in it.
func (o *Object) changeSection(number int, changes []change) error {
	s := &o.Sections[number]
	for i := range o.Sections {
		for k := range o.Sections[i].Relas {
			r := &o.Sections[i].Relas[k]
			if i == number {
				offset, ok := moved(changes, r.Offset)
				if !ok {
					return damaged(o.Name, "a name in section %s has a relocation", s.Name)
				}
				r.Offset = offset
			}
			symbol := &o.Symbols[r.Sym]
			if symbol.Section != number {
				continue
			}
			if kind := elf.R_X86_64(r.Type); kind != elf.R_X86_64_32 && kind != elf.R_X86_64_64 {
				return fmt.Errorf("%s has a relocation %s into section %s, so names of files cannot be changed there", o.Name, kind, s.Name)
			}
			start, ok := moved(changes, symbol.Value)
			end, ok2 := moved(changes, symbol.Value+uint64(r.Addend))
			if !ok || !ok2 {
				return damaged(o.Name, "section %s refers to the middle of a name in section %s", o.Sections[i].Name, s.Name)
			}
			r.Addend = int64(end - start)
		}
	}
	for i := range o.Symbols {
		if symbol := &o.Symbols[i]; symbol.Section == number {
			value, ok := moved(changes, symbol.Value)
			if !ok {
				return damaged(o.Name, "symbol %q is in the middle of a name in section %s", symbol.Name, s.Name)
			}
			symbol.Value = value
		}
	}
	var data []byte
	done := uint64(0)
	for _, c := range changes {
		data = append(append(data, s.Data[done:c.at]...), c.text...)
		done = c.at + c.size
	}
	s.Data = append(data, s.Data[done:]...)
	s.Size = uint64(len(s.Data))
	return nil
}

// stringChanges renames the strings of .debug_str.
func stringChanges(object string, data []byte, rename func(string) string) ([]change, error) {
	var changes []change
	for at := 0; at < len(data); {
		end := bytes.IndexByte(data[at:], 0)
		if end < 0 {
			return nil, damaged(object, "section .debug_str has no end of its last string")
		}
		changes = appendRenamed(changes, uint64(at), data[at:at+end], rename)
		at += end + 1
	}
	return changes, nil
}

func appendRenamed(changes []change, at uint64, name []byte, rename func(string) string) []change {
	old := string(name)
	if name := rename(old); name != old {
		return append(changes, change{at, uint64(len(old)), name})
	}
	return changes
}

// lineChanges renames folders and files of .debug_line.
func lineChanges(object string, data []byte, rename func(string) string) ([]change, error) {
	var changes []change
	for at := uint64(0); at < uint64(len(data)); {
		unit, own, err := unitChanges(object, data[at:], rename)
		if err != nil {
			return nil, err
		}
		for _, c := range own {
			c.at += at
			changes = append(changes, c)
		}
		at += unit
	}
	return changes, nil
}

// unitChanges renames folders and files of the program that data begins with, and returns its size in bytes besides.
func unitChanges(object string, data []byte, rename func(string) string) (size uint64, changes []change, err error) {
	wrong := func() (uint64, []change, error) {
		return 0, nil, damaged(object, "a line number program of section .debug_line is cut off")
	}
	const lengthEnd, headerEnd = 4, 10 // of the fields unit_length and header_length
	if len(data) < headerEnd {
		return wrong()
	}
	length, version, header := le.Uint32(data), le.Uint16(data[lengthEnd:]), le.Uint32(data[6:])
	if length >= 0xfffffff0 || version < 2 || version > 4 {
		return 0, nil, fmt.Errorf("%s has line numbers in version %d of DWARF, or in that of 64 bits, where names of files cannot be changed: "+
			"compile it with -gdwarf-4", object, version)
	}
	size = lengthEnd + uint64(length)
	program := headerEnd + uint64(header)
	if size > uint64(len(data)) || program > size {
		return wrong()
	}
	tables := data[:program]
	at := headerEnd + 5 // opcode_base is the last of five or six bytes
	if version < 4 {
		at--
	}
	if at >= len(tables) || tables[at] == 0 {
		return wrong()
	}
	at += int(tables[at])
	for _, numbers := range [...]int{0, 3} { // folders, files
		for {
			if at >= len(tables) {
				return wrong()
			}
			end := bytes.IndexByte(tables[at:], 0)
			if end < 0 {
				return wrong()
			}
			name := tables[at : at+end]
			if len(name) > 0 {
				changes = appendRenamed(changes, uint64(at), name, rename)
			}
			if at += end + 1; len(name) == 0 {
				break
			}
			for range numbers {
				_, n := binary.Uvarint(tables[at:])
				if n <= 0 {
					return wrong()
				}
				at += n
			}
		}
	}
	if len(changes) == 0 {
		return size, nil, nil
	}
	// unit_length and header_length count what has changed.
	more := uint64(0)
	for _, c := range changes {
		more += uint64(len(c.text)) - c.size
	}
	lengths := []change{
		{0, 4, string(le.AppendUint32(nil, uint32(uint64(length)+more)))},
		{6, 4, string(le.AppendUint32(nil, uint32(uint64(header)+more)))},
	}
	return size, append(lengths, changes...), nil
}
