package main

// This file is the command that removes a project's images that are not needed any more.

import (
	"fmt"
	"os"

	"chainbuild/internal/project"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newCleanCommand(stdout *os.File) *cobra.Command {
	var o project.CleanOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Remove images that are not needed any more",
		Long: `Remove the project's images that cannot be used any more, and all but the newest of
those that can. What was recorded stays. An image that a process uses is never
removed.
` + projectHelp,
		Example: `  chainbuild clean --dry-run
  chainbuild clean --gone`,
		Args: noArguments,
	}
	choice := addProjectFlags(cmd)
	choice.addSettingsFlags()
	section(cmd, "What is removed", func(flags *pflag.FlagSet) {
		flags.IntVar(&o.Keep, "keep", 1, "the `NUMBER` of images to keep that can be used; 0 for all")
		flags.BoolVar(&o.Gone, "gone", false, "also forget all projects whose folders are gone")
		flags.BoolVarP(&o.DryRun, "dry-run", "n", false, "only say what would be removed")
	})
	section(cmd, saidSection, func(flags *pflag.FlagSet) { addJSONFlag(flags, &asJSON, "one JSON array") })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.Keep < 0 {
			return usage.Errorf("--keep does not take %d: give a number, 0 for all", o.Keep)
		}
		p, err := choice.open()
		if err != nil {
			return err
		}
		removals, err := p.Clean(o)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(stdout, append([]project.Removal{}, removals...))
		}
		what := "removed"
		if o.DryRun {
			what = "would remove"
		}
		var bytes int64
		for _, r := range removals {
			if r.Kept != "" {
				fmt.Fprintf(stdout, "kept %s, %s: %s\n", r.Path, r.Kept, r.Why)
				continue
			}
			bytes += r.Bytes
			fmt.Fprintf(stdout, "%s %s, %s: %s\n", what, r.Path, words.Bytes(r.Bytes), r.Why)
		}
		_, err = fmt.Fprintf(stdout, "%s %s\n", what, words.Bytes(bytes))
		return err
	}
	return cmd
}
