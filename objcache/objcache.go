// Package objcache keeps what is slow to make, under keys made from all that it depends on, in a folder that any number
// of processes share.
//
// A Key is the hash of a complete description of a repeatable computation, and an entry is the result of that computation. So
// an entry never changes its meaning. If two processes store the same key, their results are equally good, and the later one
// stays.
//
// It is safe without locks: an entry gets its name by a rename when it is whole, so a reader opens all of an old one, all of
// a new one, or none. Nothing is flushed to the disk. If the machine crashes, each read's check finds what is damaged
// (entry.go) and drops it. An entry may go away at any time, because it is damaged or was not used for long (trim.go). To the
// reader that is a miss.
//
// A cache never makes its user fail. Without space, rights or a working disk, less is stored or found; the caller is warned
// once and goes on.
package objcache

// This file is a cache as builds use it: opening, getting, putting.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"chainbuild/internal/private"
)

// DefaultLimit is the size in bytes that a cache is trimmed to if no other is asked for.
const DefaultLimit = 10 << 30

// Options of a cache. The zero value is usable.
type Options struct {
	// Limit is the size in bytes of all entries, above which those not used for the longest time are removed; 0: DefaultLimit.
	// It is kept on average: a build may store beyond it, and when it closes the cache that is put right.
	Limit int64
	// Warn is told of each damaged entry, with a *DamageError, and of the first failure to store and the first to read.
	// It is called from any goroutine, but one at a time. Nil: nobody is told.
	Warn func(error)
}

// A Cache is an open cache. All its methods may be called at any time by any number of goroutines, and by other processes
// for the same folder. A nil *Cache is one that holds nothing and stores nothing.
type Cache struct {
	dir   string
	limit int64
	now   func() time.Time
	// target is what an entry is written to, given its file.
	target func(*os.File) io.Writer

	full   atomic.Bool  // nothing more is stored: it has failed once
	stored atomic.Int64 // bytes stored that the ledger does not know of

	warning    sync.Mutex // held while warn runs; guards what follows
	warn       func(error)
	reported   map[Key]bool // damaged entries that were told of
	unreadable bool         // a failure to read was told of
}

// Open opens the cache in a folder, which need not be there until something is stored. An empty dir means no cache: the
// result is nil, which can be used. The error is about the folder: it is not one, or another user could write to it and
// so have code of his run.
func Open(dir string, o Options) (*Cache, error) {
	if dir == "" {
		return nil, nil
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := checkFolder(absolute); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c := &Cache{
		dir: absolute, limit: o.Limit, warn: o.Warn, reported: map[Key]bool{},
		now:    time.Now,
		target: func(file *os.File) io.Writer { return file },
	}
	if c.limit == 0 {
		c.limit = DefaultLimit
	}
	if c.warn == nil {
		c.warn = func(error) {}
	}
	return c, nil
}

// Dir returns the absolute path of the folder, or "" for no cache.
func (c *Cache) Dir() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// ErrMiss is what each *MissError is: errors.Is(err, ErrMiss) says that there is no entry for the key.
var ErrMiss = errors.New("not in the cache")

// A MissError says that there is no usable entry for a key, and why.
type MissError struct {
	Key Key
	Err error // fs.ErrNotExist, a *DamageError, or why the entry could not be read
}

func (e *MissError) Error() string        { return fmt.Sprintf("%v: %v: %v", e.Key, ErrMiss, e.Err) }
func (e *MissError) Unwrap() error        { return e.Err }
func (e *MissError) Is(target error) bool { return target == ErrMiss }

// A DamageError says that a file with the name of an entry was not that entry, and was removed.
type DamageError struct {
	File string
	// Reason is why it cannot be used.
	Reason error
	// Kept is why it could not be removed; nil if it was.
	Kept error
}

func (e *DamageError) Error() string {
	if e.Kept != nil {
		return fmt.Sprintf("the cache entry %s is not used, as %v, but it could not be removed (%v): remove it, or the cache's folder", e.File, e.Reason, e.Kept)
	}
	return fmt.Sprintf("the cache entry %s was removed, as %v: it is made again when it is needed", e.File, e.Reason)
}

func (e *DamageError) Unwrap() error { return e.Reason }

// touchInterval is how exact the times of last use are. A touch for each use would be a write for each read.
const touchInterval = time.Hour

// Get returns the data stored under the key. The error is always a *MissError.
func (c *Cache) Get(key Key) ([]byte, error) {
	if c == nil {
		return nil, &MissError{key, fs.ErrNotExist}
	}
	data, used, err := c.readFile(key)
	if err != nil {
		return nil, c.miss(key, err)
	}
	// A time in the future, from another machine's clock, would keep an entry for ever.
	if now := c.now(); now.Sub(used).Abs() >= touchInterval {
		os.Chtimes(c.entryFile(key), now, now) // in a folder that cannot be written nothing is trimmed either
	}
	return data, nil
}

// readFile returns an entry's data, and when it was last used.
func (c *Cache) readFile(key Key) (data []byte, used time.Time, err error) {
	// Whatever has the entry's name: a link is not followed, a pipe is not waited for.
	file, err := os.OpenFile(c.entryFile(key), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, used, errForeign
	}
	if err != nil {
		return nil, used, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, used, err
	case !info.Mode().IsRegular():
		return nil, used, errForeign
	case !private.Is(info):
		return nil, used, errOwner
	}
	data, err = readEntry(file, key, info.Size())
	return data, info.ModTime(), err
}

// miss deals with an entry that could not be read.
func (c *Cache) miss(key Key, err error) *MissError {
	// An entry that is removed on one machine while another reads it is stale there, on network file systems.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESTALE) {
		return &MissError{key, fs.ErrNotExist}
	}
	if isDamage(err) {
		damage := c.drop(key, err)
		c.warning.Lock()
		defer c.warning.Unlock()
		if !c.reported[key] {
			c.reported[key] = true
			c.warn(damage)
		}
		return &MissError{key, damage}
	}
	c.warning.Lock()
	defer c.warning.Unlock()
	if !c.unreadable {
		c.unreadable = true
		c.warn(fmt.Errorf("entries of the cache %s cannot be read and are made again (%w): see to the folder, or give another with --cache-dir", c.dir, err))
	}
	return &MissError{key, err}
}

// drop removes a damaged entry. Another process may have just put a good one in its place, which then is made once more.
func (c *Cache) drop(key Key, reason error) *DamageError {
	damage := &DamageError{File: c.entryFile(key), Reason: reason}
	if err := os.Remove(damage.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
		damage.Kept = err
	}
	return damage
}

// Put stores data under a key, in place of what is stored there. If that fails the cache stores nothing more, and says so
// to Options.Warn.
func (c *Cache) Put(key Key, data []byte) {
	if c == nil || c.full.Load() {
		return
	}
	size, err := c.writeFile(key, encodeEntry(key, data))
	switch err {
	case nil:
		c.stored.Add(size)
		return
	case errCleared:
		return
	}
	if c.full.CompareAndSwap(false, true) {
		c.warning.Lock()
		defer c.warning.Unlock()
		c.warn(fmt.Errorf("the cache %s stores nothing more now (%w): make space or see to the folder, or give another with --cache-dir", c.dir, err))
	}
}

// errCleared is why an entry is not stored though the cache works.
var errCleared = errors.New("the temporary file is gone: somebody is clearing the cache")

// writeFile writes an entry and returns its size.
func (c *Cache) writeFile(key Key, entry []byte) (size int64, err error) {
	path := c.entryFile(key)
	file, err := c.createTemporary(filepath.Dir(path))
	if err != nil {
		return 0, err
	}
	_, err = c.target(file).Write(entry)
	// Network file systems report a full disk no earlier.
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
		if errors.Is(err, fs.ErrNotExist) {
			err = errCleared
		}
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return int64(len(entry)), err
}
