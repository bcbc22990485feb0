package main

// This file has the help list flags in sections, as a reader looks for them.

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Sections of flags.
const (
	inSection       = "What goes in"
	outSection      = "What comes out"
	howSection      = "How it is built"
	cacheSection    = "Cache"
	remoteSection   = "Remote cache"
	recordedSection = "What is recorded"
	saidSection     = "What is printed"
	projectSection  = "Which project"
	settingsSection = "In place of the project's settings"
)

// sectionAnnotation is the annotation of a flag with the title of its section.
const sectionAnnotation = "chainbuild section"

// section adds flags to a command, in the section with the title. Sections come in the order in which they are first named.
func section(cmd *cobra.Command, title string, add func(*pflag.FlagSet)) {
	own := pflag.NewFlagSet(title, pflag.ContinueOnError)
	own.SortFlags = false
	add(own)
	own.VisitAll(func(flag *pflag.Flag) {
		flag.Annotations = map[string][]string{sectionAnnotation: {title}}
	})
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(own)
}

func init() { cobra.AddTemplateFunc("flagSections", flagSections) }

// usageTemplate is cobra's template for the usage of a command, with flags in sections.
func usageTemplate(template string) string {
	const flags = "\n\nFlags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}"
	if !strings.Contains(template, flags) {
		panic("cobra's template for the usage of a command is another")
	}
	return strings.Replace(template, flags, "{{flagSections .LocalFlags}}", 1)
}

// flagSections lists flags by sections. Those without one, such as --help, are in the last; where there are no sections, they
// are all in one.
func flagSections(flags *pflag.FlagSet) string {
	var titles []string
	lines := map[string][]string{}
	take := func(title, line string) {
		if lines[title] == nil {
			titles = append(titles, title)
		}
		lines[title] = append(lines[title], line)
	}
	var rest []string
	// All are written together, so that the columns are the same in each section: one line for each flag.
	all := strings.Split(strings.TrimSuffix(flags.FlagUsages(), "\n"), "\n")
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		line := all[0]
		all = all[1:]
		if title := flag.Annotations[sectionAnnotation]; title != nil {
			take(title[0], line)
		} else {
			rest = append(rest, line)
		}
	})
	last := "Flags"
	if len(titles) > 0 {
		last = titles[len(titles)-1]
	}
	for _, line := range rest {
		take(last, line)
	}
	var text strings.Builder
	for _, title := range titles {
		text.WriteString("\n\n" + title + ":\n" + strings.Join(lines[title], "\n"))
	}
	return text.String()
}
