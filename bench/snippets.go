package bench

// This file reads the snippets that the Julia community measures the time to first execute with, and makes workloads of them.
//
// A snippet is a folder with a Project.toml, which lists the packages in [deps] and bounds of their versions in [compat], and a task.jl
// (https://github.com/tecosaur/Julia-TTFX-Snippets):
//
//	# Task: what is done
//	# Sample timings: install in 6.5s, run in 0.75s
//	__t1 = time()
//	using PACKAGE
//	__t2 = time()
//	…
//	__t3 = time()
//
// Lines with __t after the third time print the times. A bench takes its own times and leaves all these lines out: load is what is
// before the second time, work is what is between it and the third. In a task.jl without such times, load is the lines up to the
// first that is neither a comment nor loads something.

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"chainbuild/internal/folders"
	"chainbuild/internal/usage"

	"github.com/pelletier/go-toml/v2"
)

const snippetTask, snippetProject = "task.jl", "Project.toml"

// A snippet is what a workload has more that is a folder of the community's snippets.
type snippet struct {
	dir    string
	deps   map[string]string // UUIDs by name of package
	julia  string            // the versions of Julia that its project is compatible with, "" if it does not say
	refuse string            // why it cannot be a workload; "" if it can
	// published is how many seconds it took when it was published, 0 if it does not say
	published float64
}

// Snippets returns a workload for each snippet in the folder and below, by name. A name is the last two parts of the path: of the package
// and of the task. The arguments select by that name, by either part, or by the path; without arguments it is all. A folder that cannot be
// understood is a workload that is not run, with the reason. The errors are *usage.Error.
func Snippets(folder string, arguments []string) ([]*Workload, error) {
	all, err := readSnippets(folder)
	if err == nil {
		all, err = selectSnippets(folder, all, arguments)
	}
	return all, usage.Wrap(err)
}

// readSnippets reads all snippets in the folder and below.
func readSnippets(folder string) ([]*Workload, error) {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--snippets names %q, which is no folder: give one that has folders with %s and %s", folder, snippetTask, snippetProject)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	var all []*Workload
	err = folders.Walk(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != folder && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.Name() == snippetTask && !entry.IsDir():
			all = append(all, readSnippet(folder, filepath.Dir(path)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("--snippets %s cannot be read: %w", folder, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("--snippets %s has no snippets: name a folder that has, in it or below, folders with %s and %s", folder, snippetTask, snippetProject)
	}
	slices.SortFunc(all, func(a, b *Workload) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
	})
	for i, w := range all[1:] {
		if other := all[i]; other.Name == w.Name {
			return nil, fmt.Errorf("the snippets %s and %s have the same name, %q: rename a folder, their samples could not be told apart", other.snippet.dir, w.snippet.dir, w.Name)
		}
	}
	return all, nil
}

// selectSnippets returns those that the arguments name.
func selectSnippets(folder string, all []*Workload, arguments []string) ([]*Workload, error) {
	if len(arguments) == 0 {
		return all, nil
	}
	var selected []*Workload
	for _, argument := range arguments {
		found := false
		for _, w := range all {
			if w.isSnippet(argument) {
				found = true
				if !slices.Contains(selected, w) {
					selected = append(selected, w)
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no snippet %q in %s: --list with --snippets lists those that are there", argument, folder)
		}
	}
	return selected, nil
}

// isSnippet says whether the argument names the snippet.
func (w *Workload) isSnippet(argument string) bool {
	names := append(lastParts(w.snippet.dir), w.Name)
	if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, argument) }) {
		return true
	}
	path, err := filepath.Abs(argument)
	return err == nil && path == w.snippet.dir
}

// lastParts are the last two parts of a path, where it has two.
func lastParts(path string) []string {
	parts := strings.Split(filepath.ToSlash(path), "/")
	return parts[max(0, len(parts)-2):]
}

// unnamable are the characters that a workload's name cannot have.
var unnamable = strings.NewReplacer("|", "-", "\n", " ")

// readSnippet reads the snippet in dir, which has a task.jl.
func readSnippet(folder, dir string) *Workload {
	w := &Workload{snippet: &snippet{dir: dir}}
	relative, err := filepath.Rel(folder, dir)
	if err != nil || relative == "." {
		relative = filepath.Base(dir)
	}
	w.Name = unnamable.Replace(strings.Join(lastParts(relative), " "))
	text, err := os.ReadFile(filepath.Join(dir, snippetTask))
	if err != nil {
		w.snippet.refuse = fmt.Sprintf("its %s cannot be read: %v", snippetTask, err)
		return w
	}
	w.snippet.published = publishedTime(string(text))
	if w.About, w.Load, w.Work, err = parseTask(string(text)); err != nil {
		w.snippet.refuse = err.Error()
		return w
	}
	text, err = os.ReadFile(filepath.Join(dir, snippetProject))
	if err != nil {
		w.snippet.refuse = fmt.Sprintf("its %s cannot be read: %v", snippetProject, err)
		return w
	}
	var project struct {
		Deps   map[string]string `toml:"deps"`
		Compat map[string]string `toml:"compat"`
	}
	if err := toml.Unmarshal(text, &project); err != nil {
		w.snippet.refuse = fmt.Sprintf("its %s is no project: %v", snippetProject, err)
		return w
	}
	w.snippet.deps = project.Deps
	w.snippet.julia = project.Compat["julia"]
	return w
}

var (
	taskTime = regexp.MustCompile(`^\s*__t([123])\s*=\s*time\(\)\s*;?\s*(?:#.*)?$`)
	loads    = regexp.MustCompile(`^\s*(?:using|import)\s`)
	noCode   = regexp.MustCompile(`^\s*(?:#.*)?$`)
)

// parseTask divides the source of a task.jl. About is what it says of itself.
func parseTask(text string) (about, load, work string, err error) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	var times []int // the lines of the times
	for i, line := range lines {
		if title, ok := strings.CutPrefix(line, "# Task:"); ok && about == "" {
			about = strings.TrimSpace(title)
		}
		if m := taskTime.FindStringSubmatch(line); m != nil {
			times = append(times, i)
			if m[1] != strconv.Itoa(len(times)) {
				return about, "", "", fmt.Errorf("%s:%d takes the time __t%s where __t%d should be", snippetTask, i+1, m[1], len(times))
			}
		}
	}
	switch len(times) {
	case 3:
		for i, line := range lines[times[2]+1:] {
			if !noCode.MatchString(line) && !strings.Contains(line, "__t") {
				return about, "", "", fmt.Errorf("%s:%d would not be run: it is after the last time, __t3", snippetTask, times[2]+i+2)
			}
		}
		return about, source(lines[:times[0]], lines[times[0]+1:times[1]]), source(lines[times[1]+1 : times[2]]), nil
	case 0:
		first := slices.IndexFunc(lines, func(line string) bool { return !noCode.MatchString(line) && !loads.MatchString(line) })
		if first < 0 {
			return about, "", "", fmt.Errorf("%s does nothing but load packages", snippetTask)
		}
		return about, source(lines[:first]), source(lines[first:]), nil
	}
	return about, "", "", fmt.Errorf("%s takes the times up to __t%d: there should be __t1, __t2 and __t3, or none", snippetTask, len(times))
}

var sampleTimings = regexp.MustCompile(`(?m)^# Sample timings:.*\brun in (\d+(?:\.\d+)?)s`)

// publishedTime is how many seconds a task.jl says that it took where it was published, 0 if it does not say.
func publishedTime(text string) float64 {
	m := sampleTimings.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	seconds, _ := strconv.ParseFloat(m[1], 64) // the expression matches nothing else
	return seconds
}

// source joins lines, without those at the beginning and at the end that have no code.
func source(parts ...[]string) string {
	lines := slices.Concat(parts...)
	code := func(line string) bool { return !noCode.MatchString(line) }
	first := slices.IndexFunc(lines, code)
	if first < 0 {
		return ""
	}
	last := len(lines)
	for !code(lines[last-1]) {
		last--
	}
	return strings.Join(lines[first:last], "\n") + "\n"
}
