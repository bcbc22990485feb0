package main

// This file is the command that removes a project's images that are not needed any more.

import (
	"encoding/json"
	"fmt"
	"os"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/project"

	"github.com/spf13/cobra"
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
	flags := cmd.Flags()
	flags.BoolVarP(&o.DryRun, "dry-run", "n", false, "only say what would be removed")
	flags.BoolVar(&o.Gone, "gone", false, "also forget all projects whose folders are gone")
	flags.IntVar(&o.Keep, "keep", 1, "the `NUMBER` of images to keep that can be used; 0 for all")
	flags.BoolVar(&asJSON, "json", false, "print one JSON array")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.Keep < 0 {
			return &pipeline.UsageError{Err: fmt.Errorf("--keep does not take %d: give a number, 0 for all", o.Keep)}
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
			encoder := json.NewEncoder(stdout)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			return encoder.Encode(append([]project.Removal{}, removals...))
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
			fmt.Fprintf(stdout, "%s %s, %s: %s\n", what, r.Path, pipeline.FormatBytes(r.Bytes), r.Why)
		}
		_, err = fmt.Fprintf(stdout, "%s %s\n", what, pipeline.FormatBytes(bytes))
		return err
	}
	return cmd
}
