package objcache

// This file keeps a cache within its limit: the entries that were not used for the longest time go first.
//
// The time of last use is the file's time of modification, which Get renews at most once in touchInterval. Finding the
// size of a cache means looking at every entry, so that is not done for each build. The ledger has an estimate: each
// build adds what it stored when it closes the cache, and a trim puts down what it found. Closing trims when the estimate
// is above the limit or trimInterval is over, as temporary files are to be removed too.
//
// The ledger is one file, changed under a lock so that nothing is counted twice or forgotten. Where there are no locks the
// estimate is less exact. One that cannot be read counts as 0 bytes, never trimmed. Its two lines:
//
//	trimmed SECONDS    when the last trim began, since 1970; 0: never
//	bytes SIZE         the estimate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

const (
	// trimInterval is the longest time between two trims of a cache that is in use.
	trimInterval = 24 * time.Hour
	// temporaryAge is when a temporary file counts as left behind. Writing the largest takes seconds.
	temporaryAge = time.Hour
)

// roomAfterTrim is how far below the limit a trim goes, as a part of it, so that the next build does not trim again.
const roomAfterTrim = 10

// Removed says what was removed from a cache.
type Removed struct {
	// Entries and Bytes were removed.
	Entries int
	Bytes   int64
	// Temporary is the number of temporary files that were removed.
	Temporary int
	// EntriesLeft and BytesLeft are still there.
	EntriesLeft int
	BytesLeft   int64
}

// Close trims the cache if it is time to. The cache can still be used.
func (c *Cache) Close() {
	if c == nil {
		return
	}
	added := c.stored.Swap(0)
	if added == 0 {
		return
	}
	due := false
	err := c.updateLedger(func(l *ledger) {
		l.bytes += added
		age := c.now().Sub(l.trimmed)
		due = l.bytes > c.limit || age >= trimInterval || age < -touchInterval
	})
	if err == nil && due {
		c.Trim(context.Background()) // what it could not do now it will at another time
	}
}

// Trim removes temporary files that were left behind and, if the entries are larger than the limit, those that were not
// used for the longest time. The error is the first of what could not be removed.
func (c *Cache) Trim(ctx context.Context) (Removed, error) {
	if c == nil {
		return Removed{}, nil
	}
	// Written first, so that another process that closes the cache now does not trim as well.
	var estimate int64
	ledgerErr := c.updateLedger(func(l *ledger) {
		l.trimmed = c.now()
		estimate = l.bytes
	})
	files, err := c.files(ctx)
	if err != nil {
		return Removed{}, err
	}
	var entries, old []cacheFile
	var total int64
	for _, f := range files {
		switch {
		case f.kind == entryFile:
			entries = append(entries, f)
			total += f.size
		case f.kind == temporaryFile && c.now().Sub(f.used) >= temporaryAge:
			old = append(old, f)
		}
	}
	if total > c.limit {
		slices.SortFunc(entries, func(a, b cacheFile) int {
			return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
		})
		goal := c.limit - c.limit/roomAfterTrim
		left := total
		for _, f := range entries {
			if left <= goal {
				break
			}
			old = append(old, f)
			left -= f.size
		}
	}
	removed, err := removeFiles(ctx, old)
	removed.EntriesLeft = len(entries) - removed.Entries
	removed.BytesLeft = total - removed.Bytes
	if ledgerErr == nil {
		c.updateLedger(func(l *ledger) {
			// What others have stored since it was counted stays added.
			l.bytes = removed.BytesLeft + max(0, l.bytes-estimate)
		})
	}
	return removed, err
}

// removeFiles removes entries and temporary files, all that it can, and returns the first error.
func removeFiles(ctx context.Context, files []cacheFile) (Removed, error) {
	var r Removed
	var first error
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		switch err := os.Remove(f.path); {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			first = cmp.Or(first, err)
		case f.kind == entryFile:
			r.Entries++
			r.Bytes += f.size
		default:
			r.Temporary++
		}
	}
	return r, first
}

// A ledger is the content of the file.
type ledger struct {
	trimmed time.Time // when the last trim began; zero if that is unknown
	bytes   int64     // an estimate of the size of all entries
}

const ledgerFormat = "trimmed %d\nbytes %d\n"

func parseLedger(text []byte) ledger {
	var seconds, bytes int64
	if _, err := fmt.Sscanf(string(text), ledgerFormat, &seconds, &bytes); err != nil || seconds < 0 || bytes < 0 {
		return ledger{}
	}
	l := ledger{bytes: bytes}
	if seconds > 0 {
		l.trimmed = time.Unix(seconds, 0)
	}
	return l
}

// readLedger returns the ledger, or an empty one.
func (c *Cache) readLedger() ledger {
	text, err := os.ReadFile(filepath.Join(c.dir, ledgerName))
	if err != nil {
		return ledger{}
	}
	return parseLedger(text)
}

// updateLedger changes the ledger, if there is a folder for it.
func (c *Cache) updateLedger(change func(*ledger)) (err error) {
	path := filepath.Join(c.dir, ledgerName)
	file, closeFile, err := openLocked(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := closeFile(); err == nil {
			err = closeErr
		}
	}()
	text, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return err
	}
	l := parseLedger(text)
	change(&l)
	if err := errors.Join(file.Chmod(0o600), file.Truncate(0)); err != nil {
		return err
	}
	_, err = file.WriteAt(fmt.Appendf(nil, ledgerFormat, max(0, l.trimmed.Unix()), l.bytes), 0)
	return err
}

// openLocked opens a file, makes it if need be, and locks it where there are locks.
func openLocked(path string) (*os.File, func() error, error) {
	const flags = os.O_RDWR | os.O_CREATE
	locked, err := lockedfile.OpenFile(path, flags, 0o600)
	if err == nil {
		return locked.File, locked.Close, nil
	}
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.ENOLCK) {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return file, file.Close, nil
}
