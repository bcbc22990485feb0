package bench

// This file builds images: chained ones, and those that they are compared with.

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"chainbuild/internal/pipeline"
	"chainbuild/statements"
)

// Comparators are what chained images may be compared with: Julia's own way to an image; PackageCompiler, which goes that way; and the images
// of single packages that Julia 1.9 and later write by themselves.
var Comparators = []string{Stock, Compiler, Packages}

//go:embed stock.jl
var stockScript []byte

//go:embed packagecompiler.jl
var packageCompilerScript []byte

// A chainedBuild is what a build by chaining took.
type chainedBuild struct {
	measurement
	result    pipeline.Result
	compiling float64 // seconds that compile workers were at work, of all of them together
}

// chain builds an image by chaining. Cache is a folder, or off.
func (b *bencher) chain(ctx context.Context, j *job, path, cache string) (*chainedBuild, error) {
	timings := path + ".timings"
	defer os.Remove(timings)
	arguments := []string{
		"build", "--julia", b.Julia.Executable, "--statements", j.trace, "--output", path, "--jobs", strconv.Itoa(j.jobs),
		"--emit", string(b.Emit), "--cache-dir", cache, "--timings", timings, "--json", "--quiet",
	}
	if j.base != "" {
		arguments = append(arguments, "--base", j.base)
	}
	if j.dir != "" {
		arguments = append(arguments, "--project", filepath.Join(j.dir, "project"))
	}
	for _, name := range j.packages {
		arguments = append(arguments, "--package", name)
	}
	cmd := exec.CommandContext(ctx, b.Program, arguments...)
	cmd.Env = b.environment()
	// If this process is killed, the kernel asks the build to end too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	// It ends its own processes, and needs a moment for that.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	m, err := b.run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	c := &chainedBuild{measurement: m}
	lines := bytes.Split(bytes.TrimSpace(m.printed), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &c.result); err != nil {
		return nil, fmt.Errorf("the last line that %s printed is no result: %w", b.Program, err)
	}
	text, err := os.ReadFile(timings)
	if err != nil {
		return nil, err
	}
	c.compiling, err = compileSeconds(text)
	return c, err
}

// compileSeconds adds up the spans of partitions in a trace of a build.
func compileSeconds(trace []byte) (float64, error) {
	var events struct {
		TraceEvents []struct {
			Category     string `json:"cat"`
			Microseconds int64  `json:"dur"`
		} `json:"traceEvents"`
	}
	if err := json.Unmarshal(trace, &events); err != nil {
		return 0, fmt.Errorf("the timings of a build cannot be read: %w", err)
	}
	sum := int64(0)
	for _, e := range events.TraceEvents {
		if e.Category == "partition" {
			sum += e.Microseconds
		}
	}
	return float64(sum) / 1e6, nil
}

// measureChain builds by chaining and notes what it took.
func (b *bencher) measureChain(ctx context.Context, j *job, path, cache, subject string, round int) error {
	c, err := b.chain(ctx, j, path, cache)
	if err != nil {
		return err
	}
	b.sample(j, round, subject, Seconds, c.seconds)
	b.sample(j, round, subject, CPU, c.cpu)
	b.sample(j, round, subject, Peak, float64(max(c.peak, c.result.PeakRSS)))
	b.sample(j, round, subject, Bytes, float64(c.result.Bytes))
	b.sample(j, round, subject, Functions, float64(c.result.Functions.New))
	b.sample(j, round, subject, Statements, float64(c.result.Statements.Resolved))
	b.sample(j, round, subject, Unresolved, float64(c.result.Statements.Unresolved))
	b.sample(j, round, subject, Partitions, float64(c.result.Partitions.Total))
	b.sample(j, round, subject, Hits, float64(c.result.Partitions.Hits))
	b.sample(j, round, subject, Compiling, c.compiling)
	b.sample(j, round, subject, Passes, c.result.Compiling.Passes)
	b.sample(j, round, subject, Codegen, c.result.Compiling.Codegen)
	for _, stage := range c.result.Stages {
		b.sample(j, round, subject, Stage+stage.Name, stage.Seconds)
	}
	return nil
}

// comparators makes the images to compare with. What cannot be made is noted.
func (b *bencher) comparators(ctx context.Context, j *job) []image {
	var made []image
	for _, subject := range b.Comparators {
		im := image{subject: subject, path: filepath.Join(j.dir, subject+".so")}
		var err error
		switch subject {
		case Stock:
			err = b.step(j.Name, stepStock, func() error { return b.stock(ctx, j, im.path) })
		case Compiler:
			err = b.step(j.Name, stepOther, func() error { return b.packageCompiler(ctx, j, im.path) })
		case Packages:
			im.path = b.Julia.Image
			err = b.packageImages(ctx, j, im)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			b.skip(j.Name, subject, err)
			continue
		}
		if subject != Stock { // which is planned from the start
			b.plan.add(j.Name, stepCompare, b.Rounds)
		}
		made = append(made, im)
	}
	return made
}

// stock builds a whole image as Julia builds its own, from the same packages and statements: Julia compiles everything, the base included, and
// the system's compiler links.
func (b *bencher) stock(ctx context.Context, j *job, path string) error {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return cannotRun("there is no C compiler to link it")
	}
	script, object := filepath.Join(j.dir, "stock.jl"), path+".o"
	if err := os.WriteFile(script, stockScript, 0o600); err != nil {
		return err
	}
	defer os.Remove(object)
	packages, err := modulesOf(j.trace)
	if err != nil {
		return err
	}
	own := image{path: b.Julia.Image}
	arguments := slices.Concat([]string{"--output-o", object, "-C", "native", script, j.trace}, j.packages, packages)
	compiled, err := b.run(ctx, b.juliaUnder(ctx, j, own, arguments...))
	if err != nil {
		return err
	}
	// Later Julias write an archive, of which the linker is to take all.
	link := exec.CommandContext(ctx, compiler, "-shared", "-o", path, "-Wl,--whole-archive", object, "-Wl,--no-whole-archive", b.Julia.LibJulia)
	link.Env = b.environment()
	linked, err := b.run(ctx, link)
	if err != nil {
		return err
	}
	return b.builtOther(j, Stock, path, compiled.seconds+linked.seconds, compiled.cpu+linked.cpu, max(compiled.peak, linked.peak))
}

// modulesOf are the modules that the statements in the file name. Chained builds load those that are packages.
func modulesOf(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := statements.Parse(path, f)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range file.Statements {
		names = append(names, s.Modules...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// builtOther notes what the build of another image took.
func (b *bencher) builtOther(j *job, subject, path string, seconds, cpu float64, peak int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	b.sample(j, 0, subject, Seconds, seconds)
	b.sample(j, 0, subject, BuildCPU, cpu)
	b.sample(j, 0, subject, BuildPeak, float64(peak))
	b.sample(j, 0, subject, Bytes, float64(info.Size()))
	return nil
}

// packageCompiler builds an image with the user's own PackageCompiler.
func (b *bencher) packageCompiler(ctx context.Context, j *job, path string) error {
	script := filepath.Join(j.dir, "packagecompiler.jl")
	if err := os.WriteFile(script, packageCompilerScript, 0o600); err != nil {
		return err
	}
	cmd := b.Julia.Command(ctx, append([]string{"--history-file=no", script, filepath.Join(j.dir, "project"), j.trace, path}, j.packages...)...)
	cmd.Env = b.usersEnvironment()
	m, err := b.run(ctx, cmd)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(m.printed)) == "not installed" {
		return cannotRun("it is not installed in the user's default environment")
	}
	return b.builtOther(j, Compiler, path, m.seconds, m.cpu, m.peak)
}

// packageImages has Julia write the images of the packages, where it does that.
func (b *bencher) packageImages(ctx context.Context, j *job, im image) error {
	if !hasPackageImages(b.Julia.Version) {
		return cannotRun("Julia writes them from 1.9 on")
	}
	r, err := b.runWorkload(ctx, j, im)
	if err != nil {
		return err
	}
	b.sample(j, 0, Packages, Precompile, r.load)
	return nil
}

// hasPackageImages says whether a Julia of this version writes native code into the caches of packages.
func hasPackageImages(version string) bool {
	var major, minor int
	fmt.Sscanf(version, "%d.%d", &major, &minor)
	return major > 1 || minor >= 9
}

// ownImageArguments are how a Julia runs that is the reference: with its own image, and packages as it was without images of them.
func ownImageArguments(version string) []string {
	if hasPackageImages(version) {
		return []string{"--pkgimages=no"}
	}
	return nil
}
