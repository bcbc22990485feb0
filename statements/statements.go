// Package statements reads files of precompile statements, as `julia --trace-compile=FILE` and SnoopCompile write them.
//
// A statement names the signature of one method: `precompile(Tuple{typeof(Base.push!), Array{Int64, 1}, Int64})`. It is
// an expression of Julia, but a file of statements is data: nothing in it is ever evaluated. Parse accepts the
// expressions that denote a signature (grammar.go has the grammar), and counts every other line with its number and the reason.
// What the names in a signature mean is only known in a Julia process in which the packages are loaded; there
// julia/worker/statements.jl turns a statement into a type.
package statements

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A File is what a file of statements says.
type File struct {
	// Statements are the distinct statements in the order of the file, at least one.
	Statements []Statement
	// Packages are the distinct names that comments list as packages that the session had loaded, see packagesMark.
	Packages []string
	// Ignored is the number of lines that are blank or only a comment.
	Ignored int
	// Duplicates is the number of statements that repeat an earlier one.
	Duplicates int
	// Refusals are the lines that are something else than statements, in the order of the file.
	Refusals []Refusal

	name string
}

// Refused returns nil if all lines of the file are statements, else a *RefusedError.
func (f *File) Refused() error {
	if len(f.Refusals) == 0 {
		return nil
	}
	return &RefusedError{f.name, f.Refusals}
}

// A Statement is one signature to compile.
type Statement struct {
	// Line is the 1-based number of the line on which the statement starts.
	Line int
	// Source is the signature's type expression: one line of valid UTF-8 without tabs, comments or superfluous blanks.
	// What the tracer writes and Julia does not read has been put in Julia's words (`2f` is `2f0`). A statement with a
	// value that the tracer has no words for keeps its text, which does not parse as Julia.
	Source string
	// Modules are the distinct names that head a dotted path, in the order of their appearance, without Core, Base and
	// Main. They are packages, unless the statement was traced in a session that defined modules in Main.
	Modules []string
}

// A RefusedError lists what is not a precompile statement in a file.
type RefusedError struct {
	// Name is the name of the file, as given to Parse.
	Name string
	// Refusals are the refused lines, at least one.
	Refusals []Refusal
}

// A Refusal says why the statement that starts on a line was refused.
type Refusal struct {
	Line    int
	Reason  string
	Excerpt string // the beginning of the line
}

const (
	// maxRefusals is the number of refusals that an error's text names: enough to see a pattern.
	maxRefusals = 10
	// maxStatement is the length in bytes of the longest statement accepted. The longest seen in traces of large
	// packages have some ten thousand; a file without line ends is not a file of statements.
	maxStatement = 1 << 20
	// excerptRunes is how much of a refused line an error quotes.
	excerptRunes = 80
)

// Error has one line per refusal, `FILE:LINE: not a precompile statement: …`, and one for those that are not listed.
func (e *RefusedError) Error() string {
	var b strings.Builder
	for i, r := range e.Refusals[:min(len(e.Refusals), maxRefusals)] {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d: not a precompile statement: %s: %q", e.Name, r.Line, r.Reason, r.Excerpt)
	}
	if more := len(e.Refusals) - maxRefusals; more > 0 {
		fmt.Fprintf(&b, "\n%s: %d more lines are not precompile statements", e.Name, more)
	}
	return b.String()
}

// Parse reads the statements of r; name is the file's name for errors. Lines that are no statements are in Refusals. It is an
// error if there is no statement at all: a *RefusedError if there is something else.
func Parse(name string, r io.Reader) (*File, error) {
	source, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("the statements in %s cannot be read: %w", name, err)
	}
	source = bytes.TrimPrefix(source, []byte("\uFEFF"))

	f := &File{name: name}
	seen := make(map[string]struct{})
	p := &parser{src: source, names: make(map[string]string)}
	line, counted := 1, 0 // line is the number of the line at offset counted
	for p.blank(&f.Ignored) {
		start := p.pos
		line += bytes.Count(source[counted:start], []byte{'\n'})
		counted = start
		if !p.statement() {
			p.pos = start
			text := p.takeLine()
			if !p.untraceable(text) {
				f.Refusals = append(f.Refusals, Refusal{line, p.reason, excerpt(text)})
				if p.fatal {
					break
				}
				continue
			}
		}
		if _, ok := seen[string(p.out)]; ok {
			f.Duplicates++
			continue
		}
		s := Statement{Line: line, Source: string(p.out), Modules: slices.Clone(p.modules)}
		seen[s.Source] = struct{}{}
		f.Statements = append(f.Statements, s)
	}
	f.Packages = p.packages
	if len(f.Statements) > 0 {
		return f, nil
	}
	if err := f.Refused(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s has no precompile statement: record some with julia --trace-compile=FILE", name)
}

// excerpt returns the beginning of a line, for an error.
func excerpt(line []byte) string {
	line = bytes.TrimSpace(line)
	n := 0
	for i := range string(line[:min(len(line), 4*excerptRunes+4)]) {
		if n == excerptRunes {
			return string(line[:i]) + "…"
		}
		n++
	}
	return string(line)
}
