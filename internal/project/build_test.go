package project

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainbuild/elfpatch"
	"chainbuild/internal/juliatest"
	"chainbuild/internal/pipeline"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
)

// fakePipeline has builds done by a function, which is given the statements and has to say what came out. Images are a text.
func fakePipeline(t *testing.T, run func(o pipeline.Options, sources []string) (*pipeline.Result, error)) {
	t.Helper()
	real := runPipeline
	t.Cleanup(func() { runPipeline = real })
	runPipeline = func(ctx context.Context, o pipeline.Options) (*pipeline.Result, error) {
		text, err := os.ReadFile(o.Statements[0])
		if err != nil {
			return nil, err
		}
		result, err := run(o, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
		if err != nil {
			return nil, err
		}
		result.Bytes = int64(len("an image"))
		return result, os.WriteFile(o.Output, []byte("an image"), 0o755)
	}
}

// succeeds is a pipeline in which nothing goes wrong.
func succeeds(pipeline.Options, []string) (*pipeline.Result, error) { return &pipeline.Result{}, nil }

// recorded adds statements to the project's record.
func recorded(t *testing.T, p *Project, sources ...string) {
	t.Helper()
	err := p.Change(func(r Record) error {
		for _, source := range sources {
			r[source] = &Recorded{Source: source, Modules: modulesOf(source), Count: 1, First: "2020-01-01", Last: "2020-01-01"}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const sumStatement, aStatement, dStatement = "Tuple{typeof(Base.sum), Array{Float16, 1}}", "Tuple{typeof(A.f), Int64}", "Tuple{typeof(D.f), Int64}"

// A build gets what fits of the record, the packages that are to be in the image, and the project's settings.
func TestBuild(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\nlayout = \"standalone\"\ncpu_target = \"haswell\"\noptimize = 1\nemit = \"traced\"\npackage_images = \"ignore\"\n")
	p := open(t, dir, nil)
	recorded(t, p, sumStatement, aStatement, dStatement)
	t.Setenv("JULIA_LOAD_PATH", "/elsewhere")
	var o pipeline.Options
	builds := 0
	fakePipeline(t, func(given pipeline.Options, sources []string) (*pipeline.Result, error) {
		o = given
		builds++
		if want := []string{aStatement, sumStatement}; !slices.Equal(sources, want) {
			t.Errorf("it is built from %q, not from %q", sources, want)
		}
		if path := os.Getenv("JULIA_LOAD_PATH"); path != "/elsewhere" {
			t.Errorf("the build sees the load path %q in this process's own environment", path)
		}
		if b := p.building(); b == nil || b.PID != os.Getpid() {
			t.Errorf("who builds is %+v", b)
		}
		return &pipeline.Result{Seconds: 1.5, Unresolved: []pipeline.Unresolved{{Statement: aStatement}}}, nil
	})
	result, err := p.Build(t.Context(), BuildOptions{Build: pipeline.Options{Jobs: 3, Packages: []string{"Overridden"}}})
	if err != nil || result.UpToDate {
		t.Fatalf("the build returned %+v, %v", result, err)
	}
	if o.Julia != p.Julia.Executable || o.Project != p.path(environmentName) || o.Jobs != 3 || !slices.Equal(o.Packages, []string{"A", "B", "E", "S"}) {
		t.Errorf("it was built with %+v", o)
	}
	if want := (settings.Target{CPU: "haswell", OptLevel: 1, Layout: elfpatch.Standalone, Emit: settings.EmitTraced, PackageImages: settings.PackageImagesIgnore}); o.Target != want {
		t.Errorf("the target is %v, not %v", o.Target, want)
	}
	if !slices.Equal(o.Environment, []string{"JULIA_LOAD_PATH=@:@stdlib"}) {
		t.Errorf("Julia's processes have the environment %q", o.Environment)
	}
	im := result.Image
	if im.Statements != 2 || im.Seconds != 1.5 || !slices.Equal(im.Unresolved, []string{aStatement}) {
		t.Errorf("the image is described as %+v", im)
	}
	if info, err := os.Stat(im.File); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the image's mode is %v (%v)", info.Mode(), err)
	}
	status, err := p.Status()
	if err != nil || status.State != Current || status.Image.ID != im.ID || status.Building != nil || status.Failure != nil || status.New != 0 {
		t.Errorf("the status is %+v (%v)", status, err)
	}
	if useless, err := p.Unresolved(); err != nil || len(useless) != 1 || !useless[aStatement] {
		t.Errorf("of no use were %v (%v)", useless, err)
	}

	// The second time there is nothing to do, unless it is wanted all the same.
	if again, err := p.Build(t.Context(), BuildOptions{}); err != nil || !again.UpToDate || again.Image.ID != im.ID || builds != 1 {
		t.Errorf("the second build returned %+v, %v, after %d builds", again, err, builds)
	}
	if again, err := p.Build(t.Context(), BuildOptions{Force: true}); err != nil || again.UpToDate || builds != 2 {
		t.Errorf("the forced build returned %+v, %v, after %d builds", again, err, builds)
	}
}

// A project of which nothing was recorded has an image all the same.
func TestBuildOfNothing(t *testing.T) {
	p := open(t, isolate(t), nil)
	fakePipeline(t, func(_ pipeline.Options, sources []string) (*pipeline.Result, error) {
		if !slices.Equal(sources, []string{seedStatement}) {
			t.Errorf("it is built from %q", sources)
		}
		return &pipeline.Result{}, nil
	})
	if result, err := p.Build(t.Context(), BuildOptions{}); err != nil || result.Image == nil {
		t.Errorf("the build returned %+v, %v", result, err)
	}
}

// What is not wanted any more goes after a build.
func TestBuildRemovesOld(t *testing.T) {
	p := open(t, isolate(t), nil)
	p.Settings.Keep, p.Settings.Layers = 1, false
	fakePipeline(t, succeeds)
	first, err := p.Build(t.Context(), BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recorded(t, p, sumStatement)
	second, err := p.Build(t.Context(), BuildOptions{})
	if err != nil || len(second.Removed) != 1 || second.Removed[0].Path != first.Image.File || second.Removed[0].Why != "there are newer ones" {
		t.Errorf("the second build returned %+v, %v", second, err)
	}
	if _, err := os.Stat(first.Image.File); err == nil {
		t.Error("the first image is still there")
	}
}

// A build that fails is told of until one succeeds; one that was stopped is not a failure.
func TestBuildFails(t *testing.T) {
	p := open(t, isolate(t), nil)
	broken := errors.New("package A does not load")
	fakePipeline(t, func(pipeline.Options, []string) (*pipeline.Result, error) { return nil, broken })
	logged := ""
	o := BuildOptions{Log: func(path string) (pipeline.Reporter, func(), error) {
		logged = path
		return nil, func() {}, nil
	}}
	if _, err := p.Build(t.Context(), o); !errors.Is(err, broken) {
		t.Fatalf("the build returned %v", err)
	}
	status, err := p.Status()
	if err != nil || status.State != None || status.Failure == nil || status.Failure.Text != broken.Error() || status.Failure.Log != logged || status.Building != nil {
		t.Errorf("the status is %+v (%v), the log %s", status, err, logged)
	}
	if left, _ := filepath.Glob(p.path(imagesName, "*")); len(left) != 0 {
		t.Errorf("the build left %v", left)
	}
	fakePipeline(t, succeeds)
	if _, err := p.Build(t.Context(), BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Status(); err != nil || status.Failure != nil {
		t.Errorf("after a build that succeeded the status is %+v (%v)", status, err)
	}

	ctx, stop := context.WithCancelCause(t.Context())
	stopped := errors.New("interrupted")
	fakePipeline(t, func(pipeline.Options, []string) (*pipeline.Result, error) {
		stop(stopped)
		return nil, stopped
	})
	if _, err := p.Build(ctx, BuildOptions{Force: true}); !errors.Is(err, stopped) {
		t.Errorf("a build that was stopped returned %v", err)
	}
	if status, err := p.Status(); err != nil || status.Failure != nil {
		t.Errorf("after a build that was stopped the status is %+v (%v)", status, err)
	}
}

// One build of a project runs at a time: a second one waits for it, and says so, or does not want to wait.
func TestBuildsOfOneProject(t *testing.T) {
	p := open(t, isolate(t), nil)
	begun, goOn := make(chan struct{}), make(chan struct{})
	fakePipeline(t, func(pipeline.Options, []string) (*pipeline.Result, error) {
		close(begun)
		<-goOn
		return &pipeline.Result{}, nil
	})
	first := make(chan error, 1)
	go func() {
		_, err := p.Build(t.Context(), BuildOptions{})
		first <- err
	}()
	<-begun
	var refused *usage.Error
	who := fmt.Sprintf("process %d builds this project's image since ", os.Getpid())
	if _, err := p.Build(t.Context(), BuildOptions{NoWait: true}); !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), who) || !strings.HasSuffix(err.Error(), "leave out --no-wait") {
		t.Errorf("who does not want to wait is told %v", err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	gaveUp := errors.New("interrupted")
	if _, err := p.Build(ctx, BuildOptions{Say: func(string) { stop(gaveUp) }}); !errors.Is(err, gaveUp) {
		t.Errorf("who gave up is told %v", err)
	}
	said := ""
	result, err := p.Build(t.Context(), BuildOptions{Say: func(text string) {
		said = text
		close(goOn)
	}})
	if err != nil || !result.UpToDate {
		t.Errorf("who waited gets %+v, %v", result, err)
	}
	if !strings.HasPrefix(said, who) || !strings.HasSuffix(said, ": waiting for it") {
		t.Errorf("who waits is told %q", said)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := busy(nil).Error(); !strings.HasPrefix(got, "another process builds this project's image: ") {
		t.Errorf("of a builder that has not said who it is it is said %q", got)
	}
}

func TestLogsAreRemoved(t *testing.T) {
	p := open(t, isolate(t), nil)
	if err := p.makeState(); err != nil {
		t.Fatal(err)
	}
	for n := range logsKept + 3 {
		write(t, p.path(logsName), fmt.Sprintf("2026-01-%02dT000000.000.log", n+1), "")
	}
	fakePipeline(t, succeeds)
	if _, err := p.Build(t.Context(), BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(p.path(logsName, "*"))
	if err != nil || len(logs) != logsKept || filepath.Base(logs[0]) != "2026-01-04T000000.000.log" {
		t.Errorf("left are %v (%v)", logs, err)
	}
}

// A build that goes on by itself gets a log, and the arguments for it.
func TestBuildBehind(t *testing.T) {
	p := open(t, isolate(t), nil)
	dir := t.TempDir()
	program := filepath.Join(dir, "chainbuild")
	if err := juliatest.WriteProgram(program, []byte("#!/bin/sh\necho \"$@\"\necho an error >&2\nread pid name state parent group session rest </proc/$$/stat\necho $session\necho $$\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	pid, log, err := p.BuildBehind(program, func(log string) []string { return []string{"build", "--log=" + log} })
	if err != nil || filepath.Dir(log) != p.path(logsName) {
		t.Fatalf("BuildBehind returned %d, %s, %v", pid, log, err)
	}
	want := fmt.Sprintf("build --log=%s\nan error\n%d\n%[2]d\n", log, pid) // it leads a session of its own
	var text []byte
	for deadline := time.Now().Add(10 * time.Second); string(text) != want && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if text, err = os.ReadFile(log); err != nil {
			t.Fatal(err)
		}
	}
	if string(text) != want {
		t.Errorf("the log has\n%s, not\n%s", text, want)
	}
	if _, _, err := p.BuildBehind(filepath.Join(dir, "gone"), func(string) []string { return nil }); err == nil {
		t.Error("a program that is not there was started")
	}
}

// The project that packages are looked up in lists what is in the image and nothing else.
func TestWriteEnvironment(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\npackages = [\"D\"]\n[A]\nbackend = \"x\"\n")
	write(t, dir, "dev/D/Project.toml", "", "dev/D/src/D.jl", "module D end")
	write(t, dir, "Project.toml", projectText+"[preferences.B]\ncolour = \"blue\"\n")
	p := open(t, dir, nil)
	if err := p.makeState(); err != nil {
		t.Fatal(err)
	}
	if err := p.writeEnvironment(); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(p.path(environmentName, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	project := read("Project.toml")
	if !strings.HasPrefix(project, "[deps]\nA = \"00000000-0000-0000-0000-00000000000a\"\nB = ") || strings.Contains(project, "Unneeded") || !strings.Contains(project, "colour") {
		t.Errorf("the project's file is\n%s", project)
	}
	if manifest := read("Manifest.toml"); !strings.Contains(manifest, fmt.Sprintf("path = %q\n", filepath.Join(p.Dir, "dev/D"))) {
		t.Errorf("the manifest is\n%s", manifest)
	}
	if preferences := read(settingsFile); !strings.Contains(preferences, "[A]") || strings.Contains(preferences, settingsTable) {
		t.Errorf("the preferences are\n%s", preferences)
	}
	// What a later build has no use for is gone.
	p.preferences, p.environment.manifestFile = nil, ""
	if err := p.writeEnvironment(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(p.path(environmentName, "*")); len(left) != 1 {
		t.Errorf("there are %v", left)
	}
	p.Content.Packages = append(p.Content.Packages, Package{Name: "A", UUID: "another"})
	if err := p.writeEnvironment(); err == nil || !strings.Contains(err.Error(), "leave them out with --exclude A") {
		t.Errorf("of two packages of one name it is said: %v", err)
	}
}

// The source of a package under development that is in the image is part of the key.
func TestKeyOfSource(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\npackages = [\"D\"]\n", "dev/D/Project.toml", "name = \"D\"\n", "dev/D/src/D.jl", "module D end\n")
	program := fakeJulia(t, nil)
	key := func() string {
		p, err := Open(t.Context(), Options{Julia: program, Project: dir})
		if err != nil {
			t.Fatal(err)
		}
		return p.Key.String()
	}
	before := key()
	for _, test := range []struct {
		file, content string
		same          bool
	}{
		{"dev/D/README.md", "D\n", true}, {"dev/D/test/runtests.jl", "using D\n", true},
		{"dev/D/src/D.jl", "module D; end\n", false}, {"dev/D/src/sub/more.jl", "", false}, {"dev/D/Project.toml", "name = \"D\" #\n", false},
	} {
		write(t, dir, test.file, test.content)
		now := key()
		if (now == before) != test.same {
			t.Errorf("with another %s the key is the same: %v", test.file, now == before)
		}
		before = now
	}
	if err := os.RemoveAll(filepath.Join(dir, "dev/D/src")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Julia: program, Project: dir}); err == nil || !strings.Contains(err.Error(), "the source of D, which is to be in the image, cannot be read") {
		t.Errorf("of a package without source it is said: %v", err)
	}
}
