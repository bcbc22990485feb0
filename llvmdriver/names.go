package llvmdriver

// This file gives an object's names their meaning.
//
// The bitcode of a partition calls what it shares with others by position (julia/worker/pieces.jl), so that equal code is
// equal bytes. The partition's map says what each position is in this build: one line each, the name in the object, a tab,
// and the name that the whole build knows.

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"chainbuild/elfpatch"
)

// Object parses the object that a partition was compiled to and gives its names, and those of files, their meaning in this build.
func (p Partition) Object(data []byte, folders Folders) (*elfpatch.Object, error) {
	object, err := elfpatch.ParseObject(fmt.Sprintf("partition %d", p.Number), data)
	if err != nil {
		return nil, err
	}
	if err := object.RenameFiles(folders.path); err != nil {
		return nil, err
	}
	names, err := readNames(p.Names)
	if err != nil {
		return nil, err
	}
	for i := range object.Symbols {
		s := &object.Symbols[i]
		switch name, ok := names[s.Name]; {
		case elf.SymBind(s.Bind) == elf.STB_LOCAL:
		case ok:
			s.Name = name
		case emptyTable.MatchString(s.Name):
			s.Bind = uint8(elf.STB_LOCAL)
		}
	}
	return object, nil
}

// emptyTable are the names of tables that Julia 1.12 adds to each object (emit_shard_table in src/aotcompile.cpp and
// CloneCtx::emit_metadata in src/llvm-multiversioning.cpp), empty ones since the partition's handle lists nothing.
var emptyTable = regexp.MustCompile(`^jl_(?:fvar|gvar|clone)_[a-z]+_0$`)

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
		out = append(out, plainName(name))
	}
	return out
}

var (
	// Julia numbers what it emits; a body of llvmcall has the number of the function that it is in besides.
	counters = regexp.MustCompile(`_?[0-9]+(u[0-9]+)?(_got)?$`)
	// makeSafeName (src/aotcompile.cpp) has a word or two hexadecimal digits, and a dot, for each character that is none of a plain identifier.
	escaped = regexp.MustCompile(`(?:LPR|RPR|MUL|SUM|SUB|DOT|DIV|COL|LBR|RDV|RBR|POW|TIC|LCR|RCR|TLD|DEL|NOT|DQT|REM|AND|SQT|SP|YY|LT|EQ|GT|QQ|AT|OR|[0-9A-F]{2})\.`)
)

var unescaped = map[string]string{
	"SP": " ", "NOT": "!", "DQT": `"`, "YY": "#", "REM": "%", "AND": "&", "SQT": "'", "LPR": "(", "RPR": ")", "MUL": "*", "SUM": "+",
	"SUB": "-", "DOT": ".", "DIV": "/", "COL": ":", "LT": "<", "EQ": "=", "GT": ">", "QQ": "?", "AT": "@", "LBR": "[", "RDV": `\`, "RBR": "]",
	"POW": "^", "TIC": "`", "LCR": "{", "OR": "|", "RCR": "}", "TLD": "~", "DEL": "\x7f",
}

// plainName is an emitted name as it is in the source, as far as can be told.
func plainName(name string) string {
	for _, prefix := range []string{"julia_", "japi1_", "japi3_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	name = counters.ReplaceAllString(name, "")
	return escaped.ReplaceAllStringFunc(name, func(word string) string {
		word = strings.TrimSuffix(word, ".")
		if plain, ok := unescaped[word]; ok {
			return plain
		}
		code, _ := strconv.ParseUint(word, 16, 8) // the pattern has two digits here
		return string(rune(code))
	})
}
