package remote

// This file stores blobs: those that the server lacks, in batches, large ones each by itself.

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// storeBlobs stores those of the blobs that the server does not have.
func (c *Cache) storeBlobs(ctx context.Context, blobs []blob) error {
	blobs = c.unknown(blobs)
	if len(blobs) == 0 {
		return nil
	}
	var missing []blob
	if err := c.call(ctx, patientBehind, 0, func(ctx context.Context) (err error) {
		missing, err = c.transport.missing(ctx, blobs)
		return err
	}); err != nil {
		return err
	}
	limits := c.transport.limits()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(batches, limits.calls))
	for len(missing) > 0 {
		count, bytes := limits.fit(len(missing), func(i int) int64 { return missing[i].digest.size })
		batch := missing[:count]
		missing = missing[count:]
		group.Go(func() error {
			return c.call(ctx, patientBehind, bytes, func(ctx context.Context) error { return c.transport.write(ctx, batch) })
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.know(blobs, true)
	return nil
}

// unknown are those of the blobs, each once, of which it is not known that the server has them.
func (c *Cache) unknown(blobs []blob) []blob {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(blobs), func(b blob) bool {
		known := seen[b.digest.hash] || c.present[b.digest.hash]
		seen[b.digest.hash] = true
		return known
	})
}

// know notes that the server has the blobs, or that it may not.
func (c *Cache) know(blobs []blob, present bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range blobs {
		c.present[b.digest.hash] = present
	}
}
