// Package project keeps a system image for each project: it records what sessions compile, builds images from that, and
// knows which one can be used.
//
//	chainbuild run ──► Julia ── --trace-compile ──► sessions ── merged ──► record
//	                     ▲                                                  │
//	                     └── newest image with the project's key ◄── build ─┘
//
// An image belongs to a key, which is made of content (key.go): it can be used exactly as long as the project's key is
// its own. A package in an image is used from there whatever the project says, so an image with another key is never
// started with.
package project

// This file finds a project and puts together what is known of it.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/objcache"
)

// A Project is a project of Julia's package manager, used with one Julia.
type Project struct {
	Julia *julia.Installation
	// Dir is the absolute folder of the project's file, links resolved.
	Dir      string
	Settings Settings
	Content  *Content
	// Key is the key of images that can be used.
	Key objcache.Key

	series      *julia.Series
	inputs      []objcache.Input
	environment *environment
	preferences map[string]any // of LocalPreferences.toml, by package name
	juliaBuild  string
	implicit    bool   // Julia itself chooses this project, without being told
	root, state string // see state.go
}

// Options say which project is meant, and override its settings.
type Options struct {
	// Julia is the julia executable; empty: found as julia.Find describes.
	Julia string
	// Project is what julia's --project takes: a folder, a project's file, @ or @. for the folder at or above the current
	// one that has a project's file, or @NAME for a shared environment; empty: JULIA_PROJECT, else @.
	Project string
	// LikeJulia chooses the project as Julia does where Project and JULIA_PROJECT are empty: the shared environment of
	// its version, whatever the current folder is.
	LikeJulia bool
	// Settings changes the project's settings; nil: nothing.
	Settings func(*Settings)
}

// Open reads the project. Whatever is wrong with it is wrong before any work: each error is a *usage.Error, but for the cause of
// ctx's end if that comes while the Julia is asked about itself.
func Open(ctx context.Context, o Options) (*Project, error) {
	p, err := read(ctx, o)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return p, usage.Wrap(err)
}

func read(ctx context.Context, o Options) (*Project, error) {
	in, err := julia.Find(ctx, o.Julia)
	if err != nil {
		return nil, err
	}
	p := &Project{Julia: in}
	if p.Dir, p.implicit, err = findProject(in, o); err != nil {
		return nil, err
	}
	if p.environment, err = readEnvironment(p.Dir); err != nil {
		return nil, err
	}
	if p.Settings, p.preferences, err = readSettings(p.Dir); err != nil {
		return nil, err
	}
	if o.Settings != nil {
		o.Settings(&p.Settings)
	}
	if p.series, err = in.Series(); err != nil {
		p.series = &julia.Series{} // a Julia that is not supported is used without an image, and refused by builds
	}
	if p.Content, err = p.environment.content(&p.Settings, in.StdlibDir, p.series.Interactive); err != nil {
		return nil, err
	}
	if p.root, err = StateRoot(in); err != nil {
		return nil, err
	}
	if p.juliaBuild, err = digest(p.root, in.LibJulia); err != nil {
		return nil, err
	}
	p.state = filepath.Join(p.root, stateName(p.Dir, p.juliaBuild))
	return p, p.makeKey()
}

// Name is what people call the project.
func (p *Project) Name() string {
	if p.environment.name != "" {
		return p.environment.name
	}
	return filepath.Base(p.Dir)
}

// findProject returns the project's folder, and whether Julia itself chooses it without being told. See
// Base.init_active_project and Base.load_path_expand in base/initdefs.jl.
func findProject(in *julia.Installation, o Options) (dir string, implicit bool, err error) {
	name := o.Project
	if name == "" {
		name = os.Getenv("JULIA_PROJECT")
		implicit = name != "" || o.LikeJulia
	}
	if name == "" && !o.LikeJulia {
		if dir, err = currentProject(); err != nil || dir != "" {
			return dir, false, err
		}
		implicit = true
	}
	switch {
	case name == "":
		dir, err = sharedProject(in, "v#.#")
	case name == "@" || name == "@.":
		if dir, err = currentProject(); err == nil && dir == "" {
			err = errors.New("there is no project at or above the current folder: name one with --project, or make one with `pkg> activate .` and `pkg> add …`")
		}
	case name[0] == '@':
		dir, err = sharedProject(in, name[1:])
	default:
		dir, err = namedProject(name)
	}
	return dir, implicit, err
}

// currentProject returns the folder at or above the current one that has a project's file, "" if there is none.
func currentProject() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for firstFile(dir, projectNames) == "" {
		above := filepath.Dir(dir)
		if above == dir {
			return "", nil
		}
		dir = above
	}
	return filepath.EvalSymlinks(dir)
}

// sharedProject returns the folder of a shared environment, which may not be there. Each # of the name stands for a part
// of Julia's version.
func sharedProject(in *julia.Installation, name string) (string, error) {
	for _, part := range strings.SplitN(in.Version, ".", 3) {
		name = strings.Replace(name, "#", part, 1)
	}
	for _, depot := range in.DepotPaths {
		if dir := filepath.Join(depot, "environments", name); firstFile(dir, projectNames) != "" {
			return filepath.EvalSymlinks(dir)
		}
	}
	if len(in.DepotPaths) == 0 {
		return "", fmt.Errorf("%s has no depot with environments: set JULIA_DEPOT_PATH, or name a project with --project", in.Executable)
	}
	return filepath.Join(in.DepotPaths[0], "environments", name), nil
}

// namedProject returns the folder of a project that is named by its path or that of its file.
func namedProject(name string) (string, error) {
	if home, ok := strings.CutPrefix(name, "~"); ok && (home == "" || home[0] == '/') {
		if dir, err := os.UserHomeDir(); err == nil {
			name = dir + home
		}
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(absolute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no project %s: name a folder with a Project.toml with --project", absolute)
	case err != nil:
		return "", err
	case !info.IsDir():
		absolute = filepath.Dir(absolute)
	}
	return filepath.EvalSymlinks(absolute)
}
