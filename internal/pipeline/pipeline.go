package pipeline

// This file is a build from top to bottom.
//
//	base ── inspect ──► tables, index, shim
//	statements, packages ── front worker on the live base ──► bitcode of partitions, index, heap
//	partitions ── compile workers ──► objects            while the front worker serialises the heap
//	heap, base ── chain ──► completed heap, merged tables
//	objects, heap, tables ── link ──► image ── verify ──► renamed to its name
//
// All that is not the image lies in a scratch folder, which is removed when the build ends, however it ends.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"chainbuild/elfpatch"
	"chainbuild/internal/scratch"
	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/objcache"
	"chainbuild/sysimage"

	"golang.org/x/sync/errgroup"
)

// Run builds an image as o says. The error is a *usage.Error if the request itself cannot be met, and was found out before any work.
// When ctx ends, all processes are stopped and Run returns its cause. A build that fails leaves the old image as it was.
func Run(ctx context.Context, o Options) (result *Result, err error) {
	writeTimings := recordTimings(&o)
	b := &builder{o: o, began: time.Now(), result: &Result{}, running: map[string]time.Time{}}
	defer func() {
		if timingsErr := writeTimings(); err == nil {
			err = timingsErr
		}
		if err != nil {
			result = nil
		}
		b.report(Finished{At: time.Now(), Result: result, Err: err})
	}()
	if b.target, err = llvmdriver.ParseTarget(string(o.CPU), int(o.OptLevel)); err != nil {
		return nil, usage.Wrap(err)
	}
	if b.o.Jobs == 0 {
		b.o.Jobs = runtime.NumCPU()
	}
	if b.inputs, err = check(&b.o); err != nil {
		return nil, err
	}
	if b.julia, err = julia.Find(ctx, o.Julia); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	} else if err != nil {
		return nil, usage.Wrap(err)
	}
	if b.series, err = b.julia.Series(); err != nil && o.Base == "" {
		return nil, usage.Wrap(err) // a base that is named is of another Julia then, which checkBase says
	}
	b.julia.Environment = o.Environment
	if err = b.stage("inspect", func() error { return b.inspect(ctx) }); err != nil {
		return nil, err
	}
	defer b.base.Close()
	b.openCache()
	defer b.cache.Close()
	b.findWorkerImage()
	if b.workers == "" {
		b.makeWorkerImage(ctx)
	}
	b.last = b.readRecord()
	err = b.inScratch(ctx)
	if err != nil && b.workers != "" && !b.frontBegan && ctx.Err() == nil {
		b.report(Warning{At: time.Now(), Text: fmt.Sprintf("the worker image %s is of no use and was removed: %v", b.workers, err)})
		os.Remove(b.workers)
		b.workers, b.result = "", &Result{}
		err = b.inScratch(ctx)
	}
	if err != nil {
		return nil, err
	}
	b.result.Seconds = time.Since(b.began).Seconds()
	b.sawPeak(ownPeak())
	return b.result, nil
}

// A builder is the state of one build.
type builder struct {
	o       Options
	began   time.Time
	target  llvmdriver.Target
	inputs  *inputs
	julia   *julia.Installation
	series  *julia.Series
	sources *julia.Sources // of the workers
	base    *sysimage.Base
	cache   *objcache.Cache // nil: none
	last    *record         // of the last build of this image; nil: none is known
	workers string          // the worker image, which the workers start from; "": they start from the base
	self    bool            // what is built is the worker image

	frontBegan bool // the front worker has started its first stage
	scratch    *scratch.Folder
	worker     string // folder of the worker's sources

	mu      sync.Mutex // guards result, running and calls of the reporter
	result  *Result
	running map[string]time.Time
}

// inScratch makes a scratch folder and runs the part of the build that needs one.
func (b *builder) inScratch(ctx context.Context) (err error) {
	if b.scratch, err = scratch.MakeFolder(""); err != nil {
		return err
	}
	if b.o.KeepScratch {
		if err := b.scratch.Keep(); err != nil {
			return err
		}
		b.report(Note{At: time.Now(), Text: "intermediate files are in " + b.scratch.Path})
	} else {
		defer b.scratch.Remove()
	}
	return b.run(ctx)
}

// run is the part of a build that needs the scratch folder.
func (b *builder) run(ctx context.Context) error {
	if err := b.stage("prepare", b.prepare); err != nil {
		return err
	}
	compiler, err := b.startCompiler(ctx)
	if err != nil {
		return err
	}
	defer compiler.close()

	heap, err := newHeapFile()
	if err != nil {
		return err
	}
	defer heap.close()

	// The objects are compiled from the moment that the front worker has written the first partition's bitcode; the heap is chained when it has ended.
	var merged *sysimage.Merged
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		index, err := b.runFront(groupCtx, compiler, heap)
		if err != nil {
			return err
		}
		return b.stage("chain", func() error {
			if b.o.KeepScratch {
				if err := heap.copyTo(b.file("heap.blob")); err != nil {
					return err
				}
			}
			blob, err := heap.blob()
			if err != nil {
				return err
			}
			merged, err = b.base.Chain(blob, index)
			return err
		})
	})
	group.Go(func() error { return compiler.wait(groupCtx) })
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	compiler.close()

	image, err := b.link(merged, compiler.objects())
	if err != nil {
		return err
	}
	defer image.Discard()
	if err := b.stage("verify", func() error { return b.verify(ctx, image.Name()) }); err != nil {
		return err
	}
	if err := image.Rename(); err != nil {
		return err
	}
	if b.o.Explain {
		b.explain(compiler.objects())
	}
	b.writeRecord(compiler.objects())
	return nil
}

// inspect opens the base.
func (b *builder) inspect(ctx context.Context) error {
	path := b.o.Base
	if path == "" {
		path = b.julia.Image
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if b.base, err = sysimage.OpenFile(path); err != nil {
		return usage.Wrap(err)
	}
	if err := checkBase(ctx, b.base, b.julia, &b.o, b.inputs.output); err != nil {
		return err
	}
	b.sources = b.series.Sources()
	return nil
}

// prepare writes what the workers read: the shim, the index of the base, their sources, the request.
func (b *builder) prepare() error {
	b.worker = b.file("worker")
	if err := os.Mkdir(b.worker, 0o700); err != nil {
		return err
	}
	if err := b.sources.Write(b.worker); err != nil {
		return err
	}
	if err := os.WriteFile(b.file("base.index"), b.base.Index(), 0o600); err != nil {
		return err
	}
	if err := b.writeShim(); err != nil {
		return err
	}
	return b.writeRequest()
}

// file is a path in the scratch folder.
func (b *builder) file(name string) string { return b.scratch.File(name) }

// writeShim writes the image that the front worker starts from: it stands in for the base and turns the process into one that
// generates an image, without the base's native code being refused. The loader of Julia (jl_load_sysimg_so in src/staticdata.c) looks up
// jl_system_image_data after it has decided about native code and before code generation is set up.
func (b *builder) writeShim() error {
	top, err := elfpatch.Open(b.liveImage())
	if err != nil {
		return err
	}
	defer top.Close()
	data, ok := top.Lookup("jl_system_image_data")
	if !ok {
		return fmt.Errorf("%s defines no jl_system_image_data", top.Path)
	}
	anchor, ok := top.Lookup("jl_system_image_size")
	if !ok {
		return fmt.Errorf("%s defines no jl_system_image_size", top.Path)
	}
	f, err := os.OpenFile(b.file("shim.so"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	err = elfpatch.WriteShim(f, elfpatch.Shim{
		Needed: top.Path, Symbol: "jl_system_image_data", Anchor: "jl_system_image_size", Delta: int64(data.Value - anchor.Value),
		Clear: "jl_options", ClearOffset: int64(b.julia.IncrementalOffset), ClearSize: b.julia.IncrementalSize,
	})
	return errors.Join(err, f.Close())
}

// link writes the image to a file beside its final place.
func (b *builder) link(merged *sysimage.Merged, objects []object) (image *scratch.File, err error) {
	err = b.stage("link", func() error {
		parsed := make([]*elfpatch.Object, len(objects))
		var group errgroup.Group
		for i, o := range objects {
			group.Go(func() (err error) {
				parsed[i], err = o.partition.Object(o.data)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		job, err := merged.Job(b.o.Layout, parsed)
		if err != nil {
			return err
		}
		// The mode is what linkers give to libraries: executable, as far as the umask allows.
		image, err = scratch.CreateBeside(b.inputs.output, 0o755)
		if err != nil {
			return err
		}
		written, err := elfpatch.Write(image, job)
		if err := errors.Join(err, image.Flush()); err != nil {
			image.Discard()
			return fmt.Errorf("%s cannot be written: %w", b.inputs.output, err)
		}
		b.result.Bytes = written.Bytes
		b.result.Image = b.inputs.output
		return nil
	})
	return image, err
}

// report passes an event on.
func (b *builder) report(e Event) {
	if b.o.Report == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.o.Report.Report(e)
}

// stage runs do as a stage of the build.
func (b *builder) stage(name string, do func() error) error {
	b.beginStage(name)
	err := do()
	b.endStage(name, err)
	return err
}

func (b *builder) beginStage(name string) {
	now := time.Now()
	b.mu.Lock()
	b.running[name] = now
	b.result.Stages = append(b.result.Stages, Stage{Name: name})
	b.mu.Unlock()
	b.report(StageStarted{At: now, Name: name})
}

func (b *builder) endStage(name string, err error) {
	now := time.Now()
	b.mu.Lock()
	took := now.Sub(b.running[name])
	delete(b.running, name)
	for i := range b.result.Stages {
		if s := &b.result.Stages[i]; s.Name == name {
			s.Seconds = took.Seconds()
		}
	}
	b.mu.Unlock()
	b.report(StageEnded{At: now, Name: name, Took: took, Err: err})
}

// ownPeak is the largest resident set, in bytes, that this process had.
func ownPeak() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Maxrss << 10
}

// sawPeak notes the peak memory of a process.
func (b *builder) sawPeak(rss int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.result.PeakRSS = max(b.result.PeakRSS, rss)
}
