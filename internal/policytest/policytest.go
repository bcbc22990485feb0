// Package policytest makes policies for tests: small modules that are put together here, and Go programs.
package policytest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A Module is a policy that always does the same. Its zero value answers questions about statements, with nothing.
type Module struct {
	// Version and Questions are what it says of itself; 0: 1.
	Version, Questions int32
	// Answer is the text that it answers.
	Answer string
	// Body is the code of the function that answers, in place of one that returns Answer. Its parameters are three i32, its result is an i64.
	Body []byte
	// Lacks is an export that it has not.
	Lacks string
	// Imports is the name of a function of the module env that it needs; empty: none.
	Imports string
	// Program says that it exports _start.
	Program bool
	// Tables are sizes of tables, Memory the pages of its memory at first; 0: 64.
	Tables []uint32
	Memory uint32
}

// Bodies for Module.Body.
var (
	// Hangs never ends.
	Hangs = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b, 0x00, 0x0b} // loop; br 0; end; unreachable
	// Traps does what no code may do.
	Traps = []byte{0x00, 0x0b}
	// Recurses calls itself, which is function 3 without imports.
	Recurses = []byte{0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0x10, 0x03, 0x0b}
	// EatsMemory takes pages until there are no more, and then traps.
	EatsMemory = []byte{0x03, 0x40, 0x41, 0x01, 0x40, 0x00, 0x41, 0x7f, 0x46, 0x04, 0x40, 0x00, 0x0b, 0x0c, 0x00, 0x0b, 0x00, 0x0b}
	// EatsTables lets its first table grow by 1<<19 elements until it cannot, and then traps.
	EatsTables = []byte{0x03, 0x40, 0xd0, 0x70, 0x41, 0x80, 0x80, 0x20, 0xfc, 0x0f, 0x00, 0x41, 0x7f, 0x46, 0x04, 0x40, 0x00, 0x0b, 0x0c, 0x00, 0x0b, 0x00, 0x0b}
)

// Returns is a body that returns a place in memory.
func Returns(at, size uint32) []byte {
	return append(signed([]byte{0x42}, int64(uint64(at)<<32|uint64(size))), 0x0b)
}

// The answer is at answerAt, and questions are written to questionAt.
const answerAt, questionAt = 16, 1 << 20

// Bytes is the module.
func (m Module) Bytes() []byte {
	i32, i64 := byte(0x7f), byte(0x7e)
	types := [][]byte{{0x60, 0, 1, i32}, {0x60, 1, i32, 1, i32}, {0x60, 3, i32, i32, i32, 1, i64}, {0x60, 0, 0}}
	functions := [][]byte{{0}, {0}, {1}, {2}, {3}} // by type
	body := m.Body
	if body == nil {
		body = Returns(answerAt, uint32(len(m.Answer)))
	}
	constant := func(value int32) []byte { return append(signed([]byte{0x41}, int64(value)), 0x0b) }
	var code [][]byte
	for _, b := range [][]byte{constant(orOne(m.Version)), constant(orOne(m.Questions)), constant(questionAt), body, {0x0b}} {
		code = append(code, sized(append([]byte{0}, b...))) // without locals
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, items [][]byte) {
		if len(items) == 0 {
			return
		}
		content := binary.AppendUvarint(nil, uint64(len(items)))
		for _, item := range items {
			content = append(content, item...)
		}
		out = append(append(out, id), sized(content)...)
	}
	first := byte(0)
	section(1, types)
	if m.Imports != "" {
		section(2, [][]byte{append(append(named("env"), named(m.Imports)...), 0, 3)})
		first = 1
	}
	section(3, functions)
	var tables [][]byte
	for _, size := range m.Tables {
		tables = append(tables, binary.AppendUvarint([]byte{0x70, 0}, uint64(size)))
	}
	section(4, tables)
	pages := uint64(m.Memory)
	if pages == 0 {
		pages = 64
	}
	section(5, [][]byte{binary.AppendUvarint([]byte{0}, pages)})
	var exports [][]byte
	export := func(name string, kind, index byte) {
		if name != m.Lacks {
			exports = append(exports, append(named(name), kind, index))
		}
	}
	export("memory", 2, 0)
	for i, name := range []string{"chainbuild_policy_version", "chainbuild_policy_questions", "chainbuild_policy_buffer", "chainbuild_policy_answer"} {
		export(name, 0, first+byte(i))
	}
	if m.Program {
		export("_start", 0, first+4)
	}
	section(7, exports)
	section(10, code)
	section(11, [][]byte{append([]byte{0, 0x41, answerAt, 0x0b}, named(m.Answer)...)})
	return out
}

func orOne(n int32) int32 { return max(n, 1) }

func sized(content []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(content))), content...)
}

func named(name string) []byte { return sized([]byte(name)) }

// signed appends a number in LEB128.
func signed(out []byte, n int64) []byte {
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// Write writes the module to a file of the test.
func (m Module) Write(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, m.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Build builds a policy of this module's own packages, in the way that docs/policy.md says, and returns its file. The first one takes some
// seconds, until the standard library is in the build cache of Go.
func Build(t testing.TB, pkg, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s cannot be built: %v\n%s", pkg, err, text)
	}
	return path
}
