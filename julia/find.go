package julia

// This file finds the julia to work with.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"chainbuild/internal/usage"
)

// Environment is the variable that names the julia to use; of a list separated by colons the first is taken.
const Environment = "CHAINBUILD_JULIA"

// ErrNotFound is returned where no julia is named and none is found.
var ErrNotFound = errors.New("no julia was found: name one with --julia or " + Environment +
	", put one on PATH, or run `make toolchain` in chainbuild's checkout")

// patience is how long a julia may take to describe itself: far more than any needs, on a cold disk too.
const patience = 2 * time.Minute

// Find finds a julia and describes it. It takes the first of: explicit, if not empty (a path, or a name on PATH); the
// first of CHAINBUILD_JULIA; julia on PATH; the toolchain of chainbuild's checkout, .toolchain/julia in a folder at or
// above that of the chainbuild program or the current one. One that is named but does not run is an error, the next is
// not tried. The error is a *usage.Error, ErrNotFound if there is none at all; or the cause of ctx's end if that comes first.
func Find(ctx context.Context, explicit string) (*Installation, error) {
	in, err := find(ctx, explicit)
	if err != nil && ctx.Err() == nil {
		err = usage.Wrap(err)
	}
	return in, err
}

func find(ctx context.Context, explicit string) (*Installation, error) {
	executable, err := locate(explicit)
	if err != nil {
		return nil, err
	}
	dirs, name := memoryDirs(), "julia-"+memoryKey(executable)
	if in, ok := recall[Installation](dirs, name, nil); ok {
		return in, nil
	}
	in, err := describe(ctx, executable, patience)
	if err != nil {
		return nil, err
	}
	if in.isItself() {
		if files, err := stampsOf(in.Executable, in.LibJulia, in.codegenLibrary(), in.LibLLVM, in.Image); err == nil {
			memorize(dirs, name, files, *in)
		}
	}
	return in, nil
}

// isItself tells a julia, or a script around one, from a launcher program that picks one of several Julias: what that
// runs may change from one call to the next without the launcher changing.
func (in *Installation) isItself() bool {
	file, err := os.Open(in.Executable)
	if err != nil {
		return false
	}
	defer file.Close()
	start := make([]byte, 2)
	if _, err := file.Read(start); err == nil && string(start) == "#!" {
		return true
	}
	resolved, err := filepath.EvalSymlinks(in.Executable)
	return err == nil && filepath.Dir(resolved) == in.BinDir
}

// locate returns the absolute path of the executable. Links stay: a program may look at the name it is called by.
func locate(explicit string) (string, error) {
	if explicit != "" {
		return named(explicit, "--julia")
	}
	for _, first := range filepath.SplitList(os.Getenv(Environment)) {
		if first != "" {
			return named(first, Environment)
		}
	}
	if path, err := exec.LookPath("julia"); err == nil {
		return filepath.Abs(path)
	}
	var starts []string
	if self, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(self); err == nil {
			starts = append(starts, filepath.Dir(resolved))
		}
	}
	if current, err := os.Getwd(); err == nil {
		starts = append(starts, current)
	}
	for _, start := range starts {
		if path := toolchainAbove(start); path != "" {
			return filepath.Abs(path)
		}
	}
	return "", ErrNotFound
}

func named(name, by string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s names %s, which cannot be run (%w): give the path of a julia executable", by, name, errors.Unwrap(err))
	}
	return filepath.Abs(path)
}

// toolchainAbove looks for the toolchain's julia in dir and in each folder above it.
func toolchainAbove(dir string) string {
	for {
		path := filepath.Join(dir, ".toolchain", "julia")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
