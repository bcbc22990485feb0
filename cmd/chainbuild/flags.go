package main

// This file is the flags that several commands have. Each is defined here once: its name, its help, what it takes.

import (
	"encoding"
	"slices"

	"chainbuild/internal/settings"
	"chainbuild/internal/usage"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A settingFlag is a flag that chooses a setting of a T.
type settingFlag[T any] struct {
	name, short, help string
	// values are what a shell offers, with what they mean behind a tab; nil: names of files.
	values []string
	of     func(*T) setting
}

// add adds the flag to a section of the help. If it is not given, the setting stays as it is now.
func (f settingFlag[T]) add(cmd *cobra.Command, title string, of *T) {
	section(cmd, title, func(flags *pflag.FlagSet) { flags.TextVarP(f.of(of), f.name, f.short, f.of(of), f.help) })
	if f.values != nil {
		complete(cmd, f.name, f.values...)
	}
}

// override changes the setting as the command's flag says, and says whether it was given.
func (f settingFlag[T]) override(cmd *cobra.Command, of *T) bool {
	flag := cmd.Flags().Lookup(f.name)
	if flag == nil || !flag.Changed {
		return false
	}
	f.of(of).UnmarshalText([]byte(flag.Value.String())) // it was read once already
	return true
}

// A setting reads and writes its values as text, see package settings.
type setting interface {
	encoding.TextUnmarshaler
	encoding.TextMarshaler
}

const emitFlag = "emit"

var targetFlags = []settingFlag[settings.Target]{
	{
		"layout", "", "`LAYOUT` of the image: thin needs the base's file, standalone is one file",
		[]string{"thin\tneeds the base's file", "standalone\tone file"},
		func(t *settings.Target) setting { return &t.Layout },
	},
	{
		emitFlag, "", "`WHAT` to compile: all that is new, or traced: what the statements name and call",
		[]string{"all\tall that is new", "traced\twhat the statements name and call"},
		func(t *settings.Target) setting { return &t.Emit },
	},
	{
		"package-images", "", "what becomes of native code that Pkg has compiled: `USE` it, ignore it, or auto: use it where possible",
		[]string{"auto\ttake it over where possible", "use\ttake it over, or say why not", "ignore\tcompile it again"},
		func(t *settings.Target) setting { return &t.PackageImages },
	},
	{
		"cpu-target", "C", "the `PROCESSOR` that new code is compiled for; base: those that the base is for; several with ; between them",
		[]string{"native", "base", "generic", "haswell"},
		func(t *settings.Target) setting { return &t.CPU },
	},
	{
		"optimize", "O", "optimisation `LEVEL` of new code, 0 to 3",
		[]string{"0", "1", "2", "3"},
		func(t *settings.Target) setting { return &t.OptLevel },
	},
}

// addTargetFlags adds the flags that choose a target, or only those with the given names.
func addTargetFlags(cmd *cobra.Command, title string, target *settings.Target, names ...string) {
	for _, f := range targetFlags {
		if len(names) == 0 || slices.Contains(names, f.name) {
			f.add(cmd, title, target)
		}
	}
}

// overrideTarget changes a target as the command's flags say, as far as they were given.
func overrideTarget(cmd *cobra.Command, target *settings.Target) {
	for _, f := range targetFlags {
		f.override(cmd, target)
	}
}

// hideTargetDefaults has the help not show the defaults of flags that have none of their own.
func hideTargetDefaults(cmd *cobra.Command) {
	for _, f := range targetFlags {
		if flag := cmd.Flags().Lookup(f.name); flag != nil {
			flag.DefValue = ""
		}
	}
}

func addJuliaFlag(flags *pflag.FlagSet, executable *string) {
	flags.StringVar(executable, "julia", "", "the julia `EXECUTABLE` (default: CHAINBUILD_JULIA, or julia on PATH)")
}

// addProjectFlag adds the flag that names a project; unnamed says which project is taken without it.
func addProjectFlag(flags *pflag.FlagSet, name *string, unnamed string) {
	flags.StringVar(name, "project", "", "the `PROJECT`, as for julia (default: "+unnamed+")")
}

func addPackageFlag(flags *pflag.FlagSet, names *[]string) {
	flags.StringSliceVarP(names, "package", "p", nil, "have the package `NAME` in the image too; may be given several times")
}

func addExcludeFlag(flags *pflag.FlagSet, names *[]string) {
	flags.StringSliceVar(names, "exclude", nil, "leave the package `NAME`, and what needs it, out of the image; may be given several times")
}

func addInteractiveFlag(flags *pflag.FlagSet, interactive *bool) {
	flags.BoolVar(interactive, "interactive", true, "have in the image what an interactive session loads and Julia's own image has not (projects only)")
}

func addDevelopmentFlag(flags *pflag.FlagSet, development *bool) {
	flags.BoolVar(development, "development", false, "have packages under development in the image, and the project itself (projects only)")
}

func addPolicyFlags(flags *pflag.FlagSet, policies *[]string, budget *settings.Budget) {
	flags.StringArrayVar(policies, "policy", nil, "`FILE` of a policy in WebAssembly, which decides about statements and uploads; may be given several times")
	flags.TextVar(budget, "budget", settings.Budget{}, "`HOW` much the statements may cost, the heaviest first: 30s of a processor to compile, or 100MB of machine code")
}

func addJobsFlag(flags *pflag.FlagSet, jobs *int) {
	flags.IntVarP(jobs, "jobs", "j", 0, "`NUMBER` of processes that compile at a time (default: the processors)")
}

func addMaxMemoryFlag(flags *pflag.FlagSet, size *settings.Size) {
	flags.TextVar(size, "max-memory", settings.Size(0), "`SIZE` of the memory that all processes together should keep within, such as 2GB (default: the limit of the control group)")
}

// oneOf refuses flags of which only one can be meant.
func oneOf(cmd *cobra.Command, names ...string) error {
	given := slices.DeleteFunc(names, func(name string) bool { return !cmd.Flags().Changed(name) })
	if len(given) > 1 {
		return usage.Errorf("--%s and --%s contradict each other: give one of them", given[0], given[1])
	}
	return nil
}

// checkJobs refuses numbers of processes that make no sense.
func checkJobs(cmd *cobra.Command, jobs int) error {
	if cmd.Flags().Changed("jobs") && jobs < 1 {
		return usage.Errorf("--jobs does not take %d: give a number above 0, or leave it out for one per processor", jobs)
	}
	return nil
}

// addJSONFlag adds the flag for programs; what it prints is one JSON object, or one array, …
func addJSONFlag(flags *pflag.FlagSet, asJSON *bool, what string) {
	flags.BoolVar(asJSON, "json", false, "print "+what)
}

func addQuietFlag(flags *pflag.FlagSet, quiet *bool, what string) {
	flags.BoolVarP(quiet, "quiet", "q", false, what)
}

// complete has a shell offer values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
}
