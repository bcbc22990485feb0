package policy

// This file bounds the tables of a module. They are memory of this process, and wazero bounds a module's memory but not its tables.
//
// A module is (WebAssembly core specification 2.0, section 5.5):
//
//	offset size
//	     0    4 magic, "\0asm"
//	     4    4 version, 1
//	     8      sections: one byte that says which, the size of what follows as LEB128, and that
//
// Section 4 is the tables: their number as LEB128, and for each one byte for the type of its elements, then limits: a byte that is 1 if there
// is an upper bound, the size at first, and that bound. Each table is given a bound, or a lower one than it has.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	moduleHead   = "\x00asm\x01\x00\x00\x00"
	tableSection = 4
	// A module has at most so many tables, of so many elements with 8 bytes each.
	maxTables   = 4
	maxElements = 1 << 20
)

var errNoModule = errors.New("is no WebAssembly module: build it as docs/policy.md says")

// boundTables returns the module with a bound for each table. What else is wrong with the module, the compiler finds.
func boundTables(code []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(code, []byte(moduleHead))
	if !ok {
		return nil, errNoModule
	}
	for len(rest) > 0 {
		kind := rest[0]
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			return nil, errNoModule
		}
		start := len(code) - len(rest)
		content := rest[1+n:][:size]
		rest = rest[1+n:][size:]
		if kind != tableSection {
			continue
		}
		bounded, err := boundSection(content)
		if err != nil {
			return nil, err
		}
		out := append(bytes.Clone(code[:start]), tableSection)
		out = binary.AppendUvarint(out, uint64(len(bounded)))
		// A further section of this kind is an error that the compiler finds.
		return append(append(out, bounded...), rest...), nil
	}
	return code, nil
}

// boundSection returns the content of the section with bounds.
func boundSection(content []byte) ([]byte, error) {
	r := bytes.NewReader(content)
	count, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, errNoModule
	}
	if count > maxTables {
		return nil, fmt.Errorf("has %d tables, more than %d: build it as docs/policy.md says", count, maxTables)
	}
	out := binary.AppendUvarint(nil, count)
	for range count {
		element, err1 := r.ReadByte()
		flags, err2 := r.ReadByte()
		least, err3 := binary.ReadUvarint(r)
		if errors.Join(err1, err2, err3) != nil || flags > 1 {
			return nil, errNoModule
		}
		most := uint64(maxElements)
		if flags == 1 {
			given, err := binary.ReadUvarint(r)
			if err != nil {
				return nil, errNoModule
			}
			most = min(most, given)
		}
		if least > maxElements {
			return nil, fmt.Errorf("has a table of %d elements, more than %d: build it as docs/policy.md says", least, maxElements)
		}
		out = append(out, element, 1)
		out = binary.AppendUvarint(binary.AppendUvarint(out, least), most)
	}
	if r.Len() > 0 {
		return nil, errNoModule
	}
	return out, nil
}
