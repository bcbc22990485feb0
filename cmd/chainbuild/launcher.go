package main

// This file is the commands that put a julia-like command on the path.

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"chainbuild/internal/project"
	"chainbuild/internal/usage"
	"chainbuild/julia"

	"github.com/spf13/cobra"
)

func newLauncherCommand(stdout *os.File) *cobra.Command {
	var dir, name, executable string
	cmd := &cobra.Command{
		Use:   "launcher",
		Short: "Have a command that is used like julia",
		Long: `Have a command that takes the arguments of julia and starts it as chainbuild run does.
It takes the project that julia would take: unlike chainbuild run, it does not look
for one in the current folder without --project.`,
		Example: `  chainbuild launcher install
  chained-julia --project=. simulate.jl`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&dir, "dir", "", "the `FOLDER` of the command (default: ~/.local/bin)")
	flags.StringVar(&name, "name", "chained-julia", "the `NAME` of the command")
	cmd.MarkPersistentFlagDirname("dir")

	launcher := func() (project.Launcher, error) {
		var err error
		if dir == "" {
			if dir, err = project.DefaultLauncherDir(); err != nil {
				return project.Launcher{}, usage.Wrap(err)
			}
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return project.Launcher{}, err
		}
		if name == "" || filepath.Base(name) != name {
			return project.Launcher{}, usage.Errorf("--name does not take %q: give the name of a file", name)
		}
		return project.Launcher{Path: filepath.Join(dir, name)}, nil
	}
	install := &cobra.Command{
		Use:   "install",
		Short: "Put the command into a folder of the path",
		Long:  "Put the command into a folder, and say whether that is on the path. An older launcher\nis replaced, another file is not.",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := launcher()
			if err != nil {
				return err
			}
			in, err := julia.Find(cmd.Context(), executable)
			if err != nil {
				return err
			}
			l.Julia = in.Executable
			if l.Program, err = os.Executable(); err != nil {
				return err
			}
			if err := l.Install(); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s starts %s\n", l.Path, l.Julia)
			if !slices.Contains(filepath.SplitList(os.Getenv("PATH")), filepath.Dir(l.Path)) {
				fmt.Fprintf(stdout, "%s is not on PATH: add it in your shell's start-up file\n", filepath.Dir(l.Path))
			}
			return nil
		},
	}
	addJuliaFlag(install.Flags(), &executable)
	remove := &cobra.Command{
		Use:   "remove",
		Short: "Remove the command",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := launcher()
			if err == nil {
				err = l.Remove()
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdout, "removed %s\n", l.Path)
			return err
		},
	}
	cmd.AddCommand(install, remove)
	return cmd
}
