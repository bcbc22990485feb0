package llvmdriver

// This file gives an object's names their meaning.
//
// The bitcode of a partition calls what it shares with others by position (julia/worker/canonical.jl), so that equal code is
// equal bytes. The partition's map says what each position is in this build: one line each, the name in the object, a tab,
// and the name that the whole build knows.

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"

	"chainbuild/elfpatch"
)

// Object reads the object of a partition and gives its names their meaning in this build.
func (p Partition) Object(path string) (*elfpatch.Object, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	object, err := elfpatch.ParseObject(fmt.Sprintf("partition %d", p.Number), data)
	if err != nil {
		return nil, err
	}
	names, err := readNames(p.Names)
	if err != nil {
		return nil, err
	}
	for i := range object.Symbols {
		s := &object.Symbols[i]
		if name, ok := names[s.Name]; ok && elf.SymBind(s.Bind) != elf.STB_LOCAL {
			s.Name = name
		}
	}
	return object, nil
}

func readNames(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, bytes.Count(text, []byte("\n")))
	for line := range bytes.Lines(text) {
		local, global, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("\t"))
		if !ok {
			return nil, fmt.Errorf("%s: %q is no line of a map of names", path, line)
		}
		names[string(local)] = string(global)
	}
	return names, nil
}
