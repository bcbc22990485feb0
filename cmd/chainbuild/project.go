package main

// This file is what the commands for projects have in common: which project, with which settings.

import (
	"chainbuild/elfpatch"
	"chainbuild/internal/pipeline"
	"chainbuild/internal/project"

	"github.com/spf13/cobra"
)

// projectHelp ends the help of the commands for projects.
const projectHelp = `
The project is the one that --project or JULIA_PROJECT names, else that of the
current folder or of the next one above with a Project.toml, else Julia's shared
environment. Its settings are the table [chainbuild] of LocalPreferences.toml beside
its Project.toml; flags override them for one call.`

// A projectFlags is a command's choice of a project.
type projectFlags struct {
	cmd           *cobra.Command
	julia, name   string
	likeJulia     bool
	add, leaveOut []string
	cpuTarget     string
	layout        elfpatch.Layout
	optLevel      int
	emit          string
	staleAfter    int
}

// addProjectFlags gives a command the flags that choose a project.
func addProjectFlags(cmd *cobra.Command) *projectFlags {
	f := &projectFlags{cmd: cmd}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.name, "project", "", "the `PROJECT`, as for julia (default: see above)")
	flags.StringVar(&f.julia, "julia", "", "the julia `EXECUTABLE` (default: CHAINBUILD_JULIA, or julia on PATH)")
	cmd.MarkFlagDirname("project")
	return f
}

// addSettingsFlags gives it those that override settings.
func (f *projectFlags) addSettingsFlags() {
	flags := f.cmd.Flags()
	flags.StringSliceVarP(&f.add, "package", "p", nil, "have the package `NAME` in the image too; may be given several times")
	flags.StringVarP(&f.cpuTarget, "cpu-target", "C", "", "the `PROCESSOR` that new code is compiled for")
	flags.Var((*layoutFlag)(&f.layout), "layout", "`LAYOUT` of the image: thin or standalone")
	flags.IntVarP(&f.optLevel, "optimize", "O", 0, "optimisation `LEVEL` of new code, 0 to 3")
	flags.StringVar(&f.emit, "emit", "", "`WHAT` to compile: all that is new, or traced: what the statements name and call")
	complete(f.cmd, "emit", pipeline.EmitAll+"\tall that is new", pipeline.EmitTraced+"\twhat the statements name and call")
	complete(f.cmd, "layout", "thin\tneeds the base's file", "standalone\tone file")
	f.addExclude()
}

func (f *projectFlags) addExclude() {
	f.cmd.Flags().StringSliceVar(&f.leaveOut, "exclude", nil, "leave the package `NAME`, and what needs it, out of the image; may be given several times")
}

// open reads the project. Whatever is wrong with it is wrong before any work.
func (f *projectFlags) open() (*project.Project, error) {
	p, err := project.Open(f.cmd.Context(), project.Options{Julia: f.julia, Project: f.name, LikeJulia: f.likeJulia, Settings: f.override})
	if err != nil {
		return nil, &pipeline.UsageError{Err: err}
	}
	return p, nil
}

func (f *projectFlags) override(s *project.Settings) {
	s.Packages = append(s.Packages, f.add...)
	s.Exclude = append(s.Exclude, f.leaveOut...)
	if f.cmd.Flags().Changed("cpu-target") {
		s.CPUTarget = f.cpuTarget
	}
	if f.cmd.Flags().Changed("layout") {
		s.Layout = f.layout
	}
	if f.cmd.Flags().Changed("optimize") {
		s.OptLevel = f.optLevel
	}
	if f.cmd.Flags().Changed("emit") {
		s.Emit = f.emit
	}
	if flag := f.cmd.Flags().Lookup("stale-after"); flag != nil && flag.Changed {
		s.StaleAfter = f.staleAfter
	}
}
