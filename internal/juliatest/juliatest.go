// Package juliatest finds the Julia executables that tests run.
//
// They are those of the environment variable CHAINBUILD_JULIA (a list, separated
// like PATH), else the checkout's own toolchain (.toolchain/julia, from `make
// toolchain`), else `julia` on the path. A test that finds none is skipped and
// says so; a CHAINBUILD_JULIA that does not run fails it, because somebody asked
// for that one. `go test -short` skips all of these tests.
package juliatest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const variable = "CHAINBUILD_JULIA"

// Julia returns the absolute path of the first Julia executable found. It skips
// the test when there is none.
func Julia(t testing.TB) string {
	t.Helper()
	return find(t)[0]
}

// Each runs f as a subtest for every Julia executable found, named by the
// version that the executable reports. It skips the test when there is none.
func Each(t *testing.T, f func(t *testing.T, julia string)) {
	t.Helper()
	for _, julia := range find(t) {
		version, err := versionOf(julia)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(version, func(t *testing.T) { f(t, julia) })
	}
}

// find returns absolute paths, at least one.
func find(t testing.TB) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("this test needs a Julia, and -short leaves those out")
	}
	if list := os.Getenv(variable); list != "" {
		var found []string
		for _, name := range filepath.SplitList(list) {
			if name == "" {
				continue
			}
			path, err := absolute(name)
			if err != nil {
				t.Fatalf("%s names %q, which is no executable (%v); correct it or unset it", variable, name, err)
			}
			found = append(found, path)
		}
		if len(found) == 0 {
			t.Fatalf("%s is %q, which names no executable; correct it or unset it", variable, list)
		}
		return found
	}
	if root, err := checkout(); err == nil {
		if path, err := absolute(filepath.Join(root, ".toolchain", "julia")); err == nil {
			return []string{path}
		}
	}
	path, err := absolute("julia")
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no Julia in %s, in the checkout's .toolchain or on the path; `make toolchain` sets one up", variable)
	}
	return []string{path}
}

// absolute resolves an executable's name as a shell does, to an absolute path.
func absolute(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// checkout returns the folder of the module that the test belongs to: tests run
// in the folder of their package, somewhere below it.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod in %s or above it", dir)
		}
		dir = parent
	}
}

// versionOf returns what `julia --version` reports, as in "1.5.3".
func versionOf(julia string) (string, error) {
	out, err := exec.Command(julia, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version did not run (%w); set %s to a working Julia", julia, err, variable)
	}
	version, found := strings.CutPrefix(strings.TrimSpace(string(out)), "julia version ")
	if !found {
		return "", fmt.Errorf("%s --version printed %q and no version of Julia; set %s to a Julia executable", julia, out, variable)
	}
	return version, nil
}
