package julia

// This file remembers what a julia said about itself, so that only the first build with it has to ask.
//
// The memory is one small JSON file per julia, <first depot>/chainbuild/julia-<key>.json, or in the user's cache folder
// where the depot cannot be written; where neither can, each build asks again and nobody is troubled with it.
// The key is a hash of all that the answer may depend on and that is known without asking: the executable (path, size,
// time of change), the environment variables that Julia reads its paths from, and the processor. What becomes known
// only by asking, libjulia, libLLVM and the image, stands in the file with size and time and is compared when it is read.

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A fileStamp tells versions of a file apart without reading it.
type fileStamp struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // nanoseconds since 1970
}

func stampOf(path string) (fileStamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{path, info.Size(), info.ModTime().UnixNano()}, nil
}

// memory is the content of a file.
type memory struct {
	Installation *Installation `json:"installation"`
	Files        []fileStamp   `json:"files"`
}

// memoryFormat is part of the key. A change to describe.jl or to Installation needs another number.
const memoryFormat = 1

// memoryKey returns "" where the executable cannot be looked at.
func memoryKey(executable string) string {
	resolved, err := filepath.EvalSymlinks(executable)
	if err != nil {
		return ""
	}
	stamp, err := stampOf(resolved)
	if err != nil {
		return ""
	}
	hash := sha256.New()
	fmt.Fprintln(hash, memoryFormat, executable, stamp)
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
	if depot := firstDepot(); depot != "" {
		dirs = append(dirs, filepath.Join(depot, "chainbuild"))
	}
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "chainbuild"))
	}
	return dirs
}

// firstDepot is DEPOT_PATH[1] as Base.init_depot_path (base/initdefs.jl) finds it.
func firstDepot() string {
	first, _, _ := strings.Cut(os.Getenv("JULIA_DEPOT_PATH"), ":")
	home, err := os.UserHomeDir()
	switch {
	case strings.HasPrefix(first, "/"):
		return first
	case err != nil:
		return ""
	case strings.HasPrefix(first, "~/"):
		return filepath.Join(home, first[2:])
	default:
		return filepath.Join(home, ".julia")
	}
}

// remembered returns what was stored under the key, nil if there is nothing that still holds.
func remembered(dirs []string, key string) *Installation {
	for _, dir := range dirs {
		text, err := os.ReadFile(memoryFile(dir, key))
		if err != nil {
			continue
		}
		var m memory
		if json.Unmarshal(text, &m) == nil && m.Installation != nil && m.holds() {
			return m.Installation
		}
	}
	return nil
}

func (m *memory) holds() bool {
	for _, then := range m.Files {
		if now, err := stampOf(then.Path); err != nil || now != then {
			return false
		}
	}
	return len(m.Files) > 0
}

// remember stores the answer in the first folder that can be written.
func remember(dirs []string, key string, in *Installation) {
	m := memory{Installation: in}
	for _, path := range []string{in.Executable, in.LibJulia, in.LibLLVM, in.Image} {
		stamp, err := stampOf(path)
		if err != nil {
			return
		}
		m.Files = append(m.Files, stamp)
	}
	text, err := json.MarshalIndent(&m, "", "  ")
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if writeAtomically(memoryFile(dir, key), append(text, '\n')) == nil {
			return
		}
	}
}

func memoryFile(dir, key string) string { return filepath.Join(dir, "julia-"+key+".json") }

// writeAtomically replaces a file, so that another build sees the old content or the new one.
func writeAtomically(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}
