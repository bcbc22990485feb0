package pipeline

// This file runs the front worker (julia/worker/front.jl) and follows its events.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/sysimage"
)

// A frontEvent is what the front worker says. The fields that are set follow from the event's kind.
type frontEvent struct {
	Name string `json:"name"` // stage: what begins, "" for the end of the last

	Package string `json:"package"` // loading: what is loaded next

	Path string `json:"path"` // source: a file or folder that the image is made from

	Line   int    `json:"line"` // unresolved: position in the list of statements
	Reason string `json:"reason"`

	Text string `json:"text"` // warning

	Functions int `json:"functions"` // emitted: new functions; partition: those in it; invalidated: functions of the base
	Revived   int `json:"revived"`   // invalidated: those of them whose code is right as it is

	Number int    `json:"number"` // partition: counts from 1
	Of     int    `json:"of"`
	Weight int64  `json:"weight"`
	Label  string `json:"label"`

	PID     int    `json:"pid"` // heap: the worker's process, addresses in its memory, counters
	Any     uint64 `json:"any"`
	Task    uint64 `json:"task"`
	Storage uint64 `json:"storage"`
	World   uint64 `json:"world"`
	Symbols uint32 `json:"symbols"`

	Paths []string `json:"paths"` // images: the package images that the worker has loaded
}

// A front follows the front worker: what it is at, and what became of the statements.
type front struct {
	*run
	compiler   *compiler
	stage      string // "" between stages
	loading    string // the package that it loads
	inferred   int    // statements
	unresolved []Unresolved

	heap     *heapFile
	handover *handover
}

// inferredAtOnce is how many statements the front worker's event is about.
const inferredAtOnce = 8

// startStage is the stage that the front worker is in before it says anything.
const startStage = "start"

// runFront runs the front worker. Partitions go to the compiler as they come, the heap to heap. It returns what the heap is chained with.
func (r *run) runFront(ctx context.Context, compiler *compiler, heap *heapFile, handover *handover) (*sysimage.Index, error) {
	log, err := os.Create(r.file("front.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	f := &front{run: r, compiler: compiler, heap: heap, handover: handover, unresolved: slices.Clone(r.inputs.refused)}
	for _, u := range f.unresolved {
		r.progress.unresolved(u)
	}
	caches, err := r.startCaching(ctx, log)
	if err != nil {
		return nil, err
	}
	defer caches.close()
	files := []*os.File{heap.file, f.handover.read}
	if caches.end != nil {
		files = append(files, caches.end)
	}
	f.enter(startStage, nil)
	process, err := r.julia.Start(ctx, "the front worker", r.frontArgs(), log, f.handle, files...)
	if err == nil {
		err = f.explain(ctx, process.Wait())
		r.progress.sawPeak(process.PeakRSS())
	}
	if err == nil {
		err = f.verifyHeap()
	}
	f.enter("", err)
	if err != nil {
		return nil, err
	}
	compiler.noMore()
	index, err := sysimage.ReadIndex(r.file("index.txt"))
	if err != nil {
		return nil, err
	}
	index.KeepRoots, index.RegistersLayers = r.makesWorkerImage, r.series.RegistersLayers
	if handover.taken {
		index.Underlay = handover.underlay
	}
	r.progress.set(func(result *Result) { result.Functions.Base = len(r.base.Functions) })
	return index, nil
}

// frontArgs are the arguments of a julia that is the front worker.
func (r *run) frontArgs() []string {
	args := []string{"--output-o", r.file("unused.o")}
	if r.series.KeepsBaseCode {
		args = append(append(args, r.series.KeepBaseCode...), "-J", r.liveImage())
	} else {
		args = append(args, "--output-incremental=yes", "-J", r.file("shim.so"))
	}
	if !r.usesPackageImages() {
		args = append(args, r.series.WithoutCode...)
	}
	args = append(args, r.heapOption(r.memory.frontHeap)...)
	if r.options.Project != "" {
		args = append(args, "--project="+r.options.Project)
	}
	if r.frontOnWorkerImage() {
		return append(args, "-e", r.sources.Read("start_front.jl"), r.file("request.txt"))
	}
	return append(args, r.source("front.jl"), r.file("request.txt"))
}

// handle takes up an event.
func (f *front) handle(event julia.Event) error {
	var e frontEvent
	if err := event.Decode(&e); err != nil {
		return err
	}
	switch event.Kind {
	case "stage":
		if e.Name == "collect" {
			if err := f.countStatements(); err != nil {
				return err
			}
		}
		if f.stage == startStage {
			f.compiler.frontStarted()
		}
		f.enter(e.Name, nil)
	case "loading":
		f.loading = e.Package
		f.progress.loading(e.Package)
	case "inferred":
		f.inferred += inferredAtOnce
		f.progress.inferred(f.inferred)
	case "unresolved":
		if e.Line >= 0 && e.Line < len(f.inputs.statements) {
			s := f.inputs.statements[e.Line]
			u := Unresolved{File: s.File, Line: s.Line, Statement: s.Source, Reason: addedBy(e.Reason, s.AddedBy)}
			f.unresolved = append(f.unresolved, u)
			f.progress.unresolved(u)
		}
	case "warning":
		f.progress.warn(e.Text)
	case "source":
		f.options.sources(e.Path)
	case "invalidated":
		f.progress.invalidated(e.Functions, e.Revived)
	case "emitted":
		f.progress.emitted(e.Functions)
	case "images":
		return f.holdPackageImages(e.Paths)
	case "heap":
		return f.takeHeap(&e)
	case "partition":
		name := f.file(fmt.Sprintf("part-%d", e.Number))
		f.compiler.add(llvmdriver.Partition{Number: e.Number, Label: e.Label, Bitcode: name + ".bc", Names: name + ".map", Functions: e.Functions, Weight: e.Weight}, e.Of)
	}
	return nil
}

// enter ends the stage that the worker is in, with err, and begins another one, unless its name is "".
func (f *front) enter(name string, err error) {
	if f.stage != "" {
		f.progress.endStage(f.stage, err)
	}
	if f.stage = name; name != "" {
		f.progress.beginStage(name)
	}
}

// explain says of the error that the worker ended with what it means; nil stays nil.
func (f *front) explain(ctx context.Context, err error) error {
	var gaveUp *julia.WorkerError
	switch {
	case err == nil:
		return nil
	case f.stage == startStage && ctx.Err() == nil:
		return f.ofLiveImage(err)
	case f.stage == "load" && errors.As(err, &gaveUp):
		// Before it has loaded the packages it has done no work, and all that it complains of is what it was given.
		return usage.Wrap(err)
	case f.stage == "load" && f.loading != "" && ctx.Err() == nil:
		return fmt.Errorf("package %s ends the process that loads it: %w", f.loading, err)
	}
	return err
}

// countStatements sums up what became of the statements when all were inferred. A strict build ends here if one was not used.
func (f *front) countStatements() error {
	slices.SortFunc(f.unresolved, func(x, y Unresolved) int {
		return cmp.Or(
			cmp.Compare(slices.Index(f.options.Statements, x.File), slices.Index(f.options.Statements, y.File)),
			cmp.Compare(x.Line, y.Line))
	})
	total, unresolved := len(f.inputs.statements)+len(f.inputs.refused)+f.inputs.inBase, len(f.unresolved)
	f.progress.set(func(result *Result) {
		result.Unresolved = f.unresolved
		result.Statements = StatementCounts{Total: total, Resolved: total - unresolved, Unresolved: unresolved, InBase: f.inputs.inBase}
	})
	if f.options.Strict && unresolved > 0 {
		first := f.unresolved[0]
		return fmt.Errorf("%d of %d statements cannot be resolved, the first at %s:%d (%s): mend them, or build without --strict",
			unresolved, total, first.File, first.Line, first.Reason)
	}
	return nil
}
