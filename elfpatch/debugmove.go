package elfpatch

// This file finds the fields of debug information that change when a library is moved, or put behind other libraries: addresses, and offsets into
// other debug sections. Debug information of attached libraries, which another linker wrote, comes without a list of them (debug.go). DWARF of 32
// bits, versions 2 to 4, is known, and of its sections those that LLVM writes for Julia.
//
//	.debug_info       per unit: u32 length of what follows, u16 version, u32 offset in .debug_abbrev, 1 byte size of an address; then entries: uleb128
//	                  number of an abbreviation, and the values of its attributes (DWARF 4, section 7.5)
//	.debug_abbrev     per unit: uleb128 number, uleb128 tag, 1 byte, pairs of uleb128 attribute and form up to two zeros; a number 0 is the end
//	.debug_line       see files.go; behind the header a program of opcodes
//	.debug_ranges     pairs of addresses, up to two zeros; counted from the unit's start unless that is 0. After ^0 the start is given anew
//	.debug_gnu_pub*   per unit: u32 length of what follows, u16 version, u32 offset in .debug_info, …
//	.debug_aranges    likewise, then sizes of 1 byte each and, at a multiple of 16 bytes from the unit's start, pairs of address and size

import (
	"encoding/binary"
	"errors"
	"strings"
)

// addressTarget stands for the section that addresses lead into.
const addressTarget = "address"

var errDebugForm = errors.New("debug information of a form that is not known")

// Attributes and forms of DWARF.
const (
	attrStatements = 0x10
	attrLow        = 0x11
	attrRanges     = 0x55

	formAddress = 0x01
	formData4   = 0x06
	formString  = 0x0e
	formRefAddr = 0x10
	formOffset  = 0x17

	formExpression   = 0x18
	operationAddress = 0x03
)

// A debugReader reads a section. After an error, all it reads is 0.
type debugReader struct {
	data []byte
	at   int
	bad  bool
}

func (r *debugReader) skip(n uint64) {
	if n > uint64(len(r.data)-r.at) {
		r.bad, n = true, uint64(len(r.data)-r.at)
	}
	r.at += int(n)
}

func (r *debugReader) number(size int) (n uint64) {
	from := r.at
	r.skip(uint64(size))
	if r.bad {
		return 0
	}
	for i := size - 1; i >= 0; i-- {
		n = n<<8 | uint64(r.data[from+i])
	}
	return n
}

func (r *debugReader) uleb() uint64 {
	n, size := binary.Uvarint(r.data[r.at:])
	if size <= 0 {
		r.bad, r.at = true, len(r.data)
		return 0
	}
	r.at += size
	return n
}

func (r *debugReader) text() {
	for !r.bad && r.number(1) != 0 {
	}
}

// unit returns a reader of the next unit up to its end, which starts behind its length; ok is false at the end of the section.
func (r *debugReader) unit() (u debugReader, ok bool) {
	if r.bad || r.at == len(r.data) {
		return u, false
	}
	length := r.number(4)
	from := r.at
	r.skip(length)
	return debugReader{data: r.data[:r.at], at: from, bad: r.bad}, !r.bad
}

// debugFields are fields by what they have in common.
type debugFields map[debugGroup][]uint64

func (f debugFields) add(section, target string, size, at int) {
	g := debugGroup{section, target, size}
	f[g] = append(f[g], uint64(at))
}

// debugFieldsOf finds the fields of debug sections. It fails if there is one that is not known.
func debugFieldsOf(contents map[string][]byte) (debugFields, error) {
	f := debugFields{}
	absolute := map[uint64]bool{} // lists of ranges that do not count from the start of a unit
	for _, name := range sortedKeys(contents) {
		r := &debugReader{data: contents[name]}
		switch {
		case name == ".debug_info":
			f.info(r, contents[".debug_abbrev"], absolute)
		case name == ".debug_line":
			f.lines(r)
		case name == ".debug_aranges" || strings.HasPrefix(name, ".debug_gnu_pub") || strings.HasPrefix(name, ".debug_pub"):
			f.lookup(r, name)
		case name == ".debug_abbrev" || name == ".debug_str" || name == ".debug_ranges":
		default:
			r.bad = true
		}
		if r.bad {
			return nil, errDebugForm
		}
	}
	r := &debugReader{data: contents[".debug_ranges"]}
	if f.ranges(r, absolute); r.bad {
		return nil, errDebugForm
	}
	return f, nil
}

// An abbreviation is pairs of attributes and forms.
type abbreviation []uint64

func abbreviations(r *debugReader) map[uint64]abbreviation {
	list := map[uint64]abbreviation{}
	for !r.bad {
		number := r.uleb()
		if number == 0 {
			break
		}
		r.uleb()
		r.skip(1)
		var a abbreviation
		for !r.bad {
			attribute, form := r.uleb(), r.uleb()
			if attribute == 0 && form == 0 {
				break
			}
			a = append(a, attribute, form)
		}
		list[number] = a
	}
	return list
}

func (f debugFields) info(r *debugReader, abbrev []byte, absolute map[uint64]bool) {
	const section = ".debug_info"
	known := map[uint64]map[uint64]abbreviation{}
	for {
		u, ok := r.unit()
		if !ok {
			return
		}
		version := u.number(2)
		f.add(section, ".debug_abbrev", 4, u.at)
		offset := u.number(4)
		if size := u.number(1); version < 2 || version > 4 || size != 8 || offset > uint64(len(abbrev)) {
			r.bad = true
			return
		}
		if known[offset] == nil {
			a := &debugReader{data: abbrev, at: int(offset)}
			known[offset] = abbreviations(a)
			r.bad = r.bad || a.bad
		}
		low, first := uint64(0), true
		for !u.bad && u.at < len(u.data) {
			number := u.uleb()
			a, ok := known[offset][number]
			if number != 0 && !ok {
				u.bad = true
			}
			for i := 0; i < len(a) && !u.bad; i += 2 {
				attribute, form := a[i], a[i+1]
				at := u.at
				isOffset := form == formOffset || form == formData4 && version < 4
				switch {
				case form == formAddress:
					f.add(section, addressTarget, 8, at)
					if v := u.number(8); first && attribute == attrLow {
						low = v
					}
				case form == formString:
					f.add(section, ".debug_str", 4, at)
					u.skip(4)
				case form == formRefAddr:
					f.add(section, section, 4, at)
					u.skip(4)
				case isOffset && attribute == attrStatements:
					f.add(section, ".debug_line", 4, at)
					u.skip(4)
				case isOffset && attribute == attrRanges:
					f.add(section, ".debug_ranges", 4, at)
					if v := u.number(4); low == 0 {
						absolute[v] = true
					} else if _, seen := absolute[v]; !seen {
						absolute[v] = false
					}
				case form == formExpression:
					// Where a variable is: an operation with an address, or without.
					n := u.uleb()
					if n == 9 && u.at < len(u.data) && u.data[u.at] == operationAddress {
						f.add(section, addressTarget, 8, u.at+1)
					}
					u.skip(n)
				case form == formOffset:
					u.bad = true // a list of places of variables
				default:
					u.value(form)
				}
			}
			first = first && len(a) == 0
		}
		r.bad = r.bad || u.bad
	}
}

// value skips a value that does not change.
func (r *debugReader) value(form uint64) {
	switch form {
	case 0x0b, 0x0c, 0x11: // data1, flag, ref1
		r.skip(1)
	case 0x05, 0x12: // data2, ref2
		r.skip(2)
	case 0x06, 0x13: // data4, ref4
		r.skip(4)
	case 0x07, 0x14, 0x20: // data8, ref8, ref_sig8
		r.skip(8)
	case 0x0d, 0x0f, 0x15: // sdata, udata, ref_udata
		r.uleb()
	case 0x08: // string
		r.text()
	case 0x0a: // block1
		r.skip(r.number(1))
	case 0x03: // block2
		r.skip(r.number(2))
	case 0x04: // block4
		r.skip(r.number(4))
	case 0x09: // block
		r.skip(r.uleb())
	case 0x19: // flag_present
	default:
		r.bad = true
	}
}

func (f debugFields) lines(r *debugReader) {
	const section = ".debug_line"
	for {
		u, ok := r.unit()
		if !ok {
			return
		}
		version := u.number(2)
		program := u.number(4) + uint64(u.at)
		u.skip(4)
		if version >= 4 {
			u.skip(1)
		}
		first := u.number(1)
		lengths := []uint64{0}
		for i := uint64(1); i < first && !u.bad; i++ {
			lengths = append(lengths, u.number(1))
		}
		if version < 2 || version > 4 || program > uint64(len(u.data)) || u.bad {
			r.bad = true
			return
		}
		for u.at = int(program); u.at < len(u.data) && !u.bad; {
			const extended, fixedAdvance, setAddress = 0, 9, 2
			switch code := u.number(1); {
			case code == extended:
				size := u.uleb()
				if size == 9 && u.at < len(u.data) && u.data[u.at] == setAddress {
					f.add(section, addressTarget, 8, u.at+1)
				}
				u.skip(size)
			case code == fixedAdvance && code < first:
				u.skip(2)
			case code < first:
				for range lengths[code] {
					u.uleb()
				}
			}
		}
		r.bad = r.bad || u.bad
	}
}

func (f debugFields) lookup(r *debugReader, section string) {
	for {
		start := r.at
		u, ok := r.unit()
		if !ok {
			return
		}
		u.skip(2)
		f.add(section, ".debug_info", 4, u.at)
		u.skip(4)
		if section == ".debug_aranges" {
			u.skip(2)
			u.skip(uint64(-(u.at - start) & 15))
			for u.at+16 <= len(u.data) && !u.bad {
				if addr, size := binary.LittleEndian.Uint64(u.data[u.at:]), binary.LittleEndian.Uint64(u.data[u.at+8:]); addr != 0 || size != 0 {
					f.add(section, addressTarget, 8, u.at)
				}
				u.skip(16)
			}
		}
		r.bad = r.bad || u.bad
	}
}

func (f debugFields) ranges(r *debugReader, lists map[uint64]bool) {
	const section = ".debug_ranges"
	for start, absolute := range lists {
		if start > uint64(len(r.data)) {
			r.bad = true
			return
		}
		for r.at = int(start); !r.bad; {
			at := r.at
			from, to := r.number(8), r.number(8)
			if from == 0 && to == 0 {
				break
			}
			switch {
			case from == ^uint64(0):
				f.add(section, addressTarget, 8, at+8)
				absolute = false
			case absolute:
				f.add(section, addressTarget, 8, at)
				f.add(section, addressTarget, 8, at+8)
			}
		}
	}
}
