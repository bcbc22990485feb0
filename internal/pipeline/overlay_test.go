package pipeline_test

// This file tests heaps in which the base's objects have the places that they have in the base.

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/juliatest"
	"chainbuild/internal/pipeline"
	"chainbuild/internal/settings"
)

// serialised is what is said of versions whose heaps are always written by Julia.
const serialised = "is always serialised by Julia"

// hasOverlays skips a test where Julia writes all heaps.
func hasOverlays(t *testing.T, executable string) {
	t.Helper()
	if version := on(t, executable, stock).julia("-e", "print(VERSION)"); strings.HasPrefix(version, "1.5.") {
		t.Skipf("SKIPPED: the heap of an image of Julia %s %s", version, serialised)
	}
}

// What is read from a process's memory is what its own serialiser writes.
func TestHeapsAreWhatJuliaSerialises(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		statements, err := one("sum")
		if err != nil {
			t.Fatal(err)
		}
		o := pipeline.Options{Target: settings.DefaultTarget(), VerifyHeap: true, Julia: executable, Statements: []string{statements}, Output: filepath.Join(home(executable), "verified.so")}
		if strings.HasPrefix(on(t, executable, stock).julia("-e", "print(VERSION)"), "1.5.") {
			if _, err := pipeline.Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), serialised) {
				t.Errorf("Julia's own heaps are compared: %v", err)
			}
			return
		}
		o.Statements = []string{kindsTrace(executable)}
		if _, err := kindsOutput(executable); err != nil {
			t.Fatal(err)
		}
		o.Packages = []string{"First", "Second", "Prints", "Prepared"}
		for range 2 { // on the base, and on what was built there
			result, err := pipeline.Run(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if !result.Heap.Overlay || result.Heap.Objects == 0 || result.Heap.Words == 0 {
				t.Errorf("the heap is %+v", result.Heap)
			}
			o.Base, o.Statements, o.Packages = o.Output, []string{statements}, nil
			o.Output = filepath.Join(home(executable), "verified2.so")
		}
	})
}

// Caches of packages that were made under the base are used under the images on it; what was made under an image is not taken for another one.
func TestCachesOfPackagesStayRight(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, executable string) {
		hasOverlays(t, executable)
		folder, depot := t.TempDir(), t.TempDir()
		source := filepath.Join(folder, "Outside", "src", "Outside.jl")
		write := func(answer string) {
			t.Helper()
			const text = "module Outside\nusing Prepared\nstruct Both\n    word::Prepared.Word\n    table::Dict{Float16,Vector{Prepared.Word}}\nend\n" +
				"both(n) = Both(Prepared.Word(string(n)), Dict{Float16,Vector{Prepared.Word}}(n => []))\n" +
				"answer() = string(Prepared.shout(both(2).word), length(both(3).table), ' ', ANSWER, ' ', sum(ones(Float16, 1, 2, 2)))\nprecompile(answer, ())\nend\n"
			if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(source, []byte(strings.Replace(text, "ANSWER", answer, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		// Caches are those that are there; one that is made again has another build id, and so another sum.
		caches := func() string {
			// Packages without an identifier have no folder of their own.
			files, err := filepath.Glob(filepath.Join(depot, "compiled", "v1.*", "*.ji"))
			if err != nil {
				t.Fatal(err)
			}
			more, err := filepath.Glob(filepath.Join(depot, "compiled", "v1.*", "*", "*.ji"))
			if err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for _, path := range append(files, more...) {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&all, "%s %x\n", filepath.Base(path), sha256.Sum256(data))
			}
			return all.String()
		}
		run := func(i image) string {
			return on(t, executable, i).julia("JULIA_DEPOT_PATH="+depot+":", "JULIA_LOAD_PATH="+folder+":"+packages+":@stdlib", "-e", "using Outside; print(Outside.answer())")
		}
		write("1")
		const want = "2!1 1 4.0"
		same(t, "Julia's own", want, run(stock))
		made := caches()
		if !strings.Contains(made, "Outside") || !strings.Contains(made, "Prepared") {
			t.Fatalf("the caches are %q", made)
		}
		first := trivial("caches1.so", "sum", stock, elfpatch.Thin)
		second := trivial("caches2.so", "vec", first, elfpatch.Thin)
		third := trivial("caches3.so", "copy", second, elfpatch.Standalone)
		for _, i := range []image{first, second, third} {
			same(t, i.String(), want, run(i))
			if now := caches(); now != made {
				t.Errorf("%s: the caches are %q, and were %q", i, now, made)
			}
		}
		// With Prepared in the image, what was made without is not right; nor what is made under it anywhere else.
		with := built("caches4.so", func(string) (pipeline.Options, error) {
			statements, err := one("sum")
			return pipeline.Options{Target: settings.DefaultTarget(), Statements: []string{statements}, Packages: []string{"Prepared"}}, err
		})
		write("2")
		for _, i := range []image{with, stock, with, first} {
			same(t, i.String(), "2!1 2 4.0", run(i))
		}
		if now := caches(); now == made {
			t.Errorf("a changed package has its old caches, %q", now)
		}
	})
}
