package bench

// This file reads workloads: what somebody waits for when they start Julia and do the first thing with a package.
//
// A workload is a TOML file:
//
//	name     what its row is called
//	about    what the work is, in a few words
//	load     the line that loads packages; its time is the load time
//	work     Julia source that prints the same each time; its time is the work time
//	script   instead of work: a file beside the TOML file
//	package  a package's folder beside the TOML file, loaded from there
//	check    texts that the output must have
//	needs    environment variables without which the work cannot run
//	[packages."1.5"]   for each minor version of Julia the packages that load needs, with their versions
//
// Those that come with chainbuild are in workloads/*.toml; their folders and scripts are there or in the module's examples.

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/examples"
	"chainbuild/internal/tomlfile"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
)

//go:embed workloads
var workloadFiles embed.FS

// A Workload is what is run under each image.
type Workload struct {
	Name    string   `toml:"name"`
	About   string   `toml:"about"`
	Load    string   `toml:"load"`
	Work    string   `toml:"work"`
	Script  string   `toml:"script"`
	Package string   `toml:"package"`
	Check   []string `toml:"check"`
	Needs   []string `toml:"needs"`
	// Packages are versions by package by minor version of Julia, "1.5".
	Packages map[string]map[string]string `toml:"packages"`

	files   fs.FS    // what Script and Package are in
	snippet *snippet // nil for a workload of a TOML file
}

// workloads returns the workloads that come with chainbuild: first those that need nothing but Julia, each part by name.
func workloads() ([]*Workload, error) {
	beside, err := fs.Sub(workloadFiles, "workloads")
	if err != nil {
		return nil, err
	}
	files := eitherFS{beside, examples.Files}
	names, err := fs.Glob(beside, "*.toml")
	if err != nil {
		return nil, err
	}
	var all []*Workload
	for _, name := range names {
		text, err := fs.ReadFile(beside, name)
		if err != nil {
			return nil, err
		}
		w, err := parseWorkload(name, text, files)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	slices.SortStableFunc(all, func(a, b *Workload) int {
		if alone := len(a.Packages) == 0; alone != (len(b.Packages) == 0) {
			if alone {
				return -1
			}
			return 1
		}
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return all, nil
}

// readWorkload reads the workload in the file at path.
func readWorkload(path string) (*Workload, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseWorkload(path, text, os.DirFS(filepath.Dir(path)))
}

// parseWorkload reads a workload from the text of a TOML file. Name is what errors call the file; its script and package are in files.
func parseWorkload(name string, text []byte, files fs.FS) (*Workload, error) {
	w := &Workload{files: files}
	file, err := tomlfile.Parse(name, text)
	if err == nil {
		err = file.Decode("", w)
	}
	var unknown *tomlfile.UnknownKeyError
	switch {
	case errors.As(err, &unknown):
		return nil, fmt.Errorf("%s:%d: a workload has no field %s: use %s", name, unknown.Line, unknown.Key, words.Or(unknown.Known))
	case err != nil:
		return nil, fmt.Errorf("%s is no workload: %w", name, err)
	}
	switch {
	case w.Name == "" || strings.ContainsAny(w.Name, "/|\n"):
		return nil, fmt.Errorf("%s: the workload's name is %q: give it one without / and |", name, w.Name)
	case w.Load == "":
		return nil, fmt.Errorf("%s: there is no line `load`: a workload loads something, if only `using Dates`", name)
	case (w.Work == "") == (w.Script == ""):
		return nil, fmt.Errorf("%s: give either `work` or `script`", name)
	}
	for _, file := range []string{w.Script, w.Package} {
		if file == "" {
			continue
		}
		if _, err := fs.Stat(files, path.Clean(file)); err != nil {
			return nil, fmt.Errorf("%s: %s cannot be read (%w): name a path beside the workload's file", name, file, err)
		}
	}
	return w, nil
}

// source is the Julia source of the work.
func (w *Workload) source() (string, error) {
	if w.Script == "" {
		return w.Work, nil
	}
	text, err := fs.ReadFile(w.files, path.Clean(w.Script))
	return string(text), err
}

// Select returns the workloads that the arguments name, in their order: names of those that come with chainbuild, without regard to
// case, or paths that end in .toml. Without arguments it is all that come with chainbuild. The errors are *usage.Error.
func Select(arguments []string) ([]*Workload, error) {
	selected, err := selectWorkloads(arguments)
	return selected, usage.Wrap(err)
}

func selectWorkloads(arguments []string) ([]*Workload, error) {
	all, err := workloads()
	if err != nil || len(arguments) == 0 {
		return all, err
	}
	var selected []*Workload
	for _, argument := range arguments {
		if strings.HasSuffix(argument, ".toml") {
			w, err := readWorkload(argument)
			if err != nil {
				return nil, err
			}
			selected = append(selected, w)
			continue
		}
		i := slices.IndexFunc(all, func(w *Workload) bool { return strings.EqualFold(w.Name, argument) })
		if i < 0 {
			var names []string
			for _, w := range all {
				names = append(names, w.Name)
			}
			return nil, fmt.Errorf("there is no workload %q: name a .toml file or some of %s", argument, strings.Join(names, ", "))
		}
		selected = append(selected, all[i])
	}
	for i, w := range selected {
		if slices.ContainsFunc(selected[:i], func(other *Workload) bool { return other.Name == w.Name }) {
			return nil, fmt.Errorf("two workloads are named %q: rename one, its samples could not be told apart", w.Name)
		}
	}
	return selected, nil
}

// An eitherFS has the files of both; the first one's are preferred.
type eitherFS [2]fs.FS

func (e eitherFS) Open(name string) (fs.File, error) {
	if _, err := fs.Stat(e[0], name); err == nil {
		return e[0].Open(name)
	}
	return e[1].Open(name)
}
