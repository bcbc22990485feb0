package project

// This file builds a project's image from what was recorded.
//
// One build runs at a time for each project: it holds build.lock. One that had to wait looks again at what is there.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"

	"github.com/google/renameio/v2"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// runPipeline builds an image. It is a variable for the tests: a build needs a Julia.
var runPipeline = pipeline.Run

// logsKept is how many logs of builds are kept.
const logsKept = 10

// seedStatement is something that every session runs and every image has the code of. A build needs a statement; the
// first one of a project may have none that was recorded.
const seedStatement = "Tuple{typeof(Base.require), Module, Symbol}"

// BuildOptions say how a project's image is built.
type BuildOptions struct {
	// Build has what does not depend on the project: Jobs, Strict, CacheDir, CacheSize, Explain, VerifyCache,
	// KeepScratch, Timings, Report. The rest is filled in.
	Build pipeline.Options
	// NoWait refuses if a build of the project runs; else it is waited for.
	NoWait bool
	// Full builds an image in one piece, and Force does so even if there is one of all that is to be in it.
	Full, Force bool
	// Yields has another build of the project end this one, which nobody waits for, and not wait for it.
	Yields bool
	// Say is told in one sentence what is waited for, or what the image will lack; nil: nobody is.
	Say func(string)
	// LogFile is where what the build says goes anyway; empty: Log is asked to open one in the state's folder.
	LogFile string
	// Log opens a log that the build is reported to; end is called when the build is over.
	Log func(path string) (report pipeline.Reporter, end func(), err error)
}

// A BuildResult is what became of a build.
type BuildResult struct {
	Image *Image
	// UpToDate says that nothing was built, since Image is what would have been.
	UpToDate bool
	// Removed are images that are not wanted any more.
	Removed []Removal
	// Prepare says that Project.Prepare would make the next build faster, and Merge that the image is a layer that has become large: a build of
	// an image in one piece would make the next ones faster.
	Prepare, Merge bool
}

// busy is the error for who does not want to wait for another process, which has not said yet who it is if builder is nil.
func busy(builder *Builder) error {
	who := "another process builds this project's image"
	if builder != nil {
		who = builder.String()
	}
	return usage.Errorf("%s: wait for its end, or leave out --no-wait", who)
}

// Build builds the project's image and removes those that are not wanted any more.
func (p *Project) Build(ctx context.Context, o BuildOptions) (*BuildResult, error) {
	if err := p.makeState(); err != nil {
		return nil, usage.Wrap(err)
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
	wanted, err := p.choose(ctx, record, &o.Build)
	if err != nil {
		return nil, err
	}
	id := wanted.id(p)
	all, err := p.images()
	if err != nil {
		return nil, err
	}
	if im, _ := p.valid(all); im != nil && im.holds(id) && !o.Force && (im.Below == nil || !o.Full) {
		return &BuildResult{Image: im, UpToDate: true}, nil
	}
	if left := p.Content.leftOut(notInteractive); len(left) > 0 && o.Say != nil {
		o.Say(strings.Join(left, ", ") + " are not in the image (" + notInteractive + "): Julia precompiles them when it is first used interactively with it")
	}
	log := cmp.Or(o.LogFile, p.newLog())
	var lower *foundation
	if err := p.startBuilding(log, o.Yields, nil); err != nil {
		return nil, err
	}
	defer os.Remove(p.path(builderName))
	if p.Settings.Layers && !o.Force && (!o.Full || o.Yields) {
		if lower, err = p.foundation(ctx, o, all, record, wanted.sources, log); err != nil {
			p.noteFailure(ctx, err, log)
			return nil, err
		}
	}
	if lower != nil {
		id = layerID(id, lower.Image)
		// A layer loads what is under development, and there is none yet of what that is now.
		o.Build.Edited = !slices.ContainsFunc(all, func(im *Image) bool { return im.Key == p.Key })
		if err := p.startBuilding(log, o.Yields, lower); err != nil {
			return nil, err
		}
	}
	im, prepared, err := p.buildImage(ctx, o, id, wanted, lower, log)
	if err != nil && lower != nil && ctx.Err() == nil && !o.Build.Strict && !isOfPolicy(err) {
		if o.Say != nil {
			o.Say("no layer can be made on " + lower.File + ", so the image is built in one piece: " + err.Error())
		}
		lower = nil
		im, prepared, err = p.buildImage(ctx, o, wanted.id(p), wanted, nil, log)
	}
	if err != nil {
		p.noteFailure(ctx, err, log)
		return nil, err
	}
	os.Remove(p.path(failureName))
	removed, err := p.Clean(CleanOptions{Keep: int(p.Settings.Keep)})
	result := &BuildResult{Image: im, Removed: removed, Merge: lower != nil && lower.isLarge()}
	result.Prepare = p.Settings.Layers && !prepared && !result.Merge
	return result, err
}

// lockBuild takes the build lock.
func (p *Project) lockBuild(ctx context.Context, o *BuildOptions) (unlock func(), err error) {
	file, err := os.OpenFile(p.path(buildLockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	file.Close()
	// lockedfile has no way to try: the lock is taken behind, and who holds it is told if that takes a moment.
	const moment, endOfMerge = 50 * time.Millisecond, 5 * time.Second
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
			if builder != nil && builder.Yields && !o.Yields {
				if o.Say != nil {
					o.Say(fmt.Sprintf("process %d, which merges layers of this project's image, ends for this build", builder.PID))
				}
				syscall.Kill(builder.PID, syscall.SIGTERM)
				told.Reset(endOfMerge)
				continue
			}
			if o.NoWait {
				giveBack()
				return nil, busy(builder)
			}
			if o.Say != nil && builder != nil {
				o.Say(builder.String() + ": waiting for it")
			}
		}
	}
}

// buildImage builds the image with the given ID, a layer on lower unless that is nil. Prepared says that the next layer has a worker image to use.
func (p *Project) buildImage(ctx context.Context, o BuildOptions, id string, of *chosen, lower *foundation, log string) (_ *Image, prepared bool, _ error) {
	sources := of.sources
	if err := p.writeEnvironment(); err != nil {
		return nil, false, err
	}
	im := &Image{
		ID: id, File: p.path(imagesName, id+imageSuffix), Key: p.Key, Inputs: p.inputs, Content: *p.Content,
		Statements: len(sources), Unresolved: []string{},
	}
	if of.outcome != nil {
		im.Answers, im.Dropped = of.outcome.Answers, of.outcome.Dropped
	}
	list := strings.TrimSuffix(im.File, imageSuffix) + statementsSuffix
	if err := renameio.WriteFile(list, []byte(strings.Join(sources, "\n")+"\n"), 0o600); err != nil {
		return nil, false, err
	}
	b := o.Build
	b.Julia, b.Output, b.Statements, b.Project = p.Julia.Executable, im.File, []string{list}, p.path(environmentName)
	b.Packages, b.Interactive = nil, nil
	b.Policies, b.Budget, b.Choice = p.Settings.Policies, settings.Budget{}, of.outcome
	loaded := map[string]bool{}
	// What is under development, or outside of the image, is precompiled in sessions.
	b.Precompiles = lower == nil
	if lower != nil {
		im.Below = lower.below(sources, p.Settings.Layout)
		b.Base, b.InBase, b.WorkerImages, b.SpareWorkerImage = lower.File, lower.holds, p.path(workersName, lower.ID), true
		for _, pkg := range lower.Packages {
			loaded[pkg.Name] = true
		}
	}
	for _, pkg := range p.Content.Packages {
		switch {
		case loaded[pkg.Name]:
		case slices.Contains(p.Content.Interactive, pkg.Name):
			b.Interactive = append(b.Interactive, pkg.Name)
		default:
			b.Packages = append(b.Packages, pkg.Name)
		}
	}
	b.Target, b.Remote = p.Settings.Target, p.Settings.Remote
	if lower != nil && b.PackageImages == settings.PackageImagesAuto {
		// What a layer loads is under development. Of its code, a build compiles what an edit has changed, and Pkg would compile all.
		b.PackageImages = settings.PackageImagesIgnore
	}
	// Only this project's packages, wherever else the user has Julia look.
	b.Environment = append(b.Environment, "JULIA_LOAD_PATH=@:@stdlib")
	p.removeLogs()
	if o.LogFile == "" && o.Log != nil {
		report, end, err := o.Log(log)
		if err != nil {
			return nil, false, err
		}
		defer end()
		b.Report = pipeline.Reporters(b.Report, report)
	}
	// An image that is built again is not one until it is described anew.
	if err := os.Remove(p.path(imagesName, id+descriptionSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	result, err := runPipeline(ctx, b)
	if err != nil {
		os.Remove(list)
		return nil, false, err
	}
	if err := os.Chmod(im.File, 0o700); err != nil {
		return nil, false, err
	}
	// What was built is what was read before; if the project has changed meanwhile, the image has the older key.
	im.Built, im.Seconds, im.Bytes = time.Now().UTC(), result.Seconds, result.Bytes
	im.ObjectBytes, im.Compiling = result.Partitions.HitBytes+result.Partitions.MissBytes, compilingOf(result)
	if err := im.notePackageImages(p.Settings.Layout, result.PackageImages); err != nil {
		return nil, false, err
	}
	for _, u := range result.Unresolved {
		im.Unresolved = append(im.Unresolved, u.Statement)
	}
	return im, lower != nil && result.WorkerImage, writeJSON(p.path(imagesName, id+descriptionSuffix), im)
}

// A Failure is a build that failed, after which none has succeeded.
type Failure struct {
	When time.Time `json:"when"`
	Text string    `json:"error"`
	// Log is the file with what it said.
	Log string `json:"log"`
}

// noteFailure has status tell of a build that failed: nobody may have watched. One that was stopped has not.
func (p *Project) noteFailure(ctx context.Context, err error, log string) {
	if ctx.Err() == nil {
		writeJSON(p.path(failureName), Failure{time.Now().UTC(), err.Error(), log})
	}
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
		return 0, "", usage.Wrap(err)
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
