package main

// This file is the command that starts a project's Julia.

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"chainbuild/internal/project"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRunCommand(stderr *os.File) *cobra.Command {
	var quiet, noRecord bool
	cmd := &cobra.Command{
		Use:   "run [flags] [-- JULIA ARGUMENTS]",
		Short: "Start the project's Julia with its image, and record",
		Long: `Start Julia in the project, with the newest image that can be used, and record what
it compiles for the next chainbuild build. Chainbuild becomes that Julia: no process
stays between, but for Julia 1.5 while it records, whose recording can crash.

Without an image, or with one that is stale, it says so in one line on standard error
and starts Julia's own. It does the same with --code-coverage and --track-allocation,
since code of an image has no counters.
` + projectHelp + `

--project, --sysimage and --trace-compile among the arguments for Julia have the last
word. In Julia, CHAINBUILD is the path of chainbuild, and CHAINBUILD_JULIA, if it was
not set, that of Julia.`,
		Example: `  chainbuild run
  chainbuild run -- -t4 simulate.jl --steps 100
  chainbuild run -- --code-coverage=user test/runtests.jl`,
	}
	choice := addProjectFlags(cmd)
	choice.addSettingsFlags()
	section(cmd, projectSection, func(flags *pflag.FlagSet) {
		flags.BoolVar(&choice.likeJulia, "like-julia", false, "take the project that julia takes: the current folder does not count")
	})
	section(cmd, recordedSection, func(flags *pflag.FlagSet) {
		flags.BoolVar(&noRecord, "no-record", false, "do not record what Julia compiles")
	})
	section(cmd, saidSection, func(flags *pflag.FlagSet) { addQuietFlag(flags, &quiet, "do not say that there is no image") })
	// What follows the flags is for Julia; a word that is no flag begins it.
	cmd.Flags().SetInterspersed(false)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if name := project.ProjectArgument(args); name != "" {
			choice.name = name
		}
		p, err := choice.open()
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		launch := p.Launch(args, !noRecord, self)
		if launch.Notice != "" && !quiet {
			printNotice(stderr, "%s", launch.Notice)
		}
		if launch.Crowded {
			mergeBehind(self, p)
		}
		if launch.MayCrash {
			code, err := attend(launch, stderr)
			if err != nil {
				return fmt.Errorf("%s cannot be started: %w", launch.Executable, err)
			}
			return &exitError{code}
		}
		err = syscall.Exec(launch.Executable, launch.Arguments, launch.Environment)
		return fmt.Errorf("%s cannot be started: %w", launch.Executable, err)
	}
	return cmd
}

// mergeBehind has sessions merged by a process that nobody waits for. That it cannot be started does not matter: the next
// call tries again.
func mergeBehind(self string, p *project.Project) {
	cmd := exec.Command(self, "statements", "merge", "--project="+p.Dir, "--julia="+p.Julia.Executable)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() == nil {
		cmd.Process.Release()
	}
}
