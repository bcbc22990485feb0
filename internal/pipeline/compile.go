package pipeline

// This file gets the objects of the partitions, from the cache or from workers, while the front worker is still busy.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"chainbuild/llvmdriver"
	"chainbuild/objcache"
)

// A compiler takes partitions as they come and collects their objects.
type compiler struct {
	b      *builder
	pool   *llvmdriver.Compiler
	recipe *llvmdriver.Recipe
	log    *os.File
	once   sync.Once // for close

	added chan added
	made  []object // by partition
}

// An object is what a partition was compiled to.
type object struct {
	partition llvmdriver.Partition
	data      []byte
	inputs    []objcache.Input // of its key
	hit       bool             // it came from the cache
	times     llvmdriver.Times // of compiling it
}

type added struct {
	llvmdriver.Partition
	total int
}

// startCompiler makes ready for partitions. If this image was built before, most objects will be in the cache, and no worker is
// started that may not be needed; else the workers are ready when the first partition comes.
func (b *builder) startCompiler(ctx context.Context) (*compiler, error) {
	recipe, err := llvmdriver.NewRecipe(b.julia, b.sources, b.target)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(b.file("compile.log"))
	if err != nil {
		return nil, err
	}
	lazy := b.last != nil && !b.o.VerifyCache
	pool, err := llvmdriver.Start(ctx, llvmdriver.Options{
		Julia: b.julia, Worker: b.emitArgs(), Jobs: b.o.Jobs, Lazy: lazy, Target: b.target, Log: log,
	})
	if err != nil {
		log.Close()
		return nil, err
	}
	// The front worker is what takes longest, and has a processor for itself.
	pool.SetLimit(min(b.o.Jobs, runtime.NumCPU()-1))
	// It must never wait for the compilers: there is room for all partitions.
	return &compiler{b: b, pool: pool, recipe: recipe, log: log, added: make(chan added, 1<<16)}, nil
}

// add has a partition of total compiled. It does not wait.
func (c *compiler) add(p llvmdriver.Partition, total int) { c.added <- added{p, total} }

// noMore says that all partitions were added, and that the front worker has ended.
func (c *compiler) noMore() {
	c.pool.SetLimit(c.b.o.Jobs)
	close(c.added)
}

// wait gets objects until there are no more partitions and returns the first error.
func (c *compiler) wait(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	defer all.Wait()
	var mu sync.Mutex // guards done, made and counts
	done := 0
	began := false
	counts, compiling := &c.b.result.Partitions, &c.b.result.Compiling
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case p, ok := <-c.added:
			if !ok {
				all.Wait()
				if began {
					c.b.endStage("compile", context.Cause(ctx))
				}
				return context.Cause(ctx)
			}
			if !began {
				began = true
				c.b.beginStage("compile")
				counts.Total = p.total
				c.made = make([]object, p.total)
			}
			all.Go(func() {
				o, err := c.get(ctx, p.Partition)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
					c.made[p.Number-1] = o
					if o.hit {
						counts.Hits++
						counts.HitBytes += int64(len(o.data))
					} else {
						counts.Misses++
						counts.MissBytes += int64(len(o.data))
					}
					compiling.Passes += o.times.Passes.Seconds()
					compiling.Codegen += o.times.Codegen.Seconds()
				} else {
					cancel(err)
				}
				c.b.report(PartitionEnded{
					At: time.Now(), Partition: p.Number, Hit: o.hit, Err: err, Done: done, Total: p.total, Passes: o.times.Passes, Codegen: o.times.Codegen,
				})
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
	hash := c.recipe.Hash(bitcode)
	o := object{partition: p, inputs: hash.Inputs()}
	cache := c.b.cache
	if data, err := cache.Get(hash.Key()); err == nil {
		o.data, o.hit = data, true
		if !c.b.o.VerifyCache {
			return o, nil
		}
	}
	data, times, err := c.pool.Compile(ctx, p, func(worker int, lost error) {
		if lost != nil {
			c.b.report(Warning{At: time.Now(), Text: fmt.Sprintf("partition %d is tried again: %v", p.Number, lost)})
		}
		c.b.report(PartitionStarted{At: time.Now(), Partition: p.Number, Worker: worker, Functions: p.Functions})
	})
	switch {
	case err != nil:
		return object{}, err
	case o.hit && !bytes.Equal(data, o.data):
		return object{}, fmt.Errorf("partition %d: the cache's object %s is not what its bitcode compiles to now: clear the cache, and report this with the scratch folder",
			p.Number, hash.Key())
	case !o.hit:
		cache.Put(hash.Key(), data) // what goes wrong, the cache has reported
	}
	o.data, o.times = data, times
	return o, nil
}

// objects are in the order of the partitions.
func (c *compiler) objects() []object { return c.made }

// close ends the workers.
func (c *compiler) close() {
	c.once.Do(func() {
		c.pool.Close()
		c.b.sawPeak(c.pool.PeakRSS())
		c.log.Close()
	})
}
