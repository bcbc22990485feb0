package anatomy

// This file divides debug information among functions.
//
// In .debug_info, a function has its entry, with all that is inside of it, and the entries after it up to the next function. What
// comes before the first function of a unit counts for that. A list of ranges counts for the function of the entry that refers to
// it, a table of lines and a list of names for the first function of its unit. Names (.debug_str) and forms (.debug_abbrev) are
// shared and belong to no function.

import (
	"debug/dwarf"
	"strings"

	"chainbuild/elfpatch"
)

// debugShares divides the debug information of a file. If that cannot be read, it belongs to no function.
func debugShares(image *elfpatch.Image, m codeMap, functions int) shares {
	d := debugReader{m: m, sections: map[string][]byte{}, units: map[uint64]int32{}}
	s := shares{functions: make([]int64, functions)}
	for _, h := range image.Sections {
		if strings.HasPrefix(h.Name, ".debug_") && h.Addr == 0 {
			data, _, _ := image.Section(h.Name)
			d.sections[h.Name] = data
		}
	}
	if !d.read() {
		d = debugReader{sections: d.sections}
	}
	d.names(".debug_gnu_pubnames")
	d.names(".debug_gnu_pubtypes")
	d.names(".debug_pubnames")
	d.names(".debug_pubtypes")
	for name, data := range d.sections {
		d.divisions[name].share(&s, len(data))
	}
	symbolShares(image, m, &s)
	return s
}

type debugReader struct {
	m         codeMap
	sections  map[string][]byte
	divisions map[string]division
	// units are the functions of units, by their offsets.
	units map[uint64]int32
}

func (d *debugReader) add(section string, at uint64, function int32) {
	d.divisions[section] = append(d.divisions[section], part{at, function})
}

// read reads .debug_info. It returns false if that is not readable.
func (d *debugReader) read() bool {
	d.divisions = map[string]division{}
	info := d.sections[".debug_info"]
	data, err := dwarf.New(d.sections[".debug_abbrev"], nil, nil, info, d.sections[".debug_line"], nil,
		d.sections[".debug_ranges"], d.sections[".debug_str"])
	if err != nil {
		return false
	}
	r := data.Reader()
	for at := uint64(0); at+12 <= uint64(len(info)); {
		size := uint64(le.Uint32(info[at:])) + 4
		if size > uint64(len(info))-at {
			return false
		}
		header := uint64(11) // of version 4: length, version, offset of abbreviations, size of an address
		if le.Uint16(info[at+4:]) >= 5 {
			header++
		}
		r.Seek(dwarf.Offset(at + header))
		if !d.readUnit(r, at, at+size) {
			return false
		}
		at += size
	}
	return true
}

// readUnit reads the entries of a unit.
func (d *debugReader) readUnit(r *dwarf.Reader, start, end uint64) bool {
	function := int32(-1) // that entries belong to
	var lists []uint64    // of ranges, that were met before any function
	lines := int64(-1)
	for entry := start; ; entry++ {
		first := entry == start
		e, err := r.Next()
		// An entry has a byte or more; package dwarf stands still at one that the data ends in the middle of.
		if err != nil || entry >= end {
			return false
		}
		if e == nil || uint64(e.Offset) >= end {
			break
		}
		if first {
			if at, ok := e.Val(dwarf.AttrStmtList).(int64); ok {
				lines = at
			}
		}
		if at, ok := e.Val(dwarf.AttrLowpc).(uint64); ok && e.Tag == dwarf.TagSubprogram {
			if next := d.m.at(at); function < 0 {
				function = next
				d.units[start] = function
				d.add(".debug_info", start, function)
			} else if next >= 0 && next != function {
				function = next
				d.add(".debug_info", uint64(e.Offset), function)
			}
		}
		if at, ok := e.Val(dwarf.AttrRanges).(int64); ok {
			if function < 0 || first {
				lists = append(lists, uint64(at))
			} else {
				d.add(".debug_ranges", uint64(at), function)
			}
		}
	}
	if _, ok := d.units[start]; !ok {
		d.units[start] = -1
		d.add(".debug_info", start, -1)
	}
	for _, at := range lists {
		d.add(".debug_ranges", at, d.units[start])
	}
	if lines >= 0 {
		d.add(".debug_line", uint64(lines), d.units[start])
	}
	return true
}

// names reads a section of lists of names: each starts with u32 length, u16 version, u32 offset of its unit.
func (d *debugReader) names(section string) {
	data := d.sections[section]
	for at := uint64(0); at+10 <= uint64(len(data)); at += uint64(le.Uint32(data[at:])) + 4 {
		if function, ok := d.units[uint64(le.Uint32(data[at+6:]))]; ok {
			d.add(section, at, function)
		}
	}
}
