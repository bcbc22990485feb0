package pipeline

// This file is a build from top to bottom.
//
//	base ── inspect ──► tables, index, shim
//	statements, packages ── front worker on the live base ──► bitcode of partitions, index, heap
//	partitions ── compile workers ──► objects            while the front worker serialises the heap
//	heap, base ── chain ──► completed heap, merged tables
//	objects, heap, tables ── link ──► image ── verify ──► renamed to its name
//
// A build is a plan (plan.go), which says what is to be made and does not change; runs of it, mostly one; and its progress (progress.go), which
// alone knows how far it is and what has come of it so far. A run reads the plan, its stages hand on what they make to the next one, and
// all of them tell the progress.
//
// All that is not the image lies in a scratch folder, which is removed when the run ends, however it ends.

import (
	"context"
	"errors"
	"fmt"
	"os"

	"chainbuild/internal/scratch"
	"chainbuild/internal/settings"
	"chainbuild/internal/words"
	"chainbuild/sysimage"

	"golang.org/x/sync/errgroup"
)

// Run builds an image as o says. The error is a *usage.Error if the request itself cannot be met, and was found out before any work.
// When ctx ends, all processes are stopped and Run returns its cause. A build that fails leaves the old image as it was.
func Run(ctx context.Context, o Options) (*Result, error) {
	writeTimings := recordTimings(&o)
	progress := newProgress(o.Report)
	err := build(ctx, o, progress)
	if timingsErr := writeTimings(progress.outcome(err)); err == nil {
		err = timingsErr
	}
	return progress.finish(err)
}

// build makes a plan and carries it out.
func build(ctx context.Context, o Options, progress *progress) error {
	plan, err := newPlan(ctx, o, progress)
	if err != nil {
		return err
	}
	defer plan.close(ctx, progress)
	plan.announce(progress)
	if reason := plan.noPackageImages(); reason != "" {
		if plan.options.PackageImages == settings.PackageImagesUse {
			progress.warn("no code of package images is used: " + reason)
		}
		plan = plan.ignoringPackageImages()
	}
	plan = plan.withWorkerImage(ctx, progress)
	if err := plan.gate.failed(); err != nil {
		return err
	}
	err = plan.run(ctx, progress)
	var unusable *packageImagesError
	if errors.As(err, &unusable) && ctx.Err() == nil {
		progress.warn("no code of package images is used: " + unusable.Error())
		progress.startAnew()
		plan = plan.ignoringPackageImages()
		err = plan.run(ctx, progress)
	}
	var useless *workerImageError
	if errors.As(err, &useless) && ctx.Err() == nil {
		progress.warn(fmt.Sprintf("the worker image %s is of no use and was removed: %v", plan.workerImage, err))
		os.Remove(plan.workerImage)
		progress.startAnew()
		err = plan.from("").run(ctx, progress)
	}
	return err
}

// A run is one attempt to carry out a plan.
type run struct {
	*plan
	progress *progress
	scratch  *scratch.Folder
	// held are package images whose code the front worker has loaded; nil: none.
	held *sysimage.Held
}

// run makes the image that was planned.
func (p *plan) run(ctx context.Context, progress *progress) error {
	folder, err := scratch.MakeFolder("")
	if err != nil {
		return err
	}
	if p.options.KeepScratch {
		if err := folder.Keep(); err != nil {
			return err
		}
		progress.note("intermediate files are in " + folder.Path)
	} else {
		defer folder.Remove()
	}
	r := &run{plan: p, progress: progress, scratch: folder}
	defer func() { r.held.Close() }()
	progress.set(func(result *Result) { result.Base, result.WorkerImage = p.base.Layers[0].Path, p.workerImage != "" })

	if err := progress.stage("prepare", r.prepare); err != nil {
		return err
	}
	compiler, err := r.startCompiler(ctx)
	if err != nil {
		return err
	}
	defer compiler.close()
	heap, err := newHeapFile()
	if err != nil {
		return err
	}
	defer heap.close()
	handover, err := r.newHandover()
	if err != nil {
		return err
	}
	defer handover.close()

	// The objects are compiled from the moment that the front worker has written the first partition's bitcode; the heap is chained when it has ended.
	var merged *sysimage.Merged
	var objects []object
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		index, err := r.runFront(groupCtx, compiler, heap, handover)
		if err != nil {
			return err
		}
		return progress.stage("chain", func() (err error) {
			merged, err = r.chain(heap, index)
			return err
		})
	})
	group.Go(func() (err error) {
		objects, err = compiler.objects(groupCtx)
		return err
	})
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	compiler.close()

	var image *scratch.File
	if err := progress.stage("link", func() (err error) {
		image, err = r.link(merged, objects)
		return err
	}); err != nil {
		return err
	}
	defer image.Discard()
	if err := progress.stage("verify", func() error { return r.verify(ctx, image) }); err != nil {
		return err
	}
	if err := image.Rename(); err != nil {
		return err
	}
	if p.options.Explain {
		if n := p.inputs.inBase; n > 0 {
			progress.note(fmt.Sprintf("the base, %s, has the code of %s: only what is new is inferred and compiled", p.base.Layers[0].Path, words.Count(n, "statement")))
		}
		for _, text := range explain(p.last, objects) {
			progress.note(text)
		}
	}
	p.writeRecord(objects, progress.stageSeconds(), progress.outcome(nil))
	return nil
}

// file is a path in the scratch folder.
func (r *run) file(name string) string { return r.scratch.File(name) }

// source is the path of a source of the workers.
func (r *run) source(name string) string { return r.file("worker/" + name) }

// chain completes the heap that the front worker wrote.
func (r *run) chain(heap *heapFile, index *sysimage.Index) (*sysimage.Merged, error) {
	blob, err := heap.blob()
	if err != nil {
		return nil, err
	}
	if r.options.KeepScratch {
		if err := os.WriteFile(r.file("heap.blob"), blob, 0o600); err != nil {
			return nil, err
		}
	}
	index.Variants, index.Packages = r.variants, r.held
	base := r.base
	if r.held != nil {
		base = r.held.Base
	}
	merged, err := base.Chain(blob, index)
	if err != nil {
		return nil, err
	}
	merged.Note.Build = noteOf(r.outcome)
	r.progress.set(func(result *Result) { result.PackageImages = merged.PackageImages() })
	return merged, nil
}
