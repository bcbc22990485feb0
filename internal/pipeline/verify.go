package pipeline

// This file checks a finished image before it gets its name.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"chainbuild/internal/scratch"
	"chainbuild/parallel"
	"chainbuild/sysimage"

	"golang.org/x/sync/errgroup"
)

// verify checks the image's structure and boots it in a stock Julia, at the same time.
func (r *run) verify(ctx context.Context, image *scratch.File) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		image.WriteBack()
		made, err := sysimage.OpenFile(image.Name())
		if err != nil {
			return err
		}
		defer made.Close()
		if r.makesWorkerImage {
			return made.Check()
		}
		return made.Check("ChainFront", "ChainEmit")
	})
	group.Go(func() error { return r.boot(ctx, image.Name()) })
	return group.Wait()
}

// bootScript says who has started, and calls a function that the base has and one of the loader's. It leaves without Julia's own exit, on which a base
// that was built without statements spends most of a second to compile what is called there.
const bootScript = `print(stdout, "booted ", VERSION, " ", length(Base.loaded_modules)); flush(stdout); ccall(:_exit, Cvoid, (Cint,), 0)`

func (r *run) boot(ctx context.Context, image string) error {
	var out strings.Builder
	cmd := r.julia.Command(ctx, "-J", image, "--history-file=no", "-e", bootScript)
	process, err := parallel.StartProcess(ctx, "the new image's Julia", cmd, parallel.ProcessOptions{Output: &out})
	if err != nil {
		return err
	}
	err = process.Wait()
	var death *parallel.DeathError
	if errors.As(err, &death) && death.IsOfIllegalInstruction() {
		return fmt.Errorf("the new image has code for %s, which this machine's processor, %s, cannot run, so it could not be tried and was not given its name: build it on such a machine, or for --cpu-target native: %w",
			r.options.CPU, r.julia.CPUName, err)
	}
	if err != nil {
		return fmt.Errorf("the new image does not boot, so it was not given its name: %w", err)
	}
	if !strings.Contains(out.String(), "booted "+r.julia.Version) {
		return fmt.Errorf("the new image does not boot as Julia %s, so it was not given its name: it printed %q", r.julia.Version, out.String())
	}
	return nil
}
