// Bench-cache measures what the object cache is worth: builds of one large image, from nothing, repeated, with one statement more,
// with one function of a package edited, and with a line more at the head of that package's file, which moves all functions.
//
//	go run ./tools/bench-cache [-rounds N] [-add STATEMENT] FILE...
//
// The files are of precompile statements; a package of 30 methods, generated in a folder of its own, is built in besides. Each round
// uses the same cache: the worker image is built once, before, and the objects are cleared before each build from nothing. It
// prints Markdown: a table of the builds, and one of where their time went; seconds are medians of the rounds.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"chainbuild/internal/pipeline"
	"chainbuild/internal/scratch"
	"chainbuild/internal/settings"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 3, "how often each build is measured")
	add := flag.String("add", "precompile(Tuple{typeof(Base.accumulate), typeof(Base.max), Array{Float16, 1}})", "the statement to add")
	cache := flag.String("cache", "", "folder of the cache, which is cleared (default: one that is removed at the end)")
	explain := flag.Bool("explain", false, "print for each build which partitions were compiled, and why")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("bench-cache: name files of precompile statements, such as examples/stdlib/trace.jl")
	}
	if err := run(*rounds, *add, *cache, *explain, flag.Args()); err != nil {
		log.Fatal("bench-cache: ", err)
	}
}

// A measured is what one kind of build gave.
type measured struct {
	name    string
	results []*pipeline.Result
	cpu     []float64 // processor time of each, in seconds
}

func run(rounds int, add, cache string, explain bool, files []string) error {
	folder, err := scratch.MakeFolder("bench-cache")
	if err != nil {
		return err
	}
	defer folder.Remove()
	dir := folder.Path
	for i, file := range files {
		if files[i], err = filepath.Abs(file); err != nil {
			return err
		}
	}
	pkg := filepath.Join(dir, "Thirty")
	own, more := filepath.Join(dir, "thirty.jl"), filepath.Join(dir, "more.jl")
	if err := writePackage(pkg, own, 0, false); err != nil {
		return err
	}
	if err := os.WriteFile(more, []byte(add+"\n"), 0o644); err != nil {
		return err
	}
	if cache == "" {
		cache = filepath.Join(dir, "cache")
	}
	builds := func(m *measured, statements ...string) error {
		o := pipeline.Options{
			Statements: append(slices.Clone(files), statements...), Project: pkg,
			Output: filepath.Join(dir, "image.so"), Target: settings.DefaultTarget(), CacheDir: cache, Explain: explain,
		}
		if explain {
			o.Report = explainer{}
		}
		before := processorTime()
		result, err := pipeline.Run(context.Background(), o)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if p := result.Partitions; p.Total > 0 {
			fmt.Fprintf(os.Stderr, "%s: %.1f s, %d of %d partitions\n", m.name, result.Seconds, p.Hits, p.Total)
		}
		m.results = append(m.results, result)
		m.cpu = append(m.cpu, processorTime()-before)
		return nil
	}
	first := &measured{name: "first of all"}
	if err := builds(first, own); err != nil {
		return err
	}
	cold, warm := &measured{name: "cold"}, &measured{name: "warm"}
	statement, function, line := &measured{name: "one statement added"}, &measured{name: "one function edited"}, &measured{name: "all its lines moved"}
	edit := 0
	for range rounds {
		time.Sleep(time.Second)
		if err := writePackage(pkg, own, edit, false); err != nil {
			return err
		}
		if err := clearObjects(cache); err != nil {
			return err
		}
		if err := builds(cold, own); err != nil {
			return err
		}
		if err := builds(warm, own); err != nil {
			return err
		}
		if err := builds(statement, own, more); err != nil {
			return err
		}
		for _, edited := range []*measured{function, line} {
			// Time stamps of sources decide about Julia's own package caches, in whole seconds.
			time.Sleep(time.Second)
			edit++
			if err := writePackage(pkg, own, edit, edited == line); err != nil {
				return err
			}
			if err := builds(edited, own); err != nil {
				return err
			}
		}
	}
	all := []*measured{cold, warm, statement, function, line}
	fmt.Printf("%d new functions; the first build of all, with the worker image, took %.1f s.\n\n", cold.results[0].Functions.New, first.results[0].Seconds)
	printBuilds(all, cold)
	printStages(all)
	return nil
}

// writePackage writes a package of 30 methods, of which the edit decides about one, and statements for all of them. It has a line more
// if the lines are to be moved.
func writePackage(dir, statements string, edit int, moved bool) error {
	var source, list strings.Builder
	if moved {
		source.WriteString("# Thirty functions.\n")
	}
	source.WriteString("module Thirty\nstruct Item{T}\n    x::T\n    label::String\nend\n")
	for i := 1; i <= 30; i++ {
		step := i
		if i == 17 {
			step += 100 * edit
		}
		fmt.Fprintf(&source, `
function job%[1]d(items::Vector{Item{Float64}}, names::Dict{String,Int})
    total = 0.0
    for item in items
        n = get(names, item.label, %[2]d)
        total += n > %[1]d ? item.x * n : sqrt(abs(item.x)) + %[2]d
        names[item.label] = n + 1
    end
    return string("job ", %[1]d, ": ", total)
end
`, i, step)
		fmt.Fprintf(&list, "precompile(Tuple{typeof(Thirty.job%d), Array{Thirty.Item{Float64}, 1}, Dict{String, Int64}})\n", i)
	}
	source.WriteString("end\n")
	project := "name = \"Thirty\"\nuuid = \"7f0e2f0a-3c55-4a8e-9f0f-1f6f6f0f3030\"\nversion = \"0.1.0\"\n"
	for path, text := range map[string]string{
		filepath.Join(dir, "Project.toml"):     project,
		filepath.Join(dir, "src", "Thirty.jl"): source.String(),
		statements:                             list.String(),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if old, err := os.ReadFile(path); err == nil && string(old) == text {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// clearObjects removes the objects of a cache, and not the worker image.
func clearObjects(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".entry" {
			err = os.Remove(path)
		}
		return err
	})
}

// printBuilds prints a line for each kind of build.
func printBuilds(all []*measured, cold *measured) {
	fmt.Print("| build | s | of cold | processor s | of cold | partitions from the cache | of their bytes |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	whole, wholeCPU := cold.median(func(r *pipeline.Result) float64 { return r.Seconds }), median(cold.cpu)
	for _, m := range all {
		took := m.median(func(r *pipeline.Result) float64 { return r.Seconds })
		worst := slices.MinFunc(m.results, func(a, b *pipeline.Result) int { return cmp.Compare(share(a), share(b)) })
		p := worst.Partitions
		cpu := median(m.cpu)
		fmt.Printf("| %s | %.1f | %.0f %% | %.1f | %.0f %% | %d of %d | %.1f %% |\n",
			m.name, took, 100*took/whole, cpu, 100*cpu/wholeCPU, p.Hits, p.Total, 100*share(worst))
	}
	fmt.Println()
}

// processorTime is what this process and those that it has waited for have used, in seconds.
func processorTime() float64 {
	total := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if syscall.Getrusage(who, &usage) == nil {
			total += time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
		}
	}
	return total
}

// share is which part of the objects' bytes came from the cache.
func share(r *pipeline.Result) float64 {
	p := r.Partitions
	return float64(p.HitBytes) / float64(max(1, p.HitBytes+p.MissBytes))
}

// printStages prints how long each stage took in each kind of build.
func printStages(all []*measured) {
	var names []string
	for _, m := range all {
		for _, s := range m.results[0].Stages {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	fmt.Print("| stage |")
	for _, m := range all {
		fmt.Printf(" %s |", m.name)
	}
	fmt.Print("\n| --- |", strings.Repeat(" ---: |", len(all)), "\n")
	for _, name := range names {
		fmt.Printf("| %s |", name)
		for _, m := range all {
			fmt.Printf(" %.2f |", m.median(func(r *pipeline.Result) float64 { return stage(r, name) }))
		}
		fmt.Println()
	}
}

func stage(r *pipeline.Result, name string) float64 {
	for _, s := range r.Stages {
		if s.Name == name {
			return s.Seconds
		}
	}
	return 0
}

func (m *measured) median(of func(*pipeline.Result) float64) float64 {
	var values []float64
	for _, r := range m.results {
		values = append(values, of(r))
	}
	return median(values)
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// An explainer prints why partitions were compiled.
type explainer struct{}

func (explainer) Report(e pipeline.Event) {
	if note, ok := e.(pipeline.Note); ok && !strings.HasSuffix(note.Text, ": hit") {
		fmt.Fprintln(os.Stderr, " ", note.Text)
	}
}
