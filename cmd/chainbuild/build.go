package main

// This file is the command that builds an image.

import (
	"os"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/project"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
	"chainbuild/objcache"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newBuildCommand(stdout, stderr *os.File) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "build [--statements FILE -o IMAGE]",
		Short: "Build an image, of a project or of given statements",
		Long: `Without --statements and -o, build the image of the project from what its sessions
have recorded: see chainbuild run, and chainbuild status for what it is to hold. One
build of a project runs at a time. Images that cannot be used any more are removed
afterwards, unless a process uses them. The project is found as chainbuild run finds
it.

With them, build a system image that holds what the base holds, the packages that the
statements name, and native code for the statements' methods.

Statements are lines as julia --trace-compile=FILE writes them,
precompile(Tuple{typeof(sum), Vector{Int}}), or the types alone. They are read as
types and never run. One that cannot be used (its method is gone, its type belongs
to another session) is reported and left out; --strict makes it an error.

The image appears under its name when it is whole and a Julia has started with it;
until then, and if the build fails, an older file of that name stays as it is.

With --watch the command goes on until Ctrl-C, and builds again when a statements file,
the base, a project or manifest file or a source file of a package in the image has
changed. A build that runs is finished first; what it has compiled is in the cache.`,
		Example: `  chainbuild build
  chainbuild --statements trace.jl -o chained.so
  chainbuild --base chained.so --statements more.jl --package DelimitedFiles -o more.so
  chainbuild --statements trace.jl -o chained.so --json -q | tail -n 1`,
		Args: noArguments,
	}
	explicit := addBuildFlags(cmd, stdout, stderr)
	ofProject := addProjectBuildFlags(cmd, explicit)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if flags := cmd.Flags(); flags.Changed("statements") || flags.Changed("output") || flags.Changed("base") {
			if err := ofProject.checkUnused(cmd); err != nil {
				return err
			}
			return explicit.run(cmd, args)
		}
		if explicit.watch {
			return usage.Errorf("--watch has no statements to watch: name them with --statements, and the image with -o")
		}
		return ofProject.run(cmd, args)
	}
	return cmd
}

// buildFlags are the flags of a build.
type buildFlags struct {
	stdout, stderr       *os.File
	options              pipeline.Options
	quiet, verbose, json bool
	watch                bool
	watching             pipeline.WatchOptions
}

// addBuildFlags gives the command the flags of a build.
func addBuildFlags(cmd *cobra.Command, stdout, stderr *os.File) *buildFlags {
	b := &buildFlags{stdout: stdout, stderr: stderr, options: pipeline.Options{Target: settings.DefaultTarget()}}
	o := &b.options
	section(cmd, inSection, func(flags *pflag.FlagSet) {
		flags.StringArrayVarP(&o.Statements, "statements", "s", nil, "`FILE` of precompile statements; may be given several times")
		addPolicyFlags(flags, &o.Policies, &o.Budget)
		flags.StringVar(&o.Base, "base", "", "the `IMAGE` to chain to (default: the one that the julia starts from)")
		addPackageFlag(flags, &o.Packages)
		addProjectFlag(flags, &o.Project, "Julia's own choice")
		addJuliaFlag(flags, &o.Julia)
	})
	section(cmd, outSection, func(flags *pflag.FlagSet) {
		flags.StringVarP(&o.Output, "output", "o", "", "the `IMAGE` to write")
	})
	addTargetFlags(cmd, outSection, &o.Target)
	section(cmd, howSection, func(flags *pflag.FlagSet) {
		addJobsFlag(flags, &o.Jobs)
		addMaxMemoryFlag(flags, &o.MaxMemory)
		flags.BoolVar(&o.Strict, "strict", false, "fail if a statement cannot be used")
		flags.BoolVar(&b.watch, "watch", false, "with --statements: go on, and build again when they, the project or a source file changes")
		flags.DurationVar(&b.watching.Poll, "poll", 0, "with --watch: look at the files each `INTERVAL` (default: when the kernel tells)")
		flags.BoolVar(&o.FullHeap, "full-heap", false, "let Julia serialise the heap, the base's part included: slower, and caches of packages that were made under the base are stale under the image")
		flags.BoolVar(&o.VerifyHeap, "verify-heap", false, "let Julia serialise the heap too, and compare")
		flags.BoolVar(&o.KeepScratch, "keep-scratch", false, "keep the intermediate files and say where they are")
	})
	section(cmd, cacheSection, func(flags *pflag.FlagSet) {
		flags.StringVar(&o.CacheDir, "cache-dir", "", "`FOLDER` of the object cache, or off (default: chainbuild/cache in the first depot)")
		flags.TextVar(&o.CacheSize, "cache-limit", settings.Size(0), "`SIZE` that the cache is kept within, such as 2GB (default: "+words.Bytes(objcache.DefaultLimit)+")")
		flags.BoolVar(&o.Explain, "explain", false, "say for each partition whether its object was in the cache, and if not, what has changed")
		flags.BoolVar(&o.VerifyCache, "verify-cache", false, "compile also what is in the cache, and compare")
	})
	addRemoteFlags(cmd, remoteSection, &o.Remote)
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		addQuietFlag(flags, &b.quiet, "say nothing but warnings and errors")
		flags.BoolVarP(&b.verbose, "verbose", "v", false, "say more: each partition, each statement that is not used")
		addJSONFlag(flags, &b.json, "events on standard output, one JSON object a line")
		flags.StringVar(&o.Timings, "timings", "", "write what ran when to `FILE`, for Chrome's trace viewer")
	})
	cmd.MarkFlagFilename("base", "so")
	cmd.MarkFlagFilename("policy", "wasm")
	cmd.MarkFlagDirname("project")
	return b
}

// check refuses flags that make no sense together.
func (b *buildFlags) check(cmd *cobra.Command) error {
	if err := oneOf(cmd, "quiet", "verbose"); err != nil {
		return err
	}
	if err := checkJobs(cmd, b.options.Jobs); err != nil {
		return err
	}
	if cmd.Flags().Changed("poll") && (!b.watch || b.watching.Poll <= 0) {
		return usage.Errorf("--poll goes with --watch and takes a time above 0, such as 5s")
	}
	return nil
}

// reporter returns what the build is reported to, and a function that ends the report. Start is how the image is started, "" if with julia -J alone.
func (b *buildFlags) reporter(start string) (pipeline.Reporter, func()) {
	text := textReporter(b.stderr, b.quiet, b.verbose)
	text.Start = start
	if b.json {
		return pipeline.Reporters(text, pipeline.NewJSONReporter(b.stdout)), text.Close
	}
	return text, text.Close
}

// run builds the image that the flags say.
func (b *buildFlags) run(cmd *cobra.Command, args []string) error {
	if err := b.check(cmd); err != nil {
		return err
	}
	if err := overrideRemote(cmd, &b.options.Remote); err != nil {
		return err
	}
	if len(b.options.Policies) > 0 {
		b.options.Versions = project.Versions(b.options.Project)
	}
	report, end := b.reporter("")
	defer end()
	b.options.Report = report
	if b.watch {
		return pipeline.Watch(cmd.Context(), b.options, b.watching)
	}
	_, err := pipeline.Run(cmd.Context(), b.options)
	return err
}

func textReporter(stderr *os.File, quiet, verbose bool) *pipeline.TextReporter {
	switch {
	case quiet:
		return pipeline.NewTextReporter(stderr, pipeline.Quiet)
	case verbose:
		return pipeline.NewTextReporter(stderr, pipeline.Verbose)
	default:
		return pipeline.NewTextReporter(stderr, pipeline.Normal)
	}
}
