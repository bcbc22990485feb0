package pipeline

// This file is how the native code of package images gets into an image: the front worker loads package images with their code and says which they
// are, the builder reads them and says where they have what, and the worker goes on with their code as with the base's (sysimage/packages.go).

import (
	"errors"
	"fmt"
	"os"

	"chainbuild/internal/settings"
	"chainbuild/sysimage"
)

// A packageImagesError says why code of package images cannot be used, in a run that counts on it.
type packageImagesError struct{ error }

func (e *packageImagesError) Unwrap() error { return e.error }

// usesPackageImages says that the front worker loads package images with their code.
func (p *plan) usesPackageImages() bool {
	return p.options.PackageImages != settings.PackageImagesIgnore && p.series.PackageImages && !p.makesWorkerImage
}

// noPackageImages says why code of package images cannot be used, "" if nothing is known that is in the way.
func (p *plan) noPackageImages() string {
	const optimised = 2 // by Julia's default, which package images are made with
	switch {
	case !p.series.PackageImages:
		return fmt.Sprintf("Julia %s has no package images", p.series.Name)
	case p.options.CPU != "" && p.options.CPU != settings.NativeCPU:
		return fmt.Sprintf("it is for this machine's processor, and new code is to be for %s", p.options.CPU)
	case p.options.OptLevel != optimised:
		return fmt.Sprintf("it was optimised with level %d, and new code is to be with %d", optimised, p.options.OptLevel)
	}
	return ""
}

// ignoringPackageImages is the same plan with all code of packages compiled.
func (p *plan) ignoringPackageImages() *plan {
	other := *p
	other.options.PackageImages = settings.PackageImagesIgnore
	return &other
}

// holdPackageImages takes up the package images that the front worker, which waits, has loaded.
func (f *front) holdPackageImages(paths []string) error {
	held, err := f.base.Hold(paths)
	if errors.Is(err, sysimage.ErrPackageImage) {
		return &packageImagesError{err}
	}
	if err != nil {
		return err
	}
	f.run.held = held
	if err := os.WriteFile(f.file("images.index"), held.Index, 0o600); err != nil {
		return err
	}
	_, err = f.handover.write.WriteString(answerTaken)
	return err
}
