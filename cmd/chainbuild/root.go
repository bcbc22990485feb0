package main

// This file is the command line as a whole: its commands, its help, its version.

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"chainbuild/internal/usage"
	"chainbuild/julia"

	"github.com/spf13/cobra"
)

// version is set by the linker; see the Makefile.
var version = ""

const rootHelp = `Chainbuild adds packages and compiled methods to a Julia system image in seconds.

It takes an unmodified Julia, the image that Julia starts from (the base), and a
file of precompile statements, and writes a new image that the same Julia loads
with -J. The base's native code is used as it is; only what is new is compiled.

To make the first call of a workload fast:

  julia --trace-compile=trace.jl workload.jl        # which methods does it need?
  chainbuild --statements trace.jl -o chained.so    # compile them into an image
  julia -J chained.so workload.jl                   # they are there

For a project, chainbuild run records what sessions compile and starts them with the
project's image, chainbuild build builds that, and chainbuild status says how it stands.

The modules that statements name are loaded into the image. A chained image is a
valid --base for the next one.`

// environmentText is what the commands that build take from the environment, and how they end.
const environmentText = `
Environment:
  CHAINBUILD_JULIA   the julia to use where --julia is not given; of a list separated
                     by colons the first. Then julia on PATH is tried, then the
                     toolchain of chainbuild's checkout (make toolchain).
  JULIA_PROJECT, JULIA_LOAD_PATH, JULIA_DEPOT_PATH
                     where packages are found, as in any Julia process.
  CHAINBUILD_STATE   the folder for what is known of projects, and their images (default:
                     chainbuild/projects in the first depot).
  TMPDIR             where intermediate files go while a build runs. What a build that
                     was killed has left there, the next one removes.

Exit codes:
  0  the image was built        2  refused before any work: see the message
  1  the build failed           130  interrupted; no file or process is left
`

// environmentHelp ends the help of those commands.
const environmentHelp = `{{if or (not .HasParent) (eq .Name "build")}}` + environmentText + `{{end}}`

func newRootCommand(stdout, stderr *os.File) *cobra.Command {
	root := &cobra.Command{
		Use:   "chainbuild [build] --statements FILE -o IMAGE",
		Short: "Add packages and compiled methods to a Julia system image in seconds",
		Long:  rootHelp,
		Example: `  # the packages of a project, and all that its test run compiles
  julia --project --trace-compile=trace.jl test/runtests.jl
  chainbuild --project=. --statements trace.jl -o project.so

  # one file that does not need the base any more
  chainbuild --statements trace.jl --layout=standalone -o app.so

  # what is in it?
  chainbuild inspect app.so`,
		Version:       versionText(),
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
	})
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()) + environmentHelp)

	// The flags of build work without the word. With nothing at all, help is what is wanted.
	explicit := addBuildFlags(root, stdout, stderr)
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().NFlag() == 0 {
			return cmd.Help()
		}
		return explicit.run(cmd, args)
	}
	root.AddCommand(newRunCommand(stderr), newBuildCommand(stdout, stderr), newStatusCommand(stdout, stderr), newStatementsCommand(stdout),
		newCleanCommand(stdout), newLauncherCommand(stdout),
		newInspectCommand(stdout), newPolicyCommand(stdout), newDoctorCommand(stdout), newCacheCommand(stdout), newBenchCommand(stdout, stderr), newReportCommand(stdout, stderr), newVersionCommand(), newManCommand())
	return root
}

func newVersionCommand() *cobra.Command {
	var executable string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which chainbuild this is, and which of its patches a Julia has",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), versionText()); err != nil || executable == "" {
				return err
			}
			in, err := julia.Find(cmd.Context(), executable)
			if err != nil {
				return err
			}
			series, unsupported := in.Series()
			fmt.Fprintf(cmd.OutOrStdout(), "Julia %s (%s)\n", in.Version, in.Executable)
			for _, name := range julia.PatchNames() {
				has := "no"
				switch {
				case slices.Contains(in.Patches, name):
					has = "yes"
				case unsupported == nil && !series.Needs(name):
					has = "not needed"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "  patch %-20s %s\n", name, has)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&executable, "julia", "", "say which patches of juliasrc-patches the julia `EXECUTABLE` has")
	return cmd
}

func versionText() string {
	number := version
	if info, ok := debug.ReadBuildInfo(); number == "" && ok {
		number = info.Main.Version
	}
	if number == "" {
		number = "(unknown version)"
	}
	return fmt.Sprintf("chainbuild %s (%s, %s/%s)", number, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
