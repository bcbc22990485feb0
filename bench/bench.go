// Package bench measures what chained builds cost and gain, and says what it measured.
package bench

// This file is a measurement from top to bottom. For each workload: the project is made, the workload runs once so that Julia's own
// caches are there, what it compiles is recorded, and the images that cost minutes are built. Then come rounds. In each of them
// everything that is compared happens once, in turns, so that what else the machine does meets all of it alike.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"chainbuild/internal/scratch"
	"chainbuild/internal/settings"
	"chainbuild/julia"
	"chainbuild/sysimage"
)

// Options say what to measure.
type Options struct {
	// Julia makes and runs the images; its own image is the base.
	Julia *julia.Installation
	// Program is the chainbuild that is measured, ProgramVersion what it says about itself.
	Program, ProgramVersion string
	// Command is how the measurement was asked for; it is written to the results.
	Command []string
	// Workloads are what to measure with.
	Workloads []*Workload
	// Packages is a folder of package sources; empty: packages come from the user's depot and registries.
	Packages string
	// Emit is what chained builds compile.
	Emit settings.Emit
	// Comparators are of Comparators.
	Comparators []string
	// Rounds is how often everything is measured, Starts how often each image is started in each round.
	Rounds, Starts int
	// Jobs is the number of compile workers.
	Jobs int
	// Report is told what was measured and what goes on, from one goroutine.
	Report func(Event)
}

// An Event is a line of results (Header, WorkloadInfo, Sample, Skipped, End) or a Step.
type Event any

// A Step is something that begins, and how much there is to do.
type Step struct {
	Workload, What string
	// Done of Total steps are over; the rest takes Remaining, as far as can be told.
	Done, Total int
	Remaining   time.Duration
}

// patience is how long one workload may take: more than any needs, so that one that hangs does not hold up a night's run.
const patience = 3 * time.Hour

// Run measures. All that it writes lies in a temporary folder, which is removed. What a workload fails with is reported as skipped and
// the next one is measured; the error is for what ends the whole run.
func Run(ctx context.Context, o Options) (*Results, error) {
	b, err := newBencher(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	for _, w := range o.Workloads {
		b.planWorkload(w)
	}
	for _, w := range o.Workloads {
		limited, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it was given up after %v", patience))
		err := b.workload(limited, w)
		cancel()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			b.skip(w.Name, "", err)
		}
		b.plan.drop(w.Name)
	}
	b.end()
	return b.results, nil
}

// A bencher is the state of a run.
type bencher struct {
	Options
	scratch *scratch.Folder
	began   time.Time
	results *Results
	plan    plan
}

// newBencher makes a scratch folder and writes the header.
func newBencher(ctx context.Context, o Options) (*bencher, error) {
	folder, err := scratch.MakeFolder("bench")
	if err != nil {
		return nil, err
	}
	b := &bencher{Options: o, scratch: folder, began: time.Now(), results: &Results{}}
	base, err := sysimage.OpenFile(o.Julia.Image)
	if err != nil {
		b.close()
		return nil, err
	}
	defer base.Close()
	b.results.Header = Header{
		Type: "run", Date: b.began.UTC().Format(time.RFC3339), Command: o.Command, Program: o.ProgramVersion,
		Machine: thisMachine(),
		Julia: JuliaInfo{
			Version: o.Julia.Version, ImageBytes: int64(len(base.Layers[0].Data)), ImageFunctions: len(base.Functions), CPUName: o.Julia.CPUName,
		},
		Rounds: o.Rounds, Starts: o.Starts, Jobs: o.Jobs, Emit: string(o.Emit),
	}
	b.Report(b.results.Header)
	// What is found out about a Julia and its image is kept, as is the image that the workers start from. The first build on a base pays for
	// that, and no cold build should.
	if err := b.remember(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bencher) close() { b.scratch.Remove() }

func (b *bencher) end() {
	b.results.End = &End{Type: "end", Seconds: time.Since(b.began).Seconds(), Load: loadAverage()}
	b.Report(*b.results.End)
}

// remember builds an image of next to nothing, with a cache of its own. What it leaves there is what every later build on this base finds.
func (b *bencher) remember(ctx context.Context) error {
	trace := b.scratch.File("one.jl")
	if err := os.WriteFile(trace, []byte("precompile(Tuple{typeof(sin), Float64})\n"), 0o600); err != nil {
		return err
	}
	image := b.scratch.File("one.so")
	defer os.Remove(image)
	b.Report(Step{What: "getting to know Julia"})
	_, err := b.chain(ctx, &job{trace: trace, jobs: b.Jobs}, image, b.seed())
	return err
}

// seed is the folder of a cache that has nothing of any workload.
func (b *bencher) seed() string { return b.scratch.File("seed") }

// emptyCache makes the folder a cache that has nothing of any workload.
func (b *bencher) emptyCache(dir string) error {
	return errors.Join(os.RemoveAll(dir), linkTree(b.seed(), dir))
}

// A job is a workload on the way through a run.
type job struct {
	*Workload
	dir      string   // of its project and files
	driver   string   // the script that is run
	trace    string   // the statements that were recorded
	base     string   // the image that is built on; empty: Julia's own
	packages []string // that the images hold
	jobs     int      // compile workers
	printed  []byte   // what it prints
	own      image    // Julia's own
	others   []image  // to compare with
}

// chained is the image that each round builds.
func (j *job) chained() image {
	return image{subject: Chained, path: filepath.Join(j.dir, "chained.so")}
}

// An image is what a Julia is started with, and the subject of what is measured under it.
type image struct {
	subject, path string
	arguments     []string // for julia, besides the image
}

// The kinds of steps, as a report calls them.
const (
	stepPrepare = "making the project"
	stepOnce    = "running once"
	stepRecord  = "recording"
	stepStock   = "building the stock whole image"
	stepOther   = "building with PackageCompiler"
	stepRun     = "running under Julia's own image"
	stepFirst   = "building as the first on this base"
	stepCold    = "building cold"
	stepWarm    = "building warm"
	stepChange  = "building a change"
	stepChained = "running under the chained image"
	stepCompare = "running under another image"
	stepStart   = "starting Julia"
)

func (b *bencher) planWorkload(w *Workload) {
	b.plan.add(w.Name, stepPrepare, 1)
	b.plan.add(w.Name, stepOnce, 1)
	b.plan.add(w.Name, stepRecord, 1+b.Rounds)
	b.plan.add(w.Name, stepFirst, 1)
	if slices.Contains(b.Comparators, Stock) {
		b.plan.add(w.Name, stepStock, 1)
		b.plan.add(w.Name, stepCompare, b.Rounds)
	}
	if slices.Contains(b.Comparators, Compiler) {
		// Few have it, so nothing is guessed for the first one.
		b.plan.add(w.Name, stepOther, 1)
	}
	for _, kind := range []string{stepRun, stepCold, stepWarm, stepChained, stepStart} {
		b.plan.add(w.Name, kind, b.Rounds)
	}
}

// workload measures one workload.
func (b *bencher) workload(ctx context.Context, w *Workload) error {
	j, err := b.ready(ctx, w)
	if err != nil {
		return err
	}
	for round := range b.Rounds {
		if err := b.round(ctx, j, round); err != nil {
			return err
		}
	}
	return nil
}

// ready does what comes before the rounds: the project, the first run, the statements, the images that are built once.
func (b *bencher) ready(ctx context.Context, w *Workload) (*job, error) {
	j := &job{Workload: w, jobs: b.Jobs}
	info := WorkloadInfo{Type: "workload", Name: w.Name, About: w.About}
	if w.snippet != nil {
		info.Published = w.snippet.published
	}
	err := b.step(w.Name, stepPrepare, func() (err error) {
		info.Packages, err = b.prepare(ctx, j)
		return err
	})
	b.results.Workloads = append(b.results.Workloads, info)
	b.Report(info)
	if err != nil {
		return nil, err
	}
	j.own = image{subject: Base, path: b.Julia.Image, arguments: ownImageArguments(b.Julia.Version)}
	// The first run of all also writes the caches of packages.
	if err := b.step(j.Name, stepOnce, func() error {
		first, err := b.runWorkload(ctx, j, j.own)
		if err != nil {
			return err
		}
		j.printed = first.printed
		b.sample(j, 0, Base, Precompile, first.load)
		return nil
	}); err != nil {
		return nil, err
	}
	if err := b.step(j.Name, stepRecord, func() error { return b.record(ctx, j, -1) }); err != nil {
		return nil, err
	}
	j.others = b.comparators(ctx, j)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return j, nil
}

// round measures everything once.
func (b *bencher) round(ctx context.Context, j *job, round int) error {
	chained, cache := j.chained(), filepath.Join(j.dir, "cache")
	run := func(im image) func() error {
		return func() error { return b.measureRun(ctx, j, im, round) }
	}
	if err := b.step(j.Name, stepRun, run(j.own)); err != nil {
		return err
	}
	if err := b.step(j.Name, stepRecord, func() error { return b.record(ctx, j, round) }); err != nil {
		return err
	}
	if round == 0 {
		// A cache in which there is nothing at all.
		if err := b.step(j.Name, stepFirst, func() error { return b.measureChain(ctx, j, chained.path, cache, FirstBuild, round) }); err != nil {
			return err
		}
	}
	if err := errors.Join(os.RemoveAll(chained.path), b.emptyCache(cache)); err != nil {
		return err
	}
	for _, build := range []struct{ kind, subject string }{{stepCold, Cold}, {stepWarm, Warm}} {
		if err := b.step(j.Name, build.kind, func() error { return b.measureChain(ctx, j, chained.path, cache, build.subject, round) }); err != nil {
			return err
		}
	}
	if err := b.step(j.Name, stepChained, run(chained)); err != nil {
		return err
	}
	if round == 0 {
		if err := b.residual(ctx, j, chained); err != nil {
			return err
		}
	}
	for _, im := range j.others {
		if err := b.step(j.Name, stepCompare, run(im)); err != nil {
			return err
		}
	}
	return b.step(j.Name, stepStart, func() error {
		for range b.Starts {
			for _, im := range append([]image{j.own, chained}, j.others...) {
				m, err := b.run(ctx, b.juliaUnder(ctx, j, im, "-e", ""))
				if err != nil {
					return err
				}
				b.sample(j, round, im.subject, Start, m.seconds)
			}
		}
		return nil
	})
}

// step runs do as a step of the plan.
func (b *bencher) step(workload, kind string, do func() error) error {
	done, total := b.plan.progress()
	b.Report(Step{Workload: workload, What: kind, Done: done, Total: total, Remaining: b.plan.remaining()})
	began := time.Now()
	err := do()
	b.plan.done(workload, kind, time.Since(began))
	return err
}

// sample notes a number. Round is from 0.
func (b *bencher) sample(j *job, round int, subject, what string, value float64) {
	s := Sample{Type: "sample", Workload: j.Name, Metric: subject + "/" + what, Value: value, Round: round, At: time.Since(b.began).Seconds()}
	b.results.Samples = append(b.results.Samples, s)
	b.Report(s)
}

// skip notes what is not measured.
func (b *bencher) skip(workload, subject string, err error) {
	var cannot cannotRun
	s := Skipped{Type: "skipped", Workload: workload, Subject: subject, Reason: err.Error(), Failed: !errors.As(err, &cannot)}
	b.results.Skipped = append(b.results.Skipped, s)
	b.Report(s)
}

// linkTree makes the folder to with the files of the folder from, as links: nobody changes them in place.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, relative), 0o700)
		}
		return os.Link(path, filepath.Join(to, relative))
	})
}
