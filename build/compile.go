package build

// This file has the partitions compiled while the front worker is still busy.

import (
	"context"
	"os"
	"sync"
	"time"

	"chainbuild/llvmdriver"
)

// A compiler takes partitions as they come and collects their objects.
type compiler struct {
	b    *builder
	pool *llvmdriver.Compiler
	log  *os.File
	once sync.Once // for close

	added chan added
	made  []object // by partition
}

// An object is what a partition was compiled to.
type object struct {
	partition llvmdriver.Partition
	path      string
}

type added struct {
	llvmdriver.Partition
	total int
}

// startCompiler starts the workers, so that they are ready when the first partition comes.
func (b *builder) startCompiler(ctx context.Context) (*compiler, error) {
	log, err := os.Create(b.file("compile.log"))
	if err != nil {
		return nil, err
	}
	pool, err := llvmdriver.Start(ctx, b.julia, b.worker, b.o.Jobs, b.target, log)
	if err != nil {
		log.Close()
		return nil, err
	}
	// The front worker must never wait for the compilers: there is room for all partitions.
	return &compiler{b: b, pool: pool, log: log, added: make(chan added, 4096)}, nil
}

// add has a partition of total compiled. It does not wait.
func (c *compiler) add(p llvmdriver.Partition, total int) { c.added <- added{p, total} }

// noMore says that all partitions were added.
func (c *compiler) noMore() { close(c.added) }

// wait compiles until there are no more partitions and returns the first error.
func (c *compiler) wait(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	defer all.Wait()
	var mu sync.Mutex // guards done and made
	done := 0
	began := false
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
				c.b.result.Partitions.Total = p.total
				c.b.result.Partitions.Misses = p.total
				c.made = make([]object, p.total)
			}
			all.Go(func() {
				path, _, err := c.pool.Compile(ctx, p.Partition, func(worker int) {
					c.b.report(PartitionStarted{At: time.Now(), Partition: p.Number, Worker: worker, Functions: p.Functions})
				})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
					c.made[p.Number-1] = object{p.Partition, path}
				} else {
					cancel(err)
				}
				c.b.report(PartitionEnded{At: time.Now(), Partition: p.Number, Err: err, Done: done, Total: p.total})
			})
		}
	}
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
