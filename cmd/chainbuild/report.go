package main

// This file is the command that measures two Julias against each other.

import (
	"context"
	"fmt"
	"os"
	"strings"

	"chainbuild/bench"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/julia"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const reportHelp = `Measure two builds of Julia against each other, and say whether something speaks
against the new one: what a reviewer of a change of Julia wants to know.

With both, in turns: the workloads (as for chainbuild bench) under Julia's own image
and under chained ones, the builds of these by stage, sizes, memory, the start. Then
Julia's own tests, under its own image and under a chained one that holds what they
compile. And each build a second time, with everything compiled: are the bytes the
same, and if not, where do they differ?

These are against the new Julia, and make the exit code 1:
  - a workload that could be measured with the old one only;
  - a test that gives another result under the chained image than under Julia's own;
  - a build that gives other bytes the second time, and did not with the old Julia;
  - a metric that became worse by more than its threshold, if a Mann-Whitney U test
    finds that significant, which needs 4 rounds or more.

Arguments are workloads, by default Added and Method, which need no packages. --from
judges a report again that was written with -o, and runs nothing.`

// reportOptions are what the flags of report say.
type reportOptions struct {
	bench.ReviewOptions
	executable, against, output, from string
	tests                             []string
	thresholds                        []string
	alpha                             float64
	annotations                       bool
}

func newReportCommand(stdout, stderr *os.File) *cobra.Command {
	o := &reportOptions{}
	target := settings.Target{Emit: settings.EmitTraced}
	cmd := &cobra.Command{
		Use:   "report --julia NEW --against OLD -o FOLDER [WORKLOAD...]",
		Short: "Say what a change of Julia does to chained images",
		Long:  reportHelp,
		Example: `  chainbuild report --julia build/julia --against ~/julia-1.12.5/bin/julia -o report
  chainbuild report --julia new --against old -o report --tests all --threshold 5 --threshold 'cold/bytes=1' Orbits stdlib
  chainbuild report --from report --threshold 10`,
		RunE: func(cmd *cobra.Command, args []string) error {
			thresholds, err := bench.ParseThresholds(o.thresholds)
			if err != nil {
				return err
			}
			if o.alpha <= 0 || o.alpha >= 1 {
				return usage.Errorf("--alpha does not take %g: give a probability between 0 and 1, such as 0.05", o.alpha)
			}
			o.Emit = target.Emit
			var review *bench.Review
			if o.from != "" {
				review, err = o.read(cmd, args)
			} else {
				review, err = o.measure(cmd, args, stderr)
			}
			if err != nil {
				return err
			}
			return o.judge(review, thresholds, stdout)
		},
	}
	section(cmd, inSection, func(flags *pflag.FlagSet) {
		flags.StringVar(&o.executable, "julia", "", "the new julia `EXECUTABLE`")
		flags.StringVar(&o.against, "against", "", "the old julia `EXECUTABLE`")
		flags.StringVar(&o.Packages, "packages", "", "take packages from the `FOLDER` of sources")
		flags.StringVar(&o.Program, "chainbuild", "", "the `PROGRAM` to measure with (default: this one)")
		flags.StringVar(&o.from, "from", "", "judge what is in the `FOLDER` of a report again, and measure nothing")
	})
	section(cmd, howSection, func(flags *pflag.FlagSet) { addJobsFlag(flags, &o.Jobs) })
	addTargetFlags(cmd, howSection, &target, emitFlag)
	section(cmd, measuredSection, func(flags *pflag.FlagSet) {
		flags.IntVar(&o.Rounds, "rounds", 5, "how many `TIMES` everything is measured")
		flags.IntVar(&o.Starts, "starts", 3, "how many `TIMES` each image is started in a round")
		flags.StringSliceVar(&o.tests, "tests", []string{"quick"}, "`NAMES` of Julia's own tests; or quick, all, none")
	})
	section(cmd, "What speaks against the new Julia", func(flags *pflag.FlagSet) {
		flags.StringArrayVar(&o.thresholds, "threshold", nil, "how many `PERCENT` worse is accepted; of some metrics with 'PATTERN=PERCENT'; may be given several times")
		flags.Float64Var(&o.alpha, "alpha", 0.05, "the `PROBABILITY` of chance below which a difference counts")
	})
	section(cmd, saidSection, func(flags *pflag.FlagSet) {
		flags.StringVarP(&o.output, "output", "o", "", "write Markdown, a page, JSON, and both measurements into `FOLDER`")
		flags.BoolVar(&o.annotations, "annotations", os.Getenv("GITHUB_ACTIONS") == "true", "print findings as annotations of GitHub Actions (default: where that runs)")
	})
	for _, name := range []string{"packages", "output", "from"} {
		cmd.MarkFlagDirname(name)
	}
	// The default of annotations is of this process's environment.
	cmd.Flags().Lookup("annotations").DefValue = "false"
	return cmd
}

// read reads a report that was written.
func (o *reportOptions) read(cmd *cobra.Command, args []string) (*bench.Review, error) {
	for _, name := range []string{"julia", "against", "packages", "rounds", "starts", "tests"} {
		if cmd.Flags().Changed(name) {
			return nil, usage.Errorf("--from measures nothing, so it does not go with --%s: leave one of them out", name)
		}
	}
	if len(args) > 0 {
		return nil, usage.Errorf("--from measures nothing, so it does not go with the workload %s: leave one of them out", args[0])
	}
	return bench.ReadReview(o.from)
}

// measure checks the flags and measures.
func (o *reportOptions) measure(cmd *cobra.Command, args []string, stderr *os.File) (*bench.Review, error) {
	if o.executable == "" || o.against == "" {
		return nil, usage.Errorf("a report is about two Julias: name the new one with --julia and the old one with --against")
	}
	if o.output == "" {
		return nil, usage.Errorf("a report is a folder of files: name it with -o")
	}
	if err := checkJobs(cmd, o.Jobs); err != nil {
		return nil, err
	}
	if len(args) == 0 {
		args = []string{"Added", "Method"}
	}
	var err error
	if o.Workloads, err = bench.Select(args); err != nil {
		return nil, err
	}
	if o.Tests, err = testNames(o.tests); err != nil {
		return nil, err
	}
	if o.Against, err = julia.Find(cmd.Context(), o.against); err != nil {
		return nil, fmt.Errorf("--against: %w", err)
	}
	if err := completeBenchOptions(cmd.Context(), &o.Options, o.executable); err != nil {
		return nil, err
	}
	// Before hours of work: can it be written?
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return nil, usage.Wrap(err)
	}
	o.Command = append([]string{"chainbuild"}, os.Args[1:]...)
	return o.run(cmd.Context(), stderr)
}

// run measures and shows how far it is.
func (o *reportOptions) run(ctx context.Context, stderr *os.File) (*bench.Review, error) {
	progress := bench.NewProgress(stderr)
	defer progress.Close()
	o.Report = progress.Report
	return bench.RunReview(ctx, o.ReviewOptions)
}

// testNames are the tests that --tests names.
func testNames(given []string) ([]string, error) {
	if len(given) != 1 {
		for _, name := range given {
			if name == "quick" || name == "all" || name == "none" {
				return nil, usage.Errorf("--tests takes %s alone, or names of tests: not %s", name, strings.Join(given, ","))
			}
		}
		return given, nil
	}
	switch given[0] {
	case "quick":
		return bench.JuliaTests(true), nil
	case "all":
		return bench.JuliaTests(false), nil
	case "none":
		return nil, nil
	}
	return given, nil
}

// judge prints what follows from a review, and writes it.
func (o *reportOptions) judge(review *bench.Review, thresholds []bench.Threshold, stdout *os.File) error {
	verdict := review.Judge(thresholds, o.alpha)
	if o.output != "" {
		if err := os.MkdirAll(o.output, 0o755); err != nil {
			return usage.Wrap(err)
		}
		if err := review.Write(o.output, verdict, thresholds, o.alpha); err != nil {
			return err
		}
	}
	text := review.Text(verdict)
	if o.annotations {
		text += verdict.Annotations()
	}
	if _, err := fmt.Fprint(stdout, text); err != nil {
		return err
	}
	switch n := verdict.Against(); n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("1 finding is against the new Julia: see the report")
	default:
		return fmt.Errorf("%d findings are against the new Julia: see the report", n)
	}
}
