package main

// This file writes the reference of the book: a page in Markdown for each command, made of its help, with flags as tables by section.

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeReference writes the pages of a command and of those below it into a folder, each as NAME-NAME.md.
func writeReference(cmd *cobra.Command, dir string) error {
	if !cmd.IsAvailableCommand() && cmd.HasParent() {
		return nil
	}
	cmd.InitDefaultHelpFlag()
	path := filepath.Join(dir, pageName(cmd))
	if err := os.WriteFile(path, []byte(referencePage(cmd)), 0o644); err != nil {
		return err
	}
	for _, below := range cmd.Commands() {
		if err := writeReference(below, dir); err != nil {
			return err
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".md"
}

func referencePage(cmd *cobra.Command) string {
	var page strings.Builder
	fmt.Fprintf(&page, "# %s\n\n%s.\n\n", cmd.CommandPath(), cmd.Short)
	if cmd.Runnable() {
		fmt.Fprintf(&page, "```text\n%s\n```\n\n", cmd.UseLine())
	}
	fmt.Fprintf(&page, "%s\n", helpText(cmd.Long))
	if cmd.Example != "" {
		fmt.Fprintf(&page, "## Examples\n\n```sh\n%s\n```\n\n", unindented(cmd.Example))
	}
	if cmd.HasAvailableSubCommands() {
		page.WriteString("## Commands\n\n| | |\n| --- | --- |\n")
		for _, below := range cmd.Commands() {
			if below.IsAvailableCommand() {
				fmt.Fprintf(&page, "| [%s](%s) | %s |\n", below.CommandPath(), pageName(below), cell(below.Short))
			}
		}
		page.WriteString("\n")
	}
	flagTables(&page, cmd.LocalFlags())
	if !cmd.HasParent() {
		fmt.Fprintf(&page, "## Environment and exit codes\n\n```text\n%s\n```\n", strings.TrimSpace(environmentText))
	}
	return page.String()
}

// flagTables writes the flags, a table for each section as the help has them.
func flagTables(page *strings.Builder, flags *pflag.FlagSet) {
	var titles []string
	rows := map[string][]string{}
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		title := "Flags"
		if of := flag.Annotations[sectionAnnotation]; of != nil {
			title = of[0]
		} else if len(titles) > 0 {
			title = titles[len(titles)-1]
		}
		if rows[title] == nil {
			titles = append(titles, title)
		}
		takes, text := pflag.UnquoteUsage(flag)
		name := "--" + flag.Name
		if takes != "" {
			name += " " + takes
		}
		name = "`" + name + "`"
		if flag.Shorthand != "" {
			name = "`-" + flag.Shorthand + "`, " + name
		}
		switch flag.DefValue {
		case "", "0", "0s", "false", "[]": // nothing that a reader has to know
		default:
			text += " (default " + flag.DefValue + ")"
		}
		rows[title] = append(rows[title], "| "+cell(name)+" | "+cell(text)+" |\n")
	})
	for _, title := range titles {
		fmt.Fprintf(page, "## %s\n\n| | |\n| --- | --- |\n%s\n", title, strings.Join(rows[title], ""))
	}
}

// helpText makes Markdown of a help text, the indented lines of which are commands or tables.
func helpText(text string) string {
	var page strings.Builder
	fenced := false
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != fenced && line != "" {
			fenced = indented
			if fenced {
				page.WriteString("```text\n")
			} else {
				page.WriteString("```\n\n")
			}
		}
		if !fenced {
			line = plain(line)
		}
		page.WriteString(strings.TrimPrefix(line, "  ") + "\n")
	}
	if fenced {
		page.WriteString("```\n")
	}
	return strings.ReplaceAll(page.String(), "\n\n```\n", "\n```\n")
}

// plain has Markdown take a text as it is.
func plain(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`, "`", "\\`").Replace(text)
}

func cell(text string) string {
	if !strings.Contains(text, "`") {
		text = plain(text)
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n", " "), "|", `\|`)
}

func unindented(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}
