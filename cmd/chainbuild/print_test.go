package main

// Tests of what commands print, where a script would need a Julia for it.

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chainbuild/bench"
	"chainbuild/elfpatch"
	"chainbuild/internal/anatomy"
	"chainbuild/internal/project"
	"chainbuild/sysimage"
)

func TestPrintContents(t *testing.T) {
	c := &contents{
		Image: "/images/x.so", Layout: "thin", Format: "1.10", Bytes: 31_400_000, Bases: []sysimage.Identity{{Path: "/julia/sys.so"}},
		Targets: []target{{Name: "generic"}, {Name: "haswell"}}, Functions: count{Total: 52345, New: 1234}, Cells: count{Total: 1000, New: 7},
		Heap: heap{Total: 131_300_000, Objects: 72_000_000, Constants: 36_800_000, Relocs: 22_500_000}, New: &sizes{},
		anatomy: &anatomy.Anatomy{Packages: []*anatomy.Package{
			{Name: "Base", Sizes: anatomy.Sizes{20_000_000, 5_000_000, 3_000_000, 2_000_000, 0, 1_000_000}, New: &anatomy.Sizes{1_000_000}},
			{Name: "Core", Sizes: anatomy.Sizes{0, 0, 400_000}, New: &anatomy.Sizes{0, 0, -3000}},
		}},
	}
	const want = `image      /images/x.so
layout     thin, 31 MB, of Julia 1.10's format
base       /julia/sys.so
targets    generic, haswell
functions  52,345, 1,234 of them new
cells      1,000, 7 of them new
heap       131 MB: objects 72 MB, constants 37 MB, relocations 23 MB

   total   code    heap   debug     new  package
   31 MB  20 MB  6.0 MB  5.0 MB  1.0 MB  Base
  0.4 MB   0 kB  0.4 MB    0 kB   -3 kB  Core
`
	var got bytes.Buffer
	if err := c.print(&got); err != nil || got.String() != want {
		t.Errorf("it prints (%v)\n%s, not\n%s", err, &got, want)
	}
	c.missing = "its base /julia/sys.so is not there any more"
	got.Reset()
	if err := c.print(&got); err != nil || !strings.HasSuffix(got.String(), "\n\nWhat is new cannot be told: its base /julia/sys.so is not there any more.\n") {
		t.Errorf("of an image whose base is gone it prints (%v)\n%s", err, &got)
	}
	c.Bases, c.Layout = nil, "stock"
	got.Reset()
	if err := c.print(&got); err != nil || !strings.Contains(got.String(), "\nfunctions  52,345\n") {
		t.Errorf("of Julia's own image it prints (%v)\n%s", err, &got)
	}
}

func TestLayoutOf(t *testing.T) {
	for want, image := range map[string]*sysimage.Base{
		"stock":      {Layers: make([]*elfpatch.Image, 1)},
		"standalone": {Layers: make([]*elfpatch.Image, 1), Note: &sysimage.Note{}},
		"thin":       {Layers: make([]*elfpatch.Image, 2), Note: &sysimage.Note{}},
	} {
		if got := layoutOf(image); got != want {
			t.Errorf("the layout of %d layers is %s, not %s", len(image.Layers), got, want)
		}
	}
}

func TestPackageNames(t *testing.T) {
	packages := []project.Package{{Name: "Dates"}, {Name: "DataFrames", Version: "1.3.6"}}
	if got := packageNames(packages); got != "Dates, DataFrames 1.3.6" {
		t.Errorf("they are %q", got)
	}
	for n := range 9 {
		packages = append(packages, project.Package{Name: fmt.Sprint("P", n)})
	}
	if got := packageNames(packages); got != "Dates, DataFrames 1.3.6, P0, P1, P2, P3, P4, P5, and 3 more" {
		t.Errorf("many are %q", got)
	}
	if got := packageNames(packages[:9]); !strings.HasSuffix(got, "P5, P6") {
		t.Errorf("one more than fits is %q", got)
	}
}

// What is measured is printed as tables or as samples, and written while it is measured.
func TestRunBench(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	measure := func(o bench.Options) (*bench.Results, error) {
		r := &bench.Results{
			Header:    bench.Header{Type: "run", Rounds: 1, Jobs: 1, Command: o.Command},
			Workloads: []bench.WorkloadInfo{{Type: "workload", Name: "Mine"}},
			Samples:   []bench.Sample{{Type: "sample", Workload: "Mine", Metric: bench.Cold + "/" + bench.Seconds, Value: 4}},
			End:       &bench.End{Type: "end", Seconds: 9},
		}
		o.Report(r.Header)
		o.Report(bench.Step{Workload: "Mine", What: "building cold", Total: 1})
		for _, w := range r.Workloads {
			o.Report(w)
		}
		for _, s := range r.Samples {
			o.Report(s)
		}
		o.Report(*r.End)
		return r, nil
	}
	stdout, stderr := file("stdout"), file("stderr")
	output := filepath.Join(dir, "results")
	if err := runBench(bench.Options{}, output, false, stdout, stderr, measure); err != nil {
		t.Fatal(err)
	}
	if text := read(stdout.Name()); !strings.Contains(text, "Mine") || strings.Contains(text, "{") {
		t.Errorf("the tables are\n%s", text)
	}
	if text := read(stderr.Name()); !strings.Contains(text, "Mine: building cold") {
		t.Errorf("the progress is\n%s", text)
	}
	if read, err := bench.ReadResultsFile(filepath.Join(output, bench.SamplesFile)); err != nil || len(read.Samples) != 1 || read.End == nil {
		t.Errorf("the samples are %+v (%v)", read, err)
	}

	asJSON := file("json")
	failing := func(o bench.Options) (*bench.Results, error) {
		r, err := measure(o)
		r.Skipped = []bench.Skipped{{Type: "skipped", Workload: "Mine", Subject: bench.Stock, Reason: "it broke", Failed: true}}
		return r, err
	}
	if err := runBench(bench.Options{}, "", true, asJSON, stderr, failing); err == nil || !strings.HasPrefix(err.Error(), "1 of the measurements failed") {
		t.Errorf("a failure is reported as %v", err)
	}
	if lines := strings.Split(strings.TrimSpace(read(asJSON.Name())), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[2], `{"type":"sample"`) {
		t.Errorf("the samples are\n%s", strings.Join(lines, "\n"))
	}

	broken := errors.New("broken")
	for name, err := range map[string]error{
		"measuring":         runBench(bench.Options{}, "", true, asJSON, stderr, func(bench.Options) (*bench.Results, error) { return nil, broken }),
		"making the folder": runBench(bench.Options{}, filepath.Join(stdout.Name(), "below"), true, asJSON, stderr, measure),
	} {
		if err == nil {
			t.Errorf("%s failed and nothing is said", name)
		}
	}
	stdout.Close()
	if err := runBench(bench.Options{}, "", true, stdout, stderr, measure); err == nil {
		t.Error("samples could not be printed and nothing is said")
	}
}

func TestCosts(t *testing.T) {
	of := &anatomy.Anatomy{Ages: []string{"Core", "Base", "Dates", "Plots", "Main"}, Packages: []*anatomy.Package{
		{Name: "Base", New: &anatomy.Sizes{200_000, 0, -50_000}}, {Name: "Plots", New: &anatomy.Sizes{600_000, 200_000, 3_000_000}},
		{Name: "Dates", New: &anatomy.Sizes{0, 0, 1000}}, {Name: "Core", New: &anatomy.Sizes{}}, {Name: "(tables and names)", New: &anatomy.Sizes{0, 0, 0, 0, 0, 0, 5}},
	}}
	known := &project.Cost{
		Image: &project.Image{File: "/images/x.so", ObjectBytes: 2_000_000, Compiling: project.Compiling{Infer: 1.25}}, PerByte: 4e-6,
		TimedAt: time.Date(2026, 1, 31, 14, 5, 0, 0, time.Local), Sources: map[string]bool{"a": true, "b": true, "c": true},
	}
	list := []*project.Recorded{
		{Source: "a", Modules: []string{"Plots", "Dates"}, Last: "2026-01-30"}, {Source: "b", Modules: []string{"Dates"}, Last: "2026-01-02"},
		{Source: "c", Last: "2026-01-03"}, {Source: "not in the image", Modules: []string{"Plots"}, Last: "2026-02-01"},
	}
	const want = `  statements   last seen    adds  of it code  compiling  package
           1  2026-01-30  3.8 MB      0.6 MB      6.0 s  Plots
           1  2026-01-03  0.1 MB      0.2 MB      2.0 s  Base
           1  2026-01-02    1 kB        0 kB      0.0 s  Dates

Compiling is estimated from the share of code and from the times of the build of 2026-01-31 14:05, when the machine was as busy as it was: 8.0 s for these.
A session without the image spends about as much when it first calls all of this, and 1.2 s or so for inference,
which took that long in the build for all packages.
`
	var got bytes.Buffer
	if err := costsOf(known, of, list, nil).print(&got); err != nil || got.String() != want {
		t.Errorf("it prints (%v)\n%s, not\n%s", err, &got, want)
	}
	if c := costsOf(known, of, list, []string{"Dates"}); len(c.Packages) != 1 || c.Packages[0].Name != "Dates" {
		t.Errorf("of Dates alone it says %+v", c.Packages)
	}
	known.PerByte = 0
	got.Reset()
	if err := costsOf(known, of, list, nil).print(&got); err != nil || !strings.Contains(got.String(), " ?  Plots\n") || !strings.Contains(got.String(), "is not known") {
		t.Errorf("without times it prints (%v)\n%s", err, &got)
	}
}

func TestPrintAudit(t *testing.T) {
	image := &sysimage.Base{Layers: []*elfpatch.Image{{Path: "/images/x.so"}}}
	a := auditOf(image, &anatomy.Audit{Unknown: "its base /julia/sys.so is not there any more", Findings: []anatomy.Finding{
		{Path: "/srv/data.csv", Class: anatomy.ClassPath, Holder: "String", Route: `P.FILES["data"]`, Package: "P"},
		{Path: "/dev/null", Class: anatomy.ClassSystem}, {Path: "/dev/zero", Class: anatomy.ClassSystem},
	}})
	const want = `image  /images/x.so
       its base /julia/sys.so is not there any more, so Julia's own paths are told by their folders alone

path: a file or folder of this machine
  /srv/data.csv
      String at P.FILES["data"]

harmless (--json lists them):
  2  system: each Linux has it
`
	var got bytes.Buffer
	if err := a.print(&got); err != nil || got.String() != want || !a.Tied {
		t.Errorf("it prints (%v)\n%s, not\n%s", err, &got, want)
	}
	got.Reset()
	none := auditOf(image, &anatomy.Audit{})
	if err := none.print(&got); err != nil || got.String() != "image  /images/x.so\n\nNothing ties it to this machine.\n" || none.Tied {
		t.Errorf("where nothing was found it prints (%v)\n%s", err, &got)
	}
}

func TestPrintDifference(t *testing.T) {
	images := [2]*sysimage.Base{{Layers: []*elfpatch.Image{{Path: "/old.so"}}}, {Layers: []*elfpatch.Image{{Path: "/new.so"}}}}
	tree := func(sizes anatomy.Sizes, names ...string) *anatomy.Anatomy {
		m := &anatomy.Module{Name: "P"}
		a := &anatomy.Anatomy{Packages: []*anatomy.Package{{Name: "P", Modules: []*anatomy.Module{m}}}}
		for _, name := range names {
			m.Things = append(m.Things, &anatomy.Thing{Kind: anatomy.ThingMethod, Name: name, Sizes: sizes})
			a.Packages[0].Sizes[anatomy.Code] += sizes[anatomy.Code]
		}
		a.Sizes = a.Packages[0].Sizes
		return a
	}
	d := anatomy.Compare(tree(anatomy.Sizes{400_000}, "f()", "g()"), tree(anatomy.Sizes{300_000}, "g()", "h()"))
	const want = `old  /old.so, stock, 0.8 MB
new  /new.so, stock, 0.6 MB

     old     new   change    kind
  0.8 MB  0.6 MB  -0.2 MB    code
    0 kB    0 kB     0 kB    debug
    0 kB    0 kB     0 kB    objects
    0 kB    0 kB     0 kB    constants
    0 kB    0 kB     0 kB    symbols
    0 kB    0 kB     0 kB    relocations
    0 kB    0 kB     0 kB    tables
  0.8 MB  0.6 MB  -0.2 MB    all

     old     new   change          package
  0.8 MB  0.6 MB  -0.2 MB  shrank  P

     old     new   change          method, type or variable
  0.4 MB    0 kB  -0.4 MB    went  method f() in P
    0 kB  0.3 MB  +0.3 MB    came  method h() in P
  0.4 MB  0.3 MB  -0.1 MB  shrank  method g() in P
`
	var got bytes.Buffer
	if err := printDifference(&got, d, images); err != nil || got.String() != want {
		t.Errorf("it prints (%v)\n%s, not\n%s", err, &got, want)
	}
	if j := differenceOf(d, images); j.Things[0].What != "went" || j.Things[0].By != -400_000 || j.Bytes != [2]int64{800_000, 600_000} {
		t.Errorf("as JSON it is %+v", j)
	}
}
