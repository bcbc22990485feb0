package folders

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files, and links to what is behind "->".
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		name, target, isLink := strings.Cut(name, "->")
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if isLink {
			err = errors.Join(err, os.Symlink(target, path))
		} else {
			err = errors.Join(err, os.WriteFile(path, nil, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWalk(t *testing.T) {
	dir := tree(t, "real/a/one", "real/b/two", "real/z", "else/three", "root->real", "real/b/up->..", "real/c->../else", "real/d->../else/three", "real/e->nowhere")
	for _, test := range []struct{ skip, visits string }{
		// The folders end with "/", links that lead nowhere with "?".
		{"", "./ a/ a/one b/ b/two c/ c/three d e? z"},
		{"b", "./ a/ a/one b/ c/ c/three d e? z"},             // a folder
		{"c/three", "./ a/ a/one b/ b/two c/ c/three d e? z"}, // what else is in its folder
		{"d", "./ a/ a/one b/ b/two c/ c/three d"},
	} {
		var visits []string
		root := filepath.Join(dir, "root")
		err := Walk(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(root, path)
			visit := name
			switch {
			case entry.IsDir():
				visit += "/"
			case !entry.Type().IsRegular():
				visit += "?"
			}
			if visits = append(visits, visit); name == test.skip {
				return fs.SkipDir
			}
			return nil
		})
		if got := strings.Join(visits, " "); err != nil || got != test.visits {
			t.Errorf("with %q left it visits %s, and not %s (%v)", test.skip, got, test.visits, err)
		}
	}
}

// What is not there, and what the function returns, are its caller's to judge.
func TestWalkFails(t *testing.T) {
	if err := Walk(filepath.Join(t.TempDir(), "none"), func(_ string, _ fs.DirEntry, err error) error { return err }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a folder that is not there the error is %v", err)
	}
	dir := tree(t, "a", "b")
	stop, visits := errors.New("stop"), []string{}
	for _, end := range []error{stop, fs.SkipAll} {
		err := Walk(dir, func(path string, _ fs.DirEntry, _ error) error {
			if visits = append(visits, filepath.Base(path)); filepath.Base(path) == "a" {
				return end
			}
			return nil
		})
		if end == stop && err != stop || end == fs.SkipAll && err != nil || slices.Contains(visits, "b") {
			t.Errorf("after %v the error is %v, and it visits %q", end, err, visits)
		}
	}
}
