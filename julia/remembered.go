package julia

// This file remembers what is slow to find out about a julia, so that only the first build with it has to.
//
// The memory is small JSON files, <first depot>/chainbuild/<name>.json, or in the user's cache folder where the depot
// cannot be written; where neither can, each build finds out again and nobody is troubled with it. A name ends with a
// hash of all that the answer may depend on and that is known beforehand: the files concerned, the environment variables
// that Julia reads its paths from, and the processor. The content says of which files, with size and time of change, it
// holds; what has changed since is forgotten.

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"chainbuild/internal/depot"

	"github.com/google/renameio/v2"
)

// A fileStamp tells versions of a file apart without reading it. It has nothing that changes when the file and the memory are
// copied to another machine together, as inodes do.
type fileStamp struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // nanoseconds since 1970
}

func stampsOf(paths ...string) ([]fileStamp, error) {
	var stamps []fileStamp
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		stamps = append(stamps, fileStamp{path, info.Size(), info.ModTime().UnixNano()})
	}
	return stamps, nil
}

// memory is the content of a file: an answer, and the files that it is about.
type memory[T any] struct {
	Answer *T          `json:"answer"`
	Files  []fileStamp `json:"files"`
}

// memoryFormat is part of each name. A change to describe.jl or to an answer's type needs another number.
const memoryFormat = 3

// memoryKey is the end of the name of what is remembered about files.
func memoryKey(paths ...string) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%d %q\n", memoryFormat, paths)
	for _, name := range []string{"HOME", "JULIA_DEPOT_PATH", "JULIA_BINDIR", "LD_LIBRARY_PATH", "LD_PRELOAD"} {
		fmt.Fprintf(hash, "%s=%q\n", name, os.Getenv(name))
	}
	hash.Write(processor())
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

// processor returns what the kernel says about the first processor, as far as it holds on the next call too.
func processor() []byte {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return nil
	}
	defer file.Close()
	start := make([]byte, 4096)
	n, _ := io.ReadFull(file, start)
	var stable []byte
	for line := range bytes.Lines(start[:n]) {
		for _, name := range []string{"vendor_id", "cpu family", "model", "stepping", "flags"} {
			if bytes.HasPrefix(line, []byte(name)) {
				stable = append(stable, line...)
			}
		}
		if bytes.HasPrefix(line, []byte("flags")) {
			break
		}
	}
	return stable
}

// memoryDirs are the folders to look in, best first.
func memoryDirs() []string {
	var dirs []string
	if dir := depot.Folder(depot.Known()); dir != "" {
		dirs = append(dirs, dir)
	}
	if dir, err := depot.UserFolder(); err == nil {
		dirs = append(dirs, dir)
	}
	return dirs
}

// recall returns what was stored under the name, if it still holds and is about the same files; about is nil where the
// files are part of the answer.
func recall[T any](dirs []string, name string, about []fileStamp) (*T, bool) {
	for _, dir := range dirs {
		text, err := os.ReadFile(memoryFile(dir, name))
		if err != nil {
			continue
		}
		var m memory[T]
		if json.Unmarshal(text, &m) != nil || m.Answer == nil || len(m.Files) == 0 {
			continue
		}
		if about == nil {
			about, err = stampsOf(m.paths()...)
		}
		if err == nil && slices.Equal(m.Files, about) {
			return m.Answer, true
		}
	}
	return nil, false
}

func (m *memory[T]) paths() []string {
	var paths []string
	for _, f := range m.Files {
		paths = append(paths, f.Path)
	}
	return paths
}

// memorize stores the answer in the first folder that can be written.
func memorize[T any](dirs []string, name string, about []fileStamp, answer T) {
	text, err := json.MarshalIndent(memory[T]{&answer, about}, "", "  ")
	if err != nil {
		return
	}
	for _, dir := range dirs {
		path := memoryFile(dir, name)
		if os.MkdirAll(filepath.Dir(path), 0o755) == nil && renameio.WriteFile(path, append(text, '\n'), 0o600) == nil {
			return
		}
	}
}

func memoryFile(dir, name string) string { return filepath.Join(dir, name+".json") }
