package main

// This file is the command that says how a project's image stands.

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"chainbuild/internal/project"
	"chainbuild/internal/words"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitStale is the exit code of status --check and --image for a project without a current image.
const exitStale = 3

// errStale ends status --check and --image. What there is to say was printed.
var errStale = &exitError{exitStale}

func newStatusCommand(stdout, stderr *os.File) *cobra.Command {
	var asJSON, check, key, image bool
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
  julia -J "$(chainbuild status --image)" --project work.jl
  chainbuild status --json | jq .reasons`,
		Args: noArguments,
	}
	choice := addProjectFlags(cmd)
	choice.addSettingsFlags()
	section(cmd, settingsSection, func(flags *pflag.FlagSet) {
		flags.IntVar(&choice.staleAfter, "stale-after", 0, "the `NUMBER` of new statements that make the image stale; 0: never")
	})
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		flags.BoolVar(&check, "check", false, "exit with code 3 if the image is stale or there is none")
		addJSONFlag(flags, &asJSON, "one JSON object")
		flags.BoolVar(&image, "image", false, "print the path of the image that can be used, and nothing else; exit with code 3 if there is none")
		flags.BoolVar(&key, "key", false, "print the key that an image must have to be used, and nothing else")
		flags.StringVar(&loaded, "loaded", "", "say one line if `IMAGE`, which a Julia runs with, is a stale one of the project, else nothing")
	})
	cmd.MarkFlagFilename("loaded", "so")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := oneOf(cmd, "json", "key", "image", "loaded"); err != nil {
			return err
		}
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
		switch {
		case image && !status.Usable:
			printNotice(stderr, "there is no image of %s that can be used: %s", status.Project, strings.Join(status.Reasons, "; "))
			return errStale
		case image:
			_, err = fmt.Fprintln(stdout, status.Image.File)
		case asJSON:
			err = printJSON(stdout, status)
		default:
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
	table := newRowTable(w)
	table.row("project", "%s, %s", s.Project, s.Dir)
	table.row("julia", "%s, %s", s.Julia, s.Program)
	switch {
	case len(s.Reasons) == 0:
		table.row("image", "%s", s.State)
	case s.Usable:
		table.row("image", "%s, but used: %s", s.State, strings.Join(s.Reasons, "; "))
	default:
		table.row("image", "%s: %s", s.State, strings.Join(s.Reasons, "; "))
	}
	if im := s.Image; im != nil {
		use := ""
		if im.InUse {
			use = ", in use"
		}
		table.row("", "%s", im.File)
		table.row("", "%s, built %s in %.1f s%s", words.Bytes(im.Bytes), words.Minute(im.Built.Local()), im.Seconds, use)
		if im.Below != nil {
			table.row("", "a layer of %s on %s", words.Count(im.Statements-len(im.Unresolved)-im.Below.Statements, "statement"), im.Below.ID)
		}
		table.row("", "holds %s", packageNames(im.Packages))
		table.row("", "%d statements, %d of them could not be used", im.Statements, len(im.Unresolved))
		if len(im.Dropped) > 0 {
			table.row("", "left out by policies and the budget: %s", words.Count(len(im.Dropped), "statement"))
		}
	} else {
		table.row("", "would hold %s", packageNames(s.Content.Packages))
	}
	for i, out := range s.Content.Out {
		name := ""
		if i == 0 {
			name = "left out"
		}
		table.row(name, "%s: %s", out.Name, out.Why)
	}
	table.row("recorded", "%s, %s new for the image; %s", words.Count(s.Recorded, "statement"), words.Thousands(s.New), words.Count(s.Recording, "session")+" recording")
	if s.Unread > 0 {
		table.row("", "%s recorded that cannot be read, listed in %s", words.Count(s.Unread, "line"), s.UnreadFile)
	}
	if s.Building != nil {
		table.row("building", "%s; its log is %s", s.Building, s.Building.Log)
	}
	if s.Failure != nil {
		table.row("failed", "the last build, %s: %s", words.Minute(s.Failure.When.Local()), s.Failure.Text)
		table.row("", "its log is %s", s.Failure.Log)
	}
	table.row("on disk", "%s, %s in %s", words.Count(s.Images, "image"), words.Bytes(s.Bytes), s.Folder)
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
