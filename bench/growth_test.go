package bench

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/scratch"
	"chainbuild/statements"
)

func TestGeneratePackage(t *testing.T) {
	source, trace := generatePackage(growth{Functions: 10, Types: 3, Statements: 7})
	if n := strings.Count(source, "\nfunction f"); n != 10 {
		t.Errorf("%d functions are defined", n)
	}
	if n := strings.Count(source, "\nstruct T"); n != 3 {
		t.Errorf("%d types are defined", n)
	}
	if strings.Contains(source, "%[") || strings.Contains(source, "%%") {
		t.Errorf("the source has places that were not filled:\n%s", source)
	}
	parsed, err := statements.Parse("trace.jl", strings.NewReader(trace))
	if err != nil || len(parsed.Statements) != 7 {
		t.Errorf("there are %d statements, %v", len(parsed.Statements), err)
	}
	for _, s := range parsed.Statements {
		if !strings.Contains(s.Source, "Grown.f") {
			t.Errorf("a statement is %s", s.Source)
		}
	}
}

// A change is a function of the package that its statements do not name.
func TestChanges(t *testing.T) {
	for _, size := range []int{1, 4, 30, 303} {
		b := &bencher{scratch: &scratch.Folder{Path: t.TempDir()}}
		j, err := b.makeGrown(size, 1)
		if err != nil {
			t.Fatal(err)
		}
		read := func(path string) string {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		source, named := read(filepath.Join(j.dir, "project", "src", "Grown.jl")), read(j.trace)
		if n := strings.Count(named, "\n"); n != size {
			t.Errorf("of %d functions %d have statements", size, n)
		}
		for i := range changes {
			change := read(changeTrace(j.dir, i))
			var function int
			if _, err := fmt.Sscanf(change, "precompile(Tuple{typeof(Grown.f%d),", &function); err != nil || strings.Count(change, "\n") != 1 {
				t.Errorf("a change is %q (%v)", change, err)
			}
			if strings.Contains(named, change) || !strings.Contains(source, fmt.Sprintf("function f%d(text::String)", function)) {
				t.Errorf("of %d functions, the change %s is named already, or not defined", size, change)
			}
		}
	}
}

// grownResults are builds that follow a model exactly.
func grownResults(m *model, sizes ...int) *Results {
	r := &Results{Header: Header{Machine: Machine{Cores: 2}, Jobs: 2}}
	for _, size := range sizes {
		for _, jobs := range []int{1, 2} {
			name := grownName(size, jobs)
			r.Workloads = append(r.Workloads, WorkloadInfo{Name: name, Size: size, Jobs: jobs})
			n := float64(3 * size)
			add := func(what string, value float64) {
				r.Samples = append(r.Samples, Sample{Workload: name, Metric: Cold + "/" + what, Value: value})
			}
			total := m.secondsHere(n, jobs, 2)
			add(Functions, n)
			add(Seconds, total)
			add(Stage+"infer", m.Before.at(n))
			add(Stage+"heap", m.Beside.at(n))
			add(Stage+"link", m.After.at(n))
			add(Stage+"compile", total-m.Before.at(n)-m.After.at(n))
			add(Compiling, m.Compiling.at(n))
			add(Bytes, m.Bytes.at(n))
			add(Peak, 5e8+1e5*n)
			if jobs == 2 {
				for what, value := range map[string]float64{Seconds: 2 + n/1e4, Stage + "start": 0.3, Stage + "verify": 0.5} {
					r.Samples = append(r.Samples, Sample{Workload: name, Metric: Change + "/" + what, Value: value})
				}
			}
		}
	}
	return r
}

var someModel = &model{
	Before: linear{0.5, 0.001}, Beside: linear{2.5, 0.0005}, After: linear{0.4, 0.0001}, Compiling: linear{0.2, 0.006}, Bytes: linear{140e6, 5e3},
}

func TestFitModel(t *testing.T) {
	m, err := fitModel(grownResults(someModel, 100, 300, 1000, 3000))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []struct {
		name      string
		got, want linear
	}{
		{"before", m.Before, someModel.Before}, {"beside", m.Beside, someModel.Beside}, {"after", m.After, someModel.After},
		{"compiling", m.Compiling, someModel.Compiling}, {"bytes", m.Bytes, someModel.Bytes},
	} {
		if math.Abs(line.got.At0-line.want.At0) > 1e-6*line.want.At0 || math.Abs(line.got.PerFunction-line.want.PerFunction) > 1e-6*line.want.PerFunction {
			t.Errorf("%s is fitted as %+v, not %+v", line.name, line.got, line.want)
		}
	}
	if m.Least != 300 || m.Most != 9000 {
		t.Errorf("it was measured from %v to %v functions", m.Least, m.Most)
	}
	if _, err := fitModel(grownResults(someModel, 100)); err == nil {
		t.Error("a model is made of one size")
	}
	if _, err := fitModel(&Results{}); err == nil {
		t.Error("a model is made of nothing")
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct {
		x, y []float64
		want linear
	}{
		{[]float64{1, 2, 3}, []float64{5, 7, 9}, linear{3, 2}},
		{[]float64{1, 2, 4}, []float64{4, 2, 1}, linear{At0: 28.0 / 21}}, // falls: constant, the mean weighted by 1/y²
		// Would be negative at 0, so it goes through the origin: the sum of x·y/y² over that of x²/y².
		{[]float64{10, 20}, []float64{5, 15}, linear{PerFunction: (10.0/5 + 20.0/15) / (100.0/25 + 400.0/225)}},
		{[]float64{5, 5}, []float64{2, 2}, linear{At0: 2}},
		{nil, nil, linear{}},
		{[]float64{1, 2}, []float64{0, 0}, linear{}},
	} {
		got := fit(test.x, test.y)
		if math.Abs(got.At0-test.want.At0) > 1e-9 || math.Abs(got.PerFunction-test.want.PerFunction) > 1e-9 {
			t.Errorf("%v, %v is fitted as %+v, not %+v", test.x, test.y, got, test.want)
		}
	}
}

func TestModelPredicts(t *testing.T) {
	m := &model{Before: linear{2, 0}, Beside: linear{3, 0}, After: linear{1, 0}, Compiling: linear{0, 0.01}, Bytes: linear{0, 1e4}}
	for _, test := range []struct {
		n              float64
		workers, cores int
		want           float64
	}{
		{0, 1, 1, 6},
		{1000, 1, 1, 16},       // nothing overlaps on one core
		{1000, 2, 1, 16},       // a second worker has no core
		{1000, 1, 2, 6 + 7},    // 3 of 10 s while the heap is written
		{1000, 2, 2, 6 + 3.5},  // then two at a time
		{1000, 4, 4, 6 + 0.25}, // 9 of 10 s
		{1000, 8, 8, 6},        // hidden
		{1000, 1, 8, 6 + 7},
	} {
		if got := m.secondsHere(test.n, test.workers, test.cores); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%v functions with %d workers on %d cores take %v s, not %v", test.n, test.workers, test.cores, got, test.want)
		}
	}
	if got := m.secondsWith(1000, 2, 2, 0, 1e6, 1); got != m.secondsHere(1000, 2, 2) {
		t.Errorf("with no other machine a build takes %v s", got)
	}
	// 9 of 10 s beside, the rest on four; half of 10 MB over the network at 10 MB/s; the setup is over before compiling begins.
	if got, want := m.secondsWith(1000, 2, 2, 2, 1e7, 1), 6+0.25+0.5; math.Abs(got-want) > 1e-9 {
		t.Errorf("with another machine a build takes %v s, not %v", got, want)
	}
	from := m.paysFrom(2, 1e9, 1, 1e5)
	if from == 0 || m.secondsWith(from, 2, 2, 2, 1e9, 1) > 0.91*m.secondsHere(from, 2, 2) {
		t.Errorf("another machine pays from %v functions", from)
	}
	if before := from * 0.8; m.secondsWith(before, 2, 2, 2, 1e9, 1) < 0.9*m.secondsHere(before, 2, 2) {
		t.Errorf("another machine pays from %v functions already", before)
	}
	if got := m.paysFrom(2, 1, 1, 1e5); got != 0 {
		t.Errorf("over a network of a byte a second another machine pays from %v functions", got)
	}
	if got := m.floor(1000); got != 6 {
		t.Errorf("the floor is %v s", got)
	}
}

func TestGrowthReports(t *testing.T) {
	r := grownResults(someModel, 100, 1000)
	var text strings.Builder
	for _, table := range r.tables() {
		text.WriteString(table.markdown())
	}
	want := fmt.Sprintf("| 1000 functions, -j2 | 3,000 | – | %s | %[1]s | – | %s |", formatSeconds(someModel.secondsHere(3000, 2, 2)), formatSeconds(2.3))
	if !strings.Contains(text.String(), want) || strings.Contains(text.String(), "still compiled") {
		t.Errorf("%q is not in, or a table of workloads is among,\n%s", want, text.String())
	}
	charts := r.charts()
	var names []string
	for _, c := range charts {
		names = append(names, c.Name)
		svg, err := c.svg()
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, c.Name, []byte(svg))
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s shows what is no number", c.Name)
		}
	}
	if got := strings.Join(names, " "); got != "stages growth-time growth-memory growth-size change-time predicted" {
		t.Errorf("the charts are %s", got)
	}
}
