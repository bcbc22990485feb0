package bench

// This file measures two builds of Julia against each other, as somebody does who reviews a change of Julia itself: the same workloads, in
// turns, each under its own image and under chained ones; Julia's own tests under chained images (reviewtests.go); and each build a second
// time, to see whether it comes out the same (samebuild.go). What counts against the new Julia is decided in verdict.go.
//
// Each Julia has a bencher of its own, with a scratch folder and a depot of its own. Round by round, one begins and the other follows, and the
// next time it is the other way round: old, new, new, old.

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"chainbuild/julia"
)

// ReviewOptions say what is compared. Options.Julia is the new one; comparators are not made.
type ReviewOptions struct {
	Options
	Against *julia.Installation
	// Tests are names of Julia's own tests, as examples/julia-tests/runtests.jl takes them.
	Tests []string
}

// The two sides of a review.
const (
	oldSide = iota
	newSide
	sides
)

var sideNames = [sides]string{"old", "new"}

// A Review is what was found out about two Julias.
type Review struct {
	// Old and New are the measurements.
	Old, New *Results
	// Tests are those of Julia that were run, Builds the builds that were made twice.
	Tests  []TestRun
	Builds []SameBuild
	// TestsSkipped says why no tests were run, for either side; "" if they were.
	TestsSkipped [sides]string
}

// side is the measurement of one side.
func (r *Review) side(i int) *Results {
	return [sides]*Results{r.Old, r.New}[i]
}

// RunReview measures. What a workload fails with is noted in the measurement of its side, as Run does; the error is for what ends the whole run.
func RunReview(ctx context.Context, o ReviewOptions) (*Review, error) {
	v := &reviewer{review: &Review{}}
	defer v.close()
	for i, in := range []*julia.Installation{o.Against, o.Julia} {
		of := o.Options
		of.Julia, of.Comparators = in, nil
		of.Report = func(e Event) {
			if step, ok := e.(Step); ok {
				step.What += ", " + sideNames[i] + " Julia"
				o.Report(step)
			}
			if skipped, ok := e.(Skipped); ok {
				skipped.Workload += ", " + sideNames[i] + " Julia"
				o.Report(skipped)
			}
		}
		b, err := newBencher(ctx, of)
		if err != nil {
			return nil, fmt.Errorf("the %s Julia, %s: %w", sideNames[i], in.Executable, err)
		}
		v.sides[i] = b
	}
	v.review.Old, v.review.New = v.sides[oldSide].results, v.sides[newSide].results
	for _, w := range o.Workloads {
		if err := v.workload(ctx, w); err != nil {
			return nil, err
		}
	}
	if err := v.tests(ctx, o.Tests); err != nil {
		return nil, err
	}
	for _, b := range v.sides {
		b.end()
	}
	return v.review, nil
}

// A reviewer is the state of a review.
type reviewer struct {
	sides  [sides]*bencher
	review *Review
}

func (v *reviewer) close() {
	for _, b := range v.sides {
		if b != nil {
			b.close()
		}
	}
}

// workload measures a workload with both Julias. A side that fails is noted and left out from there on. The error is that of ctx.
func (v *reviewer) workload(ctx context.Context, w *Workload) error {
	limited, cancel := context.WithTimeoutCause(ctx, sides*patience, fmt.Errorf("it was given up after %v", sides*patience))
	defer cancel()
	var jobs [sides]*job
	failed := func(i int, err error) {
		if err != nil && ctx.Err() == nil {
			v.sides[i].skip(w.Name, "", err)
			jobs[i] = nil
		}
	}
	for i, b := range v.sides {
		b.planWorkload(w)
		j, err := b.ready(limited, w)
		jobs[i] = j
		failed(i, err)
	}
	for round := range v.sides[newSide].Rounds {
		order := []int{oldSide, newSide}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			if jobs[i] != nil {
				failed(i, v.sides[i].round(limited, jobs[i], round))
			}
		}
	}
	for i, b := range v.sides {
		if jobs[i] != nil {
			failed(i, v.again(limited, i, b, jobs[i]))
		}
		b.plan.drop(w.Name)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// stepAgain is a kind of step: see bench.go.
const stepAgain = "building cold a second time"

// again builds the image of the last round once more, with everything compiled anew, and compares the two.
func (v *reviewer) again(ctx context.Context, side int, b *bencher, j *job) error {
	path, cache := filepath.Join(j.dir, "again.so"), filepath.Join(j.dir, "cache")
	return b.step(j.Name, stepAgain, func() error {
		if err := b.emptyCache(cache); err != nil {
			return err
		}
		if _, err := b.chain(ctx, j, path, cache); err != nil {
			return err
		}
		same, err := compareBuilds(j.chained().path, path)
		same.Julia, same.Workload = sideNames[side], j.Name
		v.review.Builds = append(v.review.Builds, same)
		return err
	})
}

// tests runs Julia's own tests under chained images of both Julias.
func (v *reviewer) tests(ctx context.Context, names []string) error {
	for i, b := range v.sides {
		if len(names) == 0 {
			v.review.TestsSkipped[i] = "none were asked for"
			continue
		}
		runs, err := b.juliaTests(ctx, names)
		for _, run := range runs {
			run.Julia = sideNames[i]
			v.review.Tests = append(v.review.Tests, run)
		}
		var cannot cannotRun
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &cannot):
			v.review.TestsSkipped[i] = err.Error()
		case err != nil:
			b.skip("Julia's own tests", "", err)
		}
	}
	return nil
}
