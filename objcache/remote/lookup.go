package remote

// This file looks things up.
//
// A look-up is two calls: one for the action's result, one for the data that it names. The protocol has no call for several results, so these are
// asked for side by side on one connection. What they name is then read in batches: whatever has come together while earlier batches were on their
// way, up to the size that the server takes.

import (
	"context"
	"errors"
	"slices"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// Get returns the data of a computation, and whether it was there. It waits for the server for a bounded time. What goes wrong is no more than a miss.
func (c *Cache) Get(ctx context.Context, a *Action) (data []byte, ok bool) {
	if c == nil || !c.isReady(ctx) {
		return nil, false
	}
	ctx, end := c.within(ctx)
	defer end()
	data, err := c.get(ctx, a)
	switch {
	case err == nil:
		c.worked()
		c.counts.hits.Add(1)
		c.counts.hitBytes.Add(int64(len(data)))
		return data, true
	case errors.Is(err, errMissing):
		c.worked()
	case ctx.Err() == nil:
		c.failed(err)
	}
	return nil, false
}

// within is a context that ends with ctx, for the same cause, and with the use of the server. It has no deadline: gRPC would end calls by it a moment before
// the context has ended, with an error of its own.
func (c *Cache) within(ctx context.Context) (context.Context, func()) {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	stopUse := context.AfterFunc(c.ctx, func() { cancel(context.Canceled) })
	return inner, func() {
		stop()
		stopUse()
		cancel(nil)
	}
}

// get returns the data, or why there is none: errMissing also where the result or what it names is of no use.
func (c *Cache) get(ctx context.Context, a *Action) ([]byte, error) {
	select {
	case c.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var result *repb.ActionResult
	err := c.call(ctx, patient, 0, func(ctx context.Context) (err error) {
		result, err = c.transport.actionResult(ctx, a.action.digest)
		return err
	})
	<-c.calls
	if err != nil {
		return nil, err
	}
	want, ok := outputOf(result, a.output)
	if !ok {
		return nil, errMissing
	}
	if c.trusted != nil {
		signature, ok := outputOf(result, a.output+signatureSuffix)
		if !ok || signature.size > maxSignature {
			c.counts.untrusted.Add(1)
			return nil, errMissing
		}
		text, err := c.fetcher.fetch(ctx, signature)
		if err != nil {
			return nil, err
		}
		if !isSigned(text, a.action.digest, want, c.trusted) {
			c.counts.untrusted.Add(1)
			return nil, errMissing
		}
	}
	return c.fetcher.fetch(ctx, want)
}

// outputOf is the digest of the file with this path in the result of a command that succeeded.
func outputOf(result *repb.ActionResult, path string) (digest, bool) {
	if result.GetExitCode() != 0 {
		return digest{}, false
	}
	for _, file := range result.GetOutputFiles() {
		if file.GetPath() == path {
			return digestFrom(file.GetDigest())
		}
	}
	return digest{}, false
}

// A fetcher reads blobs in batches.
type fetcher struct {
	cache *Cache
	slots chan struct{} // a token for each batch that is on its way

	mu    sync.Mutex // guards what follows
	wants []*want    // not on their way yet
}

// A want is a blob that somebody waits for.
type want struct {
	digest digest
	data   []byte
	err    error
	done   chan struct{} // closed when data or err is set
}

// batches is how many batches are on their way at a time.
const batches = 4

func newFetcher(c *Cache) *fetcher {
	most := batches
	if c.transport.limits().batchCount == 1 {
		most = c.transport.limits().calls
	}
	return &fetcher{cache: c, slots: make(chan struct{}, most)}
}

// fetch returns the blob; errMissing if it is not there. Its bytes are those of the digest.
func (f *fetcher) fetch(ctx context.Context, d digest) ([]byte, error) {
	if d.size == 0 {
		return nil, checkBlob(d, nil)
	}
	w := &want{digest: d, done: make(chan struct{})}
	f.mu.Lock()
	f.wants = append(f.wants, w)
	f.mu.Unlock()
	for slots := f.slots; ; {
		select {
		case <-w.done:
			return w.data, w.err
		case <-ctx.Done():
			f.forget(w)
			return nil, context.Cause(ctx)
		case slots <- struct{}{}:
			// Whoever gets a slot takes along what others want. That is read also if one of them does not wait any longer.
			taken := f.take()
			f.cache.behind.Go(func() {
				f.read(taken)
				<-f.slots
			})
			if !f.isWaiting(w) {
				slots = nil // what is left is to wait
			}
		}
	}
}

// isWaiting says whether nobody has taken a want yet.
func (f *fetcher) isWaiting(w *want) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.wants, w)
}

// forget takes out a want that nobody has any more.
func (f *fetcher) forget(w *want) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wants = slices.DeleteFunc(f.wants, func(other *want) bool { return other == w })
}

// take takes as many wants as fit a batch, in their order.
func (f *fetcher) take() []*want {
	f.mu.Lock()
	defer f.mu.Unlock()
	count, _ := f.cache.transport.limits().fit(len(f.wants), func(i int) int64 { return f.wants[i].digest.size })
	taken := slices.Clone(f.wants[:count])
	f.wants = slices.Delete(f.wants, 0, count)
	return taken
}

// read reads blobs and tells those who want them.
func (f *fetcher) read(wants []*want) {
	if len(wants) == 0 {
		return
	}
	c := f.cache
	digests, size := make([]digest, len(wants)), int64(0)
	for i, w := range wants {
		digests[i] = w.digest
		size += w.digest.size
	}
	var blobs [][]byte
	err := c.call(c.ctx, patient, size, func(ctx context.Context) (err error) {
		blobs, err = c.transport.read(ctx, digests)
		return err
	})
	for i, w := range wants {
		switch {
		case err != nil:
			w.err = err
		case blobs[i] == nil:
			w.err = errMissing
		default:
			if w.err = checkBlob(w.digest, blobs[i]); w.err == nil {
				w.data = blobs[i]
			}
		}
		close(w.done)
	}
}

// checkBlob compares data with the digest that it was asked for by.
func checkBlob(d digest, data []byte) error {
	if digestOf(data) != d {
		return errWrong
	}
	return nil
}
