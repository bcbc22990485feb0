package pipeline

// This file links the image.

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

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
	nameVariants(parsed, objects)
	job, err := merged.Job(r.options.Layout, parsed)
	if err != nil {
		return nil, err
	}
	// The mode is what linkers give to libraries: executable, as far as the umask allows.
	image, err := scratch.CreateBeside(r.inputs.output, 0o755)
	if err != nil {
		return nil, err
	}
	written, err := elfpatch.Write(&countedFile{file: image, progress: r.progress}, job)
	if err := errors.Join(err, image.Flush()); err != nil {
		image.Discard()
		return nil, fmt.Errorf("%s cannot be written: %w", r.inputs.output, err)
	}
	r.progress.set(func(result *Result) { result.Image, result.Bytes = r.inputs.output, written.Bytes })
	return image, nil
}

// nameVariants gives what objects for further targets define names of its own. They call each other by these, and share the rest: the cells, the
// base, the runtime.
func nameVariants(parsed []*elfpatch.Object, objects []object) {
	defined := map[string]bool{}
	for i, o := range parsed {
		if objects[i].partition.Variant > 0 {
			continue
		}
		for _, s := range o.Symbols {
			if elf.SymBind(s.Bind) != elf.STB_LOCAL && s.Section != elfpatch.SectionUndefined {
				defined[s.Name] = true
			}
		}
	}
	for i, o := range parsed {
		target := objects[i].partition.Variant
		if target == 0 {
			continue
		}
		for j := range o.Symbols {
			if s := &o.Symbols[j]; elf.SymBind(s.Bind) != elf.STB_LOCAL && defined[s.Name] {
				s.Name = sysimage.VariantSymbol(s.Name, target)
			}
		}
	}
}

// A countedFile reports what is written to a file.
type countedFile struct {
	file     io.WriterAt
	progress *progress
	written  atomic.Int64
}

// countedBytes are reported at a time.
const countedBytes = 4 << 20

func (c *countedFile) WriteAt(data []byte, at int64) (int, error) {
	n, err := c.file.WriteAt(data, at)
	if all := c.written.Add(int64(n)); all/countedBytes > (all-int64(n))/countedBytes {
		c.progress.linked(all)
	}
	return n, err
}
