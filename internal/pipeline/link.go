package pipeline

// This file links the image.

import (
	"errors"
	"fmt"

	"chainbuild/elfpatch"
	"chainbuild/internal/scratch"
	"chainbuild/llvmdriver"
	"chainbuild/sysimage"

	"golang.org/x/sync/errgroup"
)

// link writes the image to a file beside its final place.
func (r *run) link(merged *sysimage.Merged, objects []object) (*scratch.File, error) {
	folders, err := llvmdriver.ReadFolders(r.file("files.txt"))
	if err != nil {
		return nil, err
	}
	parsed := make([]*elfpatch.Object, len(objects))
	var group errgroup.Group
	for i, o := range objects {
		group.Go(func() (err error) {
			parsed[i], err = o.partition.Object(o.data, folders)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	job, err := merged.Job(r.options.Layout, parsed)
	if err != nil {
		return nil, err
	}
	// The mode is what linkers give to libraries: executable, as far as the umask allows.
	image, err := scratch.CreateBeside(r.inputs.output, 0o755)
	if err != nil {
		return nil, err
	}
	written, err := elfpatch.Write(image, job)
	if err := errors.Join(err, image.Flush()); err != nil {
		image.Discard()
		return nil, fmt.Errorf("%s cannot be written: %w", r.inputs.output, err)
	}
	r.progress.set(func(result *Result) { result.Image, result.Bytes = r.inputs.output, written.Bytes })
	return image, nil
}
