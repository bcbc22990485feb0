package pipeline

// This file builds again whenever what an image is made from has changed.
//
// Builds do not overlap, and none is cut short: a change during a build lets that build end and then starts the next one. To stop the running
// one would save seconds, as what it has compiled is in the cache anyway; but whoever saves more often than a build takes would never get an
// image. Which files there are is known from the build itself (julia/worker/sources.jl); what has happened to them meanwhile shows in
// their content, so nothing that happens while a build runs is missed.

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"chainbuild/internal/usage"
)

// WatchOptions say how Watch looks at files. The zero value is usable.
type WatchOptions struct {
	// Settle is how long nothing must change before a build begins, since an editor or a checkout writes more than one file; 0: 200 ms.
	Settle time.Duration
	// Poll is the interval in which files are looked at instead of waiting for the kernel's events; 0: 2 s, and only where there are no events.
	Poll time.Duration
}

// Watch builds as o says, and again whenever a statements file, the base that o names, a project or manifest file or a source file of a
// package in the image has other content than when the last build began. A build that fails leaves the old image, is reported with a Warning,
// and the next change starts another. Watch returns when ctx ends, with its cause, or when the first build is refused, with its *usage.Error.
func Watch(ctx context.Context, o Options, w WatchOptions) error { return watch(ctx, o, w, Run) }

func watch(ctx context.Context, o Options, w WatchOptions, run func(context.Context, Options) (*Result, error)) error {
	report := func(e Event) {
		if o.Report != nil {
			o.Report.Report(e)
		}
	}
	files := watchFiles(w, o.Output, o.Timings)
	defer files.close()
	// What is given by name is no source of a package.
	given := map[string]bool{}
	for _, path := range slices.Concat(o.Statements, o.Policies, []string{o.Base}) {
		if path == "" {
			continue
		}
		files.add(path)
		if path, err := filepath.Abs(path); err == nil {
			given[path] = true
		}
	}
	o.sources = files.add
	for first := true; ; first = false {
		files.begin()
		_, err := run(ctx, o)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var refused *usage.Error
		if first && errors.As(err, &refused) {
			return err
		}
		if err != nil {
			report(Warning{At: time.Now(), Text: "the build failed and the image stays as it was: " + err.Error()})
		}
		changed, err := files.next(ctx, func(count int, polled bool) { report(Watching{At: time.Now(), Files: count, Polled: polled}) })
		if err != nil {
			return err
		}
		report(Changed{At: time.Now(), Paths: relative(changed)})
		o.Edited = slices.ContainsFunc(changed, func(path string) bool { return !given[path] })
	}
}

// relative are paths as people see them: from the working folder, if they lie in it.
func relative(paths []string) []string {
	here, err := filepath.Abs(".")
	if err != nil {
		return paths
	}
	out := make([]string, len(paths))
	for i, path := range paths {
		out[i] = path
		if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
			out[i] = rel
		}
	}
	return out
}
