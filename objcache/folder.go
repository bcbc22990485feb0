package objcache

// This file is a cache's folder: where it is, what is in it, who may write to it.
//
//	CACHEDIR.TAG              tells backup programs, and people, what this is (https://bford.info/cachedir)
//	ledger                    size and last trim, see trim.go
//	00 … ff/                  the first two digits of the keys, so that no folder gets too long to list
//	  <64 digits>.entry       see entry.go
//	  put-<digits>.temporary  an entry that is being written; or that a process which was killed had begun
//
// Anything else in the folder stays untouched. Folders and files are the user's alone, whatever the umask: entries hold code
// that runs, so anybody who can write one can run code as the user.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chainbuild/internal/depot"
	"chainbuild/internal/private"
)

const (
	tagName         = "CACHEDIR.TAG"
	ledgerName      = "ledger"
	entrySuffix     = ".entry"
	temporaryPrefix = "put-"
	temporarySuffix = ".temporary"
)

const tagText = `Signature: 8a477f597d28d172789f06886806bc55
# Compiled code that chainbuild keeps, so that builds need not make it again.
# See chainbuild cache --help. All of it can be removed at any time.
`

// Environment is the environment variable with the cache's folder; its value may be Off.
const Environment = "CHAINBUILD_CACHE"

// Off is the name of a folder that means that there is no cache.
const Off = "off"

// DefaultDir returns the cache's folder for DEPOT_PATH: what the environment variable says, else chainbuild/cache in the
// first depot. It is "" if there shall be no cache, or there is no depot.
func DefaultDir(depots []string) string {
	switch dir := os.Getenv(Environment); dir {
	case Off:
		return ""
	case "":
		return depot.Folder(depots, "cache")
	default:
		return dir
	}
}

func (c *Cache) entryFile(key Key) string {
	digits := key.String()
	return filepath.Join(c.dir, digits[:2], digits+entrySuffix)
}

// checkFolder refuses a folder that is none or that is not private.
func checkFolder(dir string) error {
	switch err := private.CheckFolder(dir); {
	case errors.Is(err, private.ErrNoFolder):
		return fmt.Errorf("the cache %s is not a folder: remove it, or give another with --cache-dir", dir)
	case errors.Is(err, private.ErrShared):
		return fmt.Errorf("the cache folder %s is not used, as another user could put code into it: make it yours alone (chown, chmod go-w), or give another with --cache-dir", dir)
	case err != nil:
		return fmt.Errorf("the cache folder %s cannot be looked at (%w): see to it, or give another with --cache-dir", dir, err)
	}
	return nil
}

// createTemporary makes a file for an entry in one of the subfolders.
func (c *Cache) createTemporary(subfolder string) (*os.File, error) {
	const attempts = 10 // somebody may be clearing the cache
	for attempt := 1; ; attempt++ {
		file, err := os.CreateTemp(subfolder, temporaryPrefix+"*"+temporarySuffix)
		if err == nil {
			if err := file.Chmod(0o600); err != nil {
				file.Close()
				os.Remove(file.Name())
				return nil, err
			}
			return file, nil
		}
		if errors.Is(err, fs.ErrNotExist) && attempt < attempts {
			err = c.makeFolders(subfolder)
		}
		if err != nil && (!errors.Is(err, fs.ErrNotExist) || attempt == attempts) {
			return nil, err
		}
	}
}

func (c *Cache) makeFolders(subfolder string) error {
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o755); err != nil {
		return err
	}
	made, err := private.MakeFolder(c.dir)
	if err != nil {
		return err
	}
	// Whose is it, if somebody else made it since Open?
	if err := checkFolder(c.dir); err != nil {
		return err
	}
	if made {
		os.WriteFile(filepath.Join(c.dir, tagName), []byte(tagText), 0o600) // nothing depends on it
	}
	_, err = private.MakeFolder(subfolder)
	return err
}

type fileKind int

const (
	entryFile fileKind = iota
	temporaryFile
	foreignFile
)

// A cacheFile is a file in a cache's folder.
type cacheFile struct {
	path string
	kind fileKind
	key  Key   // of an entry
	size int64 // in bytes
	used time.Time
}

// files lists the files, other than the tag and the ledger. A cache that is not there has none.
func (c *Cache) files(ctx context.Context) ([]cacheFile, error) {
	if c == nil {
		return nil, nil
	}
	top, err := readFolder(c.dir)
	if err != nil {
		return nil, err
	}
	var files []cacheFile
	add := func(path string, e fs.DirEntry) error {
		kind, key := classify(path)
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		files = append(files, cacheFile{path, kind, key, info.Size(), info.ModTime()})
		return nil
	}
	for _, e := range top {
		path := filepath.Join(c.dir, e.Name())
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !isSubfolder(e) {
			if e.Name() != tagName && e.Name() != ledgerName {
				err = add(path, e)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		below, err := readFolder(path)
		if err != nil {
			return nil, err
		}
		for _, e := range below {
			if err := add(filepath.Join(path, e.Name()), e); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

func isSubfolder(e fs.DirEntry) bool {
	name := e.Name()
	return e.IsDir() && len(name) == 2 && strings.Trim(name, "0123456789abcdef") == ""
}

// classify says what a file is by its path.
func classify(path string) (fileKind, Key) {
	name, folder := filepath.Base(path), filepath.Base(filepath.Dir(path))
	if digits, ok := strings.CutSuffix(name, entrySuffix); ok && strings.HasPrefix(digits, folder) {
		if key, ok := parseKey(digits); ok {
			return entryFile, key
		}
	}
	if strings.HasPrefix(name, temporaryPrefix) && strings.HasSuffix(name, temporarySuffix) {
		return temporaryFile, Key{}
	}
	return foreignFile, Key{}
}

func readFolder(dir string) ([]fs.DirEntry, error) {
	list, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the cache folder %s cannot be listed (%w): see to it, or give another with --cache-dir", dir, err)
	}
	return list, nil
}
