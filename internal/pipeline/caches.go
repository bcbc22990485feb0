package pipeline

// This file makes caches of packages while the front worker starts.
//
// The front worker has the caches made that are missing when it is about to load packages (julia/worker/caches.jl). After an edit it is known that
// some are. Then the process that makes them starts together with the front worker, which waits for its end before it looks for caches.

import (
	"context"
	"os"

	"chainbuild/parallel"
)

// cacheMaker are the arguments of a julia that makes caches, up to what julia/worker/make_caches.jl takes.
func (r *run) cacheMaker() []string {
	args := []string{"-J", r.base.Layers[0].Path}
	if !r.usesPackageImages() {
		args = append(args, r.series.WithoutCode...)
	}
	if r.options.Project != "" {
		args = append(args, "--project="+r.options.Project)
	}
	return append(args, r.source("make_caches.jl"), r.file("refused.txt"))
}

// A caching is a process that makes caches; its zero value is none. What fails in it fails in the front worker again, and is told then.
type caching struct {
	process *parallel.Process
	stop    context.CancelFunc
	end     *os.File // from which nothing can be read, and whose end is that of the process
}

// edited are the packages of which the process makes caches: none if it does not start.
func (r *run) edited() []string {
	if !r.options.Edited {
		return nil
	}
	return r.packages()
}

// startCaching starts the process for the packages that are edited, if there are any. close must be called.
func (r *run) startCaching(ctx context.Context, log *os.File) (*caching, error) {
	names := r.edited()
	if len(names) == 0 {
		return &caching{}, nil
	}
	end, held, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer held.Close()
	ctx, stop := context.WithCancel(ctx)
	c := &caching{stop: stop, end: end}
	cmd := r.julia.Command(ctx, append(append(r.cacheMaker(), "edited"), names...)...)
	c.process, err = parallel.StartProcess(ctx, "the process that makes caches", cmd, parallel.ProcessOptions{Output: log, Files: []*os.File{held}})
	if err != nil {
		stop()
		end.Close()
		return nil, err
	}
	return c, nil
}

// close ends the process.
func (c *caching) close() {
	if c.process != nil {
		c.stop()
		c.process.Wait()
		c.end.Close()
	}
}
