package project

// This file builds a project's image from what was recorded.
//
// Packages are looked up in a project of the state's folder, environment/, that lists all packages of the image as its
// direct dependencies: those that only dependencies need can be loaded by name then, those that are left out cannot.
//
// One build runs at a time for each project: it holds build.lock. One that had to wait looks again at what is there.

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"chainbuild/build"

	"github.com/google/renameio/v2"
	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// logsKept is how many logs of builds are kept.
const logsKept = 10

// seedStatement is something that every session runs and every image has the code of. A build needs a statement; the
// first one of a project may have none that was recorded.
const seedStatement = "Tuple{typeof(Base.require), Module, Symbol}"

// BuildOptions say how a project's image is built.
type BuildOptions struct {
	// Build has what does not depend on the project: Jobs, Strict, CacheDir, CacheSize, Explain, VerifyCache,
	// KeepScratch, Timings, Report. The rest is filled in.
	Build build.Options
	// NoWait refuses if a build of the project runs; else it is waited for.
	NoWait bool
	// Force builds even if there is an image of all that is to be in it.
	Force bool
	// Say is told in one sentence what is waited for; nil: nobody is.
	Say func(string)
	// LogFile is where what the build says goes anyway; empty: Log is asked to open one in the state's folder.
	LogFile string
	// Log opens a log that the build is reported to; end is called when the build is over.
	Log func(path string) (report build.Reporter, end func(), err error)
}

// A BuildResult is what became of a build.
type BuildResult struct {
	Image *Image
	// UpToDate says that nothing was built, since Image is what would have been.
	UpToDate bool
	// Removed are images that are not wanted any more.
	Removed []Removal
}

// A BusyError says that another process builds the project's image.
type BusyError struct{ Builder *Builder }

func (e *BusyError) Error() string {
	if e.Builder == nil {
		return "another process builds this project's image: wait for its end, or leave out --no-wait"
	}
	return e.Builder.String() + ": wait for its end, or leave out --no-wait"
}

// Build builds the project's image and removes those that are not wanted any more.
func (p *Project) Build(ctx context.Context, o BuildOptions) (*BuildResult, error) {
	if err := p.makeState(); err != nil {
		return nil, &build.UsageError{Err: err}
	}
	unlock, err := p.lockBuild(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer unlock()

	record, _, err := p.Record()
	if err != nil {
		return nil, err
	}
	sources := p.fitting(record)
	if len(sources) == 0 {
		sources = []string{seedStatement}
	}
	id := imageID(p.Key, sources)
	if all, err := p.images(); err != nil {
		return nil, err
	} else if im, _ := p.valid(all); im != nil && im.ID == id && !o.Force {
		return &BuildResult{Image: im, UpToDate: true}, nil
	}
	log := cmp.Or(o.LogFile, p.newLog())
	if err := p.startBuilding(log); err != nil {
		return nil, err
	}
	defer os.Remove(p.path(builderName))
	im, err := p.buildImage(ctx, o, id, sources, log)
	if err != nil {
		return nil, err
	}
	removed, err := p.Clean(CleanOptions{Keep: p.Settings.Keep})
	return &BuildResult{Image: im, Removed: removed}, err
}

// lockBuild takes the build lock.
func (p *Project) lockBuild(ctx context.Context, o *BuildOptions) (unlock func(), err error) {
	file, err := os.OpenFile(p.path(buildLockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	file.Close()
	// lockedfile has no way to try: the lock is taken behind, and who holds it is told if that takes a moment.
	const moment = 50 * time.Millisecond
	type taken struct {
		file *lockedfile.File
		err  error
	}
	lock := make(chan taken, 1)
	go func() {
		f, err := lockedfile.OpenFile(p.path(buildLockName), os.O_RDWR, 0o600)
		lock <- taken{f, err}
	}()
	// Whoever does not want the lock any more gives it back when it comes.
	giveBack := func() {
		go func() {
			if t := <-lock; t.err == nil {
				t.file.Close()
			}
		}()
	}
	told := time.NewTimer(moment)
	defer told.Stop()
	for {
		select {
		case t := <-lock:
			if t.err != nil {
				return nil, fmt.Errorf("the build lock of %s cannot be taken: %w", p.state, t.err)
			}
			return func() { t.file.Close() }, nil
		case <-ctx.Done():
			giveBack()
			return nil, context.Cause(ctx)
		case <-told.C:
			builder := p.building()
			if o.NoWait {
				giveBack()
				return nil, &BusyError{builder}
			}
			if o.Say != nil && builder != nil {
				o.Say(builder.String() + ": waiting for it")
			}
		}
	}
}

// buildImage builds the image with the given ID.
func (p *Project) buildImage(ctx context.Context, o BuildOptions, id string, sources []string, log string) (*Image, error) {
	if err := p.writeEnvironment(); err != nil {
		return nil, err
	}
	im := &Image{
		ID: id, File: p.path(imagesName, id+imageSuffix), Key: p.Key, Inputs: p.inputs, Content: *p.Content,
		Statements: len(sources), Unresolved: []string{},
	}
	list := strings.TrimSuffix(im.File, imageSuffix) + statementsSuffix
	if err := renameio.WriteFile(list, []byte(strings.Join(sources, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	b := o.Build
	b.Julia, b.Output, b.Statements, b.Project = p.Julia.Executable, im.File, []string{list}, p.path(environmentName)
	b.Packages = nil
	for _, pkg := range p.Content.Packages {
		b.Packages = append(b.Packages, pkg.Name)
	}
	b.Emit, b.Layout, b.CPUTarget, b.OptLevel = p.Settings.Emit, p.Settings.Layout, p.Settings.CPUTarget, p.Settings.OptLevel
	p.removeLogs()
	if o.LogFile == "" {
		report, end, err := o.Log(log)
		if err != nil {
			return nil, err
		}
		defer end()
		b.Report = build.Reporters(b.Report, report)
	}
	// Only this project's packages, wherever else the user has Julia look.
	loadPath, set := os.LookupEnv("JULIA_LOAD_PATH")
	os.Setenv("JULIA_LOAD_PATH", "@:@stdlib")
	defer func() {
		if os.Setenv("JULIA_LOAD_PATH", loadPath); !set {
			os.Unsetenv("JULIA_LOAD_PATH")
		}
	}()
	// An image that is built again is not one until it is described anew.
	if err := os.Remove(p.path(imagesName, id+descriptionSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	result, err := build.Run(ctx, b)
	if err != nil {
		os.Remove(list)
		return nil, err
	}
	if err := os.Chmod(im.File, 0o700); err != nil {
		return nil, err
	}
	// What was built is what was read before; if the project has changed meanwhile, the image has the older key.
	im.Built, im.Seconds, im.Bytes = time.Now().UTC(), result.Seconds, result.Bytes
	for _, u := range result.Unresolved {
		im.Unresolved = append(im.Unresolved, u.Statement)
	}
	return im, writeJSON(p.path(imagesName, id+descriptionSuffix), im)
}

// writeEnvironment writes the project that packages are looked up in. Its manifest is the project's, with absolute paths.
func (p *Project) writeEnvironment() error {
	dir := p.path(environmentName)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	deps := map[string]string{}
	for _, pkg := range p.Content.Packages {
		if other, twice := deps[pkg.Name]; twice {
			return fmt.Errorf("two packages of the project have the name %s (%s, %s): leave them out with --exclude %[1]s", pkg.Name, other, pkg.UUID)
		}
		deps[pkg.Name] = pkg.UUID
	}
	if err := p.writeProjectFile(filepath.Join(dir, "Project.toml"), deps); err != nil {
		return err
	}
	var preferences []byte
	if len(p.preferences) > 0 {
		var err error
		if preferences, err = toml.Marshal(p.preferences); err != nil {
			return err
		}
	}
	if err := writeOrRemove(filepath.Join(dir, SettingsFile), preferences); err != nil {
		return err
	}
	var manifest []byte
	if p.environment.manifestFile != "" {
		var err error
		if manifest, err = os.ReadFile(p.environment.manifestFile); err != nil {
			return err
		}
		manifest = withAbsolutePaths(manifest, filepath.Dir(p.environment.manifestFile))
	}
	return writeOrRemove(filepath.Join(dir, "Manifest.toml"), manifest)
}

// writeProjectFile writes a project's file with the given dependencies. Up to version 1.5 Julia reads it with regular
// expressions, which know text in double quotes only (base/loading.jl, re_key_to_string).
func (p *Project) writeProjectFile(path string, deps map[string]string) error {
	var text bytes.Buffer
	text.WriteString("[deps]\n")
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		fmt.Fprintf(&text, "%s = \"%s\"\n", name, deps[name])
	}
	if len(p.environment.preferences) > 0 {
		preferences, err := toml.Marshal(map[string]any{"preferences": p.environment.preferences})
		if err != nil {
			return err
		}
		text.Write(preferences)
	}
	return renameio.WriteFile(path, text.Bytes(), 0o600)
}

// pathLine is the line of a manifest that names the folder of a package under development.
var pathLine = regexp.MustCompile(`(?m)^[ \t]*path[ \t]*=.*$`)

// withAbsolutePaths returns a manifest with the paths of packages made absolute that are relative to a folder. The rest
// stays as it was written, in the words that Julia reads.
func withAbsolutePaths(manifest []byte, dir string) []byte {
	return pathLine.ReplaceAllFunc(manifest, func(line []byte) []byte {
		var entry struct{ Path string }
		if err := toml.Unmarshal(line, &entry); err != nil || entry.Path == "" || filepath.IsAbs(entry.Path) {
			return line
		}
		path := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(filepath.Join(dir, entry.Path))
		return fmt.Appendf(nil, "path = \"%s\"", path)
	})
}

func writeOrRemove(path string, content []byte) error {
	if len(content) > 0 {
		return renameio.WriteFile(path, content, 0o600)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// newLog names a log after the time.
func (p *Project) newLog() string {
	return p.path(logsName, time.Now().UTC().Format("2006-01-02T150405.000")+".log")
}

// removeLogs removes all logs but the newest ones.
func (p *Project) removeLogs() {
	logs, _ := filepath.Glob(p.path(logsName, "*.log"))
	slices.SortFunc(logs, func(a, b string) int { return cmp.Compare(b, a) }) // the names are times
	for _, log := range logs[min(logsKept, len(logs)):] {
		os.Remove(log)
	}
}

// BuildBehind starts a build in a process of its own session, which outlives this one. Arguments makes those of the
// command that builds in the foreground, with BuildOptions.LogFile; what it prints goes into that file.
func (p *Project) BuildBehind(program string, arguments func(log string) []string) (pid int, log string, err error) {
	if err := p.makeState(); err != nil {
		return 0, "", &build.UsageError{Err: err}
	}
	log = p.newLog()
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	cmd := exec.Command(program, arguments(log)...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	pid = cmd.Process.Pid // which Release forgets
	return pid, log, cmd.Process.Release()
}
