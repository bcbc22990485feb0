package statements

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parse returns the statements of source, which must be fine.
func parse(t *testing.T, source string) *File {
	t.Helper()
	f, err := Parse("trace.txt", strings.NewReader(source))
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	return f
}

func TestListedPackages(t *testing.T) {
	f := parse(t, "# chainbuild: packages One, Two\nTuple{typeof(sum), Int} # chainbuild: packages Three\n#chainbuild: packages Four\n"+
		"  # chainbuild: packages Two Five\r\n# chainbuild: packages \n")
	if want := []string{"One", "Two", "Five"}; !slices.Equal(f.Packages, want) {
		t.Errorf("the packages are %q, not %q", f.Packages, want)
	}
}

// Traces in testdata were recorded with Julia 1.5.3: trace-1.5.txt of julia/worker/test/record.jl, tests-1.5.txt is a
// choice from what Julia's own tests give. What Julia reads is kept byte for byte; the .want file lists the other lines.
func TestTracesAreKeptAsWritten(t *testing.T) {
	for _, name := range []string{"trace-1.5.txt", "tests-1.5.txt"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(path, bytes.NewReader(source))
			if err != nil {
				t.Fatal(err)
			}
			if f.Ignored != 0 || f.Duplicates != 0 {
				t.Errorf("%d lines ignored, %d duplicates, want none", f.Ignored, f.Duplicates)
			}
			lines := strings.Split(strings.TrimSuffix(string(source), "\n"), "\n")
			if len(f.Statements) != len(lines) {
				t.Fatalf("%d statements of %d lines", len(f.Statements), len(lines))
			}
			var changed strings.Builder
			for i, s := range f.Statements {
				if s.Line != i+1 {
					t.Errorf("statement %d has line %d", i+1, s.Line)
				}
				if "precompile("+s.Source+")" != lines[i] {
					fmt.Fprintf(&changed, "%d\t%s\n", s.Line, s.Source)
				}
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, ".txt") + ".want")
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if changed.String() != string(want) {
				t.Errorf("these statements are not as in the trace:\n%swant:\n%s", changed.String(), want)
			}
		})
	}
}

func TestModulesOfATrace(t *testing.T) {
	source, err := os.ReadFile("testdata/trace-1.5.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Dates", "DelimitedFiles", "LinearAlgebra", "Logging", "Printf", "REPL", "Random", "Sample", "SparseArrays", "Statistics"}
	var got []string
	for _, s := range parse(t, string(source)).Statements {
		got = append(got, s.Modules...)
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("modules %q, want %q", got, want)
	}
}

// Each case is a file of one statement.
func TestStatementForms(t *testing.T) {
	const sin = "Tuple{typeof(Base.sin), Float64}"
	for _, c := range []struct{ file, source string }{
		{"precompile(Tuple{typeof(Base.sin), Float64})", sin},
		{"Base.precompile(Tuple{typeof(Base.sin), Float64})", sin},
		{"@assert precompile(Tuple{typeof(Base.sin), Float64})", sin},
		{"@assert  Base.precompile( Tuple{ typeof( Base.sin ) ,Float64 , } ) ; # 0.1 s", sin},
		{"precompile(Tuple{typeof(Base.sin), Float64});", sin},
		{"precompile(Tuple{typeof(Base.sin), Float64}) # recompile", sin},
		{"#=   12.3 ms =# precompile(Tuple{typeof(Base.sin), Float64})", sin},
		{"precompile(Tuple{typeof(Base.sin), Float64})\r\n", sin},
		{"\uFEFF# trace\n\n\tprecompile(Tuple{typeof(Base.sin), Float64})", sin},
		{"Tuple{typeof(Base.sin), Float64}", sin},
		{"Tuple{typeof(Base.sin), #= x =# Float64}; # comment", sin},
		{"precompile(Tuple{\n  typeof(Base.sin), # the function\n  Float64\n})", sin},
		{"#= a\n #= nested =# =#\nTuple{typeof(Base.sin), Float64}", sin},
		{"precompile(Base.sin, (Float64,))", "Tuple{Core.Typeof(Base.sin), Float64}"},
		{"precompile(Base.sin, ())", "Tuple{Core.Typeof(Base.sin)}"},
		{"precompile(Dates.Date, (Int, Union{Int, Nothing}))", "Tuple{Core.Typeof(Dates.Date), Int, Union{Int, Nothing}}"},
		{"(Tuple{Int})", "(Tuple{Int})"},
		{"Core.Tuple{Int}", "Core.Tuple{Int}"},
		{"Tuple{T} where T", "Tuple{T} where T"},
		{"Tuple{T,S} where {T,S <: Vector{T}}", "Tuple{T, S} where {T, S<:Vector{T}}"},
		{"Tuple{T} where Int<:T<:Real where S>:Int", "Tuple{T} where Int<:T<:Real where S>:Int"},
		{"Tuple{Type{#s12} where #s12<:Real}", `Tuple{Type{var"#s12"} where var"#s12"<:Real}`},
		{"Tuple{Vararg{Any, N} where N}", "Tuple{Vararg{Any, N} where N}"},
		{"Tuple{Vector{<: Real}, Type{>:Int}}", "Tuple{Vector{<:Real}, Type{>:Int}}"},
		{"Tuple{}", "Tuple{}"},
		{"Tuple{Union{}, Union{Int,Nothing}}", "Tuple{Union{}, Union{Int, Nothing}}"},
		// Names
		{"Tuple{typeof(Base.:(==)), typeof(Base.:+), typeof(===), typeof(<:), typeof(:)}", "Tuple{typeof(Base.:(==)), typeof(Base.:(+)), typeof(===), typeof(<:), typeof(:)}"},
		{"Tuple{typeof(Base.:(∉)), typeof(A.push!), typeof(∂), typeof(⊻)}", "Tuple{typeof(Base.:(∉)), typeof(A.push!), typeof(∂), typeof(⊻)}"},
		{`Tuple{Base.var"#sort##kw", var"a \" b", A.B.var"#1#2"{Int}}`, `Tuple{Base.var"#sort##kw", var"a \" b", A.B.var"#1#2"{Int}}`},
		{`Tuple{getfield(Base, Symbol("##1#2")){Int}, getfield(A.B, :c)}`, `Tuple{getfield(Base, Symbol("##1#2")){Int}, getfield(A.B, :c)}`},
		{"Tuple{Core.kwftype(typeof(A.f)), Core.Typeof(A.T), typeof(Core.kwcall)}", "Tuple{Core.kwftype(typeof(A.f)), Core.Typeof(A.T), typeof(Core.kwcall)}"},
		// Values that Julia reads as they are
		{"Tuple{P{1}, P{-1}, P{0x0f}, P{0b1}, P{0o7}, P{1_000}}", "Tuple{P{1}, P{-1}, P{0x0f}, P{0b1}, P{0o7}, P{1_000}}"},
		{"Tuple{P{1.5}, P{-1.5e-10}, P{1e+100}, P{1f0}, P{1.5f-3}}", "Tuple{P{1.5}, P{-1.5e-10}, P{1e+100}, P{1f0}, P{1.5f-3}}"},
		{`Tuple{P{'a'}, P{'\''}, P{'\u3b1'}, P{'α'}}`, `Tuple{P{'a'}, P{'\''}, P{'\u3b1'}, P{'α'}}`},
		{`Tuple{P{:a}, P{Symbol("a b")}, P{Symbol( "\n\u3b1" )}}`, `Tuple{P{:a}, P{Symbol("a b")}, P{Symbol("\n\u3b1", "\n\u3b1")}}`},
		{"Tuple{P{true}, P{nothing}, P{()}, P{(1,)}, P{(:a,:b)}, P{(a=1,)}, P{(a = 1,b=:c)}}", "Tuple{P{true}, P{nothing}, P{()}, P{(1,)}, P{(:a, :b)}, P{(a=1,)}, P{(a=1, b=:c)}}"},
		{"Tuple{P{Int8(-3)}, P{Core.UInt16( 3 )}}", "Tuple{P{Int8(-3)}, P{Core.UInt16(3)}}"},
		{"Tuple{P{A.T()}, P{A.T{1}()}, P{A.T{Int}(a=1, b=A.S(c=0x01))}, P{Char(0x61000000)}}", "Tuple{P{A.T()}, P{A.T{1}()}, P{A.T{Int}(a=1, b=A.S(c=0x01))}, P{Char(0x61000000)}}"},
		{"Tuple{P{Base.:(+)}, P{A.f}}", "Tuple{P{Base.:(+)}, P{A.f}}"},
		{"Tuple{GenericMemory{:not_atomic, UInt8, Core.AddrSpace{Core}(0x00)}}", "Tuple{GenericMemory{:not_atomic, UInt8, Core.AddrSpace{Core}(0x00)}}"},
		// What only the tracer writes
		{"Tuple{P{2f}, P{-1.5f}, P{1e-10f}, P{1e+10f}}", "Tuple{P{2f0}, P{-1.5f0}, P{1f-10}, P{1f10}}"},
		{"Tuple{P{inf}, P{-inf}, P{nan}, P{-nan}, P{inff}, P{-inff}, P{nanf}}", "Tuple{P{Inf}, P{-Inf}, P{NaN}, P{-NaN}, P{Inf32}, P{-Inf32}, P{NaN32}}"},
		{"Tuple{P{:+}, P{:==}, P{:.}, P{::}, P{:=}, P{:end}, P{:∉}, P{:(:)}}", `Tuple{P{Symbol("+")}, P{Symbol("==")}, P{Symbol(".")}, P{Symbol(":")}, P{Symbol("=")}, P{Symbol("end")}, P{Symbol("∉")}, P{Symbol(":")}}`},
		{`Tuple{P{Symbol("US$")}, P{Symbol("say "x"")}}`, `Tuple{P{Symbol("US\$")}, P{Symbol("say \"x\"")}}`},
		// Names are written as they are. The first end of them with which the line can be read is the right one.
		{`Tuple{P{(:id, Symbol("Size (in")"))}, Int}`, `Tuple{P{(:id, Symbol("Size (in\")"))}, Int}`},
		{`Tuple{P{(Symbol("a")"), Symbol("b")"))}}`, `Tuple{P{(Symbol("a\")"), Symbol("b\")"))}}`},
		{`Tuple{P{Symbol("")")}, P{Symbol("")}}`, `Tuple{P{Symbol("\")")}, P{Symbol("")}}`},
		{`Tuple{P{Symbol(""}, {"")}}`, `Tuple{P{Symbol("\"}, {\"")}}`},
		{`precompile(Tuple{typeof(A.var"say "x""), A.var"a"b"})`, `Tuple{typeof(A.var"say \"x\""), A.var"a\"b"}`},
		// Julia 1.12 writes symbols so, whatever is in them.
		{"Tuple{A.T{:var\"a\nb\", :var\"tab\t\a$\", :var\"a \\\" b\\c\"}}", `Tuple{A.T{Symbol("a\u000ab", "a\u000ab"), Symbol("tab\u0009\u0007\$", "tab\u0009\u0007\$"), :var"a \" b\c"}}`},
		{"Tuple{A.T{:var\"\t\\\" \\c \\\\\"}}", `Tuple{A.T{Symbol("\u0009\" \\c \\", "\u0009\" \\c \\")}}`},
		{"Tuple{P{Symbol(\"two\nlines\tand \x01\x7f\")}}", `Tuple{P{Symbol("two\x0alines\x09and \x01\x7f", "two\x0alines\x09and \x01\x7f")}}`},
		// A backslash is itself up to Julia 1.11, and later the beginning of an escape sequence.
		{`Tuple{P{Symbol("\alpha")}, P{Symbol("a\")}, P{Symbol("\\")}}`, `Tuple{P{Symbol("\\alpha", "\alpha")}, P{Symbol("a\\", "a\\")}, P{Symbol("\\\\", "\\")}}`},
		{`Tuple{P{Symbol("\qed")}}`, `Tuple{P{Symbol("\\qed", "\\qed")}}`},
		// No integer is written as -0.
		{"Tuple{P{-0}, P{-0f}, P{A.T(x=-0)}, P{(-0, 0)}}", "Tuple{P{-0.0}, P{-0f0}, P{A.T(x=-0.0)}, P{(-0.0, 0)}}"},
		// As people write it, and as the tracer does to a terminal
		{"precompile(Tuple{@NamedTuple{a::Int64, b::Base.Vector{String}, var\"c d\"}})", `Tuple{NamedTuple{(:a, :b, :var"c d"), Tuple{Int64, Base.Vector{String}, Any}}}`},
		{"Tuple{@NamedTuple{a::Int64}, @NamedTuple{}}", "Tuple{NamedTuple{(:a,), Tuple{Int64}}, NamedTuple{(), Tuple{}}}"},
		{"\x1b[33mprecompile(Tuple{typeof(Base.sin), Float64}) # recompile\x1b[0m", sin},
		{"\x1b[1;33m#=    1.2 ms =# precompile(Tuple{typeof(Base.sin), Float64})\x1b[0m", sin},
		{"precompile(Tuple{P{#<intrinsic #2 add_int>}, Int})", "Tuple{P{#<intrinsic #2 add_int>}, Int}"},
		{"precompile(Tuple{P{T} where <circular reference @-1>})", "Tuple{P{T} where <circular reference @-1>}"},
	} {
		f := parse(t, c.file)
		if len(f.Statements) != 1 || f.Statements[0].Source != c.source {
			t.Errorf("%q gives %+v, want %q", c.file, f.Statements, c.source)
		}
		again, err := Parse("again", strings.NewReader(c.source))
		if strings.Contains(c.source, "#<") || strings.Contains(c.source, "<circular") {
			continue // is no statement of its own
		}
		if err != nil || again.Statements[0].Source != c.source {
			t.Errorf("%q is not its own normal form: %v, %v", c.source, again, err)
		}
	}
}

func TestModulesAreHeadsOfPaths(t *testing.T) {
	for _, c := range []struct {
		source  string
		modules []string
	}{
		{"Tuple{typeof(Base.f), Core.T, Main.g, Int, T} where T", nil},
		{"Tuple{typeof(B.f), A.T{B.S}, B.C.D, Base.A.x}", []string{"B", "A"}},
		{"Tuple{getfield(A, :f), getfield(B.C, :f), getfield(Main, :f)}", []string{"A", "B"}},
		{"Tuple{P{A.T(a=1)}, P{A.:(+)}}", []string{"A"}},
		{`precompile(A.f, (B.T,))`, []string{"A", "B"}},
	} {
		if s := parse(t, c.source).Statements[0]; !slices.Equal(s.Modules, c.modules) {
			t.Errorf("%q has modules %q, want %q", c.source, s.Modules, c.modules)
		}
	}
}

func TestLinesAreCounted(t *testing.T) {
	f := parse(t, "# comment\n\nTuple{Int}\n  \t\n#= two\nlines =#\nTuple{\n  String}\nTuple{Int} # again\nTuple{ Int }\nTuple{Any} # end\n# end")
	var lines []int
	for _, s := range f.Statements {
		lines = append(lines, s.Line)
	}
	if want := []int{3, 7, 11}; !slices.Equal(lines, want) {
		t.Errorf("statements on lines %v, want %v", lines, want)
	}
	if f.Ignored != 6 || f.Duplicates != 2 {
		t.Errorf("%d lines ignored and %d duplicates, want 6 and 2", f.Ignored, f.Duplicates)
	}
}

func TestRefusals(t *testing.T) {
	deep := strings.Repeat("Tuple{", maxDepth+1) + strings.Repeat("}", maxDepth+1)
	for _, c := range []struct{ line, reason string }{
		{"println(1)", "it calls println"},
		{"x = Tuple{Int}", "it is neither precompile(Tuple{…}) nor Tuple{…}"},
		{"Vector{Int}", "it is neither precompile(Tuple{…}) nor Tuple{…}"},
		{"precompile(Vector{Int})", "it is neither precompile(Tuple{…}) nor Tuple{…}"},
		{"using Dates", "there is using where a type or a value should be"},
		{"let f = 1", "there is let where a type or a value should be"},
		{"@warn precompile(Tuple{Int})", "there is '@' where a type or a value should be"},
		{"@assert true", "@assert is not followed by precompile("},
		{"precompile(Tuple{Int}) || true", "there is '|' after the statement"},
		{"precompile(Tuple{Int}); precompile(Tuple{Any})", "there is 'p' after the statement"},
		{"precompile(Tuple{Int}))", "there is ')' after the statement"},
		{"precompile(Tuple{Int}", "the file ends where the statement should be closed"},
		{"Tuple{Int", "the file ends among the parameters of a type"},
		{"Tuple{Int]", "there is ']' among the parameters of a type"},
		{"Tuple{rm(\"x\")}", "it calls rm"},
		{"Tuple{rm(x)}", "it calls rm"},
		{"Tuple{rm(1)}", "it calls rm"},
		{"Tuple{rm(1, 2)}", "it calls rm"},
		{"Tuple{typeof(run(`true`))}", "it calls run"},
		{"Tuple{eval(:(rm))}", "it calls eval"},
		{"Tuple{getfield(A, f())}", "there is 'f' where getfield should name a symbol"},
		{"Tuple{getfield(f(), :a)}", "there is '(' where getfield should name a symbol"},
		{"Tuple{Symbol(1)}", "there is '1' where the string of a symbol should be"},
		{"Tuple{\"text\"}", "there is '\"' where a type or a value should be"},
		{"Tuple{$x}", "there is $ where a name should be"},
		{"Tuple{:(a + b)}", "there is ' ' in a quoted name"},
		{"Tuple{quote end}", "there is quote where a type or a value should be"},
		{"Tuple{(a=1)}", "it assigns"},
		{"Tuple{(a=1, 2)}", "only some values of a tuple have names"},
		{"Tuple{(1; 2)}", "there is ';' in a bracket"},
		{"Tuple{[1]}", "there is '[' where a type or a value should be"},
		{"Tuple{a[1]}", "there is '[' among the parameters of a type"},
		{"Tuple{Int...}", "there is '.' among the parameters of a type"},
		{"Tuple{f.(x)}", "there is '(' where a name should be"},
		{"Tuple{x -> x}", "there is '-' among the parameters of a type"},
		{"Tuple{1 + 2}", "there is '+' among the parameters of a type"},
		{"Tuple{2x}", "there is 'x' after a number"},
		{"Tuple{0x}", "there is '}' in a number"},
		{"Tuple{'ab'}", "there is 'b' in a character"},
		{"Tuple{A::B}", "there is ':' among the parameters of a type"},
		{"Tuple{T} where 1", "there is no name where a variable of where should be"},
		{"Tuple{T} where Int<:1<:Real", "there is no name where a variable of where should be"},
		{"Tuple{T} where {T,}", "there is '}' where a type or a value should be"},
		{"Tuple{T} where", "the file ends where a type or a value should be"},
		{"Tuple{Int}\x00", "there is a NUL byte after the statement"},
		{"Tuple{\x00}", "there is a NUL byte where a type or a value should be"},
		{"Tuple{Symbol(\"\x00\")}", "there is a NUL byte in the string of a symbol"},
		{"Tuple{\xff}", "there is a byte that is not UTF-8 where a type or a value should be"},
		{"Tuple{var\"\xff\"}", "there is a byte that is not UTF-8 in var\"…\""},
		{deep, "it nests too deep"},
		{"Tuple{" + strings.Repeat("(", 1000), "it nests too deep"},
		{"Tuple{Int}" + strings.Repeat(" where T", 1000), "it nests too deep"},
		{"Tuple{A" + strings.Repeat("{1}", 1000) + "}", "it nests too deep"},
		{"Tuple{" + strings.Repeat("Int, ", maxStatement/4), "it is too long"},
		{"Tuple{" + strings.Repeat("Int,\n", maxStatement/4), "it is too long"},
		{"#= comment", "a comment #= is not closed"},
		{"Tuple{#= comment", "a comment #= is not closed"},
		{"precompile(Tuple{P{<circular reference @-1>}, \x00})", "there is 'c' among the parameters of a type"},
	} {
		file, err := Parse("trace.txt", strings.NewReader("Tuple{Any}\n"+c.line))
		if err != nil || len(file.Statements) != 1 {
			t.Errorf("%.80q: %v, want the statement before it", c.line, err)
			continue
		}
		var refused *RefusedError
		if !errors.As(file.Refused(), &refused) {
			t.Errorf("%.80q: want a refusal", c.line)
			continue
		}
		if r := refused.Refusals[0]; r.Line != 2 || r.Reason != c.reason {
			t.Errorf("%.80q: refused on line %d because %q, want line 2, %q", c.line, r.Line, r.Reason, c.reason)
		}
	}
}

// What comes after a line that is none is read.
func TestStatementsAroundRefusedLines(t *testing.T) {
	file := parse(t, "function _precompile_()\n    precompile(Tuple{Int})\n    Base.precompile(f, (Int,))\nprecompile(Tuple{P{Symbol(\"a\nprecompile(Tuple{Any})\nend")
	var lines []int
	for _, s := range file.Statements {
		lines = append(lines, s.Line)
	}
	var refused []int
	for _, r := range file.Refusals {
		refused = append(refused, r.Line)
	}
	if !slices.Equal(lines, []int{2, 3, 5}) || !slices.Equal(refused, []int{1, 4, 6}) {
		t.Errorf("statements on lines %v, refusals on %v", lines, refused)
	}
}

// However many quotes a line has, it does not take long.
func TestManyReadings(t *testing.T) {
	line := "Tuple{" + strings.Repeat(`P{Symbol("a")")}, `, 1000) + "]}"
	file := parse(t, "Tuple{Int}\n"+line)
	if len(file.Refusals) != 1 {
		t.Errorf("%d refusals, want 1", len(file.Refusals))
	}
}

func TestErrorNamesFileAndLine(t *testing.T) {
	file, err := Parse("my trace.txt", strings.NewReader("Tuple{Int}\nprintln(1)\n\nexit()\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = file.Refused()
	want := "my trace.txt:2: not a precompile statement: it calls println: \"println(1)\"\n" +
		"my trace.txt:4: not a precompile statement: it is neither precompile(Tuple{…}) nor Tuple{…}: \"exit()\""
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestErrorNamesTheFirstAndCountsTheRest(t *testing.T) {
	_, err := Parse("f", strings.NewReader(strings.Repeat("x\n", 25)))
	var refused *RefusedError
	if !errors.As(err, &refused) || len(refused.Refusals) != 25 {
		t.Fatalf("error %v, want 25 refusals", err)
	}
	if text := err.Error(); !strings.HasSuffix(text, "\nf: 15 more lines are not precompile statements") {
		t.Errorf("error ends in %q", text[strings.LastIndexByte(text, '\n'):])
	}
}

func TestFileWithoutStatements(t *testing.T) {
	for _, source := range []string{"", "\n\n", "# only a comment", "#= and =#\n"} {
		_, err := Parse("empty.txt", strings.NewReader(source))
		if want := "empty.txt has no precompile statement: record some with julia --trace-compile=FILE"; err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", source, err, want)
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, os.ErrPermission }

func TestReadError(t *testing.T) {
	if _, err := Parse("f", failingReader{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("error %v, want one that wraps that of the reader", err)
	}
}

func BenchmarkParse(b *testing.B) {
	trace, err := os.ReadFile("testdata/trace-1.5.txt")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(trace)))
	for b.Loop() {
		if _, err := Parse("trace", bytes.NewReader(trace)); err != nil {
			b.Fatal(err)
		}
	}
}
