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
	"strings"

	"chainbuild/elfpatch"
)

// Object parses the object that a partition was compiled to and gives its names their meaning in this build.
func (p Partition) Object(data []byte) (*elfpatch.Object, error) {
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

// Defined are the names of the functions that the partition defines, as Julia calls them, without its prefixes and counters, in
// the partition's order. A wrapper and its body count as one.
func (p Partition) Defined() []string {
	text, err := os.ReadFile(p.Names)
	if err != nil {
		return nil
	}
	var out []string
	for line := range bytes.Lines(text) {
		local, global, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("\t"))
		if !bytes.HasPrefix(local, []byte("d")) {
			continue
		}
		name := string(global)
		if strings.HasPrefix(name, "jfptr_") {
			continue
		}
		for _, prefix := range []string{"julia_", "japi1_", "japi3_"} {
			name = strings.TrimPrefix(name, prefix)
		}
		out = append(out, strings.TrimRight(name, "_0123456789"))
	}
	return out
}
