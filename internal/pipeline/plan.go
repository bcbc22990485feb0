package pipeline

// This file makes the plan of a build: what was asked for, checked, and completed by what is there.

import (
	"context"
	"maps"
	"path/filepath"
	"runtime"
	"slices"

	"chainbuild/internal/choice"
	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/objcache"
	"chainbuild/objcache/remote"
	"chainbuild/policy"
	"chainbuild/sysimage"
)

// A plan says which image is to be made, and from what. Nothing in it changes once it is made.
type plan struct {
	options Options
	targets []llvmdriver.Target // that new code is compiled for
	inputs  *inputs
	julia   *julia.Installation
	series  *julia.Series
	sources *julia.Sources // of the workers
	base    *sysimage.Base
	cache   *objcache.Cache // nil: none
	remote  *remote.Cache   // nil: none
	memory  memoryPlan
	last    *record // of the last build of this image; nil: none is known

	policies []*policy.Policy // that are open
	outcome  *choice.Outcome  // nil: nobody has chosen among the statements
	gate     *gate            // to the remote cache; nil: it is open

	// variants are what several targets are to the image; nil: there is one, and code for it serves on all that the base is for.
	variants *sysimage.Variants
	// workerImage is what the workers start from; "": they start from the base, and their code is compiled from its sources.
	workerImage string
	// keepsCaches says that caches of packages that were made on the base are right on the worker image.
	keepsCaches bool
	// makesWorkerImage says that the image to be made is a worker image itself.
	makesWorkerImage bool
}

// newPlan checks what is asked for, and looks for what a build of it needs. close must be called.
func newPlan(ctx context.Context, o Options, progress *progress) (*plan, error) {
	targets, err := llvmdriver.ParseTargets(string(o.CPU), int(o.OptLevel))
	if err != nil {
		return nil, usage.Wrap(err)
	}
	inputs, err := check(&o)
	if err != nil {
		return nil, err
	}
	p, err := openPlan(ctx, o, inputs, progress)
	if err != nil {
		return nil, err
	}
	p.targets = targets
	if err := p.chooseVariants(ctx); err != nil {
		p.close(ctx, progress)
		return nil, err
	}
	p.last = p.readRecord()
	if err := p.choose(ctx, progress); err != nil {
		p.close(ctx, progress)
		return nil, err
	}
	if err := p.openRemote(progress); err != nil {
		p.close(ctx, progress)
		return nil, err
	}
	p.openGate(progress)
	return p, nil
}

// openPlan finds the Julia, the base and the cache for a plan that has inputs already. close must be called.
func openPlan(ctx context.Context, o Options, inputs *inputs, progress *progress) (*plan, error) {
	p := &plan{options: o, inputs: inputs}
	if p.options.Jobs == 0 {
		p.options.Jobs = runtime.NumCPU()
	}
	var err error
	if p.julia, err = julia.Find(ctx, o.Julia); err != nil {
		return nil, err
	}
	if p.series, err = p.julia.Series(); err != nil && o.Base == "" {
		return nil, usage.Wrap(err) // a base that is named is of another Julia then, which checkBase says
	}
	p.julia.Environment = o.Environment
	if err := progress.stage("inspect", func() error { return p.inspect(ctx) }); err != nil {
		p.close(ctx, progress)
		return nil, err
	}
	if err := p.limitMemory(progress); err != nil {
		p.close(ctx, progress)
		return nil, err
	}
	p.openCache(progress)
	return p, nil
}

// announce reports what will be built, and how long it should take.
func (p *plan) announce(progress *progress) {
	statements, packages := len(p.inputs.statements), len(p.packages())
	path, _, err := p.workerImagePath()
	makesWorkers := err == nil && path != "" && !p.options.SpareWorkerImage && !isUsable(path)
	expected := guess(statements, packages, p.options.Jobs, makesWorkers)
	if p.last != nil && p.last.Stages != nil {
		workers := expected["workers"]
		expected = maps.Clone(p.last.Stages)
		expected["workers"] = workers
	}
	progress.planned(statements, packages, expected)
}

// packages are those that are named to be loaded and are not in the base.
func (p *plan) packages() []string {
	names := slices.Concat(p.options.Packages, p.options.Interactive, p.inputs.modules)
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		return slices.ContainsFunc(p.base.Modules, func(m sysimage.Module) bool { return m.Name == name })
	})
}

// close closes what the plan has open.
func (p *plan) close(ctx context.Context, progress *progress) {
	p.closeRemote(ctx, progress)
	policy.CloseAll(p.policies)
	p.cache.Close()
	if p.base != nil {
		p.base.Close()
	}
}

// from is the same plan with workers that start from another image.
func (p *plan) from(workerImage string) *plan {
	other := *p
	other.workerImage = workerImage
	other.keepsCaches = !p.series.CachesFitOneImage || workerImage != "" && sysimage.IsOverlay(workerImage)
	return &other
}

// inspect opens the base.
func (p *plan) inspect(ctx context.Context) error {
	path := p.options.Base
	if path == "" {
		path = p.julia.Image
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if p.base, err = sysimage.OpenFile(path); err != nil {
		return usage.Wrap(err)
	}
	if p.options.VerifyHeap && !p.base.HasOverlays() {
		return refuse("the heap of an image of Julia %s is always serialised by Julia, so there is nothing to compare: leave out --verify-heap", p.base.Series())
	}
	if p.options.VerifyHeap && p.options.FullHeap {
		return refuse("--full-heap leaves the heap to Julia, so there is nothing for --verify-heap to compare: leave out one of them")
	}
	if err := checkBase(ctx, p.base, p.julia, &p.options, p.inputs.output); err != nil {
		return err
	}
	p.sources = p.series.Sources()
	return nil
}

// OpenCache opens the cache that a build with these options has; nil if it has none. Warn is as in objcache.Options.
func OpenCache(o *Options, in *julia.Installation, warn func(error)) (*objcache.Cache, error) {
	dir := o.CacheDir
	switch dir {
	case "":
		dir = objcache.DefaultDir(in.DepotPaths)
	case objcache.Off:
		dir = ""
	}
	return objcache.Open(dir, objcache.Options{Limit: int64(o.CacheSize), Warn: warn})
}

// openCache opens the cache. Without one a build is slower, not worse: what is wrong with it is a warning.
func (p *plan) openCache(progress *progress) {
	cache, err := OpenCache(&p.options, p.julia, func(err error) { progress.warn(err.Error()) })
	if err != nil {
		progress.warn("nothing is cached: " + err.Error())
		return
	}
	p.cache = cache
}
