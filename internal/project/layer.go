package project

// This file decides whether an image is made in one piece or as a layer, and what is done behind so that the next build is fast.
//
//	in one piece   chained to Julia's own image: all packages are loaded, and all statements inferred
//	a layer        chained to the newest image in one piece that holds the same packages: only the statements that it lacks are inferred.
//	               A thin layer needs the file of that image; a standalone one is a single file, as the settings want it
//
// What is under development, if it is to be in the image, and what needs it are never below: all else is an image in one piece, for which an edit
// changes nothing, and those packages and what names them a layer on it.
//
// A layer is never made on a layer: what was recorded since the image below was made is inferred again for each, and its objects are in the cache.
// So a chain never grows, Julia starts with one file more than without layers, and the image below is the same for many builds: it is worth a
// worker image of its own (workers/ID/), which is made behind and goes with it. When a layer has become large it is merged: an image in one
// piece is built behind (Merge), and makes way for any other build of the project.

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"chainbuild/elfpatch"
	"chainbuild/internal/pipeline"
	"chainbuild/internal/private"

	"golang.org/x/sys/unix"
)

// A Below is the image that a layer lies on.
type Below struct {
	ID string `json:"id"`
	// Built tells it from a later one of its name.
	Built time.Time `json:"built"`
	// Needed says that the layer's file needs that of the image below, which that of a standalone layer does not.
	Needed bool `json:"needed"`
	// Statements is how many of the layer's statements the image below has the code of.
	Statements int `json:"statements"`
}

// A layer is sooner there than an image in one piece with the same statements, which loads the packages and infers what the image below has too. But
// the work of a large one is repeated for each next layer, and Julia loads two files with much in them. So it is merged behind, and nobody waits.
const (
	// largeLayer is a number of statements that any image may have as a layer. Of more, a layer has at most as many as the image below: else most of
	// the work would be done once for the layer, and soon once more to merge it.
	largeLayer = 500
	// smallLayer is a number of statements that is not worth merging. Of more, a layer is merged from one for each mergeShare of the image below on.
	smallLayer = 50
	mergeShare = 5
)

// A foundation is an image that a layer is to be made on.
type foundation struct {
	*Image
	// holds are the sources of the statements that it has the code of.
	holds map[string]bool
	// fresh is how many statements of the layer it was not built from.
	fresh int
}

// foundation returns what a layer with these statements is made on, nil if the image is to be in one piece. Where something in it is under
// development, that is the image of the rest, which is built if need be, and also to merge a layer.
func (p *Project) foundation(ctx context.Context, o BuildOptions, all []*Image, record Record, sources []string, log string) (*foundation, error) {
	stable, err := p.stable()
	if err != nil {
		return nil, err
	}
	if stable == nil {
		if f := p.newestInOnePiece(all, sources); !o.Full && f != nil && f.fresh > 0 && f.carries() {
			return f.usable(), nil
		}
		return nil, nil
	}
	wanted, err := stable.choose(ctx, record, &o.Build)
	if err != nil {
		return nil, err
	}
	f := stable.newestInOnePiece(all, wanted.sources)
	if f == nil || !f.carries() || o.Yields && f.isLarge() {
		if o.Say != nil {
			o.Say("the image of what is not under development comes first")
		}
		im, _, err := stable.buildImage(ctx, o, wanted.id(stable), wanted, nil, log)
		if err != nil {
			return nil, err
		}
		if f = stable.newestInOnePiece([]*Image{im}, wanted.sources); f == nil {
			return nil, fmt.Errorf("the image %s was changed while it was built: build again", im.File)
		}
	}
	return f.usable(), nil
}

// stable is the project without what is under development, nil if nothing in the image is.
func (p *Project) stable() (*Project, error) {
	content := p.Content.stable()
	if content == nil {
		return nil, nil
	}
	stable := *p
	stable.Content = content
	return &stable, stable.makeKey()
}

// newestInOnePiece returns the newest image in one piece that can be used, and how many of the statements it lacks. It is nil if it has others that
// are not wanted.
func (p *Project) newestInOnePiece(all []*Image, sources []string) *foundation {
	for _, im := range all {
		if im.Key != p.Key || im.Below != nil || im.isWhole() != nil {
			continue
		}
		known, err := im.sources()
		if err != nil {
			return nil
		}
		f := &foundation{Image: im, holds: known}
		for _, source := range sources {
			if !known[source] {
				f.fresh++
			}
		}
		unwanted := len(known) - (len(sources) - f.fresh)
		if known[seedStatement] && !slices.Contains(sources, seedStatement) {
			unwanted--
		}
		if unwanted > 0 {
			return nil
		}
		return f
	}
	return nil
}

// usable takes what the image could not use out of what it holds: that may be of use now, and is reported as it was then.
func (f *foundation) usable() *foundation {
	for _, source := range f.Unresolved {
		delete(f.holds, source)
	}
	return f
}

// carries says whether the layer is worth having on it, and not an image in one piece.
func (f *foundation) carries() bool { return f.fresh <= max(largeLayer, len(f.holds)) }

// isLarge says whether a layer on it is to be merged.
func (f *foundation) isLarge() bool { return f.fresh > max(smallLayer, f.Statements/mergeShare) }

// below describes the foundation of a layer with these statements.
func (f *foundation) below(sources []string, layout elfpatch.Layout) *Below {
	b := &Below{ID: f.ID, Built: f.Built, Needed: layout == elfpatch.Thin}
	for _, source := range sources {
		if f.holds[source] {
			b.Statements++
		}
	}
	return b
}

// lower finds the image that im lies on among all; nil if im is in one piece, or it is not there any more.
func (im *Image) lower(all []*Image) *Image {
	if im.Below == nil {
		return nil
	}
	for _, other := range all {
		if other.ID == im.Below.ID && other.Built.Equal(im.Below.Built) {
			return other
		}
	}
	return nil
}

// canLoad says what keeps Julia from starting with the image, nil if nothing does: its file and those that it needs have to be as they were built.
func (im *Image) canLoad(all []*Image) error {
	if err := im.isWhole(); err != nil || im.Below == nil || !im.Below.Needed {
		return err
	}
	lower := im.lower(all)
	if lower == nil {
		return fmt.Errorf("the image %s is not used, as the one that it is layered on is gone: remove it, and build again", im.File)
	}
	return lower.isWhole()
}

// workersName is the folder with the worker images of images that layers are made on, in a folder of the image's ID each.
const workersName = "workers"

// workersLockName is locked by the process that makes one.
const workersLockName = "workers.lock"

// Prepare makes what the next layer of the project will want: a worker image of the image that it will be made on. If another process does that
// already, or there is no such image, there is nothing to do.
func (p *Project) Prepare(ctx context.Context, o pipeline.Options) error {
	if err := p.checkState(); err != nil {
		return err
	}
	all, err := p.images()
	if err != nil {
		return err
	}
	im, _ := p.valid(all)
	if im != nil && im.Below != nil {
		im = im.lower(all)
	}
	if im == nil {
		return nil
	}
	lock, err := os.OpenFile(p.path(workersLockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	if _, err := private.MakeFolder(p.path(workersName)); err != nil {
		return err
	}
	o.Julia, o.Base, o.WorkerImages = p.Julia.Executable, im.File, p.path(workersName, im.ID)
	return makeWorkerImage(ctx, o)
}

// makeWorkerImage is a variable for the tests.
var makeWorkerImage = pipeline.MakeWorkerImage
