package pipeline

// This file opens the object cache of a build.

import (
	"time"

	"chainbuild/objcache"
)

// openCache opens the cache. Without one a build is slower, not worse: what is wrong with it is a warning.
func (b *builder) openCache() {
	dir := b.o.CacheDir
	switch dir {
	case "":
		dir = objcache.DefaultDir(b.julia.DepotPaths)
	case "off":
		dir = ""
	}
	cache, err := objcache.Open(dir, objcache.Options{
		Limit: int64(b.o.CacheSize),
		Warn:  func(err error) { b.report(Warning{At: time.Now(), Text: err.Error()}) },
	})
	if err != nil {
		b.report(Warning{At: time.Now(), Text: "nothing is cached: " + err.Error()})
		return
	}
	b.cache = cache
}
