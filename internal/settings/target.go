// Package settings defines what can be chosen about an image, once for all that choose it: flags, the table of a project,
// measurements.
//
// Each setting has a type that knows its values: it reads them from text, writes them as text, and refuses others with what
// it takes. The names of settings in a TOML file are the tags of the fields; the flags are in cmd/chainbuild/flags.go.
package settings

// This file is what decides about the code of an image.

import (
	"fmt"
	"strconv"
	"strings"

	"chainbuild/elfpatch"
	"chainbuild/llvmdriver"
)

// A Target says what new code is compiled for, which code that is, and how it comes into the image. Images of the same
// content and the same target are alike.
type Target struct {
	// CPU is the processor, or the processors, that new code is compiled for; empty: native.
	CPU CPU `toml:"cpu_target"`
	// OptLevel is how far new code is optimised.
	OptLevel OptLevel `toml:"optimize"`
	// Layout says whether the image needs its base's file.
	Layout elfpatch.Layout `toml:"layout"`
	// Emit says which code is new code; empty: EmitAll.
	Emit Emit `toml:"emit"`
	// PackageImages says whether the native code of package images is taken over; empty: PackageImagesAuto.
	PackageImages PackageImages `toml:"package_images"`
}

// DefaultTarget is the target where nothing is chosen.
func DefaultTarget() Target {
	return Target{CPU: NativeCPU, OptLevel: 2, Layout: elfpatch.Thin, Emit: EmitAll, PackageImages: PackageImagesAuto}
}

// Check refuses values that no setting has. Text never gives such, Go code may.
func (t Target) Check() error {
	switch t.Emit {
	case "", EmitAll, EmitTraced:
	default:
		return fmt.Errorf("--emit does not take %q: %w", string(t.Emit), errEmit)
	}
	if _, err := t.Layout.MarshalText(); err != nil {
		return err
	}
	return t.OptLevel.check()
}

// A CPU is a processor as julia's -C takes it: a name, and features to add or remove, such as "haswell,-avx2". It may be several, with semicolons between
// them, or BaseCPU.
type CPU string

// BaseCPU are the processors that the base has code for.
const BaseCPU CPU = llvmdriver.OfBase

// NativeCPU is the processor of this machine.
const NativeCPU CPU = "native"

// UnmarshalText takes one processor or several. Whether LLVM knows it, only LLVM can say.
func (c *CPU) UnmarshalText(text []byte) error {
	if _, err := llvmdriver.ParseTargets(string(text), 0); err != nil {
		return err
	}
	if *c = CPU(text); *c == "" {
		*c = NativeCPU
	}
	return nil
}

// DependsOnMachine says that it is another processor on another machine.
func (c CPU) DependsOnMachine() bool {
	for name := range strings.SplitSeq(string(c), ";") {
		if name, _, _ = strings.Cut(name, ","); name == string(NativeCPU) {
			return true
		}
	}
	return false
}

func (c CPU) MarshalText() ([]byte, error) { return []byte(c), nil }

// An OptLevel is an optimisation level as julia's -O counts it.
type OptLevel int

// Bounds are the lowest and the highest level.
func (OptLevel) Bounds() (least, most int) { return 0, 3 }

func (l OptLevel) check() error {
	if least, most := l.Bounds(); int(l) < least || int(l) > most {
		return fmt.Errorf("there is no optimisation level %d: use %d to %d", l, least, most)
	}
	return nil
}

func (l *OptLevel) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil {
		least, most := l.Bounds()
		return fmt.Errorf("use %d to %d", least, most)
	}
	if err := OptLevel(n).check(); err != nil {
		return err
	}
	*l = OptLevel(n)
	return nil
}

func (l OptLevel) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(l), 10), nil }

// Emit says which code is compiled into an image.
type Emit string

const (
	// EmitAll emits all new code that Julia's own image build would keep, and every method that a statement names.
	EmitAll Emit = "all"
	// EmitTraced emits what the statements name and what that calls statically.
	EmitTraced Emit = "traced"
)

var errEmit = fmt.Errorf("use %s or %s", EmitAll, EmitTraced)

func (e *Emit) UnmarshalText(text []byte) error {
	switch given := Emit(text); given {
	case EmitAll, EmitTraced:
		*e = given
		return nil
	}
	return errEmit
}

func (e Emit) MarshalText() ([]byte, error) { return []byte(e), nil }

// PackageImages says what becomes of native code that Pkg has compiled.
type PackageImages string

const (
	// PackageImagesAuto takes over the native code of package images where that is possible.
	PackageImagesAuto PackageImages = "auto"
	// PackageImagesUse does so too, and says so where it is not.
	PackageImagesUse PackageImages = "use"
	// PackageImagesIgnore compiles all code of packages.
	PackageImagesIgnore PackageImages = "ignore"
)

func (p *PackageImages) UnmarshalText(text []byte) error {
	return choose(p, text, PackageImagesAuto, PackageImagesUse, PackageImagesIgnore)
}

func (p PackageImages) MarshalText() ([]byte, error) { return []byte(p), nil }
