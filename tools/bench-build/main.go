// Bench-build measures chained builds against stock whole-image builds of the same content, in one run on one machine.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"chainbuild/bench"
	"chainbuild/julia"
)

const usage = `usage: bench-build [options] FOLDER...

Measures with the content of each folder, which has a workload.jl and the trace.jl of its statements. Prints Markdown
tables; progress goes to standard error. A stock build takes minutes for each folder, so choose.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "bench-build: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o := bench.Options{Progress: os.Stderr}
	var executable, jsonFile string
	flag.StringVar(&executable, "julia", "", "the julia `EXECUTABLE` (default: as chainbuild finds it)")
	flag.StringVar(&o.Chainbuild, "chainbuild", "bin/chainbuild", "the `PROGRAM` to measure")
	flag.BoolVar(&o.Stock, "stock", true, "measure the stock build too")
	flag.IntVar(&o.Builds, "builds", 3, "how many `TIMES` to build by chaining")
	flag.IntVar(&o.Starts, "starts", 21, "how many `TIMES` to start each image")
	flag.IntVar(&o.Runs, "runs", 3, "how many `TIMES` to run each workload under each image")
	flag.StringVar(&jsonFile, "json", "", "write all that was measured to `FILE` as JSON")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 || o.Builds < 1 || o.Starts < 1 || o.Runs < 1 {
		return fmt.Errorf("give at least one folder, and each number of times above 0: see bench-build -help")
	}
	for _, dir := range flag.Args() {
		w, err := bench.ReadWorkload(dir)
		if err != nil {
			return err
		}
		o.Rows = append(o.Rows, w)
	}
	var err error
	if o.Julia, err = julia.Find(executable); err != nil {
		return err
	}
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if jsonFile != "" {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(jsonFile, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return report.WriteMarkdown(os.Stdout)
}
