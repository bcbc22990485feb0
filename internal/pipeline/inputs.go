package pipeline

// This file reads the inputs of a build into the form that the stages use.

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"

	"chainbuild/internal/choice"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/statements"
)

// inputs are what a build works on, read and checked.
type inputs struct {
	output     string // absolute path
	emit       settings.Emit
	statements []choice.Candidate
	inBase     int             // further statements that the base has the code of
	modules    []string        // that statements name, in the order in which they are first named
	named      map[string]bool // modules
	listed     []string        // packages that the files list
	refused    []Unresolved    // lines that are no statements
}

// check reads the inputs and refuses what cannot be built from.
func check(o *Options) (*inputs, error) {
	if err := checkOptions(o); err != nil {
		return nil, err
	}
	in := &inputs{emit: cmp.Or(o.Emit, settings.EmitAll)}
	var err error
	if in.output, err = filepath.Abs(o.Output); err != nil {
		return nil, usage.Wrap(err)
	}
	seen := map[string]bool{}
	for _, path := range o.Statements {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage.Wrap(err)
		}
		file, err := statements.Parse(path, f)
		f.Close()
		if err == nil && o.Strict {
			err = file.Refused()
		}
		if err != nil {
			return nil, usage.Wrap(err)
		}
		for _, r := range file.Refusals {
			in.refused = append(in.refused, Unresolved{File: path, Line: r.Line,
				Statement: r.Excerpt + " (" + r.Reason + ")", Reason: "not a precompile statement"})
		}
		for _, name := range file.Packages {
			if !slices.Contains(in.listed, name) {
				in.listed = append(in.listed, name)
			}
		}
		for _, s := range file.Statements {
			if seen[s.Source] {
				continue
			}
			seen[s.Source] = true
			if o.InBase[s.Source] {
				in.inBase++
				continue
			}
			in.add(choice.Candidate{Statement: s, File: path})
		}
	}
	return in, nil
}

// add adds a statement.
func (in *inputs) add(c choice.Candidate) {
	in.statements = append(in.statements, c)
	if in.named == nil {
		in.named = map[string]bool{}
	}
	for _, m := range c.Modules {
		if !in.named[m] {
			in.named[m] = true
			in.modules = append(in.modules, m)
		}
	}
}
