package pipeline

// This file is the remote cache of a build. It comes after the local cache, which gets what is found there, and before the workers.
//
// It is opened before the front worker is started. So by the time of the first partition it is known whether the server answers, and one that does not
// costs nothing. Look-ups are made while the front worker still writes partitions, and what was compiled is stored while the build goes on. Only the
// end of the build waits for what is not stored yet, for a bounded time.

import (
	"context"
	"time"

	"chainbuild/internal/usage"
	"chainbuild/objcache/remote"
)

// openRemote opens the remote cache. What is wrong with what it is told is an error, what is wrong with the server a warning.
func (p *plan) openRemote(progress *progress) (err error) {
	o := p.options.Remote.Options()
	if o.Execute && o.URL == "" {
		progress.warn("nothing is compiled remotely, as there is no remote cache: give its address with --remote-cache, or leave out --remote-exec")
	}
	o.Warn = func(err error) { progress.warn(err.Error()) }
	p.remote, err = remote.Open(o)
	return usage.Wrap(err)
}

// closeRemote waits for what is not stored yet, unless the build was stopped, and notes what the remote cache was good for.
func (p *plan) closeRemote(ctx context.Context, progress *progress) {
	if p.remote == nil {
		return
	}
	p.remote.Close(ctx)
	counts := &RemoteCounts{URL: p.remote.URL(), Counts: p.remote.Counts()}
	if off := p.remote.Off(); off != nil {
		counts.Off = off.Error()
	}
	progress.set(func(r *Result) {
		counts.Execution = r.execution
		counts.Withheld = r.withheld
		r.Remote = counts
	})
}

// expectsRemote says whether objects are likely to come from the remote cache. Workers can then wait until they are needed, if they start soon.
func (p *plan) expectsRemote() bool {
	return p.remote != nil && p.remote.Off() == nil && p.workerImage != ""
}

// askRemote asks the remote cache for the object of a partition.
func (c *compiler) askRemote(ctx context.Context, partition int, action *remote.Action) ([]byte, bool) {
	if c.remote.Off() != nil {
		return nil, false
	}
	asked := time.Now()
	data, ok := c.remote.Get(ctx, action)
	c.progress.remoteAnswered(partition, ok, time.Since(asked))
	return data, ok
}
