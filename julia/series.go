package julia

// This file is the table of the series of Julia that images are built for, and what differs between them outside of the
// image format, which is package sysimage's.

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"chainbuild/internal/words"
)

// A Series is the releases of Julia that share a minor version: their internals, and so what is said here, are the same.
type Series struct {
	// Name is how their versions begin, such as "1.10".
	Name string
	// Runtime are the files of worker/runtime that define what the front worker asks of Julia (worker/runtime/contract.jl). Each is
	// called after its subject and the oldest series that it serves; a younger series lists it again where it still fits.
	Runtime []string
	// Passes is the file of worker/compile that turns bitcode into objects.
	Passes string
	// Roots is the file of worker/compile that has frames of the garbage collector laid out in an order that the code decides.
	Roots string
	// WithoutCode are options of the front worker's Julia where it loads packages without native code of theirs.
	WithoutCode []string
	// KeepsBaseCode says that a process that generates an image uses the base's native code by itself, or with the options
	// KeepBaseCode. Otherwise it needs the shim.
	KeepsBaseCode bool
	KeepBaseCode  []string
	// RegistersLayers says that libraries with code of an image can register themselves with the runtime (jl_register_image_layer).
	RegistersLayers bool
	// CachesFitOneImage says that packages' caches refer to places in the image that they were made with, so that they can be
	// loaded on that image alone.
	CachesFitOneImage bool
	// PackageImages says that native code of package images can be taken over.
	PackageImages bool
	// Interactive are the standard libraries that an interactive session loads and Julia's own image has not, by name.
	Interactive []string
	// Prompt are precompile statements of an interactive session, for images with Interactive.
	Prompt string
	// Precompiling are those of a session that precompiles a package.
	Precompiling string
	// TracerCrashes says that --trace-compile ends the process on some types that programs use.
	TracerCrashes bool
	// TakesHeapSize says that julia has the option --heap-size-hint.
	TakesHeapSize bool
	// CompilesForProcess says that code is generated for the processor of the process that does it, which julia's -C chooses.
	// Otherwise each request to a compile worker says for which.
	CompilesForProcess bool
}

//go:embed sessions/prompt_1_12.jl
var prompt1_12 string

//go:embed sessions/precompiling_1_10.jl
var precompiling1_10 string

//go:embed sessions/precompiling_1_12.jl
var precompiling1_12 string

// all are the supported series, the oldest first.
var all = []*Series{
	{
		Name: "1.5",
		Runtime: []string{"session_1_5.jl", "loading_1_5.jl", "images_1_5.jl", "tables_1_5.jl", "methods_1_5.jl", "flags_1_5.jl", "code_1_5.jl", "emit_1_5.jl", "llvm_1_5.jl",
			"heap_1_5.jl"},
		Passes: "passes_1_5.jl",
		Roots:  "roots_1_5.jl",
		// jl_static_show_x_ (src/rtutils.c) takes a tuple inside of a value for a heap object.
		TracerCrashes: true,
	},
	{
		Name: "1.10",
		Runtime: []string{"session_1_10.jl", "loading_1_10.jl", "images_1_10.jl", "tables_1_5.jl", "methods_1_10.jl", "flags_1_10.jl", "code_1_10.jl", "emit_1_10.jl",
			"llvm_1_10.jl", "heap_1_10.jl"},
		Passes:        "passes_1_10.jl",
		Roots:         "roots_1_5.jl",
		PackageImages: true,
		Precompiling:  precompiling1_10,
		// No package image can be loaded without its code; packages' caches without code serve. Other sessions make package images, and this process
		// would not load their caches.
		WithoutCode:        []string{"--pkgimages=no"},
		CachesFitOneImage:  true,
		TakesHeapSize:      true,
		CompilesForProcess: true,
	},
	{
		Name: "1.12",
		Runtime: []string{"session_1_10.jl", "loading_1_12.jl", "images_1_10.jl", "tables_1_12.jl", "methods_1_10.jl", "flags_1_10.jl", "code_1_12.jl", "emit_1_12.jl",
			"llvm_1_10.jl", "heap_1_12.jl"},
		Passes:        "passes_1_12.jl",
		Roots:         "roots_1_5.jl",
		KeepsBaseCode: true,
		PackageImages: true,
		// Package images that there are can be loaded without their code; caches that are made need have none.
		WithoutCode: []string{"--pkgimages=existing"},
		// load_InteractiveUtils and load_REPL in base/client.jl; REPL loads Pkg for pkg>.
		Interactive:        []string{"InteractiveUtils", "REPL", "Pkg"},
		Prompt:             prompt1_12,
		Precompiling:       precompiling1_12,
		CachesFitOneImage:  true,
		TakesHeapSize:      true,
		CompilesForProcess: true,
	},
}

// version is a version as Base.VERSION prints it: major, minor and patch, what precedes the release, what was built.
var version = regexp.MustCompile(`^(\d+\.\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)

// Series returns the series that this Julia is of, changed by the patches that it has. The error says which are supported if it is of none.
//
// A series begins with the first release candidate of its first release: up to there its internals change, so alphas, betas
// and development versions are of no series. What comes before a later patch release has the internals of the series.
func (in *Installation) Series() (*Series, error) {
	if parts := version.FindStringSubmatch(in.Version); parts != nil {
		name, patch, before := parts[1], parts[2], parts[3]
		i := slices.IndexFunc(all, func(s *Series) bool { return s.Name == name })
		if i >= 0 && (before == "" || patch != "0" || strings.HasPrefix(before, "rc")) {
			return all[i].patched(in.Patches), nil
		}
	}
	return nil, fmt.Errorf("%s is Julia %s, which is not supported: name a release of Julia %s with --julia or %s",
		in.Executable, in.Version, supported(), Environment)
}

// supported are the names of the supported series as a sentence has them: "1.5, 1.10 or 1.12".
func supported() string {
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return words.Or(names)
}
