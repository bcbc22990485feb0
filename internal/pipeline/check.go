package pipeline

// This file refuses what cannot be built, before any work is done for it: values that make no sense, files that are not
// there, places that cannot be written, a base of another Julia. What only shows while the base is read, and statements
// that are none, are refused where they are read (inputs.go, plan.go).

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/internal/scratch"
	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/sysimage"
)

// refuse makes a usage error.
func refuse(format string, args ...any) error { return usage.Errorf(format, args...) }

// checkOptions refuses options that say nothing or contradict themselves, and files and folders that cannot be used.
func checkOptions(o *Options) error {
	if err := o.Target.Check(); err != nil {
		return usage.Wrap(err)
	}
	if o.Jobs < 0 {
		return refuse("%d jobs cannot run at a time: give -j a number above 0, or leave it out for one per processor", o.Jobs)
	}
	if len(o.Statements) == 0 {
		return refuse("no statements were given: name a file of precompile statements with --statements, which julia --trace-compile=FILE writes")
	}
	for _, path := range o.Statements {
		if err := checkReadable("the statements", path); errors.Is(err, fs.ErrNotExist) {
			return refuse("%w: record them with `julia --trace-compile=%s`", err, path)
		} else if err != nil {
			return err
		}
	}
	if err := checkNotAnInput(o.Output, "a policy", o.Policies); err != nil {
		return err
	}
	for _, name := range slices.Concat(o.Packages, o.Interactive) {
		if name == "" || strings.ContainsAny(name, " \t\r\n/\x00") {
			return refuse("%q is no package: give --package the name that `using` takes", name)
		}
	}
	if err := checkProject(o.Project); err != nil {
		return err
	}
	if o.Output == "" {
		return refuse("no output was named: name the image to write with -o")
	}
	if err := checkWritable("the image", o.Output); err != nil {
		return err
	}
	if err := checkNotAnInput(o.Output, "the statements", o.Statements); err != nil {
		return err
	}
	if o.Timings == "" {
		return nil
	}
	if err := checkNotAnInput(o.Timings, "the statements", o.Statements); err != nil {
		return err
	}
	return checkWritable("the timings", o.Timings)
}

// checkReadable refuses a file that is not there or cannot be read.
func checkReadable(what, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return refuse("%s cannot be read: %w", what, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.IsDir() {
		return refuse("%s cannot be read: %s is a folder, give a file", what, path)
	}
	return nil
}

// checkProject refuses a project that Julia would quietly take for an empty one. Names that begin with @ are looked for
// by Julia.
func checkProject(project string) error {
	if project == "" || strings.HasPrefix(project, "@") {
		return nil
	}
	if _, err := os.Stat(project); err != nil {
		return refuse("the project cannot be used: %w", err)
	}
	return nil
}

// checkWritable refuses a path that no file could be renamed to. It tries: rights, read-only file systems and full ones
// show in no other way.
func checkWritable(what, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return refuse("%s cannot be written: %s is a folder, name a file", what, path)
	} else if err == nil && !info.Mode().IsRegular() {
		return refuse("%s cannot be written: %s is not a regular file and would be replaced, name another", what, path)
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return refuse("%s cannot be written: there is no folder %s, make it first", what, dir)
	}
	file, err := scratch.CreateBeside(path, 0o600)
	if err != nil {
		return refuse("%s cannot be written: no file can be made in %s: %w", what, dir, errors.Unwrap(err))
	}
	file.Discard()
	return nil
}

// checkNotAnInput refuses an output that would replace one of the files that the build reads.
func checkNotAnInput(output, what string, inputs []string) error {
	replaced, err := os.Stat(output)
	if err != nil {
		return nil
	}
	for _, path := range inputs {
		if read, err := os.Stat(path); err == nil && os.SameFile(read, replaced) {
			return refuse("%s would replace %s, %s, which it is made from: name another file", output, what, path)
		}
	}
	return nil
}

// checkFormat refuses a base of another kind of Julia.
func checkFormat(base *sysimage.Base, in *julia.Installation) error {
	if in.WordSize != 64 {
		return refuse("%s is a Julia of %d bits: name one of 64 bits with --julia", in.Executable, in.WordSize)
	}
	if series, err := in.Series(); err != nil || series.Name != base.Format {
		return refuse("%s is an image of Julia %s and %s is Julia %s: name the Julia that it was made by with --julia, or leave out --base",
			base.Layers[0].Path, base.Format, in.Executable, in.Version)
	}
	return nil
}

// checkBase refuses a base that this Julia cannot be started with or that the output would replace, and a lack of room for what is to be written.
func checkBase(ctx context.Context, base *sysimage.Base, in *julia.Installation, o *Options, output string) error {
	if err := checkFormat(base, in); err != nil {
		return err
	}
	top := base.Layers[0].Path
	var layers []string
	for _, layer := range base.Layers {
		layers = append(layers, layer.Path)
	}
	if err := checkNotAnInput(output, "the base", layers); err != nil {
		return err
	}
	if err := checkRoom(base, o, filepath.Dir(output), os.TempDir()); err != nil {
		return err
	}
	if err := in.Starts(ctx, top, layers[1:]...); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return usage.Wrap(err)
	}
	return nil
}
