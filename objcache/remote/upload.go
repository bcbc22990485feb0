package remote

// This file stores what was made here, behind the build.
//
// What is put waits in a queue. One goroutine takes what has come together, and
//
//	1. asks which blobs the server lacks: the data, its signature, the action and its command
//	2. stores those, in batches, large ones each by itself
//	3. stores the results of the actions, side by side
//
// in this order, since a server may refuse a result that refers to what it does not have, and a reader may come in between. The command is mostly
// the same for all, and stored once.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"chainbuild/internal/words"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"golang.org/x/sync/errgroup"
)

const (
	// maxQueued is how many bytes wait at most. What comes when it is full is not stored.
	maxQueued = 256 << 20
	// maxTaken is how many bytes are stored in one round, so that the first are there soon.
	maxTaken = 16 << 20
)

type uploader struct {
	cache *Cache
	unput atomic.Int64 // what was put and is not stored

	mu      sync.Mutex // guards what follows
	queue   []upload
	bytes   int64 // of the queue
	closing bool  // nothing more is put
	stopped bool  // nothing more is stored
	changed chan struct{}
	done    chan struct{} // closed when nothing more is stored
}

type upload struct {
	action *Action
	data   []byte
}

func newUploader(c *Cache) *uploader {
	return &uploader{cache: c, changed: make(chan struct{}, 1), done: make(chan struct{})}
}

// stores says whether anything is stored at the server. It must be ready.
func (c *Cache) stores() bool {
	return c.options.Upload != UploadNo && !(c.server != nil && c.server.ReadOnly && c.options.Upload != UploadYes)
}

// Put has the data of a computation be stored. It does not wait, and keeps data, which must not change.
func (c *Cache) Put(a *Action, data []byte) {
	if c == nil || c.options.Upload == UploadNo {
		return
	}
	u := c.uploads
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped || u.closing {
		return
	}
	u.unput.Add(1)
	if u.bytes+int64(len(data)) > maxQueued || len(data) > maxBlob {
		return // Close says so
	}
	u.queue = append(u.queue, upload{a, data})
	u.bytes += int64(len(data))
	u.wake()
}

// wake has the goroutine look again.
func (u *uploader) wake() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// waiting is how many were put and are not stored.
func (u *uploader) waiting() int { return int(u.unput.Load()) }

// run stores what comes until there will be nothing more.
func (u *uploader) run() {
	defer close(u.done)
	c := u.cache
	if !c.isReady(c.ctx) {
		u.stop()
		return
	}
	if !c.stores() {
		u.stop()
		u.unput.Store(0) // it was not to be stored
		return
	}
	for {
		all, ok := u.take()
		if !ok {
			return
		}
		if len(all) == 0 {
			select {
			case <-u.changed:
			case <-c.ctx.Done():
				u.stop()
				return
			}
			continue
		}
		err := u.store(c.ctx, all)
		if err == nil {
			continue
		}
		u.stop()
		if c.ctx.Err() != nil {
			return
		}
		if c.options.Upload == UploadYes || !errors.Is(err, errRefused) {
			c.warn(fmt.Errorf("nothing more is stored at the remote cache %s, as %w: see to the server, or read only with --remote-upload=no", c.url, err))
		} else {
			u.unput.Store(0)
		}
		return
	}
}

// take takes what is stored next. It is not ok if there will be nothing.
func (u *uploader) take() (all []upload, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	round := limits{batchBytes: maxTaken, batchCount: math.MaxInt}
	count, bytes := round.fit(len(u.queue), func(i int) int64 { return int64(len(u.queue[i].data)) })
	all = slices.Clone(u.queue[:count])
	u.queue = slices.Delete(u.queue, 0, count)
	u.bytes -= bytes
	return all, count > 0 || !u.closing
}

// stop drops what waits, and what comes.
func (u *uploader) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped, u.queue, u.bytes = true, nil, 0
}

// store stores some.
func (u *uploader) store(ctx context.Context, all []upload) error {
	c := u.cache
	results := make([]*repb.ActionResult, len(all))
	var blobs []blob
	for i, one := range all {
		data := newBlob(one.data)
		results[i] = &repb.ActionResult{OutputFiles: []*repb.OutputFile{{Path: one.action.output, Digest: data.digest.message()}}}
		blobs = append(blobs, data, one.action.action, one.action.command)
		if c.signer != nil {
			signature := newBlob(sign(c.signer, one.action.action.digest, data.digest))
			blobs = append(blobs, signature)
			results[i].OutputFiles = append(results[i].OutputFiles, &repb.OutputFile{Path: one.action.output + signatureSuffix, Digest: signature.digest.message()})
		}
	}
	if err := c.storeBlobs(ctx, blobs); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.transport.limits().calls)
	for i, one := range all {
		group.Go(func() error {
			err := c.call(ctx, patientBehind, 0, func(ctx context.Context) error {
				return c.transport.setActionResult(ctx, one.action.action.digest, results[i])
			})
			if err == nil {
				u.unput.Add(-1)
				c.counts.stored.Add(1)
				c.counts.storedBytes.Add(int64(len(one.data)))
			}
			return err
		})
	}
	return group.Wait()
}

// close says that nothing more is put, and waits until all is stored, but not longer than until ctx ends.
func (u *uploader) close(ctx context.Context) {
	u.mu.Lock()
	u.closing = true
	u.wake()
	u.mu.Unlock()
	select {
	case <-u.done:
	case <-ctx.Done():
	}
	if left := u.waiting(); left > 0 && context.Cause(ctx) != context.Canceled {
		u.cache.warn(fmt.Errorf("%s did not get to the remote cache %s in time, and others will compile them: give it longer with --remote-wait", words.Count(left, "object"), u.cache.url))
	}
}
