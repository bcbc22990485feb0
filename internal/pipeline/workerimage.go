package pipeline

// This file has the workers start from an image that holds their own code.
//
// The code of the workers is Julia code: without such an image each build compiles it again, and takes methods of the base that only the
// workers use for something new. So the first build on a base begins with a worker image: a thin image on the same base whose only
// content is the workers (julia/worker/self.jl). It lies in the cache's folder, uncompressed, since it is mapped and not read:
//
//	workers/KEY.so
//
// KEY is of all that makes it what it is: the base, the Julia, the workers' sources. A build that the worker image fails in tries again
// without it and removes it; the next build makes another one. One that was not used for a month is removed when one is made.
// Without a cache there is no worker image.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"chainbuild/internal/settings"
	"chainbuild/llvmdriver"
	"chainbuild/objcache"
	"chainbuild/sysimage"

	"golang.org/x/sys/unix"
)

// workersTarget is what the workers' own code is compiled for.
var workersTarget = llvmdriver.Target{CPU: "native", Option: "native", OptLevel: 2}

// workerImageAge is how long a worker image is kept unused.
const workerImageAge = 30 * 24 * time.Hour

// workerImagePath is where the worker image for this base is kept; empty without a cache.
func (b *builder) workerImagePath() (string, error) {
	dir := b.cache.Dir()
	if dir == "" {
		return "", nil
	}
	h := objcache.NewHash("worker image")
	for i, layer := range b.base.Layers {
		h.AddString(fmt.Sprint("path of layer ", i), layer.Path)
		id := layer.BuildID()
		if len(id) == 0 {
			info, err := os.Stat(layer.Path)
			if err != nil {
				return "", err
			}
			id = fmt.Append(nil, info.Size(), info.ModTime().UnixNano())
		}
		h.Add(fmt.Sprint("build id of layer ", i), id)
	}
	h.AddString("Julia", b.julia.Version)
	h.AddString("sources", b.sources.All())
	recipe, err := llvmdriver.NewRecipe(b.julia, b.sources, workersTarget)
	if err != nil {
		return "", err
	}
	h.AddString("way of compiling", recipe.Hash(nil).Key().String())
	return filepath.Join(dir, "workers", h.Key().String()+".so"), nil
}

// findWorkerImage has the workers start from the worker image if there is one.
func (b *builder) findWorkerImage() {
	path, err := b.workerImagePath()
	if err != nil || path == "" {
		return
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o022 == 0 {
		b.workers = path
		now := time.Now()
		if now.Sub(info.ModTime()) > 24*time.Hour {
			os.Chtimes(path, now, now)
		}
	}
}

// makeWorkerImage builds the worker image. The build that was asked for can do without, so nothing that goes wrong here is more than a warning.
func (b *builder) makeWorkerImage(ctx context.Context) {
	path, err := b.workerImagePath()
	if err != nil || path == "" {
		return
	}
	folder := filepath.Dir(path)
	if os.MkdirAll(folder, 0o700) != nil || unix.Access(folder, unix.W_OK) != nil {
		return // the cache warns of its folder when there is the first object to store
	}
	err = b.stage("workers", func() error {
		removeOld(folder)
		w := &builder{
			o:       Options{Jobs: b.o.Jobs},
			began:   time.Now(),
			target:  workersTarget,
			inputs:  &inputs{output: path, emit: settings.EmitAll},
			julia:   b.julia,
			series:  b.series,
			sources: b.sources,
			base:    b.base,
			self:    true,
			result:  &Result{},
			running: map[string]time.Time{},
		}
		if err := w.inScratch(ctx); err != nil {
			return err
		}
		return os.Chmod(path, 0o700)
	})
	switch {
	case err == nil:
		b.workers = path
	case ctx.Err() == nil:
		b.report(Warning{At: time.Now(), Text: "the worker image cannot be built, so builds on this base are slower: " + err.Error()})
	}
}

// removeOld removes worker images that were not used for long.
func removeOld(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > workerImageAge {
			os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}

// frontOnWorkers says whether the front worker starts from the worker image. Where packages' caches fit one image, only a process on the base
// itself can load them, and there packages are what takes long.
func (b *builder) frontOnWorkers() bool {
	if b.workers == "" || !b.series.CachesFitOneImage {
		return b.workers != ""
	}
	for _, name := range slices.Concat(b.o.Packages, b.inputs.modules) {
		if !slices.ContainsFunc(b.base.Modules, func(m sysimage.Module) bool { return m.Name == name }) {
			return false
		}
	}
	return true
}

// liveImage is the image that the front worker is on.
func (b *builder) liveImage() string {
	if b.frontOnWorkers() {
		return b.workers
	}
	return b.base.Layers[0].Path
}

// frontArgs make a Julia on the shim the front worker.
func (b *builder) frontArgs() []string {
	if b.frontOnWorkers() {
		return []string{"-e", b.sources.Read("start_front.jl"), b.file("request.txt")}
	}
	return []string{filepath.Join(b.worker, "front.jl"), b.file("request.txt")}
}

// emitArgs make a Julia a compile worker.
func (b *builder) emitArgs() []string {
	var args []string
	if b.series.CompilesForProcess {
		args = append(args, "-C", b.target.Option)
	}
	if b.workers != "" {
		return append(args, "-J", b.workers, "-e", b.sources.Read("compile/start_emit.jl"))
	}
	return append(args, "-O1", filepath.Join(b.worker, "compile", "emit.jl"))
}
