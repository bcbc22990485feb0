package main

// This file is the command build where it builds a project's image from what was recorded.

import (
	"os"
	"slices"
	"strings"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/project"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// projectBuildFlags are the flags that a build of a project has besides those of each build.
type projectBuildFlags struct {
	*buildFlags
	choice             *projectFlags
	background, noWait bool
	full, force        bool
	merge, prepare     bool
	log                string
}

func addProjectBuildFlags(cmd *cobra.Command, common *buildFlags) *projectBuildFlags {
	b := &projectBuildFlags{buildFlags: common, choice: &projectFlags{cmd: cmd}}
	section(cmd, inSection, func(flags *pflag.FlagSet) {
		addExcludeFlag(flags, &b.choice.exclude)
		addInteractiveFlag(flags, &b.choice.interactive)
		addDevelopmentFlag(flags, &b.choice.development)
	})
	section(cmd, outSection, func(flags *pflag.FlagSet) {
		flags.IntVar(&b.choice.keep, "keep", 0, "the `NUMBER` of images to keep that can be used (projects only; default 2)")
	})
	section(cmd, howSection, func(flags *pflag.FlagSet) {
		flags.BoolVar(&b.background, "background", false, "build in a process of its own and do not wait for it (projects only)")
		flags.BoolVar(&b.noWait, "no-wait", false, "fail if the project is being built already (projects only)")
		flags.BoolVar(&b.choice.layers, "layers", true, "build what is new as a layer on the image that there is, if nothing else has changed (projects only)")
		flags.BoolVar(&b.full, "full", false, "build the image in one piece, not as a layer on the one that there is (projects only)")
		flags.BoolVar(&b.force, "force", false, "build also what is up to date, in one piece (projects only)")
	})
	flags := cmd.Flags()
	flags.StringVar(&b.log, "log", "", "the `FILE` that standard error goes to")
	flags.BoolVar(&b.merge, mergeFlag, false, "build the image in one piece, and make way for other builds")
	flags.BoolVar(&b.prepare, prepareFlag, false, "make what the next build wants")
	for _, name := range []string{"log", mergeFlag, prepareFlag} {
		flags.MarkHidden(name)
	}
	return b
}

// checkUnused refuses flags that only a build of a project has.
func (b *projectBuildFlags) checkUnused(cmd *cobra.Command) error {
	for _, name := range []string{"exclude", "interactive", "development", "layers", "background", "no-wait", "full", "force", "keep", mergeFlag, prepareFlag} {
		if cmd.Flags().Changed(name) {
			return usage.Errorf("--%s is for builds of projects: leave it out, or --statements, --output and --base", name)
		}
	}
	return nil
}

// run builds the image of the project.
func (b *projectBuildFlags) run(cmd *cobra.Command, args []string) error {
	if err := b.check(cmd); err != nil {
		return err
	}
	if cmd.Flags().Changed("keep") && b.choice.keep < 1 {
		return usage.Errorf("--keep does not take %d: give a number above 0", b.choice.keep)
	}
	p, err := b.open()
	if err != nil {
		return err
	}
	switch {
	case b.background:
		return b.behind(p)
	case b.prepare:
		return b.prepareNext(cmd, p)
	case b.merge:
		if err := beLast(); err != nil {
			return err
		}
	}
	start := "chainbuild run"
	if cmd.Flags().Changed("project") {
		start += " --project=" + pipeline.ShellWord(b.options.Project)
	}
	report, end := b.reporter(start)
	defer end()
	o := project.BuildOptions{
		Build: b.options, NoWait: b.noWait, Full: b.full || b.merge, Force: b.force, Yields: b.merge, LogFile: b.log, Log: openLog,
		Say: func(text string) { b.say("%s", text) },
	}
	o.Build.Report = report
	result, err := p.Build(cmd.Context(), o)
	if err != nil {
		return err
	}
	if result.UpToDate {
		b.say("the image of %s is up to date: %s", p.Name(), result.Image.File)
	}
	for _, r := range result.Removed {
		if r.Kept == "" {
			b.say("removed %s, %s: %s", r.Path, words.Bytes(r.Bytes), r.Why)
		}
	}
	if b.merge {
		return b.prepareNext(cmd, p)
	}
	b.goOnBehind(cmd, p, result)
	return nil
}

func (b *projectBuildFlags) say(format string, args ...any) {
	if !b.quiet {
		printNotice(b.stderr, format, args...)
	}
}

// open reads the project, with the settings that the flags of a build override.
func (b *projectBuildFlags) open() (*project.Project, error) {
	b.choice.julia, b.choice.name, b.choice.packages = b.options.Julia, b.options.Project, b.options.Packages
	b.choice.policies, b.choice.budget = b.options.Policies, b.options.Budget
	return b.choice.open()
}

// behind starts the same command without --background.
func (b *projectBuildFlags) behind(p *project.Project) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	pid, log, err := p.BuildBehind(self, func(log string) []string {
		arguments := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(given string) bool {
			return strings.HasPrefix(given, "--background")
		})
		// Of flags that are given twice the last ones count.
		return append(arguments, "--project="+p.Dir, "--julia="+p.Julia.Executable, "--log="+log)
	})
	if err == nil {
		b.say("process %d builds the image of %s: %s says how it goes", pid, p.Name(), log)
	}
	return err
}

// openLog opens a log that has everything.
func openLog(path string) (pipeline.Reporter, func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	text := pipeline.NewTextReporter(file, pipeline.Verbose)
	return text, func() {
		text.Close()
		file.Close()
	}, nil
}
