package objcache

// This file is what people do with a cache: look at it, check it, empty it.

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Stats describe a cache. Times are those of the file system.
type Stats struct {
	Dir string `json:"dir"`
	// Limit is what it is trimmed to, in bytes.
	Limit   int64 `json:"limit_bytes"`
	Entries int   `json:"entries"`
	// Bytes is the size of the entries, compressed.
	Bytes int64 `json:"bytes"`
	// Temporary files are entries that are being written, or were when their process was killed.
	Temporary      int   `json:"temporary"`
	TemporaryBytes int64 `json:"temporary_bytes"`
	// Foreign is the number of files that are none of the cache's. It leaves them alone.
	Foreign int `json:"foreign"`
	// Oldest and Newest are when the entry not used for the longest time, and the last one, were used, to the hour; zero if
	// there are none.
	Oldest time.Time `json:"oldest_use,omitzero"`
	Newest time.Time `json:"newest_use,omitzero"`
	// Trimmed is when it was last trimmed; zero if it never was.
	Trimmed time.Time `json:"trimmed,omitzero"`
}

// Stats looks at each entry's file, but reads none.
func (c *Cache) Stats(ctx context.Context) (Stats, error) {
	if c == nil {
		return Stats{}, nil
	}
	files, err := c.files(ctx)
	if err != nil {
		return Stats{}, err
	}
	s := Stats{Dir: c.dir, Limit: c.limit, Trimmed: c.readLedger().trimmed}
	for _, f := range files {
		switch f.kind {
		case entryFile:
			s.Entries++
			s.Bytes += f.size
			if s.Oldest.IsZero() || f.used.Before(s.Oldest) {
				s.Oldest = f.used
			}
			if f.used.After(s.Newest) {
				s.Newest = f.used
			}
		case temporaryFile:
			s.Temporary++
			s.TemporaryBytes += f.size
		case foreignFile:
			s.Foreign++
		}
	}
	return s, nil
}

// Verified says what a check of all entries found.
type Verified struct {
	// Entries were read, Bytes is their size, compressed.
	Entries int
	Bytes   int64
	// Damaged are those that were removed, by name.
	Damaged []*DamageError
}

// Verify reads each entry and removes those that are damaged. The error is about an entry that could not be read, or the
// context's; what was found until then is returned too.
func (c *Cache) Verify(ctx context.Context) (Verified, error) {
	files, err := c.files(ctx)
	if err != nil {
		return Verified{}, err
	}
	var v Verified
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, f := range files {
		if f.kind != entryFile {
			continue
		}
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, _, err := c.readFile(f.key)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile
			}
			if err != nil && !isDamage(err) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			v.Entries++
			v.Bytes += f.size
			if err != nil {
				v.Damaged = append(v.Damaged, c.drop(f.key, err))
			}
			return nil
		})
	}
	err = group.Wait()
	slices.SortFunc(v.Damaged, func(a, b *DamageError) int { return strings.Compare(a.File, b.File) })
	return v, err
}

// Clear removes all entries and temporary files. The error is the first of what could not be removed.
func (c *Cache) Clear(ctx context.Context) (Removed, error) {
	files, err := c.files(ctx)
	if err != nil || c == nil {
		return Removed{}, err
	}
	all := len(files)
	files = slices.DeleteFunc(files, func(f cacheFile) bool { return f.kind == foreignFile })
	removed, err := removeFiles(ctx, files)
	if err != nil || all == 0 {
		return removed, err
	}
	subfolders, err := readFolder(c.dir)
	for _, e := range subfolders {
		if isSubfolder(e) {
			os.Remove(filepath.Join(c.dir, e.Name())) // unless somebody has just stored something
		}
	}
	c.updateLedger(func(l *ledger) { l.bytes = 0 })
	return removed, err
}
