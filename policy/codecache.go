package policy

// This file keeps the machine code of policies in the object cache, as an entry like all others: it is found by its key, checked, trimmed and
// cleared with them.
//
// Wazero keeps what it compiles in a folder. It is given one that lasts as long as the compilation. What it finds there is the entry of this module,
// and what it has written becomes the entry. An entry is the name of a file, a line's end, and what was in the file: the name has the processor's
// features in it, so what another machine has stored is not taken, but replaced.

import (
	"bytes"
	"os"
	"path/filepath"

	"chainbuild/internal/scratch"
	"chainbuild/objcache"

	"github.com/tetratelabs/wazero"
)

// A codeCache is wazero's cache while it compiles a module.
type codeCache struct {
	// wazero is nil where there is no cache.
	wazero wazero.CompilationCache
	cache  *objcache.Cache
	key    objcache.Key
	folder *scratch.Folder
	below  string // wazero's own folder in it
	had    string // the file of the entry
}

// newCodeCache opens one. What is wrong with it is no reason to fail: then the module is compiled.
func newCodeCache(code []byte, cache *objcache.Cache) *codeCache {
	c := &codeCache{cache: cache}
	if cache == nil {
		return c
	}
	var err error
	if c.folder, err = scratch.MakeFolder("policy"); err != nil {
		return c
	}
	made, err := wazero.NewCompilationCacheWithDir(c.folder.Path)
	if err != nil {
		return c
	}
	c.wazero = made
	// Its name has the version of wazero.
	folders, _ := filepath.Glob(filepath.Join(c.folder.Path, "wazero-*"))
	if len(folders) != 1 {
		return c
	}
	c.below = folders[0]
	h := objcache.NewHash("policy")
	h.AddString("compiler", filepath.Base(c.below))
	h.Add("module", code)
	c.key = h.Key()
	if entry, err := cache.Get(c.key); err == nil {
		if name, data, ok := bytes.Cut(entry, []byte("\n")); ok && filepath.IsLocal(string(name)) {
			c.had = string(name)
			os.WriteFile(filepath.Join(c.below, c.had), data, 0o600)
		}
	}
	return c
}

// keep stores what was compiled.
func (c *codeCache) keep() {
	if c.below == "" {
		return
	}
	files, err := os.ReadDir(c.below)
	if err != nil {
		return
	}
	for _, file := range files {
		if file.Name() == c.had {
			continue
		}
		if data, err := os.ReadFile(filepath.Join(c.below, file.Name())); err == nil {
			c.cache.Put(c.key, append([]byte(file.Name()+"\n"), data...))
		}
	}
}

// close removes the folder. What was compiled stays in use.
func (c *codeCache) close() {
	if c.folder != nil {
		c.folder.Remove()
	}
}
