package main

// This file is the commands that measure chained images and compare measurements.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"chainbuild/bench"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/julia"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const benchHelp = `Measure what chained images gain and what they cost on this machine.

For each workload (a package, the line that loads it, and the first thing that is
done with it) the time to first execute is measured under Julia's own image and
under a chained one, the build of the chained image with an empty cache and again
with a full one, and the stock whole-image build of the same content. What is
compared is measured in turns, in rounds; the tables have medians and the largest
distance of a sample from them. A workload that cannot run here has a row that
says why.

Arguments are names of workloads (--list) or TOML files such as

  name = "Dates"
  load = "using Dates"
  work = '''
  println(Date(2020, 2, 29) + Year(1))
  '''
  check = ["2021-02-28"]
  [packages."1.5"]       # per version of Julia, if load needs any: "NAME" = "VERSION"

What the work prints must be the same each time. Packages are taken from
--packages, a folder with a subfolder of sources for each, else Julia's package
manager gets them into a temporary depot with the help of the user's own.

--snippets measures the community's snippets instead: folders, in FOLDER or below,
with a task.jl and a Project.toml, as in github.com/tecosaur/Julia-TTFX-Snippets.
Arguments then are names of packages or tasks, or paths of their folders. The load
is what task.jl has before __t2, the work what it has up to __t3; bench takes its own
times. A snippet may print something else each time. Where --packages is not given,
packages come from the snippet's project, and from its manifest if it has one.

A stock build takes minutes for each workload: --comparators none leaves it out.`

func newBenchCommand(stdout, stderr *os.File) *cobra.Command {
	var o bench.Options
	var executable, output, snippets string
	var list, asJSON bool
	cmd := &cobra.Command{
		Use:   "bench [WORKLOAD...]",
		Short: "Measure what images gain and cost",
		Long:  benchHelp,
		Example: `  chainbuild bench --comparators none stdlib Orbits
  chainbuild bench --packages ~/sources DataFrames OhMyREPL -o results
  chainbuild bench --packages ~/sources --snippets Julia-TTFX-Snippets/tasks Graphs
  chainbuild bench compare before.jsonl results/samples.jsonl --threshold 5`,
	}
	section(cmd, inSection, func(flags *pflag.FlagSet) {
		flags.StringVar(&o.Packages, "packages", "", "take packages from the `FOLDER` of sources")
		flags.StringVar(&snippets, "snippets", "", "measure the community's snippets in `FOLDER` and below")
	})
	addMeasuredFlags(cmd, &o, &executable)
	section(cmd, howSection, func(flags *pflag.FlagSet) { addJobsFlag(flags, &o.Jobs) })
	target := settings.Target{Emit: settings.EmitTraced}
	addTargetFlags(cmd, howSection, &target, emitFlag)
	section(cmd, measuredSection, func(flags *pflag.FlagSet) {
		flags.IntVar(&o.Rounds, "rounds", 5, "how many `TIMES` everything is measured")
		flags.IntVar(&o.Starts, "starts", 3, "how many `TIMES` each image is started in a round")
		flags.StringSliceVar(&o.Comparators, "comparators", bench.Comparators, "`WAYS` to an image to compare with, or none")
	})
	addResultFlags(cmd, &output, &asJSON)
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		flags.BoolVar(&list, "list", false, "list the workloads and measure nothing")
	})
	cmd.MarkFlagDirname("packages")
	cmd.MarkFlagDirname("snippets")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		workloads, err := bench.Select(args)
		if cmd.Flags().Changed("snippets") {
			workloads, err = bench.Snippets(snippets, args)
		}
		if err != nil {
			return err
		}
		if list {
			width := 16
			for _, w := range workloads {
				width = max(width, len(w.Name))
			}
			for _, w := range workloads {
				fmt.Fprintf(stdout, "%-*s %s\n", width, w.Name, w.About)
			}
			return nil
		}
		o.Workloads, o.Emit = workloads, target.Emit
		if err := checkJobs(cmd, o.Jobs); err != nil {
			return err
		}
		if err := completeBenchOptions(cmd.Context(), &o, executable); err != nil {
			return err
		}
		return runBench(o, output, asJSON, stdout, stderr, func(o bench.Options) (*bench.Results, error) { return bench.Run(cmd.Context(), o) })
	}
	cmd.AddCommand(newBenchCompareCommand(stdout), newBenchGrowthCommand(stdout, stderr), newBenchReportCommand(stdout))
	return cmd
}

// measuredSection is the section of the help about how often and against what is measured.
const measuredSection = "How it is measured"

// addMeasuredFlags adds the flags that say which programs are measured.
func addMeasuredFlags(cmd *cobra.Command, o *bench.Options, executable *string) {
	section(cmd, inSection, func(flags *pflag.FlagSet) {
		addJuliaFlag(flags, executable)
		flags.StringVar(&o.Program, "chainbuild", "", "the `PROGRAM` to measure (default: this one)")
	})
}

// addResultFlags adds the flags that say what becomes of the results.
func addResultFlags(cmd *cobra.Command, output *string, asJSON *bool) {
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		flags.StringVarP(output, "output", "o", "", "write samples, tables and charts into `FOLDER`")
		addJSONFlag(flags, asJSON, "samples on standard output, one JSON object a line, and no tables")
	})
	cmd.MarkFlagDirname("output")
}

// completeBenchOptions checks the flags and fills in what they leave open.
func completeBenchOptions(ctx context.Context, o *bench.Options, executable string) error {
	if o.Jobs == 0 {
		o.Jobs = runtime.NumCPU()
	}
	if o.Rounds < 1 || o.Starts < 0 {
		return usage.Errorf("--rounds does not take less than 1, nor --starts less than 0")
	}
	if len(o.Comparators) == 1 && o.Comparators[0] == "none" {
		o.Comparators = nil
	}
	for _, name := range o.Comparators {
		if !slices.Contains(bench.Comparators, name) {
			return usage.Errorf("--comparators does not take %q: give some of %s, or none", name, strings.Join(bench.Comparators, ", "))
		}
	}
	if o.Packages != "" {
		if info, err := os.Stat(o.Packages); err != nil || !info.IsDir() {
			return usage.Errorf("--packages names %s, which is no folder: give one with a subfolder for each package", o.Packages)
		}
	}
	var err error
	if o.Julia, err = julia.Find(ctx, executable); err != nil {
		return err
	}
	o.ProgramVersion = versionText()
	if o.Program == "" {
		o.Program, err = os.Executable()
		return err
	}
	if o.Program, err = filepath.Abs(o.Program); err != nil {
		return err
	}
	o.ProgramVersion, err = bench.ProgramVersion(o.Program)
	return usage.Wrap(err)
}

// runBench measures, and writes what was measured while it is and when it is over.
func runBench(o bench.Options, output string, asJSON bool, stdout, stderr *os.File, measure func(bench.Options) (*bench.Results, error)) error {
	o.Command = append([]string{"chainbuild"}, os.Args[1:]...)
	progress := bench.NewProgress(stderr)
	var encoders []*json.Encoder
	if asJSON {
		encoders = append(encoders, json.NewEncoder(stdout))
	}
	if output != "" {
		if err := os.MkdirAll(output, 0o755); err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(output, bench.SamplesFile))
		if err != nil {
			return err
		}
		defer f.Close()
		encoders = append(encoders, json.NewEncoder(f))
	}
	var writeErr error
	o.Report = func(e bench.Event) {
		if _, isStep := e.(bench.Step); !isStep {
			for _, encoder := range encoders {
				writeErr = errors.Join(writeErr, encoder.Encode(e))
			}
		}
		progress.Report(e)
	}
	results, err := measure(o)
	progress.Close()
	if err = errors.Join(err, writeErr); err != nil {
		return err
	}
	if output != "" {
		if err := results.WriteReports(output); err != nil {
			return err
		}
	}
	if !asJSON {
		if _, err := fmt.Fprint(stdout, results.Text()); err != nil {
			return err
		}
	}
	if n := results.Failures(); n > 0 {
		return fmt.Errorf("%d of the measurements failed: the rows and notes of the tables say why", n)
	}
	return nil
}

func newBenchGrowthCommand(stdout, stderr *os.File) *cobra.Command {
	o := bench.Options{}
	g := bench.GrowthOptions{}
	var executable, output string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "growth",
		Short: "Measure how builds grow with what is new",
		Long: `Build images of generated packages of several sizes, cold with several numbers of
compile workers, and warm, and one function more on each image. A model of the stages is
fitted to what was measured: it says what more processors and more machines would gain,
and what stays.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := completeBenchOptions(cmd.Context(), &o, executable); err != nil {
				return err
			}
			for _, number := range append(slices.Clone(g.Sizes), g.Jobs...) {
				if number < 1 {
					return usage.Errorf("--sizes and --workers do not take %d: give numbers above 0", number)
				}
			}
			return runBench(o, output, asJSON, stdout, stderr, func(o bench.Options) (*bench.Results, error) { return bench.RunGrowth(cmd.Context(), o, g) })
		},
	}
	section(cmd, inSection, func(flags *pflag.FlagSet) {
		flags.IntSliceVar(&g.Sizes, "sizes", []int{100, 300, 1000, 3000, 10000, 20000}, "`NUMBERS` of functions of the packages")
	})
	addMeasuredFlags(cmd, &o, &executable)
	section(cmd, measuredSection, func(flags *pflag.FlagSet) {
		flags.IntSliceVar(&g.Jobs, "workers", defaultWorkers(), "`NUMBERS` of processes that compile at a time")
		flags.IntVar(&o.Rounds, "rounds", 3, "how many `TIMES` everything is measured")
	})
	addResultFlags(cmd, &output, &asJSON)
	o.Jobs, o.Emit = 1, settings.EmitAll
	return cmd
}

// defaultWorkers are 1, 2, 4 and so on up to the number of processors.
func defaultWorkers() []int {
	var numbers []int
	for n := 1; n < runtime.NumCPU(); n *= 2 {
		numbers = append(numbers, n)
	}
	return append(numbers, runtime.NumCPU())
}

func newBenchReportCommand(stdout *os.File) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "report MEASUREMENT... -o FOLDER",
		Short: "Make the tables and charts of measurements again",
		Long: `Make the tables and charts of measurements again, from samples.jsonl files or
folders that have one. Several are put together: they should be of one machine and
one Julia. Of a workload that two have, the later one's samples are taken.`,
		Example: `  chainbuild bench report bench/results/julia-1.10/workloads -o report`,
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var results *bench.Results
			for _, path := range args {
				read, err := readMeasurement(path)
				if err != nil {
					return err
				}
				if results == nil {
					results = read
				} else {
					results.Merge(read)
				}
			}
			if output == "" {
				return results.WriteMarkdown(stdout)
			}
			if err := os.MkdirAll(output, 0o755); err != nil {
				return err
			}
			return results.WriteReports(output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write into `FOLDER` (default: Markdown to standard output)")
	cmd.MarkFlagDirname("output")
	return cmd
}

func newBenchCompareCommand(stdout *os.File) *cobra.Command {
	o := bench.CompareOptions{}
	cmd := &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Say what is slower, larger or more in the second measurement",
		Long: `Compare the samples of two measurements, samples.jsonl files or folders that have
one. A difference counts if a Mann-Whitney U test finds it significant (alpha) and
the medians differ by more than the threshold. The exit code is 1 if anything
became worse that much. Significance needs 4 rounds or more on both sides.`,
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var read [2]*bench.Results
			for i, path := range args {
				var err error
				if read[i], err = readMeasurement(path); err != nil {
					return err
				}
			}
			comparison, err := bench.Compare(read[0], read[1], o)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(stdout, comparison.Text()); err != nil {
				return err
			}
			if n := comparison.Worse(); n > 0 {
				return fmt.Errorf("%d metrics became worse by more than %g %%: see the table", n, o.Threshold)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Float64Var(&o.Threshold, "threshold", 3, "how many `PERCENT` worse is accepted")
	flags.Float64Var(&o.Alpha, "alpha", 0.05, "the `PROBABILITY` of chance below which a difference counts")
	flags.StringSliceVar(&o.Metrics, "metric", nil, "compare only metrics that match the `PATTERN`, such as 'cold/*'")
	flags.BoolVar(&o.All, "all", false, "list what did not change too")
	return cmd
}

// readMeasurement reads a file of samples, or that of a folder.
func readMeasurement(path string) (*bench.Results, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, bench.SamplesFile)
	}
	return bench.ReadResultsFile(path)
}
