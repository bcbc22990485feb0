package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/choice"
	"chainbuild/internal/scratch"
	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/llvmdriver"
	"chainbuild/statements"
	"chainbuild/sysimage"
)

// testFront follows a front worker that builds from three statements of two files.
func testFront(change func(*plan)) *front {
	p := &plan{
		options: Options{Statements: []string{"b.jl", "a.jl"}},
		inputs: &inputs{statements: []choice.Candidate{
			{Statement: statements.Statement{Line: 1, Source: "f"}, File: "b.jl"}, {Statement: statements.Statement{Line: 3, Source: "g"}, File: "b.jl"}, {Statement: statements.Statement{Line: 2, Source: "h"}, File: "a.jl"},
		}},
		julia: &julia.Installation{Version: "1.5.3"}, targets: []llvmdriver.Target{{}},
		base: &sysimage.Base{Layers: []*elfpatch.Image{{Path: "/julia/sys.so"}}},
	}
	if change != nil {
		change(p)
	}
	p.series, _ = p.julia.Series() // the versions of tests are of series
	p.sources = p.series.Sources()
	return &front{run: &run{plan: p, progress: newProgress(nil)}}
}

func TestCountStatements(t *testing.T) {
	for _, strict := range []bool{false, true} {
		f := testFront(func(p *plan) { p.options.Strict = strict })
		f.unresolved = []Unresolved{{File: "a.jl", Line: 2, Reason: "no h"}, {File: "b.jl", Line: 3, Reason: "no g"}}
		err := f.countStatements()
		const want = "2 of 3 statements cannot be resolved, the first at b.jl:3 (no g): mend them, or build without --strict"
		if strict && (err == nil || err.Error() != want) || !strict && err != nil {
			t.Errorf("strict: %v, and the error is %v", strict, err)
		}
		result, _ := f.progress.finish(nil)
		if (result.Statements != StatementCounts{Total: 3, Resolved: 1, Unresolved: 2}) || result.Unresolved[0].File != "b.jl" || result.Unresolved[1].File != "a.jl" {
			t.Errorf("the result is %+v", result)
		}
	}
}

// What the end of the front worker means depends on what it was at.
func TestFrontEnds(t *testing.T) {
	onWorkerImage := func(p *plan) { p.workerImage = "/cache/workers/key.so" }
	loads := func(f *front) { f.loading = "Fails" }
	said, died := &julia.WorkerError{Worker: "the front worker", Message: "there is no package Fails"}, errors.New("it died")
	var useless *workerImageError
	var refused *usage.Error
	for _, test := range []struct {
		name   string
		front  *front
		stage  string
		change func(*front)
		err    error
		as     any
		says   string
	}{
		{"at start, from the worker image", testFront(onWorkerImage), startStage, nil, died, &useless, "it died"},
		{"at start, from the base", testFront(nil), startStage, nil, died, nil, "it died"},
		{"with a word, while loading", testFront(onWorkerImage), "load", loads, said, &refused, "there is no package Fails"},
		{"without a word, while loading", testFront(onWorkerImage), "load", loads, died, nil, "package Fails ends the process that loads it: it died"},
		{"with a word, later", testFront(onWorkerImage), "infer", loads, said, nil, "there is no package Fails"},
		{"without a word, later", testFront(onWorkerImage), "heap", loads, died, nil, "it died"},
	} {
		test.front.stage = test.stage
		if test.change != nil {
			test.change(test.front)
		}
		err := test.front.explain(t.Context(), test.err)
		if !errors.Is(err, test.err) || err.Error() != test.says {
			t.Errorf("%s: %v", test.name, err)
		}
		for _, kind := range []any{&useless, &refused} {
			if got, want := errors.As(err, kind), kind == test.as; got != want {
				t.Errorf("%s: the error is a %T: %v, and should be: %v", test.name, kind, got, want)
			}
		}
		if err := test.front.explain(t.Context(), nil); err != nil {
			t.Errorf("%s: no error is %v", test.name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := testFront(onWorkerImage)
	f.stage = startStage
	if err := f.explain(ctx, context.Canceled); errors.As(err, &useless) {
		t.Error("the worker image is to blame for an interruption")
	}
}

// Which image the front worker starts from, and which the compile workers.
func TestLiveImage(t *testing.T) {
	const base, workers = "/julia/sys.so", "/cache/workers/key.so"
	for _, test := range []struct {
		version, workerImage string
		packages             []string
		front, compile       string
	}{
		{"1.5.3", "", nil, base, ""},
		{"1.5.3", workers, []string{"New"}, workers, workers},
		{"1.10.8", "", nil, base, ""},
		{"1.10.8", workers, nil, workers, workers},
		{"1.10.8", workers, []string{"Dates"}, workers, workers},
		{"1.10.8", workers, []string{"Dates", "New"}, base, workers},
	} {
		f := testFront(func(p *plan) {
			p.julia.Version = test.version
			p.options.Packages = test.packages
			p.base.Modules = []sysimage.Module{{Name: "Dates"}}
		})
		planned := f.plan.from(test.workerImage)
		if got := planned.liveImage(); got != test.front {
			t.Errorf("%+v: the front worker is on %s", test, got)
		}
		f.run.plan = planned
		f.run.scratch = &scratch.Folder{Path: "/tmp/chainbuild-1"}
		if got := strings.Contains(strings.Join(f.compileArgs(), " "), "-J "+workers); got != (test.compile != "") {
			t.Errorf("%+v: the compile workers are started with %q", test, f.compileArgs())
		}
		if got := strings.Contains(strings.Join(f.frontArgs(), " "), "front.jl"); got != (test.front == base) {
			t.Errorf("%+v: the front worker is started with %q", test, f.frontArgs())
		}
	}
}
