package bench

// This file runs workloads and measures processes.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// driverSource is what Julia runs for a workload: the load line and the work are statements of a script, as a person writes them. Times, and
// the processor time of the process, are written by the runtime's own function, since printing them would compile more than some workloads do.
const driverSource = `const bench_began, bench_used = time_ns(), ccall(:clock, Clong, ())
%s
const bench_loaded = time_ns()
include(%q)
const bench_ended, bench_used_then = time_ns(), ccall(:clock, Clong, ())
ccall(:jl_safe_printf, Cvoid, (Ptr{UInt8}, UInt64...), "chainbuild-bench %%lu %%lu %%lu\n",
    bench_loaded - bench_began, bench_ended - bench_loaded, bench_used_then - bench_used)
`

// clockTick is the unit of clock(): POSIX has it a millionth of a second.
const clockTick = 1e-6

// prepare makes the job's folder with project, work and driver. It returns the versions of the packages.
func (b *bencher) prepare(ctx context.Context, j *job) (map[string]string, error) {
	var err error
	if j.dir, err = os.MkdirTemp(b.scratch.Path, "workload-"); err != nil {
		return nil, err
	}
	project := filepath.Join(j.dir, "project")
	if err := os.Mkdir(project, 0o755); err != nil {
		return nil, err
	}
	versions, err := b.makeProject(ctx, j.Workload, project)
	if err != nil {
		return nil, err
	}
	if j.Package != "" {
		j.packages = []string{filepath.Base(j.Package)}
	}
	if j.snippet != nil {
		j.packages = j.snippet.packages(b.Julia)
	}
	wanted, err := packagesFor(j.Workload, b.Julia.Version)
	if err != nil {
		return nil, err
	}
	for name := range wanted {
		j.packages = append(j.packages, name)
	}
	slices.Sort(j.packages)
	source, err := j.source()
	if err != nil {
		return nil, err
	}
	work := filepath.Join(j.dir, "work.jl")
	j.driver, j.trace = filepath.Join(j.dir, "driver.jl"), filepath.Join(j.dir, "trace.jl")
	return versions, errors.Join(
		os.WriteFile(work, []byte(source), 0o644),
		os.WriteFile(j.driver, fmt.Appendf(nil, driverSource, j.Load, work), 0o644))
}

// A workloadRun is what a run of a workload took.
type workloadRun struct {
	measurement
	times
}

// times are seconds; used is the processor time of load and work.
type times struct{ load, work, used float64 }

// runWorkload runs the workload under an image and checks what it prints.
func (b *bencher) runWorkload(ctx context.Context, j *job, im image, arguments ...string) (workloadRun, error) {
	m, err := b.run(ctx, b.juliaUnder(ctx, j, im, append(arguments, j.driver)...))
	if err != nil {
		return workloadRun{}, err
	}
	r := workloadRun{measurement: m}
	if r.times, err = parseTimes(m.said); err != nil {
		return workloadRun{}, err
	}
	for _, text := range j.Check {
		if !bytes.Contains(m.printed, []byte(text)) {
			return workloadRun{}, fmt.Errorf("under %s the workload does not print %q", imageName(im), text)
		}
	}
	if j.printed != nil && !bytes.Equal(m.printed, j.printed) {
		if j.snippet != nil && im.subject == Base {
			// Snippets need not print the same each time: one that prints a time does not under the same image either.
			j.printed = nil
			return r, nil
		}
		return workloadRun{}, fmt.Errorf("under %s the workload prints something else than the first time", imageName(im))
	}
	return r, nil
}

func imageName(im image) string {
	if im.subject == Base {
		return "Julia's own image"
	}
	return "the image of " + im.subject
}

// parseTimes finds the driver's last line.
func parseTimes(said []byte) (times, error) {
	text := string(said)
	i := strings.LastIndex(text, "chainbuild-bench ")
	if i < 0 {
		return times{}, errors.New("the workload left Julia before its end")
	}
	var load, work, ticks int64
	if _, err := fmt.Sscanf(text[i:], "chainbuild-bench %d %d %d", &load, &work, &ticks); err != nil {
		return times{}, fmt.Errorf("the times of the workload cannot be read from %.100q: %w", text[i:], err)
	}
	return times{float64(load) / 1e9, float64(work) / 1e9, float64(ticks) * clockTick}, nil
}

// measureRun runs the workload under an image and notes its times.
func (b *bencher) measureRun(ctx context.Context, j *job, im image, round int) error {
	r, err := b.runWorkload(ctx, j, im)
	if err != nil {
		return err
	}
	b.sample(j, round, im.subject, Load, r.load)
	b.sample(j, round, im.subject, Work, r.work)
	b.sample(j, round, im.subject, First, r.load+r.work)
	b.sample(j, round, im.subject, FirstCPU, r.used)
	b.sample(j, round, im.subject, Process, r.seconds)
	b.sample(j, round, im.subject, CPU, r.cpu)
	b.sample(j, round, im.subject, Peak, float64(r.peak))
	return nil
}

// record runs the workload as `chainbuild run` starts it, and has Julia write down what it compiles. Round -1 is the one whose statements
// are used; all are measured.
func (b *bencher) record(ctx context.Context, j *job, round int) error {
	own := image{subject: Base, path: b.Julia.Image}
	trace := j.trace
	if round >= 0 {
		trace = filepath.Join(j.dir, "again.jl")
	}
	r, err := b.runWorkload(ctx, j, own, "--trace-compile="+trace)
	if err != nil {
		return err
	}
	if round < 0 {
		statements, err := distinctLines(trace)
		if err == nil && len(statements) == 0 {
			return cannotRun("Julia compiles nothing for it: there is nothing to gain")
		}
		return err
	}
	b.sample(j, round, Record, Seconds, r.seconds)
	return nil
}

// residual counts what Julia still compiles under the chained image.
func (b *bencher) residual(ctx context.Context, j *job, chained image) error {
	trace := filepath.Join(j.dir, "residual.jl")
	if _, err := b.runWorkload(ctx, j, chained, "--trace-compile="+trace); err != nil {
		return err
	}
	statements, err := distinctLines(trace)
	b.sample(j, 0, Chained, Residual, float64(len(statements)))
	return err
}

// distinctLines are the lines of the file that differ. Julia makes no file where it has nothing to write.
func distinctLines(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	lines := slices.Sorted(strings.Lines(string(text)))
	return slices.Compact(lines), nil
}

// juliaUnder is a Julia process that starts with an image in the job's project.
func (b *bencher) juliaUnder(ctx context.Context, j *job, im image, arguments ...string) *exec.Cmd {
	all := append([]string{"-J", im.path, "--project=" + filepath.Join(j.dir, "project")}, im.arguments...)
	cmd := b.juliaCommand(ctx, append(all, arguments...)...)
	if j.snippet != nil {
		cmd.Dir = j.dir // snippets may leave files where they run
	}
	return cmd
}

// juliaCommand is a Julia process.
func (b *bencher) juliaCommand(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := b.Julia.Command(ctx, append([]string{"--history-file=no"}, arguments...)...)
	cmd.Env = append(b.environment(), "JULIA_NUM_THREADS=1", "COLUMNS=100", "LINES=40")
	return cmd
}

// environment is the same for all processes: packages are found by the project alone. Where packages come from the user's depots, these follow after
// the run's own.
func (b *bencher) environment() []string {
	var depots []string
	if b.Packages == "" {
		depots = b.Julia.DepotPaths
	}
	return b.environmentWithout(func(name string) bool {
		switch name {
		case "JULIA_LOAD_PATH", "JULIA_PROJECT", "JULIA_NUM_THREADS", "CHAINBUILD_CACHE", "COLUMNS", "LINES":
			return true
		}
		return strings.HasPrefix(name, "CHAINBUILD_REMOTE_")
	}, depots)
}

// usersEnvironment has the user's packages besides, by the default environment and the user's own depots.
func (b *bencher) usersEnvironment() []string {
	return b.environmentWithout(func(name string) bool { return name == "JULIA_PROJECT" }, b.Julia.DepotPaths)
}

// environmentWithout is the user's without some variables, and with the run's own depot before the given ones, so that caches are not the user's.
func (b *bencher) environmentWithout(without func(name string) bool, depots []string) []string {
	kept := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return name == "JULIA_DEPOT_PATH" || without(name)
	})
	depots = append([]string{b.scratch.File("depot")}, depots...)
	return append(kept, "JULIA_DEPOT_PATH="+strings.Join(depots, string(filepath.ListSeparator)))
}

// A measurement is what a command took.
type measurement struct {
	seconds float64
	cpu     float64 // seconds of processor time, of the process and of all that it waited for
	peak    int64   // largest resident set, in bytes, of any one of them
	printed []byte  // on standard output
	said    []byte  // on standard error
}

// run runs a command, which was made with ctx, to its end.
func (b *bencher) run(ctx context.Context, cmd *exec.Cmd) (measurement, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	name := filepath.Base(cmd.Path)
	switch {
	case ctx.Err() != nil:
		return measurement{}, context.Cause(ctx)
	case err != nil:
		if reason := reasonIn(stderr.String()); reason != "" {
			return measurement{}, fmt.Errorf("%s: %w: %s", name, err, reason)
		}
		return measurement{}, fmt.Errorf("%s: %w", name, err)
	}
	// Linux counts the process and all that it waited for.
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return measurement{
		seconds: took.Seconds(), cpu: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
		peak: usage.Maxrss << 10, printed: stdout.Bytes(), said: stderr.Bytes(),
	}, nil
}
