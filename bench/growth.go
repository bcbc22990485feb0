package bench

// This file measures how builds grow: with generated packages of a chosen size, cold and warm, with several numbers of compile workers, and how long
// one more function takes on images of these sizes.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// GrowthOptions say what to measure besides Options, of which Workloads, Packages, Comparators and Jobs are not used.
type GrowthOptions struct {
	// Sizes are the numbers of functions of the packages.
	Sizes []int
	// Jobs are the numbers of compile workers.
	Jobs []int
}

// RunGrowth measures builds with generated packages: in each round each size once cold with each number of workers, then once warm, and a build of one
// more function on the image that came of it.
func RunGrowth(ctx context.Context, o Options, g GrowthOptions) (*Results, error) {
	o.Jobs = slices.Max(g.Jobs)
	b, err := newBencher(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	// Small packages first in each round: should the run be cut short, what there is can be used.
	for range o.Rounds {
		for _, size := range g.Sizes {
			for _, jobs := range g.Jobs {
				b.plan.addEach(grownName(size, jobs), stepCold, time.Duration(4+size/100)*time.Second)
			}
			b.plan.addEach(grownName(size, o.Jobs), stepWarm, time.Duration(4+size/200)*time.Second)
			b.plan.addEach(grownName(size, o.Jobs), stepChange, 20*time.Second)
		}
	}
	made := map[string]*job{}
	for round := range o.Rounds {
		for _, size := range g.Sizes {
			if err := b.grow(ctx, size, g.Jobs, round, made); err != nil {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				return nil, fmt.Errorf("the generated package of %d functions: %w", size, err)
			}
		}
	}
	b.end()
	return b.results, nil
}

// grownName is the workload's name of a generated package that is built with a number of workers.
func grownName(size, jobs int) string { return fmt.Sprintf("%d functions, -j%d", size, jobs) }

// grow measures one size once.
func (b *bencher) grow(ctx context.Context, size int, jobs []int, round int, made map[string]*job) error {
	for _, workers := range jobs {
		name := grownName(size, workers)
		j := made[name]
		if j == nil {
			var err error
			if j, err = b.makeGrown(size, workers); err != nil {
				return err
			}
			made[name] = j
			info := WorkloadInfo{Type: "workload", Name: name, Size: size, Jobs: workers}
			b.results.Workloads = append(b.results.Workloads, info)
			b.Report(info)
			// Once unmeasured: the first load also writes the package's cache.
			if _, err := b.run(ctx, b.juliaUnder(ctx, j, image{path: b.Julia.Image}, "-e", "using Grown")); err != nil {
				return err
			}
		}
		path, cache := filepath.Join(j.dir, "grown.so"), filepath.Join(j.dir, "cache")
		if err := errors.Join(os.RemoveAll(cache), os.RemoveAll(path), linkTree(b.seed(), cache)); err != nil {
			return err
		}
		if err := b.step(name, stepCold, func() error { return b.measureChain(ctx, j, path, cache, Cold, round) }); err != nil {
			return err
		}
		if workers == slices.Max(jobs) {
			if err := b.step(name, stepWarm, func() error { return b.measureChain(ctx, j, path, cache, Warm, round) }); err != nil {
				return err
			}
			if err := b.step(name, stepChange, func() error { return b.change(ctx, j, path, cache, round) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// change builds one more function on an image, and then another one, which is measured: the first build on a base makes its worker image.
func (b *bencher) change(ctx context.Context, j *job, base, cache string, round int) error {
	changed := *j
	changed.base, changed.packages = base, nil
	for i := range changes {
		changed.trace = changeTrace(j.dir, i)
		// To replace a file takes some tenths of a second, of which a project's images, with a name each, need none.
		path := filepath.Join(j.dir, fmt.Sprintf("changed%d.so", i))
		defer os.Remove(path)
		var err error
		if i == changes-1 {
			err = b.measureChain(ctx, &changed, path, cache, Change, round)
		} else {
			_, err = b.chain(ctx, &changed, path, cache)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// changes is how many functions a generated package has that are not in its statements.
const changes = 2

// changeTrace is the file with the statement of one of them.
func changeTrace(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("change%d.jl", i)) }

// makeGrown writes a generated package and its statements.
func (b *bencher) makeGrown(size, workers int) (*job, error) {
	j := &job{Workload: &Workload{Name: grownName(size, workers)}, jobs: workers, packages: []string{"Grown"}}
	var err error
	if j.dir, err = os.MkdirTemp(b.scratch.Path, "grown-"); err != nil {
		return nil, err
	}
	j.trace = filepath.Join(j.dir, "trace.jl")
	kinds := len(functionBodies)
	source, all := generatePackage(growth{Functions: size + kinds*changes, Types: max(1, size/10), Statements: size + kinds*changes})
	statements := slices.Collect(strings.Lines(all))
	for i := range changes {
		// Functions of one kind follow each other at this distance.
		err = errors.Join(err, os.WriteFile(changeTrace(j.dir, i), []byte(statements[size-size%kinds+kinds*(i+1)-1]), 0o644))
	}
	project := filepath.Join(j.dir, "project")
	return j, errors.Join(err,
		os.MkdirAll(filepath.Join(project, "src"), 0o755),
		os.WriteFile(filepath.Join(project, "Project.toml"), []byte(grownProject), 0o644),
		os.WriteFile(filepath.Join(project, "src", "Grown.jl"), []byte(source), 0o644),
		os.WriteFile(j.trace, []byte(strings.Join(statements[:size], "")), 0o644))
}

const grownProject = `name = "Grown"
uuid = "0b0c5f0a-94a5-4d3b-8d2e-6d1f3f6f7a11"
version = "0.1.0"
`

// growth is the size of a generated package.
type growth struct {
	// Functions and Types are how many it defines, at least one of each. Statements are how many of the functions, the first ones, have a
	// precompile statement.
	Functions, Types, Statements int
}

// functionBodies are what generated functions do, in turns: arithmetic in a loop, work on an array, on a dictionary with a type of the
// package, and text. %[1]d is the function's number, %[2]d that of the one before of the same kind, which it calls, %[3]d that of a type.
var functionBodies = []struct{ signature, source string }{
	{"Int64, Float64", `function f%[1]d(n::Int64, x::Float64)
    total = x
    for i in 1:n
        total += isodd(i + %[1]d) ? sqrt(abs(total)) : total / (i + %[1]d)
    end
    return n > %[1]d ? f%[2]d(n - 1, total) : total
end
`},
	{"Vector{Float64}", `function f%[1]d(values::Vector{Float64})
    kept = Float64[]
    for (i, v) in enumerate(values)
        v > %[1]d && push!(kept, v * i)
    end
    isempty(kept) && return 0.0
    return length(kept) > %[1]d ? f%[2]d(kept) : maximum(kept) - minimum(kept)
end
`},
	{"T%[3]d{Int64}", `function f%[1]d(t::T%[3]d{Int64})
    counts = Dict{T%[3]d{Int64},Int64}()
    for i in 1:t.count
        key = T%[3]d(i %% (%[1]d + 1), t.weight)
        counts[key] = get(counts, key, 0) + 1
    end
    return sum(values(counts))
end
`},
	{"String", `function f%[1]d(text::String)
    out = IOBuffer()
    for (i, word) in enumerate(split(text, ' '))
        print(out, i %% %[4]d, ' ', uppercase(word), '\n')
    end
    return String(take!(out))
end
`},
}

// generatePackage returns the source of a module Grown, and the statements for its functions, a line each.
func generatePackage(g growth) (source, statements string) {
	var s, p strings.Builder
	s.WriteString("module Grown\n\n")
	for i := range g.Types {
		fmt.Fprintf(&s, "struct T%d{C}\n    count::C\n    weight::Float64\nend\n\n", i)
	}
	kinds := len(functionBodies)
	for i := range g.Functions {
		body := functionBodies[i%kinds]
		before := i
		if i >= kinds {
			before = i - kinds
		}
		t := i / kinds % g.Types
		fmt.Fprintln(&s, strings.NewReplacer(
			"%[1]d", fmt.Sprint(i), "%[2]d", fmt.Sprint(before), "%[3]d", fmt.Sprint(t), "%[4]d", fmt.Sprint(i+1), "%%", "%").Replace(body.source))
		if i < g.Statements {
			signature := strings.ReplaceAll(body.signature, "T%[3]d", fmt.Sprintf("Grown.T%d", t))
			fmt.Fprintf(&p, "precompile(Tuple{typeof(Grown.f%d), %s})\n", i, signature)
		}
	}
	s.WriteString("end\n")
	return s.String(), p.String()
}
