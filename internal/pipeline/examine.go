package pipeline

// This file looks at what builds need, for `chainbuild doctor`: all of it, where a build ends with the first thing that is wrong.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"chainbuild/internal/private"
	"chainbuild/internal/words"
	"chainbuild/julia"
	"chainbuild/objcache"
	"chainbuild/sysimage"

	"golang.org/x/sys/unix"
)

// A Finding is what one check has found.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	// Says is one sentence: how it is, or what is wrong and what to do.
	Says string `json:"says"`
}

// A State says how bad a finding is.
type State string

const (
	// Fine is as it should be, Doubtful something that builds go on with, Wrong something that they end with.
	Fine     State = "fine"
	Doubtful State = "doubtful"
	Wrong    State = "wrong"
)

// ExamineOptions say what is looked at; Julia and CacheDir are those of Options.
type ExamineOptions struct {
	Julia, CacheDir string
	// Base is an image that is to be run with; empty: builds are looked at.
	Base string
	// StateFolder returns where the images of projects are kept, for a Julia.
	StateFolder func(*julia.Installation) (string, error)
}

// Examine looks at everything that builds need, and reports each finding as it comes. With an image in the place of the base it looks at what
// running with it needs, which writes nothing.
func Examine(ctx context.Context, o ExamineOptions, report func(Finding)) {
	e := &examination{ExamineOptions: o, ctx: ctx, report: report}
	defer e.close()
	checks := []func(){e.theJulia, e.theBase, e.theProcessor}
	if e.Base == "" {
		checks = append(checks, e.theMemory, e.theScratch, e.theCache, e.theFolder)
	}
	for _, check := range checks {
		if ctx.Err() == nil {
			check()
		}
	}
}

// An examination knows what was found so far.
type examination struct {
	ExamineOptions
	ctx    context.Context
	report func(Finding)
	julia  *julia.Installation // nil: none
	base   *sysimage.Base      // nil: none
}

func (e *examination) close() {
	if e.base != nil {
		e.base.Close()
	}
}

func (e *examination) found(check string, state State, format string, args ...any) {
	e.report(Finding{check, state, fmt.Sprintf(format, args...)})
}

func (e *examination) theJulia() {
	const check = "Julia"
	in, err := julia.Find(e.ctx, e.Julia)
	if err != nil {
		e.found(check, Wrong, "%v", err)
		return
	}
	switch _, err := in.Series(); {
	case err != nil:
		e.found(check, Wrong, "%v", err)
	case in.WordSize != 64:
		e.found(check, Wrong, "%s is a Julia of %d bits: name one of 64 bits with --julia", in.Executable, in.WordSize)
	default:
		e.julia = in
		e.found(check, Fine, "%s, %s", in.Version, in.Executable)
	}
}

func (e *examination) theBase() {
	check := "base"
	if e.Base != "" {
		check = "image"
	}
	if e.julia == nil && e.Base == "" {
		return
	}
	path := e.Base
	if path == "" {
		path = e.julia.Image
	}
	path, err := filepath.Abs(path)
	if err == nil {
		e.base, err = sysimage.OpenFile(path)
	}
	if err != nil {
		e.found(check, Wrong, "%v", err)
		return
	}
	if e.julia != nil {
		if err := checkFormat(e.base, e.julia); err != nil {
			e.found(check, Wrong, "%v", err)
			return
		}
		var layers []string
		for _, layer := range e.base.Layers[1:] {
			layers = append(layers, layer.Path)
		}
		if err := e.julia.Starts(e.ctx, path, layers...); err != nil {
			if e.ctx.Err() == nil {
				e.found(check, Wrong, "%v", err)
			}
			return
		}
	}
	var targets []string
	for _, t := range e.base.Targets {
		targets = append(targets, t.Name)
	}
	text := fmt.Sprintf("%s, %s, for %s", path, words.Bytes(int64(len(e.base.Layers[0].Data))), strings.Join(targets, ", "))
	for _, layer := range e.base.Layers[1:] {
		text += ", on " + layer.Path
	}
	e.found(check, Fine, "%s", text)
}

func (e *examination) theProcessor() {
	const check = "processor"
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		e.found(check, Wrong, "chainbuild writes images for Linux on x86-64, and this is %s on %s", runtime.GOOS, runtime.GOARCH)
		return
	}
	name := "x86-64"
	if e.julia != nil {
		name = e.julia.CPUName
	}
	if name == "generic" || name == "x86-64" && e.julia != nil {
		e.found(check, Doubtful, "%s of %s, since this Julia does not know the processor: code for it is that of any x86-64, and slower",
			words.Count(runtime.NumCPU(), "core"), name)
		return
	}
	e.found(check, Fine, "%s, %s", name, words.Count(runtime.NumCPU(), "core"))
}

// usualMemory is the peak of the largest process of builds as they were measured, in bytes.
const usualMemory = 1200 << 20

func (e *examination) theMemory() {
	const check = "memory"
	free, err := freeMemory()
	if err != nil {
		e.found(check, Doubtful, "how much is free cannot be told: %v", err)
		return
	}
	heap := uint64(0)
	if e.base != nil {
		heap = uint64(e.base.Blob.Total)
	}
	var limit unix.Rlimit
	limited := unix.Getrlimit(unix.RLIMIT_AS, &limit) == nil && limit.Cur != unix.RLIM_INFINITY
	switch {
	case free < heap:
		e.found(check, Wrong, "%s are free, and the new heap alone needs %s: end other programs, or add swap space", words.Bytes(int64(free)), words.Bytes(int64(heap)))
	case limited && limit.Cur < 4<<30:
		e.found(check, Wrong, "processes may use %s of address space, and Julia reserves some gigabytes: raise it with `ulimit -v unlimited`, and use --max-memory instead",
			words.Bytes(int64(limit.Cur)))
	case free < usualMemory:
		e.found(check, Doubtful, "%s are free, and builds of large packages may need more: --max-memory has a build keep within a limit", words.Bytes(int64(free)))
	default:
		e.found(check, Fine, "%s are free", words.Bytes(int64(free)))
	}
}

func (e *examination) theScratch() {
	e.place("intermediate files", os.TempDir(), codeRoom, "set TMPDIR to another folder")
}

func (e *examination) theCache() {
	const check = "cache"
	dir := cmp.Or(e.CacheDir, os.Getenv(objcache.Environment))
	if dir == objcache.Off {
		e.found(check, Doubtful, "it is off, so each build compiles everything")
		return
	}
	if dir == "" {
		if e.julia == nil {
			return
		}
		if dir = objcache.DefaultDir(e.julia.DepotPaths); dir == "" {
			e.found(check, Doubtful, "there is no depot to keep it in, so each build compiles everything: name a folder with --cache-dir")
			return
		}
	}
	e.place(check, dir, 4*codeRoom, "name another folder with --cache-dir")
}

func (e *examination) theFolder() {
	const check = "images"
	if e.julia == nil {
		return
	}
	dir, err := e.StateFolder(e.julia)
	if err != nil {
		e.found(check, Wrong, "%v", err)
		return
	}
	room := uint64(codeRoom)
	if e.base != nil {
		room += uint64(e.base.Blob.Total)
	}
	e.place(check, dir, room, "name another folder with CHAINBUILD_STATE")
}

// place looks at a folder in which code is to be kept, or at the one above it in which it would be made.
func (e *examination) place(check, dir string, room uint64, wayOut string) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		e.found(check, Wrong, "%v", err)
		return
	}
	existing := dir
	for {
		if _, err := os.Stat(existing); !errors.Is(err, fs.ErrNotExist) || existing == filepath.Dir(existing) {
			break
		}
		existing = filepath.Dir(existing)
	}
	state, text := Fine, ""
	wrong := func(s State, format string, args ...any) {
		if text == "" {
			state, text = s, fmt.Sprintf(format, args...)
		}
	}
	if info, err := os.Stat(existing); err != nil {
		wrong(Wrong, "%v: %s", err, wayOut)
	} else if !info.IsDir() {
		wrong(Wrong, "%s is no folder: remove it, or %s", existing, wayOut)
	}
	if unix.Access(existing, unix.W_OK|unix.X_OK) != nil {
		wrong(Wrong, "you may not write in %s: change its rights, or %s", existing, wayOut)
	}
	if existing == dir && check == "cache" {
		if err := private.CheckFolder(dir); err != nil {
			wrong(Wrong, "%s is not used, since %v: `chmod go-w` it, or %s", dir, err, wayOut)
		}
	}
	var system unix.Statfs_t
	if unix.Statfs(existing, &system) == nil && system.Flags&unix.ST_NOEXEC != 0 {
		wrong(Wrong, "%s is on a file system that is mounted noexec, and images are loaded like programs: %s", existing, wayOut)
	}
	free, _, err := freeSpace(existing)
	switch {
	case err != nil:
		wrong(Wrong, "the room in %s cannot be told: %v", existing, err)
	case free < room:
		short := Wrong
		if check == "cache" {
			short = Doubtful // builds go on without what cannot be kept
		}
		wrong(short, "%s are free in %s, and about %s are needed: make room, or %s", words.Bytes(int64(free)), existing, words.Bytes(int64(room)), wayOut)
	}
	if text == "" {
		text = fmt.Sprintf("%s, %s are free", dir, words.Bytes(int64(free)))
		if existing != dir {
			text += "; it will be made"
		}
	}
	e.found(check, state, "%s", text)
}
