package project

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/policytest"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/julia"
)

// putPolicy puts a policy with these answers into the project's folder.
func putPolicy(t *testing.T, dir string, answers ...string) {
	t.Helper()
	module := policytest.Module{Answer: `{"answers":[` + strings.Join(answers, ",") + `]}`}
	if err := os.WriteFile(filepath.Join(dir, "rules.wasm"), module.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	keepAnswer = `{"do":"keep"}`
	sibling    = "Tuple{typeof(Base.sum), Array{Float32, 1}}"
	addAnswer  = `{"do":"replace","statements":["` + sibling + `","` + sumStatement + `"]}`
	dropAnswer = `{"do":"drop","reason":"not wanted"}`
)

// A project's image is built from what the policies leave. The image, and what it is up to date with, depends on the policies and their answers.
func TestPolicies(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\npolicies = [\"rules.wasm\"]\n")
	putPolicy(t, dir, dropAnswer, addAnswer)
	p := open(t, dir, nil)
	before := p
	reopen := func() *Project {
		return open(t, dir, func(in *julia.Installation) { in.Image, in.LibJulia = before.Julia.Image, before.Julia.LibJulia })
	}
	recorded(t, p, aStatement, sumStatement)
	var built []string
	var o pipeline.Options
	fakePipeline(t, func(given pipeline.Options, sources []string) (*pipeline.Result, error) {
		o, built = given, sources
		return &pipeline.Result{}, nil
	})
	build := func(p *Project) *BuildResult {
		t.Helper()
		built = nil
		result, err := p.Build(t.Context(), BuildOptions{Build: pipeline.Options{CacheDir: "off"}})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	first := build(p)
	if want := []string{sumStatement, sibling}; !slices.Equal(built, want) {
		t.Errorf("it is built from %q", built)
	}
	if o.Choice == nil || len(o.Choice.Dropped) != 1 || !slices.Equal(o.Policies, []string{filepath.Join(dir, "rules.wasm")}) {
		t.Errorf("the build is given %+v", o)
	}
	if im := first.Image; im.Answers == "" || len(im.Dropped) != 1 || im.Dropped[0].Source != aStatement || im.Dropped[0].Reason != "not wanted" {
		t.Errorf("the image is described as %+v", im)
	}
	// What was dropped is not new for the image.
	if status, err := p.Status(); err != nil || status.State != Current || status.New != 0 {
		t.Errorf("the status is %+v (%v)", status, err)
	}
	if again := build(reopen()); !again.UpToDate {
		t.Errorf("it is built again from %q", built)
	}

	// Another policy makes the image one that is not used.
	putPolicy(t, dir, keepAnswer, keepAnswer)
	p = reopen()
	if says := strings.Join(differences(first.Image, p), "; "); !strings.HasPrefix(says, "policies rules.wasm ") || !strings.Contains(says, " → rules.wasm ") {
		t.Errorf("what has changed is %q", says)
	}
	if build(p).UpToDate || !slices.Equal(built, []string{aStatement, sumStatement}) {
		t.Errorf("with another policy it is built from %q", built)
	}
	write(t, dir, settingsFile, "[chainbuild]\n")
	if says := strings.Join(differences(first.Image, reopen()), "; "); !strings.HasSuffix(says, " → none") {
		t.Errorf("without a policy, what has changed is %q", says)
	}
}

// What is beyond the budget is not built, and the image stays right when estimates change.
func TestBudget(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\nbudget = \"10kB\"\n")
	p := open(t, dir, nil)
	recorded(t, p, aStatement, sumStatement)
	if err := p.Change(func(r Record) error { r[sumStatement].Count = 5; return nil }); err != nil {
		t.Fatal(err)
	}
	var built []string
	fakePipeline(t, func(_ pipeline.Options, sources []string) (*pipeline.Result, error) {
		built = sources
		return &pipeline.Result{}, nil
	})
	result, err := p.Build(t.Context(), BuildOptions{Build: pipeline.Options{CacheDir: "off"}})
	if err != nil || !slices.Equal(built, []string{sumStatement}) || len(result.Image.Dropped) != 1 {
		t.Errorf("it is built from %q: %+v, %v", built, result, err)
	}
	if again, err := p.Build(t.Context(), BuildOptions{}); err != nil || !again.UpToDate {
		t.Errorf("it is built again: %+v, %v", again, err)
	}
	p.Settings.Budget = settings.Budget{Bytes: 1e6}
	if err := p.makeKey(); err != nil {
		t.Fatal(err)
	}
	if says := strings.Join(differences(result.Image, p), "; "); says != "budget 10 kB → 1.0 MB" {
		t.Errorf("what has changed is %q", says)
	}
}

// A policy that is not there, or fails, is refused before any work, and the old image stays.
func TestPolicyRefused(t *testing.T) {
	dir := isolate(t)
	write(t, dir, settingsFile, "[chainbuild]\npolicies = [\"rules.wasm\"]\n")
	_, err := Open(t.Context(), Options{Julia: fakeJulia(t, nil), Project: dir})
	var refused *usage.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "rules.wasm cannot be read (no such file or directory)") {
		t.Errorf("a policy that is not there: %v", err)
	}
	putPolicy(t, dir, keepAnswer) // too few
	p := open(t, dir, nil)
	recorded(t, p, aStatement, sumStatement)
	fakePipeline(t, func(pipeline.Options, []string) (*pipeline.Result, error) {
		t.Error("it is built all the same")
		return &pipeline.Result{}, nil
	})
	if _, err := p.Build(t.Context(), BuildOptions{}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "gave 1 answers about 2 statements") {
		t.Errorf("a policy that answers nonsense: %v", err)
	}
}
