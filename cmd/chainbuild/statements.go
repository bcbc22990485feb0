package main

// This file is the commands for what a project's sessions have recorded.

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"chainbuild/internal/project"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newStatementsCommand(stdout *os.File) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "statements",
		Short: "List, prune, import and export what was recorded",
		Long: `Look after the statements that the project's sessions have recorded: one for each
method that a session compiled. Statements about what only that session had, such as
functions typed at the prompt, are not kept.

A statement's code in the image is not compiled again, so a statement that was not
seen for long may be one that the image is good for.
` + projectHelp,
		Example: `  chainbuild statements list --package DataFrames
  chainbuild statements prune --older-than 90d
  chainbuild statements import trace.jl`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStatementsList(stdout), newStatementsPrune(stdout), newStatementsImport(stdout), newStatementsExport(stdout), newStatementsMerge(), newStatementsRecord(stdout))
	return cmd
}

// A statementFilter says which statements are meant.
type statementFilter struct {
	packages   []string
	olderThan  days
	unresolved bool
}

func (f *statementFilter) addFlags(cmd *cobra.Command) {
	section(cmd, "Which statements", func(flags *pflag.FlagSet) {
		flags.StringSliceVarP(&f.packages, "package", "p", nil, "only those that name the package `NAME`; may be given several times")
		flags.Var(&f.olderThan, "older-than", "only those that were not seen for `AGE`, such as 90d or 12h")
		flags.BoolVar(&f.unresolved, "unresolved", false, "only those that the newest image could not use")
	})
}

// isEmpty says whether all statements are meant.
func (f *statementFilter) isEmpty() bool {
	return len(f.packages) == 0 && f.olderThan == 0 && !f.unresolved
}

// matcher returns a function that tells the statements that are meant.
func (f *statementFilter) matcher(p *project.Project) (func(*project.Recorded) bool, error) {
	var useless map[string]bool
	if f.unresolved {
		var err error
		if useless, err = p.Unresolved(); err != nil {
			return nil, err
		}
	}
	before := time.Now().Add(-time.Duration(f.olderThan)).UTC().Format(time.DateOnly)
	return func(s *project.Recorded) bool {
		named := len(f.packages) == 0 || slices.ContainsFunc(f.packages, func(name string) bool { return slices.Contains(s.Modules, name) })
		return named && (f.olderThan == 0 || s.Last < before) && (useless == nil || useless[s.Source])
	}, nil
}

// recorded returns the statements that are meant, sorted.
func (f *statementFilter) recorded(p *project.Project) ([]*project.Recorded, error) {
	matches, err := f.matcher(p)
	if err != nil {
		return nil, err
	}
	record, _, err := p.Record()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(record.Sorted(), func(s *project.Recorded) bool { return !matches(s) }), nil
}

func newStatementsList(stdout *os.File) *cobra.Command {
	var filter statementFilter
	var asJSON, cost bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what was recorded",
		Long: `List what was recorded: in how many sessions, when last, and the statement.

With --cost, list packages instead: what their statements and what is needed for them
add to the newest image, and how long their code takes to compile. That is estimated
from the last build that compiled enough. The build spends that time once, a session
without the image about as much each time.
` + projectHelp,
		Args: noArguments,
	}
	choice := addProjectFlags(cmd)
	filter.addFlags(cmd)
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		flags.BoolVar(&cost, "cost", false, "list packages, and what their statements cost and gain")
		addJSONFlag(flags, &asJSON, "one JSON array, of --cost one object")
	})
	cmd.RunE = choice.on(func(p *project.Project, args []string) error {
		list, err := filter.recorded(p)
		if err != nil {
			return err
		}
		if cost {
			c, err := costOf(p, list, filter.packages)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(stdout, c)
			}
			return c.print(stdout)
		}
		if asJSON {
			return printJSON(stdout, list)
		}
		table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, s := range list {
			fmt.Fprintf(table, "%d\t%s\t  %s\n", s.Count, s.Last, s.Source)
		}
		return table.Flush()
	})
	return cmd
}

func newStatementsPrune(stdout *os.File) *cobra.Command {
	var filter statementFilter
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Forget statements",
		Long:  "Forget the statements that are meant by the flags. Sessions that still run bring theirs back.\n" + projectHelp,
		Args:  noArguments,
	}
	choice := addProjectFlags(cmd)
	filter.addFlags(cmd)
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		flags.BoolVarP(&dryRun, "dry-run", "n", false, "only say how many")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if filter.isEmpty() {
			return usage.Errorf("prune needs to know what to forget: give --package, --older-than or --unresolved")
		}
		p, err := choice.open()
		if err != nil {
			return err
		}
		if dryRun {
			list, err := filter.recorded(p)
			if err == nil {
				_, err = fmt.Fprintf(stdout, "would forget %s\n", words.Count(len(list), "statement"))
			}
			return err
		}
		matches, err := filter.matcher(p)
		if err != nil {
			return err
		}
		forgotten := 0
		err = p.Change(func(record project.Record) error {
			for source, s := range record {
				if matches(s) {
					delete(record, source)
					forgotten++
				}
			}
			return nil
		})
		if err == nil {
			_, err = fmt.Fprintf(stdout, "forgot %s\n", words.Count(forgotten, "statement"))
		}
		return err
	}
	return cmd
}

func newStatementsImport(stdout *os.File) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Add statements of files",
		Long: `Add the statements of files: of julia --trace-compile, SnoopCompile, PackageCompiler.
Lines that are no statements are left out; nothing in a file is run.
` + projectHelp,
		Args: fileArguments,
	}
	choice := addProjectFlags(cmd)
	cmd.RunE = choice.on(func(p *project.Project, args []string) error {
		for _, path := range args {
			done, err := p.ImportFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s: %s new, %d known", path, words.Count(done.New, "statement"), done.Known)
			if done.Hopeless > 0 {
				fmt.Fprintf(stdout, ", %d of one session only", done.Hopeless)
			}
			if done.Refused > 0 {
				fmt.Fprintf(stdout, ", %s no statements", words.Count(done.Refused, "line"))
			}
			fmt.Fprintln(stdout)
		}
		return nil
	})
	return cmd
}

func newStatementsExport(stdout *os.File) *cobra.Command {
	var filter statementFilter
	var output string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write statements as julia --trace-compile does",
		Long: `Write statements as julia --trace-compile does, which chainbuild --statements,
PackageCompiler and SnoopCompile read.
` + projectHelp,
		Args: noArguments,
	}
	choice := addProjectFlags(cmd)
	filter.addFlags(cmd)
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		flags.StringVarP(&output, "output", "o", "", "the `FILE` to write (default: standard output)")
	})
	cmd.RunE = choice.on(func(p *project.Project, args []string) error {
		list, err := filter.recorded(p)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		for _, s := range list {
			fmt.Fprintf(&text, "precompile(%s)\n", s.Source)
		}
		if output == "" {
			_, err = io.Copy(stdout, &text)
			return err
		}
		return renameio.WriteFile(output, text.Bytes(), 0o644)
	})
	return cmd
}

// newStatementsMerge is what run starts behind it.
func newStatementsMerge() *cobra.Command {
	cmd := &cobra.Command{Use: "merge", Short: "Merge the sessions that are over into the record", Args: noArguments, Hidden: true}
	choice := addProjectFlags(cmd)
	cmd.RunE = choice.on(func(p *project.Project, args []string) error {
		_, _, err := p.Record()
		return err
	})
	return cmd
}

// newStatementsRecord is what ChainBuild.record() asks.
func newStatementsRecord(stdout *os.File) *cobra.Command {
	var pid int
	var image string
	cmd := &cobra.Command{
		Use:    "record --pid PID",
		Short:  "Print the file to which a running Julia is to write its statements",
		Args:   noArguments,
		Hidden: true,
	}
	choice := addProjectFlags(cmd)
	cmd.Flags().IntVar(&pid, "pid", 0, "the `PROCESS`")
	cmd.Flags().StringVar(&image, "loaded", "", "the `IMAGE` that it runs with")
	cmd.RunE = choice.on(func(p *project.Project, args []string) error {
		path, err := p.RecordProcess(pid, image)
		if err == nil {
			_, err = fmt.Fprintln(stdout, path)
		}
		return err
	})
	return cmd
}
