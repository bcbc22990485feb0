package main

// This file writes the manual pages, for whoever installs chainbuild: one for each command, made of its help. The reference of the book
// is made of the same (reference.go).

import (
	"os"
	"strings"

	"chainbuild/internal/usage"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// newManCommand returns the command that writes the manual pages. Like Go's tools, it takes the date from SOURCE_DATE_EPOCH, so that the pages
// are the same each time.
func newManCommand() *cobra.Command {
	reference := false
	cmd := &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write the manual pages into a folder",
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage.Errorf("man takes one folder, for the manual pages")
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.InitDefaultCompletionCmd()
			if reference {
				return writeReference(root, args[0])
			}
			root.Long += "\n\n# ENVIRONMENT AND EXIT CODES\n" + environmentText
			manualText(root)
			return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{
				Header:           &doc.GenManHeader{Source: "chainbuild " + version, Manual: "Chainbuild"},
				Path:             args[0],
				CommandSeparator: "-",
			})
		},
	}
	cmd.Flags().BoolVar(&reference, "markdown", false, "write the reference of the book instead")
	return cmd
}

// manualText makes Markdown, which manual pages are made from, of the help of a command and of those below it: indented lines stay lines, and a
// flag shows what it takes in place of its default.
func manualText(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	var text []string
	for line := range strings.SplitSeq(cmd.Long, "\n") {
		if strings.HasPrefix(line, "  ") {
			if line = "  " + line; len(text) > 0 && !strings.HasPrefix(text[len(text)-1], "    ") {
				text = append(text, "")
			}
		}
		text = append(text, line)
	}
	cmd.Long = strings.Join(text, "\n")
	takes := func(flag *pflag.Flag) {
		if name, text := pflag.UnquoteUsage(flag); name != "" {
			if text = strings.ReplaceAll(text, "_", `\_`); flag.Value.Type() == "text" && flag.DefValue != "" {
				text += " (default " + flag.DefValue + ")"
			}
			flag.DefValue, flag.Usage = name, text
		}
	}
	cmd.Flags().VisitAll(takes)
	cmd.PersistentFlags().VisitAll(takes)
	for _, below := range cmd.Commands() {
		manualText(below)
	}
}
