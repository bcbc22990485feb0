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
// without it and removes it; the next build makes another one. One that was not used for a month is removed when one is made. With a remote cache,
// only one machine of all makes it (workerimageshared.go).
// Without a cache there is no worker image. Who keeps the base, and removes it one day, names another folder for its worker images
// (Options.WorkerImages), and decides when to make one (MakeWorkerImage).

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chainbuild/internal/settings"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/objcache"

	"golang.org/x/sys/unix"
)

// workersTarget is what the workers' own code is compiled for.
var workersTarget = llvmdriver.Target{CPU: "native", Option: "native", OptLevel: 2}

// workerImageAge is how long a worker image is kept unused.
const workerImageAge = 30 * 24 * time.Hour

// MakeWorkerImage makes the worker image of o.Base in o.WorkerImages, unless it is there. Of o it takes besides what does not depend on the image
// to build. The base is this machine's alone, so no remote cache is asked.
func MakeWorkerImage(ctx context.Context, o Options) error {
	if err := makeFolder(o.WorkerImages); err != nil {
		return err
	}
	progress := newProgress(o.Report)
	p, err := openPlan(ctx, o, &inputs{output: filepath.Join(o.WorkerImages, "worker image")}, progress)
	if err != nil {
		return err
	}
	defer p.close(ctx, progress)
	path, _, err := p.workerImagePath()
	if err != nil || path == "" || isUsable(path) {
		return err
	}
	return progress.stage("workers", func() error {
		removeOld(o.WorkerImages)
		return p.makeWorkerImage(ctx, path)
	})
}

// workerImageKey is the key of the worker image for this base.
func (p *plan) workerImageKey() (objcache.Key, error) {
	h := objcache.NewHash("worker image")
	for i, layer := range p.base.Layers {
		h.AddString(fmt.Sprint("path of layer ", i), layer.Path)
		id, err := julia.LibraryID(layer.Path)
		if err != nil {
			return objcache.Key{}, err
		}
		h.AddString(fmt.Sprint("build of layer ", i), id)
	}
	h.AddString("Julia", p.julia.Version)
	h.AddString("sources", p.sources.All())
	recipe, err := llvmdriver.NewRecipe(p.julia, p.sources, workersTarget)
	if err != nil {
		return objcache.Key{}, err
	}
	h.AddString("way of compiling", recipe.Hash(nil).Key().String())
	return h.Key(), nil
}

// workerImagePath is where the worker image for this base is, or would be; empty without a folder for it.
func (p *plan) workerImagePath() (path string, key objcache.Key, err error) {
	folder := p.options.WorkerImages
	if folder == "" {
		if p.cache.Dir() == "" {
			return "", key, nil
		}
		folder = filepath.Join(p.cache.Dir(), "workers")
	}
	if key, err = p.workerImageKey(); err != nil {
		return "", key, err
	}
	return filepath.Join(folder, key.String()+".so"), key, nil
}

// withWorkerImage is the same plan with workers that start from the worker image. It makes the image if there is none. The build that was asked
// for can do without, so nothing that goes wrong here is more than a warning.
func (p *plan) withWorkerImage(ctx context.Context, progress *progress) *plan {
	path, key, err := p.workerImagePath()
	if err != nil || path == "" {
		return p
	}
	if isUsable(path) {
		return p.from(path)
	}
	folder := filepath.Dir(path)
	if p.options.SpareWorkerImage || makeFolder(folder) != nil {
		return p // the cache warns of its folder when there is the first object to store
	}
	err = progress.stage("workers", func() error {
		removeOld(folder)
		return p.shareWorkerImage(ctx, path, key, progress)
	})
	if err != nil {
		switch {
		case ctx.Err() != nil, p.gate.failed() != nil: // which ends the build
		case errors.Is(err, unix.ENOSPC):
			progress.warn("there is no room for the worker image in " + folder + ", so builds on this base are slower: make room for 200 MB, or name another folder with --cache-dir")
		default:
			progress.warn("the worker image cannot be built, so builds on this base are slower: " + err.Error())
		}
		return p
	}
	return p.from(path)
}

// makeFolder makes the folder, or says why nothing can be written there.
func makeFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return unix.Access(folder, unix.W_OK)
}

// makeWorkerImage makes the worker image at path.
func (p *plan) makeWorkerImage(ctx context.Context, path string) error {
	// Its stages are of no interest to who waits for another image.
	if err := p.ofWorkerImage(path).run(ctx, newProgress(nil)); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}

// ofWorkerImage is the plan to make the worker image at path, for the same base.
func (p *plan) ofWorkerImage(path string) *plan {
	return &plan{
		options: Options{Jobs: p.options.Jobs}, memory: p.memory, targets: []llvmdriver.Target{workersTarget}, inputs: &inputs{output: path, emit: settings.EmitAll},
		julia: p.julia, series: p.series, sources: p.sources, base: p.base, cache: p.cache, remote: p.remote, gate: p.gate, makesWorkerImage: true,
	}
}

// isUsable says whether the worker image is there, and nobody else could have written it. It notes that it is in use.
func isUsable(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	if now := time.Now(); now.Sub(info.ModTime()) > 24*time.Hour {
		os.Chtimes(path, now, now)
	}
	return true
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

// frontOnWorkerImage says whether the front worker starts from the worker image. Where packages' caches do not fit that, only a process on the base
// itself can load them, and there packages are what takes long.
func (p *plan) frontOnWorkerImage() bool {
	return p.workerImage != "" && (p.keepsCaches || len(p.packages()) == 0)
}

// liveImage is the image that the front worker is on.
func (p *plan) liveImage() string {
	if p.frontOnWorkerImage() {
		return p.workerImage
	}
	return p.base.Layers[0].Path
}

// A workerImageError is a worker image that no front worker can be started from.
type workerImageError struct{ error }

func (e *workerImageError) Unwrap() error { return e.error }

// ofLiveImage says of an error of the live image if it is one of the worker image.
func (p *plan) ofLiveImage(err error) error {
	if p.frontOnWorkerImage() {
		return &workerImageError{err}
	}
	return err
}
