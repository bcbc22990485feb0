package main

// This file is the command that says what a machine lacks.

import (
	"context"
	"fmt"
	"os"
	"strings"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/project"
	"chainbuild/internal/screen"
	"chainbuild/internal/words"

	"github.com/spf13/cobra"
)

func newDoctorCommand(stdout *os.File) *cobra.Command {
	o := pipeline.ExamineOptions{StateFolder: project.StateRoot}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [IMAGE]",
		Short: "Say whether everything is there that builds need",
		Long: `Say whether everything is there that builds need: a Julia and its image, memory, and
folders for intermediate files, the cache and projects' images, with rights and room.
Of what is wrong it says what to do. The exit code is 1 if something is wrong.

With an image, say whether this Julia starts with it on this machine: whether its base
is there and the one that it was built on, and whether the processor runs its code.
What only builds need is not looked at then.`,
		Example: `  chainbuild doctor
  chainbuild doctor app.so
  chainbuild doctor --json | jq '.[] | select(.state == "wrong")'`,
		Args: arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"so"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Base = args[0]
			}
			return examine(cmd.Context(), o, stdout, asJSON)
		},
	}
	flags := cmd.Flags()
	addJuliaFlag(flags, &o.Julia)
	flags.StringVar(&o.CacheDir, "cache-dir", "", "`FOLDER` of the object cache, or off (default: chainbuild/cache in the first depot)")
	addJSONFlag(flags, &asJSON, "one JSON array")
	cmd.MarkFlagDirname("cache-dir")
	return cmd
}

// examine prints findings. The error is the answer that something is wrong.
func examine(ctx context.Context, o pipeline.ExamineOptions, stdout *os.File, asJSON bool) error {
	all := []pipeline.Finding{}
	marks := map[pipeline.State]screen.Mark{pipeline.Fine: screen.Done, pipeline.Doubtful: screen.Doubtful, pipeline.Wrong: screen.Failed}
	list := screen.Of(stdout, screen.Options{Quiet: true, Marks: true})
	wrong := 0
	pipeline.Examine(ctx, o, func(f pipeline.Finding) {
		all = append(all, f)
		if f.State == pipeline.Wrong {
			wrong++
		}
		if !asJSON {
			list.Do(func() {
				list.Say(marks[f.State], "%s:%s%s", f.Check, strings.Repeat(" ", max(1, len("intermediate files")+1-len(f.Check))), f.Says)
			})
		}
	})
	list.Close()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if asJSON {
		if err := printJSON(stdout, all); err != nil {
			return err
		}
	} else if wrong == 0 && o.Base != "" {
		fmt.Fprintln(stdout, "this Julia starts with the image")
	} else if wrong == 0 {
		fmt.Fprintln(stdout, "everything is there that builds need")
	} else {
		fmt.Fprintf(stdout, "%s: mend what is marked %s\n", words.Count(wrong, "fault"), list.Sign(screen.Failed))
	}
	if wrong > 0 {
		return &exitError{exitFailed}
	}
	return nil
}
