package main

// What scripts about the object cache need besides the command.

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"chainbuild/objcache"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	commands["cacheput"] = cachePut
	commands["cacheage"] = cacheAge
}

// cachePut stores entries of 100 kB that do not compress, numbered from 0: cacheput folder number
func cachePut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cacheput folder number")
	}
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	cache, err := objcache.Open(ts.MkAbs(args[0]), objcache.Options{Warn: func(err error) { ts.Fatalf("%v", err) }})
	ts.Check(err)
	for n := range number {
		cache.Put(entryKey(n), incompressible(100_000))
	}
}

// cacheAge has an entry last used some hours ago, and sets $ENTRY to its path in the folder: cacheage folder entry hours
func cacheAge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cacheage folder entry hours")
	}
	entry, err := strconv.Atoi(args[1])
	ts.Check(err)
	hours, err := strconv.Atoi(args[2])
	ts.Check(err)
	digits := entryKey(entry).String()
	used := time.Now().Add(-time.Duration(hours) * time.Hour)
	relative := filepath.Join(digits[:2], digits+".entry")
	ts.Check(os.Chtimes(filepath.Join(ts.MkAbs(args[0]), relative), used, used))
	ts.Setenv("ENTRY", relative)
}

func entryKey(n int) objcache.Key {
	h := objcache.NewHash("script")
	h.AddString("entry", fmt.Sprint(n))
	return h.Key()
}

func incompressible(size int) []byte {
	var data bytes.Buffer
	for n := 0; data.Len() < size; n++ {
		key := entryKey(n)
		data.Write(key[:])
	}
	return data.Bytes()[:size]
}
