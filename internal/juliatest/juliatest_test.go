package juliatest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeJulia writes an executable that reports the version.
func fakeJulia(t *testing.T, version string) string {
	path := filepath.Join(t.TempDir(), "julia")
	script := "#!/bin/sh\necho julia version " + version + "\n"
	if err := WriteProgram(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEachRunsTheWholeList(t *testing.T) {
	old, young := fakeJulia(t, "1.5.3"), fakeJulia(t, "1.10.8")
	t.Setenv(variable, strings.Join([]string{old, young}, string(os.PathListSeparator)))
	var ran, names []string
	Each(t, func(t *testing.T, julia string) {
		ran = append(ran, julia)
		names = append(names, t.Name())
	})
	if want := []string{old, young}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	if want := []string{t.Name() + "/1.5.3", t.Name() + "/1.10.8"}; !slices.Equal(names, want) {
		t.Errorf("subtests %q, want %q", names, want)
	}
	if got := Julia(t); got != old {
		t.Errorf("Julia found %q, want the first of the list, %q", got, old)
	}
}

// The toolchain goes before the path: it is the version that the checkout wants.
func TestToolchainGoesBeforeThePath(t *testing.T) {
	root := t.TempDir()
	onPath := fakeJulia(t, "1.5.3")
	t.Setenv(variable, "")
	t.Setenv("PATH", filepath.Dir(onPath))
	below := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	if got := Julia(t); got != onPath {
		t.Errorf("without a toolchain found %q, want %q", got, onPath)
	}
	toolchain := filepath.Join(root, ".toolchain", "julia")
	if err := os.Mkdir(filepath.Dir(toolchain), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(onPath, toolchain); err != nil {
		t.Fatal(err)
	}
	if got := Julia(t); got != toolchain {
		t.Errorf("with a toolchain found %q, want %q", got, toolchain)
	}
}

func TestWithoutJuliaTheTestIsSkipped(t *testing.T) {
	t.Setenv(variable, "")
	t.Setenv("PATH", t.TempDir())
	t.Chdir(t.TempDir())
	var skipped bool
	t.Run("without", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		Julia(t)
	})
	if !skipped {
		t.Error("a test without a Julia was not skipped")
	}
}
