package julia

// This file hands out the Julia code that the worker processes run. It is part of the chainbuild binary.
//
//	worker/          the front worker, and the main file of each worker
//	worker/runtime/  what the front worker asks of the runtime: the files that the series lists
//	worker/compile/  the compile worker, and of the files passes_*.jl and roots_*.jl those that the series names
//
// A file that is one of several for different series is called after its subject and the oldest series that it serves, as
// session_1_10.jl is, and written as session.jl, which is what the other files include. The file roots_ordered.jl serves a patched
// Julia. So a process can only run what was chosen for it, and a compile worker only what lies in its folder. What determines an object is
// all of that folder.

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed worker/*.jl worker/runtime/*.jl worker/compile/*.jl
var workerSources embed.FS

// Sources are the Julia code of the workers for one series of Julia. What is written for the processes and what goes into keys
// comes from the same value.
type Sources struct{ files []source }

// A source is a file of the workers' code.
type source struct {
	name string // relative to the folder of the workers' code, with slashes
	text string
}

// compileFolder is that of the compile worker.
const compileFolder = "compile/"

// Sources chooses the files for the series.
func (s *Series) Sources() *Sources {
	all := &Sources{}
	add := func(name, written string) {
		text, err := workerSources.ReadFile("worker/" + name)
		if err != nil {
			panic(err) // the table of series names a file that there is not
		}
		all.files = append(all.files, source{written, string(text)})
	}
	for _, pattern := range []string{"*.jl", compileFolder + "*.jl"} {
		paths, err := fs.Glob(workerSources, "worker/"+pattern)
		if err != nil {
			panic(err)
		}
		for _, p := range paths {
			if base := path.Base(p); !strings.HasPrefix(base, "passes_") && !strings.HasPrefix(base, "roots_") {
				name := strings.TrimPrefix(p, "worker/")
				add(name, name)
			}
		}
	}
	for _, file := range s.Runtime {
		add("runtime/"+file, "runtime/"+subject(file))
	}
	for _, file := range []string{s.Passes, s.Roots} {
		add(compileFolder+file, compileFolder+subject(file))
	}
	return all
}

// subject is the name that a file such as session_1_10.jl is written under, session.jl.
func subject(file string) string {
	name, _, _ := strings.Cut(file, "_")
	return name + ".jl"
}

// Write writes the files into the folder dir, which must exist.
func (s *Sources) Write(dir string) error {
	for _, file := range s.files {
		path := filepath.Join(dir, filepath.FromSlash(file.name))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(file.text), 0o600)
		}
		if err != nil {
			return fmt.Errorf("the workers' code cannot be written: %w", err)
		}
	}
	return nil
}

// Read returns the text of a file; name is that under which Write writes it. It must be one of the files.
func (s *Sources) Read(name string) string {
	for _, file := range s.files {
		if file.name == name {
			return file.text
		}
	}
	panic("the workers' code has no file " + name)
}

// All is the whole of the code, with the names of the files, for keys of what depends on it.
func (s *Sources) All() string { return s.below("") }

// Compiling is the part that a compile worker can run, and so all of the code that an object depends on.
func (s *Sources) Compiling() string { return s.below(compileFolder) }

// CompilingFiles are the files of that part, by the names under which Write writes them.
func (s *Sources) CompilingFiles() map[string][]byte {
	files := map[string][]byte{}
	for _, file := range s.files {
		if strings.HasPrefix(file.name, compileFolder) {
			files[file.name] = []byte(file.text)
		}
	}
	return files
}

// below joins the files in a folder. Each begins with a line of its name and length, so that different files are different texts.
func (s *Sources) below(folder string) string {
	var all strings.Builder
	for _, file := range s.files {
		if strings.HasPrefix(file.name, folder) {
			fmt.Fprintf(&all, "%s, %d bytes\n%s", file.name, len(file.text), file.text)
		}
	}
	return all.String()
}
