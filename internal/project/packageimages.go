package project

// This file is the package images whose native code an image uses (--package-images=use). Pkg may remove them, or make others of the same name; then
// the image ends each process that starts with it, so it is not used any more.

import (
	"errors"
	"fmt"
	"os"

	"chainbuild/elfpatch"
)

// A PackageImage is the file of a package image, as it was when the image was built.
type PackageImage struct {
	Path string `json:"path"`
	// Bytes is its size, Modified when it was last written, in nanoseconds since 1970.
	Bytes    int64 `json:"bytes"`
	Modified int64 `json:"modified"`
}

// errPackageImages is wrapped by errors about package images that are not what they were.
var errPackageImages = errors.New("its package was precompiled again, or it was removed")

// notePackageImages notes which package images the image was built with, if it needs them.
func (im *Image) notePackageImages(layout elfpatch.Layout, paths []string) error {
	if layout != elfpatch.Thin {
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		im.PackageImages = append(im.PackageImages, PackageImage{path, info.Size(), info.ModTime().UnixNano()})
	}
	return nil
}

// hasPackageImages says which of the package images is not there as it was, nil if all are.
func (im *Image) hasPackageImages() error {
	for _, p := range im.PackageImages {
		info, err := os.Stat(p.Path)
		if err != nil || info.Size() != p.Bytes || info.ModTime().UnixNano() != p.Modified {
			return fmt.Errorf("the image %s is not used, as it needs the package image %s: %w; build again", im.File, p.Path, errPackageImages)
		}
	}
	return nil
}
