package statements

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse checks what holds for any file: no panic, and of each statement that its source is one clean line which is
// its own normal form and lies on a line of the file.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/trace-1.5.txt", "testdata/tests-1.5.txt"} {
		trace, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range bytes.Lines(trace) {
			f.Add(line)
		}
	}
	for _, seed := range []string{
		"precompile(f, (Int, T where T,)); # c", "#= a\n=# Tuple{\n#s1 # x\n} where #s1", "Tuple{P{inf}, P{-1e+5f}, P{::}, P{Symbol(\"a\"b\")}}",
		"@assert Base.precompile(Tuple{getfield(A, :b){1}(a=(1,), b=(c=0x1,)), 'x', var\"\\\\\\\"\"})", "precompile(Tuple{<?#0x1::A>, 1})",
		`Tuple{P{Symbol("Size (in")")}, P{Symbol("\alpha")}}`, `Tuple{A.var"say "x"", @NamedTuple{a::Int}}`, "Tuple{P{Symbol(\"a\nb\")}}\nprintln(1)",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		parsed, err := Parse("fuzz", bytes.NewReader(file))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz") {
				t.Fatalf("error %q does not name the file", err)
			}
			return
		}
		lines := bytes.Count(file, []byte{'\n'}) + 1
		if len(parsed.Statements) == 0 || parsed.Ignored > lines || len(parsed.Refusals) > lines {
			t.Fatalf("%d statements, %d lines ignored and %d refused of %d", len(parsed.Statements), parsed.Ignored, len(parsed.Refusals), lines)
		}
		for _, s := range parsed.Statements {
			if s.Line < 1 || s.Line > lines {
				t.Fatalf("line %d of %d", s.Line, lines)
			}
			if !utf8.ValidString(s.Source) || strings.ContainsAny(s.Source, "\x00\t\n\r") {
				t.Fatalf("source %q is not one clean line", s.Source)
			}
			// A statement that the tracer has no words for is one only as the tracer writes it.
			again, err := Parse("fuzz", strings.NewReader("precompile("+s.Source+")"))
			if err != nil || len(again.Statements) != 1 || again.Statements[0].Source != s.Source {
				t.Fatalf("%q is not its own normal form: %v, %v", s.Source, again, err)
			}
		}
	})
}
