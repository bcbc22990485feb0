package pipeline

// This file gets the objects of the partitions, from a cache or from workers, while the front worker is still busy.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"

	"chainbuild/internal/jobserver"
	"chainbuild/llvmdriver"
	"chainbuild/objcache"
	"chainbuild/objcache/remote"
)

// A compiler takes partitions as they come and makes them objects.
type compiler struct {
	*run
	pool      *llvmdriver.Compiler
	recipes   []*llvmdriver.Recipe // by target
	log       *os.File
	jobserver *jobserver.Client // nil: none
	added     chan added
	once      sync.Once // for close
}

// An object is what a partition was compiled to.
type object struct {
	partition llvmdriver.Partition
	data      []byte
	inputs    []objcache.Input // of its key
	hit       bool             // it came from a cache
	remote    bool             // it came from the remote one
	executed  bool             // the remote cache's server compiled it
	times     llvmdriver.Times // of compiling it
}

// An added partition is one of total.
type added struct {
	llvmdriver.Partition
	total int
}

// startCompiler makes ready for partitions. If this image was built before, or there is a remote cache, most objects will be in a cache, and no
// worker is started that may not be needed; else the workers are ready when the first partition comes.
func (r *run) startCompiler(ctx context.Context) (*compiler, error) {
	var recipes []*llvmdriver.Recipe
	for _, target := range r.targets {
		recipe, err := llvmdriver.NewRecipe(r.julia, r.sources, target)
		if err != nil {
			return nil, err
		}
		recipes = append(recipes, recipe)
	}
	log, err := os.Create(r.file("compile.log"))
	if err != nil {
		return nil, err
	}
	server, err := jobserver.Connect()
	if err != nil {
		r.progress.warn(err.Error())
	}
	o := llvmdriver.Options{Julia: r.julia, Worker: r.compileArgs(), Jobs: r.memory.after, Log: log}
	expectsHits := (r.last != nil || r.expectsRemote()) && !r.options.VerifyCache
	switch {
	case server != nil:
		o.Slots = server
	case r.memory.beside > 0 && !expectsHits:
		o.Ready = o.Jobs
	}
	pool, err := llvmdriver.Start(ctx, o)
	if err != nil {
		server.Close()
		log.Close()
		return nil, err
	}
	// The front worker is what takes longest, and has a processor for itself, and the job that make has given to us.
	pool.SetLimit(r.memory.beside)
	// It must never wait for the compilers: there is room for all partitions.
	return &compiler{run: r, pool: pool, jobserver: server, recipes: recipes, log: log, added: make(chan added, 1<<16)}, nil
}

// frontStarted has a compile worker start, if none has. Something is new in most builds, and a worker is there about when its first partition is. It does
// not start with the build, when the front worker starts and the base is prepared for an overlay.
func (c *compiler) frontStarted() {
	if c.jobserver == nil && c.memory.beside > 0 {
		c.pool.SetReady(1)
	}
}

// compileArgs are the arguments of a julia that compiles partitions.
func (r *run) compileArgs() []string {
	args := append(llvmdriver.ProcessOptions(r.series, r.targets[0]), r.heapOption(r.memory.workerHeap)...)
	if r.workerImage != "" {
		return append(args, "-J", r.workerImage, "-e", r.sources.Read("compile/start_emit.jl"))
	}
	return append(args, r.source("compile/emit.jl"))
}

// add has a partition of total compiled, for each target. It does not wait. What it is for a further target counts as another partition, behind all
// for the targets before.
func (c *compiler) add(p llvmdriver.Partition, total int) {
	for i, target := range c.targets {
		variant := p
		variant.Number += i * total
		variant.Target, variant.Variant = target, i
		if i > 0 {
			variant.Label += " for " + target.CPU
		}
		c.added <- added{variant, total * len(c.targets)}
	}
}

// noMore says that all partitions were added, and that the front worker has ended.
func (c *compiler) noMore() {
	c.pool.SetLimit(c.memory.after)
	c.pool.SetOwn(1)
	close(c.added)
}

// objects returns the objects in the order of the partitions' numbers when there are no more partitions, or the first error.
func (c *compiler) objects(ctx context.Context) ([]object, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var objects []object
	var all sync.WaitGroup
	defer all.Wait()
	if c.executes() {
		defer c.startExecuting(ctx)()
	}
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case p, ok := <-c.added:
			if !ok {
				all.Wait()
				if objects != nil {
					c.progress.endStage("compile", context.Cause(ctx))
				}
				return objects, context.Cause(ctx)
			}
			if objects == nil {
				c.progress.beginStage("compile")
				objects = make([]object, p.total)
			}
			all.Go(func() {
				o, err := c.get(ctx, p.Partition)
				if err != nil {
					cancel(err)
				}
				objects[p.Number-1] = o
				c.progress.partitionEnded(p.Number, p.total, o, err)
			})
		}
	}
}

// get gets the object of a partition.
func (c *compiler) get(ctx context.Context, p llvmdriver.Partition) (object, error) {
	bitcode, err := os.ReadFile(p.Bitcode)
	if err != nil {
		return object{}, err
	}
	recipe := c.recipes[p.Variant]
	hash := recipe.Hash(bitcode)
	o := object{partition: p, inputs: hash.Inputs()}
	var action *remote.Action // nil: the remote cache is not asked, or there is none
	if data, err := c.cache.Get(hash.Key()); err == nil {
		o.data, o.hit = data, true
	} else if c.remote != nil {
		action = remote.NewAction(recipe.Computation(hash.Key(), bitcode))
		if data, ok := c.askRemote(ctx, p.Number, action); ok {
			o.data, o.hit, o.remote = data, true, true
			c.cache.Put(hash.Key(), data)
		}
	}
	if o.hit && !c.options.VerifyCache {
		return o, nil
	}
	lend := !o.hit
	if lend {
		if lend, err = c.mayLend(ctx, p, bitcode); err != nil {
			return object{}, err
		}
	}
	made, err := c.pool.Compile(ctx, p, lend, func(worker int, lost error) {
		if lost != nil {
			c.progress.warn(fmt.Sprintf("partition %d is tried again: %v", p.Number, lost))
		}
		c.progress.partitionStarted(p.Number, worker, p.Functions)
	})
	switch {
	case err != nil:
		return object{}, err
	case o.hit && !bytes.Equal(made.Data, o.data):
		return object{}, fmt.Errorf("partition %d: the cache's object %s is not what its bitcode compiles to now: clear the cache, and report this with the scratch folder",
			p.Number, hash.Key())
	case !o.hit:
		// What goes wrong, the caches report.
		c.cache.Put(hash.Key(), made.Data)
		if err := c.store(ctx, action, p, made.Data); err != nil {
			return object{}, err
		}
	}
	o.data, o.times, o.executed = made.Data, made.Times, made.Elsewhere
	return o, nil
}

// close ends the workers.
func (c *compiler) close() {
	c.once.Do(func() {
		c.pool.Close()
		c.jobserver.Close()
		c.progress.sawPeak(c.pool.PeakRSS())
		c.log.Close()
	})
}
