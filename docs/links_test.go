// Package docs_test holds the documents and the comments to what there is: their links lead somewhere, and the files that they
// name exist.
package docs_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// files are all files of the checkout by their paths in it, but for those that git ignores.
func files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch rel := strings.TrimPrefix(name, "../"); {
		case rel == ".git" || rel == "bin" || rel == "dist" || rel == ".toolchain":
			if entry.IsDir() {
				return fs.SkipDir
			}
		case !entry.IsDir():
			list = append(list, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	codeBlock = regexp.MustCompile("(?s)\n *```.*?\n *```")
	// A file of this project, as text names it: with a pattern, maybe, and with folders, maybe.
	sourceFile = regexp.MustCompile(`[\w/*-]+\.(go|jl|sh)\b`)
	comment    = regexp.MustCompile(`(?m)^\s*(//|#) .*$`)
)

// anchors are the anchors that a page's headings get.
func anchors(page string) (list []string) {
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		list = append(list, strings.ReplaceAll(strings.ToLower(noAnchor.ReplaceAllString(match[1], "")), " ", "-"))
	}
	return list
}

func TestLinks(t *testing.T) {
	for _, name := range files(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, match := range link.FindAllStringSubmatch(codeBlock.ReplaceAllString(read(t, name), ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			target, anchor, _ := strings.Cut(match[1], "#")
			if target = path.Join(path.Dir(name), target); strings.HasPrefix(match[1], "#") {
				target = name
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", name, match[1], target)
			}
		}
	}
}

// foreign are names of what is not of this project: a user's files, parts of Julia, and names with a part left open.
var foreign = regexp.MustCompile(`^(trace|workload|task|more|packages|precompile|startup|simulate|script|dependencies|app)\.jl$|^test/runtests\.jl$|^base/|[A-Z]{2}|_N\.`)

func TestNamedFiles(t *testing.T) {
	all := files(t)
	is := func(name, pattern string) bool {
		for { // the text may leave out the folders above it
			if found, err := path.Match(pattern, name); found || err != nil {
				return err == nil
			}
			_, below, ok := strings.Cut(name, "/")
			if !ok {
				return false
			}
			name = below
		}
	}
	exists := func(pattern string) bool {
		// A file that there is for several versions of Julia may be named without the version.
		anyVersion := strings.TrimSuffix(pattern, ".jl") + "_[0-9]*.jl"
		return slices.ContainsFunc(all, func(name string) bool { return is(name, pattern) || is(name, anyVersion) })
	}
	for _, name := range all {
		var text string
		switch path.Ext(name) {
		case ".md":
			text = codeBlock.ReplaceAllString(read(t, name), "")
		case ".go", ".jl":
			text = strings.Join(comment.FindAllString(read(t, name), -1), "\n")
		}
		for _, match := range sourceFile.FindAllString(text, -1) {
			match = strings.TrimPrefix(match, "/") // of ../
			if !foreign.MatchString(match) && !exists(match) {
				t.Errorf("%s names %s, which is not there", name, match)
			}
		}
	}
}
