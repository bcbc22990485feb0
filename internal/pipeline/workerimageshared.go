package pipeline

// This file shares worker images by the remote cache, so that a new machine need not make one.
//
// A worker image is the result of an action like an object is: who may read, who may write, whose signatures count is the same for both, and a worker image
// is code too. It is stored compressed, to a fifth of its size:
//
//	100 MB of image ── zstd ──► 20 MB                        data of the action, workers.so.zst
//
// Making one takes longer than to read it, but a line may be slow. So it is looked for while one is made, and what is there first is taken.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"chainbuild/internal/scratch"
	"chainbuild/julia"
	"chainbuild/objcache"
	"chainbuild/objcache/remote"
	"chainbuild/policy/sdk"
	"chainbuild/sysimage"

	"github.com/klauspost/compress/zstd"
)

const (
	// sharedImage is how the remote cache knows a worker image.
	sharedImage = "workers.so.zst"
	// maxWorkerImage is the most that one is decompressed to, in bytes.
	maxWorkerImage = 1 << 30
	// imageWindow is how far back, in bytes, its compressed form refers at most.
	imageWindow = 4 << 20
)

// errShared is why a worker image is not made any more.
var errShared = errors.New("the remote cache has the worker image")

// shareWorkerImage gets the worker image with a key from the remote cache, or makes it, to be at path. With VerifyCache it is made in any case: it decides
// about code, and nobody would compare it.
func (p *plan) shareWorkerImage(ctx context.Context, path string, key objcache.Key, progress *progress) error {
	action, err := p.workerImageAction(key)
	if err != nil || p.remote == nil || p.options.VerifyCache {
		return p.makeWorkerImage(ctx, path)
	}
	making, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	fetching, cancel := context.WithCancel(ctx)
	defer cancel()
	fetched := make(chan error, 1)
	go func() {
		err := p.fetchWorkerImage(fetching, path, action, progress)
		if err == nil {
			stop(errShared)
		}
		fetched <- err
	}()
	err = p.makeWorkerImage(making, path)
	if err == nil {
		cancel() // whoever is late with the same image is not waited for
	}
	if <-fetched == nil {
		return nil
	}
	if err != nil {
		return err
	}
	return p.storeWorkerImage(ctx, path, action)
}

// workerImageAction is the worker image with a key as the remote cache knows it. The key is of what it is made from; what makes it is this program. No server can
// carry the action out, as it needs the base.
func (p *plan) workerImageAction(key objcache.Key) (*remote.Action, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	id, err := julia.LibraryID(program)
	if err != nil {
		return nil, err
	}
	h := objcache.NewHash("shared worker image")
	h.AddString("key", key.String())
	h.AddString("program", id)
	return remote.NewAction(&objcache.Computation{
		Key: h.Key(), Arguments: []string{"chainbuild", "worker-image"}, Output: sharedImage,
		Platform: map[string]string{"OSFamily": "linux", "ISA": "x86-64"},
	}), nil
}

var errNoImage = errors.New("the remote cache has no worker image")

// fetchWorkerImage gets a worker image from the remote cache. Its structure is checked. It is not booted, which takes a second: the machine that has made it did
// that, and here the front worker does it next.
func (p *plan) fetchWorkerImage(ctx context.Context, path string, action *remote.Action, progress *progress) error {
	data, ok := p.remote.Get(ctx, action)
	if !ok {
		return errNoImage
	}
	err := unpackWorkerImage(path, data)
	if err != nil && ctx.Err() == nil {
		progress.warn(fmt.Sprintf("the worker image that the remote cache %s has is of no use, and another one is made: %v", p.remote.URL(), err))
	}
	return err
}

// unpackWorkerImage writes a worker image that was stored.
func unpackWorkerImage(path string, data []byte) error {
	stream, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderMaxWindow(imageWindow))
	if err != nil {
		return err
	}
	defer stream.Close()
	image, err := scratch.CreateBeside(path, 0o700)
	if err != nil {
		return err
	}
	defer image.Discard()
	size, err := io.Copy(image, io.LimitReader(stream, maxWorkerImage+1))
	switch {
	case err != nil:
		return err
	case size > maxWorkerImage:
		return fmt.Errorf("it has more than %d bytes", maxWorkerImage)
	}
	if err := image.Flush(); err != nil {
		return err
	}
	made, err := sysimage.OpenFile(image.Name())
	if err != nil {
		return err
	}
	defer made.Close()
	if err := made.Check(); err != nil {
		return err
	}
	return image.Rename()
}

// storeWorkerImage has a worker image be stored at the remote cache, if the policies let it. The error is that of a policy.
func (p *plan) storeWorkerImage(ctx context.Context, path string, action *remote.Action) error {
	image, err := os.ReadFile(path)
	if err != nil {
		return nil // whoever uses it says so
	}
	allowed, err := p.gate.allows(ctx, sdk.Upload{Kind: sdk.UploadWorkers, Bytes: int64(len(image)), Packages: []string{}, Names: []string{}}, 0)
	if err != nil || !allowed {
		return err
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(imageWindow))
	if err != nil {
		return nil
	}
	defer encoder.Close()
	p.remote.Put(action, encoder.EncodeAll(image, nil))
	return nil
}
