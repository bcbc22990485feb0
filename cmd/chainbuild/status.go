package main

// This file is the command that says how a project's image stands.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/project"

	"github.com/spf13/cobra"
)

// exitStale is the exit code of status --check for a project without a current image.
const exitStale = 3

// errStale ends status --check. What there is to say was printed.
var errStale = &exitError{exitStale}

func newStatusCommand(stdout *os.File) *cobra.Command {
	var asJSON, check, key bool
	var loaded string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the project's image is current, and why not",
		Long: `Say which image the project has, what is in it, whether it can be used and, if not,
what has changed: packages, Julia, settings. An image also counts as stale, and is
used all the same, when many statements were recorded after it was built.
` + projectHelp,
		Example: `  chainbuild status
  chainbuild status --check || chainbuild build
  chainbuild status --json | jq .reasons`,
		Args: noArguments,
	}
	choice := addProjectFlags(cmd)
	choice.addSettingsFlags()
	flags := cmd.Flags()
	flags.BoolVar(&check, "check", false, "exit with code 3 if the image is stale or there is none")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	flags.BoolVar(&key, "key", false, "print the key that an image must have to be used, and nothing else")
	flags.IntVar(&choice.staleAfter, "stale-after", 0, "the `NUMBER` of new statements that make the image stale; 0: never (default 200)")
	flags.StringVar(&loaded, "loaded", "", "say one line if `IMAGE`, which a Julia runs with, is a stale one of the project, else nothing")
	cmd.MarkFlagsMutuallyExclusive("json", "key", "loaded")
	cmd.MarkFlagFilename("loaded", "so")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := choice.open()
		if err != nil {
			return err
		}
		switch {
		case key:
			_, err := fmt.Fprintln(stdout, p.Key)
			return err
		case loaded != "":
			line, err := p.Loaded(loaded)
			if err == nil && line != "" {
				_, err = fmt.Fprintln(stdout, line)
			}
			return err
		}
		status, err := p.Status()
		if err != nil {
			return err
		}
		if asJSON {
			encoder := json.NewEncoder(stdout)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			err = encoder.Encode(status)
		} else {
			err = printStatus(stdout, status)
		}
		if err == nil && check && status.State != project.Current {
			return errStale
		}
		return err
	}
	return cmd
}

func printStatus(w io.Writer, s *project.Status) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("project", "%s, %s", s.Project, s.Dir)
	row("julia", "%s, %s", s.Julia, s.Program)
	switch {
	case len(s.Reasons) == 0:
		row("image", "%s", s.State)
	case s.Usable:
		row("image", "%s, but used: %s", s.State, strings.Join(s.Reasons, "; "))
	default:
		row("image", "%s: %s", s.State, strings.Join(s.Reasons, "; "))
	}
	if im := s.Image; im != nil {
		use := ""
		if im.InUse {
			use = ", in use"
		}
		row("", "%s", im.File)
		row("", "%s, built %s in %.1f s%s", pipeline.FormatBytes(im.Bytes), when(im.Built.Local()), im.Seconds, use)
		row("", "holds %s", packageNames(im.Packages))
		row("", "%d statements, %d of them could not be used", im.Statements, len(im.Unresolved))
	} else {
		row("", "would hold %s", packageNames(s.Content.Packages))
	}
	for i, out := range s.Content.Out {
		name := ""
		if i == 0 {
			name = "left out"
		}
		row(name, "%s: %s", out.Name, out.Why)
	}
	row("recorded", "%s, %s new for the image; %s", countOf(s.Recorded, "statement"), pipeline.Thousands(s.New), countOf(s.Recording, "session")+" recording")
	if s.Building != nil {
		row("building", "%s; its log is %s", s.Building, s.Building.Log)
	}
	if s.Failure != nil {
		row("failed", "the last build, %s: %s", when(s.Failure.When.Local()), s.Failure.Text)
		row("", "its log is %s", s.Failure.Log)
	}
	row("on disk", "%s, %s in %s", countOf(s.Images, "image"), pipeline.FormatBytes(s.Bytes), s.Folder)
	return table.Flush()
}

func packageNames(packages []project.Package) string {
	if len(packages) == 0 {
		return "no packages"
	}
	var names []string
	for _, p := range packages {
		name := p.Name
		if p.Version != "" {
			name += " " + p.Version
		}
		names = append(names, name)
	}
	const most = 8
	if more := len(names) - most; more > 1 {
		names = append(names[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return pipeline.Thousands(n) + " " + what + "s"
}

// days is an age as a flag's value, in days: 90d, or as time.ParseDuration takes it.
type days time.Duration

func (d *days) String() string { return time.Duration(*d).String() }
func (d *days) Type() string   { return "AGE" }

func (d *days) Set(text string) error {
	number, isDays := strings.CutSuffix(text, "d")
	if isDays {
		number += "h"
	}
	age, err := time.ParseDuration(number)
	if isDays {
		age *= 24
	}
	if err != nil || age <= 0 {
		return fmt.Errorf("give an age such as 90d or 12h")
	}
	*d = days(age)
	return nil
}
