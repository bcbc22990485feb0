package main

// This file is what the commands for projects have in common: which project, with which settings.

import (
	"path/filepath"

	"chainbuild/internal/project"
	"chainbuild/internal/settings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// projectHelp ends the help of the commands for projects.
const projectHelp = `
The project is the one that --project or JULIA_PROJECT names, else that of the
current folder or of the next one above with a Project.toml, else Julia's shared
environment. Its settings are the table [chainbuild] of LocalPreferences.toml beside
its Project.toml; flags override them for one call.`

// A projectFlags is a command's choice of a project, and what it overrides of the project's settings.
type projectFlags struct {
	cmd               *cobra.Command
	julia, name       string
	likeJulia         bool
	packages, exclude []string
	keep              int // 0: as the settings say
	staleAfter        int
	interactive       bool
	development       bool
	layers            bool
	policies          []string // nil: as the settings say
	budget            settings.Budget
}

// addProjectFlags gives a command the flags that choose a project.
func addProjectFlags(cmd *cobra.Command) *projectFlags {
	f := &projectFlags{cmd: cmd}
	section(cmd, projectSection, func(flags *pflag.FlagSet) {
		addProjectFlag(flags, &f.name, "see above")
		addJuliaFlag(flags, &f.julia)
	})
	cmd.MarkFlagDirname("project")
	return f
}

// addSettingsFlags gives it those that override settings.
func (f *projectFlags) addSettingsFlags() {
	section(f.cmd, settingsSection, func(flags *pflag.FlagSet) {
		addPackageFlag(flags, &f.packages)
		addExcludeFlag(flags, &f.exclude)
		addInteractiveFlag(flags, &f.interactive)
		addDevelopmentFlag(flags, &f.development)
		addPolicyFlags(flags, &f.policies, &f.budget)
	})
	// They are looked up when they override, and are nothing by themselves.
	addTargetFlags(f.cmd, settingsSection, &settings.Target{})
	hideTargetDefaults(f.cmd)
}

// on makes what a command does of what is done with its project.
func (f *projectFlags) on(do func(p *project.Project, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p, err := f.open()
		if err != nil {
			return err
		}
		return do(p, args)
	}
}

// open reads the project.
func (f *projectFlags) open() (*project.Project, error) {
	p, err := project.Open(f.cmd.Context(), project.Options{Julia: f.julia, Project: f.name, LikeJulia: f.likeJulia, Settings: f.override})
	if err == nil && f.cmd.Flags().Lookup(remoteCacheFlag) != nil {
		err = overrideRemote(f.cmd, &p.Settings.Remote)
	}
	return p, err
}

func (f *projectFlags) override(s *project.Settings) {
	s.Packages = append(s.Packages, f.packages...)
	s.Exclude = append(s.Exclude, f.exclude...)
	if flag := f.cmd.Flags().Lookup("interactive"); flag != nil && flag.Changed {
		s.Interactive = f.interactive
	}
	if flag := f.cmd.Flags().Lookup("development"); flag != nil && flag.Changed {
		s.Development = f.development
	}
	if flag := f.cmd.Flags().Lookup("layers"); flag != nil && flag.Changed {
		s.Layers = f.layers
	}
	if f.policies != nil {
		s.Policies = nil
		for _, path := range f.policies {
			if absolute, err := filepath.Abs(path); err == nil {
				path = absolute
			}
			s.Policies = append(s.Policies, path)
		}
	}
	if !f.budget.IsNone() {
		s.Budget = f.budget
	}
	overrideTarget(f.cmd, &s.Target)
	if f.keep > 0 {
		s.Keep = project.Keep(f.keep)
	}
	if flag := f.cmd.Flags().Lookup("stale-after"); flag != nil && flag.Changed {
		s.StaleAfter = project.StaleAfter(f.staleAfter)
	}
}
