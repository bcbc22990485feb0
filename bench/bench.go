// Package bench measures what chained builds cost and gain.
package bench

// This file is a measurement from top to bottom: for each row the content is built twice, by chainbuild and as a stock
// whole image, and the images run beside the base, in turns, so that what else the machine does meets all of them alike.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"chainbuild/build"
	"chainbuild/julia"
	"chainbuild/sysimage"
)

// Options say what to measure.
type Options struct {
	// Julia makes and runs the images; its own image is the base.
	Julia *julia.Installation
	// Chainbuild is the program that is measured.
	Chainbuild string
	// Rows is the content to measure with.
	Rows []Workload
	// Stock is whether the stock build is measured too: it takes minutes for each row.
	Stock bool
	// Builds, Starts and Runs are how often a chained build, the start of each image and each workload are measured.
	Builds, Starts, Runs int
	// Progress gets a line for each step.
	Progress io.Writer
}

// Run measures. All that it writes lies in a temporary folder, which is removed.
func Run(ctx context.Context, o Options) (*Report, error) {
	scratch, err := os.MkdirTemp("", "chainbuild-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	b := &bencher{Options: o, scratch: scratch, began: time.Now()}
	base, err := sysimage.OpenFile(o.Julia.Image)
	if err != nil {
		return nil, err
	}
	report := &Report{
		Date: b.began.UTC().Format(time.DateOnly), Processor: processorName(), Processors: runtime.NumCPU(), Memory: memoryBytes(),
		Julia: o.Julia.Version, BaseBytes: int64(len(base.Layers[0].Data)), BaseFunctions: len(base.Functions),
		Builds: o.Builds, Starts: o.Starts, Runs: o.Runs,
	}
	base.Close()
	for _, w := range o.Rows {
		row, err := b.row(ctx, w)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("%s: %w", w.Name, err)
		}
		report.Rows = append(report.Rows, row)
	}
	return report, nil
}

type bencher struct {
	Options
	scratch string
	began   time.Time
}

func (b *bencher) say(format string, args ...any) {
	fmt.Fprintf(b.Progress, "%7.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// row measures one workload.
func (b *bencher) row(ctx context.Context, w Workload) (*Row, error) {
	row := &Row{Name: w.Name}
	images := []image{{"base", b.Julia.Image}}
	// Once unmeasured: a package's first load also writes its cache.
	b.say("%s: running the workload once", w.Name)
	if _, err := b.run(ctx, b.julia(w, images[0], w.Script)); err != nil {
		return nil, err
	}
	for i := range b.Builds {
		b.say("%s: building by chaining, %d of %d", w.Name, i+1, b.Builds)
		path := filepath.Join(b.scratch, w.Name+"-chained.so")
		chained, err := b.chain(ctx, w, path)
		if err != nil {
			return nil, err
		}
		row.Chained.add(chained)
		if i == 0 {
			images = append(images, image{"chained", path})
		}
	}
	if b.Stock {
		b.say("%s: building the stock whole image", w.Name)
		path := filepath.Join(b.scratch, w.Name+"-stock.so")
		stock, err := b.stock(ctx, w, path)
		if err != nil {
			return nil, err
		}
		row.Stock = stock
		images = append(images, image{"stock", path})
	}
	b.say("%s: starting each of %d images %d times", w.Name, len(images), b.Starts)
	starts, _, err := b.inTurns(ctx, images, b.Starts, func(im image) *exec.Cmd { return b.julia(w, im, "-e", "") })
	if err != nil {
		return nil, err
	}
	b.say("%s: running the workload under each %d times", w.Name, b.Runs)
	runs, printed, err := b.inTurns(ctx, images, b.Runs, func(im image) *exec.Cmd { return b.julia(w, im, w.Script) })
	if err != nil {
		return nil, err
	}
	for i, im := range images {
		if !bytes.Equal(printed[i], printed[0]) {
			return nil, fmt.Errorf("the workload prints something else under the %s image than under the base", im.name)
		}
	}
	row.Start, row.Run = newTimes(starts), newTimes(runs)
	return row, nil
}

// An image is what a Julia is started with.
type image struct{ name, path string }

// chain builds an image by chaining, with everything compiled anew.
func (b *bencher) chain(ctx context.Context, w Workload, path string) (ChainedBuild, error) {
	args := []string{"--julia", b.Julia.Executable, "--statements", w.Trace, "--output", path, "--json", "--quiet"}
	if w.Project != "" {
		args = append(args, "--project", w.Project)
	}
	cmd := exec.CommandContext(ctx, b.Chainbuild, args...)
	cmd.Env = append(b.environment(), "CHAINBUILD_CACHE=off")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// It ends its own processes, and needs a moment for that.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	m, err := b.run(ctx, cmd)
	if err != nil {
		return ChainedBuild{}, err
	}
	lines := bytes.Split(bytes.TrimSpace(m.printed), []byte("\n"))
	var result build.Result
	if err := json.Unmarshal(lines[len(lines)-1], &result); err != nil {
		return ChainedBuild{}, fmt.Errorf("the last line that chainbuild printed is no result: %w", err)
	}
	return ChainedBuild{
		Seconds: m.seconds, PeakRSS: max(m.peak, result.PeakRSS), Bytes: result.Bytes,
		Statements: result.Statements.Resolved, Functions: result.Functions.New, Stages: result.Stages,
	}, nil
}

// inTurns runs the command for each image in turn, rounds times over. It returns the seconds of each image's runs, and
// what its last one printed. Before that each runs once unmeasured, so that its file is in memory.
func (b *bencher) inTurns(ctx context.Context, images []image, rounds int, command func(image) *exec.Cmd) (seconds [][]float64, printed [][]byte, err error) {
	seconds, printed = make([][]float64, len(images)), make([][]byte, len(images))
	for round := -1; round < rounds; round++ {
		for i, im := range images {
			m, err := b.run(ctx, command(im))
			if err != nil {
				return nil, nil, fmt.Errorf("under the %s image: %w", im.name, err)
			}
			printed[i] = m.printed
			if round >= 0 {
				seconds[i] = append(seconds[i], m.seconds)
			}
		}
	}
	return seconds, printed, nil
}

// julia is a Julia process that starts with an image.
func (b *bencher) julia(w Workload, im image, args ...string) *exec.Cmd {
	options := []string{"-J", im.path, "--history-file=no"}
	if w.Project != "" {
		options = append(options, "--project="+w.Project)
	}
	cmd := b.Julia.Command(context.Background(), append(options, args...)...)
	cmd.Env = append(b.environment(), "JULIA_NUM_THREADS=1")
	return cmd
}

// environment is the same for all processes: packages are found by the project alone, and caches are not the user's.
func (b *bencher) environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "JULIA_LOAD_PATH", "JULIA_PROJECT", "JULIA_DEPOT_PATH", "JULIA_NUM_THREADS", "CHAINBUILD_CACHE":
		default:
			kept = append(kept, variable)
		}
	}
	return append(kept, "JULIA_DEPOT_PATH="+filepath.Join(b.scratch, "depot"))
}

// A measurement is what a command took.
type measurement struct {
	seconds float64
	peak    int64 // largest resident set, in bytes, of any one of its processes
	printed []byte
}

// run runs a command to its end.
func (b *bencher) run(ctx context.Context, cmd *exec.Cmd) (measurement, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return measurement{}, err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Cancel() })
	err := cmd.Wait()
	stop()
	took := time.Since(began)
	if ctx.Err() != nil {
		return measurement{}, context.Cause(ctx)
	}
	if err != nil {
		return measurement{}, errors.Join(fmt.Errorf("%s: %w", cmd, err), errors.New(strings.TrimSpace(stderr.String())))
	}
	// Wait reports the largest resident set of the process and of all that it waited for.
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return measurement{took.Seconds(), usage.Maxrss << 10, stdout.Bytes()}, nil
}
