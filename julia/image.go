package julia

// This file finds out whether an image is one of this Julia.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"chainbuild/parallel"
)

// startScript says of which Julia the image is and of which the libjulia that loads it.
const startScript = `print("image ", VERSION, " libjulia ", unsafe_string(ccall(:jl_ver_string, Cstring, ())))`

// Starts returns nil if this Julia starts with the image at path and both are of the same version. Only trying tells: an
// image has no mark of its Julia that a program could rely on, and one of another build may crash. Layers are the files
// that the image needs besides itself. That an image starts is remembered until one of the files changes.
func (in *Installation) Starts(ctx context.Context, path string, layers ...string) error {
	if in.HasDefaultImage(path) {
		return nil
	}
	files, err := stampsOf(append([]string{in.Executable, in.LibJulia, in.LibLLVM, path}, layers...)...)
	if err != nil {
		return fmt.Errorf("%s cannot be looked at: %w", path, err)
	}
	dirs, name := memoryDirs(), "image-"+memoryKey(in.Executable, path)
	if _, ok := recall[struct{}](dirs, name, files); ok {
		return nil
	}
	var said strings.Builder
	process, err := parallel.StartProcess(ctx, in.Executable, in.Command(ctx, "--history-file=no", "-J", path, "-e", startScript), parallel.ProcessOptions{Output: &said})
	if err != nil {
		return err
	}
	if err := process.Wait(); err != nil {
		var death *parallel.DeathError
		if errors.As(err, &death) && death.IsOfIllegalInstruction() {
			return fmt.Errorf("%s has code for another processor, which this machine's, %s, cannot run (%w): build it here, or there with --cpu-target", path, in.CPUName, err)
		}
		if death != nil {
			return fmt.Errorf("%s is not an image of this Julia %s: it does not start with it (%w)", path, in.Version, err)
		}
		return err
	}
	if want := fmt.Sprintf("image %s libjulia %[1]s", in.Version); said.String() != want {
		return fmt.Errorf("%s is not an image of this Julia %s: the versions are %q; name the Julia that it was made by with --julia", path, in.Version, said.String())
	}
	memorize(dirs, name, files, struct{}{})
	return nil
}
