package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/usage"
	"chainbuild/julia"
)

// The project is the one that julia's --project would name.
func TestFindProject(t *testing.T) {
	isolate(t)
	depot, root := os.Getenv("JULIA_DEPOT_PATH"), t.TempDir()
	write(t, root, "mine/Project.toml", "name = \"Mine\"\n", "mine/src/deep/file", "", "other/JuliaProject.toml", "", "bare/file", "")
	write(t, depot, "environments/v1.5/Project.toml", "", "environments/tools/Project.toml", "")
	t.Setenv("HOME", root)
	program := fakeJulia(t, nil)
	at := func(parts ...string) string {
		path, err := filepath.EvalSymlinks(filepath.Join(parts...))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine, other, shared := at(root, "mine"), at(root, "other"), at(depot, "environments", "v1.5")
	for _, test := range []struct {
		here, project, environment string
		likeJulia                  bool
		want                       string // a folder, or what is said
		implicit                   bool
	}{
		{"mine", "", "", false, mine, false},
		{"mine/src/deep", "", "", false, mine, false},
		{"bare", "", "", false, shared, true},
		{"mine", "", "", true, shared, true},
		{"mine", "", "@.", false, mine, true},
		{"mine", "", other, true, other, true},
		{"mine", "@v#.#", other, false, shared, false},
		{"mine/src", "@", "", false, mine, false},
		{"bare", "@.", "", false, "there is no project at or above the current folder", false},
		{"bare", "@tools", "", false, at(depot, "environments", "tools"), false},
		{"bare", "@new", "", false, filepath.Join(depot, "environments", "new"), false},
		{"bare", "../mine", "", false, mine, false},
		{"bare", filepath.Join(mine, "Project.toml"), "", false, mine, false},
		{"bare", "~/other", "", false, other, false},
		{"bare", "~", "", false, at(root), false},
		{"bare", "gone", "", false, "there is no project " + filepath.Join(at(root, "bare"), "gone") + ": name a folder with a Project.toml", false},
	} {
		t.Chdir(filepath.Join(at(root), test.here))
		t.Setenv("JULIA_PROJECT", test.environment)
		p, err := Open(t.Context(), Options{Julia: program, Project: test.project, LikeJulia: test.likeJulia})
		what := fmt.Sprintf("in %s, --project=%s, JULIA_PROJECT=%s, like julia: %v", test.here, test.project, test.environment, test.likeJulia)
		if !filepath.IsAbs(test.want) {
			var refused *usage.Error
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, and not %q", what, err, test.want)
			}
			continue
		}
		if err != nil || p.Dir != test.want || p.implicit != test.implicit {
			t.Errorf("%s: %+v (%v), not %s", what, p, err, test.want)
		}
	}
	t.Chdir(root)
	if p := open(t, mine, nil); p.Name() != "Mine" {
		t.Errorf("a project with a name is called %s", p.Name())
	}
	if p := open(t, other, nil); p.Name() != "other" {
		t.Errorf("a project without a name is called %s", p.Name())
	}
	none := &julia.Installation{Executable: "/bin/julia", Version: "1.5.3"}
	if _, err := sharedProject(none, "v#.#"); err == nil || !strings.Contains(err.Error(), "has no depot with environments") {
		t.Errorf("without a depot: %v", err)
	}
}

// Whatever is wrong is wrong before any work, and says which file.
func TestOpenRefuses(t *testing.T) {
	isolate(t)
	for says, files := range map[string][]string{
		"Project.toml:1 cannot be read":                              {"Project.toml", "x"},
		"Manifest.toml:1 cannot be read":                             {"Project.toml", "", "Manifest.toml", "x"},
		settingsFile + `:2: there is no setting "colour"`:            {"Project.toml", "", settingsFile, "[chainbuild]\ncolour = 1"},
		"the package Absent is to be in the image and is not one of": {"Project.toml", "", settingsFile, "[chainbuild]\npackages = [\"Absent\"]"},
		"A is a dependency in ":                                      {"Project.toml", "[deps]\nA = \"00000000-0000-0000-0000-00000000000a\""},
		settingsFile + `:2: cpu_target does not take "generic;"`:     {"Project.toml", "", settingsFile, "[chainbuild]\ncpu_target = \"generic;\""},
	} {
		dir := t.TempDir()
		write(t, dir, files...)
		var refused *usage.Error
		if _, err := Open(t.Context(), Options{Julia: fakeJulia(t, nil), Project: dir}); !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, and not %q", err, says)
		}
	}
	if _, err := Open(t.Context(), Options{Julia: filepath.Join(t.TempDir(), "gone")}); err == nil {
		t.Error("a project was opened without a Julia")
	}
	gone := fakeJulia(t, func(in *julia.Installation) { in.Image = filepath.Join(t.TempDir(), "gone.so") })
	if _, err := Open(t.Context(), Options{Julia: gone, Project: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "the base image") {
		t.Errorf("without a base image: %v", err)
	}
}

// State is kept in the first depot, unless another folder is named, or there is no depot.
func TestStateRoot(t *testing.T) {
	in := &julia.Installation{Executable: "/bin/julia", DepotPaths: []string{"/depot", "/other"}}
	t.Setenv(stateVariable, "")
	t.Setenv("XDG_CACHE_HOME", "/cache")
	expect := func(want string) {
		t.Helper()
		if got, err := StateRoot(in); err != nil || got != want {
			t.Errorf("it is %s (%v), not %s", got, err, want)
		}
	}
	expect("/depot/chainbuild/projects")
	t.Setenv(stateVariable, "/named")
	expect("/named")
	t.Setenv(stateVariable, "")
	in.DepotPaths = nil
	expect("/cache/chainbuild/projects")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if _, err := StateRoot(in); err == nil || !strings.Contains(err.Error(), "name a folder with "+stateVariable) {
		t.Errorf("without any place: %v", err)
	}
}
