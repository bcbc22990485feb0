package project

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chainbuild/internal/juliatest"
	"chainbuild/internal/pipeline"
)

// statementsOf makes distinct statements.
func statementsOf(n int) (sources []string) {
	for i := range n {
		sources = append(sources, fmt.Sprintf("Tuple{typeof(Base.sum), Array{Float16, %d}}", i+1))
	}
	return sources
}

// mustBuild builds the image.
func mustBuild(t *testing.T, p *Project, o BuildOptions) *BuildResult {
	t.Helper()
	result, err := p.Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// What is new is a layer on the image in one piece, and each layer is one on the same image, until it is too large.
func TestLayers(t *testing.T) {
	p := open(t, isolate(t), nil)
	all := statementsOf(1000)
	useless := all[3]
	var o pipeline.Options
	fakePipeline(t, func(given pipeline.Options, sources []string) (*pipeline.Result, error) {
		o = given
		return &pipeline.Result{WorkerImage: true, Unresolved: []pipeline.Unresolved{{Statement: useless}}}, nil
	})
	recorded(t, p, all[:300]...)
	first := mustBuild(t, p, BuildOptions{})
	if o.Base != "" || o.InBase != nil || o.WorkerImages != "" || o.SpareWorkerImage || len(o.Packages) == 0 {
		t.Errorf("the first image is built with %+v", o)
	}
	if !first.Prepare || first.Merge || first.Image.Below != nil {
		t.Errorf("the first build returned %+v", first)
	}

	recorded(t, p, all[:301]...)
	second := mustBuild(t, p, BuildOptions{})
	if o.Base != first.Image.File || len(o.InBase) != 299 || o.InBase[useless] || o.WorkerImages != p.path(workersName, first.Image.ID) || !o.SpareWorkerImage || len(o.Packages) != 0 {
		t.Errorf("the layer is built with %+v", o)
	}
	if second.Prepare || second.Merge {
		t.Errorf("the second build returned %+v", second)
	}
	im := second.Image
	if b := im.Below; b == nil || b.ID != first.Image.ID || !b.Built.Equal(first.Image.Built) || !b.Needed || b.Statements != 299 || im.Statements != 301 || !slices.Equal(im.Unresolved, []string{useless}) {
		t.Errorf("the layer is described as %+v, %+v", im, b)
	}
	if again := mustBuild(t, p, BuildOptions{}); !again.UpToDate || again.Image.ID != im.ID {
		t.Errorf("without anything new the build returned %+v", again)
	}
	status, err := p.Status()
	if err != nil || status.State != Current || status.Image.ID != im.ID || status.New != 0 || status.Images != 2 {
		t.Errorf("the status is %+v (%v)", status, err)
	}

	recorded(t, p, all[:302]...)
	third := mustBuild(t, p, BuildOptions{})
	if o.Base != first.Image.File || third.Image.Below.ID != first.Image.ID || len(third.Removed) != 0 {
		t.Errorf("the third build returned %+v", third)
	}
	recorded(t, p, all[:400]...)
	fourth := mustBuild(t, p, BuildOptions{})
	if !fourth.Merge || fourth.Prepare || len(fourth.Removed) != 1 || fourth.Removed[0].Path != im.File {
		t.Errorf("a large layer returned %+v", fourth)
	}

	// Merged, it has another name, and the next layer is one on it. The images before go.
	merged := mustBuild(t, p, BuildOptions{Full: true, Yields: true})
	if o.Base != "" || merged.UpToDate || merged.Merge || !merged.Prepare || merged.Image.ID == fourth.Image.ID || !fourth.Image.holds(merged.Image.ID) {
		t.Errorf("the merge returned %+v", merged)
	}
	if again := mustBuild(t, p, BuildOptions{Full: true}); !again.UpToDate {
		t.Errorf("merging what is in one piece returned %+v", again)
	}
	recorded(t, p, all[:401]...)
	fifth := mustBuild(t, p, BuildOptions{})
	if fifth.Image.Below.ID != merged.Image.ID || len(fifth.Removed) != 2 {
		t.Errorf("after the merge the build returned %+v", fifth)
	}
	recorded(t, p, all[:400+largeLayer]...)
	if sixth := mustBuild(t, p, BuildOptions{}); sixth.Image.Below == nil || !sixth.Merge {
		t.Errorf("with many new statements the build returned %+v", sixth)
	}
	recorded(t, p, all[:401+largeLayer]...)
	if seventh := mustBuild(t, p, BuildOptions{}); seventh.Image.Below != nil {
		t.Errorf("with more new statements than a layer has the build returned %+v", seventh)
	}
}

// What makes a layer impossible leads to an image in one piece.
func TestNoLayers(t *testing.T) {
	all := statementsOf(4)
	for _, test := range []struct {
		name   string
		before func(t *testing.T, p *Project, first *Image)
		o      BuildOptions
	}{
		{"--full", nil, BuildOptions{Full: true}},
		{"--force", nil, BuildOptions{Force: true}},
		{"layers = false", func(_ *testing.T, p *Project, _ *Image) { p.Settings.Layers = false }, BuildOptions{}},
		{"another key", func(_ *testing.T, p *Project, _ *Image) { p.Key[0]++ }, BuildOptions{}},
		{"the image is damaged", func(t *testing.T, _ *Project, first *Image) {
			if err := os.WriteFile(first.File, []byte("imag"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, BuildOptions{}},
		{"its statements are not known", func(t *testing.T, _ *Project, first *Image) {
			if err := os.Remove(strings.TrimSuffix(first.File, imageSuffix) + statementsSuffix); err != nil {
				t.Fatal(err)
			}
		}, BuildOptions{}},
		{"a statement is not wanted any more", func(t *testing.T, p *Project, _ *Image) {
			if err := p.Change(func(r Record) error { delete(r, all[0]); return nil }); err != nil {
				t.Fatal(err)
			}
		}, BuildOptions{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := open(t, isolate(t), nil)
			fakePipeline(t, succeeds)
			recorded(t, p, all[:3]...)
			first := mustBuild(t, p, BuildOptions{}).Image
			if test.before != nil {
				test.before(t, p, first)
			}
			recorded(t, p, all[3])
			if second := mustBuild(t, p, test.o); second.UpToDate || second.Image.Below != nil {
				t.Errorf("the build returned %+v", second)
			}
		})
	}
}

// The first image of a project may have nothing but its packages. What is recorded then is a layer on it.
func TestLayerOnNothing(t *testing.T) {
	p := open(t, isolate(t), nil)
	fakePipeline(t, succeeds)
	first := mustBuild(t, p, BuildOptions{}).Image
	recorded(t, p, sumStatement)
	if second := mustBuild(t, p, BuildOptions{}).Image; second.Below == nil || second.Below.ID != first.ID || second.Below.Statements != 0 {
		t.Errorf("the second image is %+v", second)
	}
}

// A layer that cannot be made is built in one piece, unless that would not help.
func TestLayerFails(t *testing.T) {
	p := open(t, isolate(t), nil)
	fails := func(o pipeline.Options, _ []string) (*pipeline.Result, error) {
		if o.Base != "" {
			return nil, errors.New("the worker died")
		}
		return &pipeline.Result{}, nil
	}
	fakePipeline(t, fails)
	first := mustBuild(t, p, BuildOptions{}).Image
	recorded(t, p, sumStatement)
	if _, err := p.Build(t.Context(), BuildOptions{Build: pipeline.Options{Strict: true}}); err == nil {
		t.Error("a strict build goes on")
	}
	said := ""
	second := mustBuild(t, p, BuildOptions{Say: func(text string) { said = text }}).Image
	if second.Below != nil || said != "no layer can be made on "+first.File+", so the image is built in one piece: the worker died" {
		t.Errorf("the second image is %+v, and it is said: %s", second, said)
	}
}

// What a layer lies on stays as long as the layer does, and a layer without it is none.
func TestLowerImages(t *testing.T) {
	p := open(t, isolate(t), nil)
	fakePipeline(t, succeeds)
	first := mustBuild(t, p, BuildOptions{}).Image
	recorded(t, p, sumStatement)
	second := mustBuild(t, p, BuildOptions{}).Image
	write(t, p.path(workersName), first.ID+"/key.so", "worker image", "gone/key.so", "worker image")

	// What nobody will use goes, what a kept image lies on does not.
	removals, err := p.Clean(CleanOptions{Keep: 1})
	if err != nil || len(removals) != 1 || removals[0].Path != p.path(workersName, "gone") || removals[0].Bytes != int64(len("worker image")) {
		t.Errorf("of two images it removed %+v (%v)", removals, err)
	}
	if _, err := os.Stat(p.path(workersName, first.ID, "key.so")); err != nil {
		t.Error(err)
	}

	// With another key, none is wanted. A session of the layer, which has not loaded it yet, keeps both.
	session, err := p.newSession(os.Getpid(), second.ID)
	if err != nil {
		t.Fatal(err)
	}
	p.Key[0]++
	removals, err = p.Clean(CleanOptions{})
	if err != nil || len(removals) != 2 || removals[0].Kept != "in use" || removals[1].Kept != "in use" {
		t.Errorf("of images in use it removed %+v (%v)", removals, err)
	}
	p.Key[0]--
	if err := os.Remove(session); err != nil {
		t.Fatal(err)
	}

	// So does a build that makes a layer on one.
	if err := p.removeImage(second.ID); err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	start, err := startOf(sleep.Process.Pid)
	if err == nil {
		err = writeJSON(p.path(builderName), Builder{PID: sleep.Process.Pid, Start: start, Base: first.ID})
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Key[0]++
	removals, err = p.Clean(CleanOptions{})
	if err != nil || len(removals) != 1 || removals[0].Kept != "in use" {
		t.Errorf("of the base of a build it removed %+v (%v)", removals, err)
	}
	p.Key[0]--
	sleep.Process.Kill()
	sleep.Wait()

	// Once the image below was built again, the layer cannot be loaded any more.
	second = mustBuild(t, p, BuildOptions{}).Image
	if err := p.Change(func(r Record) error { delete(r, sumStatement); return nil }); err != nil {
		t.Fatal(err)
	}
	mustBuild(t, p, BuildOptions{Force: true})
	all, err := p.images()
	if err != nil {
		t.Fatal(err)
	}
	for _, im := range all {
		if im.ID == second.ID {
			t.Errorf("after the image below was built again there is still %+v", im)
		}
	}
}

// A standalone layer needs no other file.
func TestStandaloneLayer(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\nlayout = \"standalone\"\nkeep = 1\n")
	p := open(t, dir, nil)
	fakePipeline(t, succeeds)
	first := mustBuild(t, p, BuildOptions{}).Image
	recorded(t, p, sumStatement)
	second := mustBuild(t, p, BuildOptions{})
	if b := second.Image.Below; b == nil || b.Needed || len(second.Removed) != 0 {
		t.Errorf("the layer is %+v on %+v", second, b)
	}
	if err := p.removeImage(first.ID); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Status(); err != nil || status.State != Current {
		t.Errorf("without the image below the status is %+v (%v)", status, err)
	}
}

// A build does not wait for a merge, which nobody waits for.
func TestMergeMakesWay(t *testing.T) {
	p := open(t, isolate(t), nil)
	if err := p.makeState(); err != nil {
		t.Fatal(err)
	}
	// Another process has the lock and says that it merges.
	script := filepath.Join(t.TempDir(), "merge")
	if err := juliatest.WriteProgram(script, []byte("#!/bin/sh\nexec flock -o "+p.path(buildLockName)+" sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	merge := exec.Command(script)
	if err := merge.Start(); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- merge.Wait() }()
	locked := func() bool { return exec.Command("flock", "-n", p.path(buildLockName), "true").Run() != nil }
	for deadline := time.Now().Add(10 * time.Second); !locked() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	start, err := startOf(merge.Process.Pid)
	if err == nil {
		err = writeJSON(p.path(builderName), Builder{PID: merge.Process.Pid, Start: start, Yields: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	fakePipeline(t, succeeds)
	said := ""
	mustBuild(t, p, BuildOptions{NoWait: true, Say: func(text string) { said += text }})
	if want := fmt.Sprintf("process %d, which merges layers of this project's image, ends for this build", merge.Process.Pid); said != want {
		t.Errorf("it is said %q, not %q", said, want)
	}
	if err := <-ended; err == nil {
		t.Error("the merge came to its end")
	}
}

// What is prepared is the image that the next layer will be made on.
func TestPrepare(t *testing.T) {
	p := open(t, isolate(t), nil)
	real := makeWorkerImage
	t.Cleanup(func() { makeWorkerImage = real })
	var made []string
	makeWorkerImage = func(_ context.Context, o pipeline.Options) error {
		made = append(made, o.Base, o.WorkerImages)
		return p.Prepare(t.Context(), o) // while one prepares, another one has nothing to do
	}
	fakePipeline(t, succeeds)
	if err := p.Prepare(t.Context(), pipeline.Options{}); !errors.Is(err, errNoState) {
		t.Errorf("without a state it returned %v", err)
	}
	first := mustBuild(t, p, BuildOptions{}).Image
	recorded(t, p, sumStatement)
	mustBuild(t, p, BuildOptions{})
	if err := p.Prepare(t.Context(), pipeline.Options{}); err != nil || !slices.Equal(made, []string{first.File, p.path(workersName, first.ID)}) {
		t.Errorf("it made %v (%v)", made, err)
	}
}

// What is under development is a layer on an image of the rest, which stays as it is when a source is edited.
func TestDevelopment(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\ndevelopment = true\nkeep = 1\n", "dev/D/Project.toml", "name = \"D\"\n", "dev/D/src/D.jl", "module D end\n")
	p := open(t, dir, nil)
	reopen := func() *Project {
		again, err := Open(t.Context(), Options{Julia: p.Julia.Executable, Project: dir})
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	recorded(t, p, sumStatement, aStatement, dStatement)
	var builds []string
	fakePipeline(t, func(o pipeline.Options, sources []string) (*pipeline.Result, error) {
		base := ""
		if o.Base != "" {
			base = " on " + strings.TrimSuffix(filepath.Base(o.Base), imageSuffix)[17:25]
		}
		edited := ""
		if o.Edited {
			edited = "edited "
		}
		builds = append(builds, fmt.Sprintf("%s%s: %d statements, %d in the base%s", edited, strings.Join(o.Packages, " "), len(sources), len(o.InBase), base))
		return &pipeline.Result{}, nil
	})
	first := mustBuild(t, p, BuildOptions{})
	rest := first.Image.Below.ID[17:25]
	want := []string{"A B E S: 2 statements, 0 in the base", "edited D U: 3 statements, 2 in the base on " + rest}
	if !slices.Equal(builds, want) || !first.Prepare || first.Merge || len(first.Removed) != 0 {
		t.Errorf("it was built %q, not %q: %+v", builds, want, first)
	}
	if status, err := p.Status(); err != nil || status.State != Current || status.Image.ID != first.Image.ID {
		t.Errorf("the status is %+v (%v)", status, err)
	}

	// An edit makes the image stale. A build makes the layer again, and nothing else.
	write(t, dir, "dev/D/src/D.jl", "module D f() = 1 end\n")
	p = reopen()
	if status, err := p.Status(); err != nil || status.State != Stale || !slices.Equal(status.Reasons, []string{"D has another source"}) {
		t.Errorf("after an edit the status is %+v (%v)", status, err)
	}
	second := mustBuild(t, p, BuildOptions{})
	if want = append(want, want[1]); !slices.Equal(builds, want) || len(second.Removed) != 1 || second.Removed[0].Path != first.Image.File {
		t.Errorf("after an edit it was built %q: %+v", builds[2:], second)
	}

	// A statement more needs no caches that are not there.
	recorded(t, p, "Tuple{typeof(D.g), Int64}")
	mustBuild(t, p, BuildOptions{})
	if want = append(want, "D U: 4 statements, 2 in the base on "+rest); !slices.Equal(builds, want) {
		t.Errorf("with a statement more it was built %q", builds[3:])
	}
	// Neither is the image of the rest made again for many statements: that is what a merge does, and makes the layer on it.
	recorded(t, p, statementsOf(60)...)
	fourth := mustBuild(t, p, BuildOptions{})
	if want = append(want, "D U: 63 statements, 2 in the base on "+rest); !slices.Equal(builds, want) || !fourth.Merge || fourth.Prepare {
		t.Errorf("with many statements more it was built %q: %+v", builds[4:], fourth)
	}
	merged := mustBuild(t, p, BuildOptions{Full: true, Yields: true})
	rest = merged.Image.Below.ID[17:25]
	want = append(want, "A B E S: 61 statements, 0 in the base", "D U: 63 statements, 61 in the base on "+rest)
	if !slices.Equal(builds, want) || merged.Merge || !merged.Prepare {
		t.Errorf("merged, it was built %q: %+v", builds[5:], merged)
	}
	second = merged

	// Without the setting, the image of the rest is the project's.
	write(t, dir, settingsFile, "[chainbuild]\n")
	if status, err := reopen().Status(); err != nil || status.State != Current || status.Image.ID != second.Image.Below.ID {
		t.Errorf("without what is under development the status is %+v (%v)", status, err)
	}

	// In one piece it is built on request, and when another package changes, all is built.
	write(t, dir, settingsFile, "[chainbuild]\ndevelopment = true\n")
	mustBuild(t, p, BuildOptions{Full: true})
	if want = append(want, "A B D E S U: 63 statements, 0 in the base"); !slices.Equal(builds, want) {
		t.Errorf("in one piece it was built %q", builds[7:])
	}
}

// A project that is a package is in its own image if the settings say so.
func TestDevelopmentOfProject(t *testing.T) {
	for _, below := range []string{"", "deps."} {
		dir := isolate(t)
		format := ""
		if below != "" {
			format = "manifest_format = \"2.0\"\n"
		}
		write(t, dir, "Manifest.toml", format+fmt.Sprintf(entries, below), settingsFile, "[chainbuild]\ndevelopment = true\nexclude = [\"D\"]\n", "src/Mine.jl", "module Mine end\n")
		p := open(t, dir, nil)
		if out := p.Content.leftOut("needs D"); !slices.Contains(out, "Mine") {
			t.Errorf("a project that needs what is excluded is not left out: %+v", p.Content)
		}
		write(t, dir, settingsFile, "[chainbuild]\ndevelopment = true\n", "dev/D/Project.toml", "name = \"D\"\n", "dev/D/src/D.jl", "module D end\n")
		p = open(t, dir, nil)
		if len(p.Content.Out) != 0 {
			t.Errorf("left out are %+v", p.Content.Out)
		}
		if err := p.makeState(); err != nil {
			t.Fatal(err)
		}
		if err := p.writeEnvironment(); err != nil {
			t.Fatal(err)
		}
		// What was written is a project whose manifest has the project itself.
		written, err := readEnvironment(p.path(environmentName))
		if err != nil {
			t.Fatal(err)
		}
		self := written.packages["00000000-0000-0000-0000-0000000000ff"]
		if self == nil || self.Name != "Mine" || self.Path != p.Dir || len(self.needs) != 3 || written.direct["Mine"] != self.UUID {
			t.Errorf("the project itself is %+v in %+v", self, written.direct)
		}
	}
}
