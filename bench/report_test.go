package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/build"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(test.values); got != test.want {
			t.Errorf("the median of %v is %v, not %v", test.values, got, test.want)
		}
	}
}

func TestChainedBuilds(t *testing.T) {
	var c ChainedBuilds
	for i, seconds := range []float64{5, 3, 4} {
		c.add(ChainedBuild{Seconds: seconds, PeakRSS: int64(100 * seconds), Stages: []build.Stage{
			{Name: "inspect", Seconds: 0.25}, {Name: "infer", Seconds: 2}, {Name: "link", Seconds: float64(i)},
		}})
	}
	if c.Seconds != 4 || c.GoSeconds != 1.25 || c.PeakRSS != 500 || len(c.All) != 3 {
		t.Errorf("the builds are %+v", c)
	}
}

func TestMarkdown(t *testing.T) {
	row := &Row{
		Name: "Orbits", Stock: &StockBuild{Seconds: 200, PeakRSS: 2e9},
		Start: newTimes([][]float64{{0.2}, {0.25}, {0.3}}), Run: newTimes([][]float64{{8, 10, 9}, {0.5, 0.4, 0.45}, {0.6}}),
	}
	row.Chained.add(ChainedBuild{Seconds: 4, PeakRSS: 5e8, Functions: 1234, Stages: []build.Stage{{Name: "chain", Seconds: 0.5}}})
	alone := &Row{Name: "alone", Start: newTimes([][]float64{{1}, {1}}), Run: newTimes([][]float64{{1}, {1}})}
	alone.Chained.add(ChainedBuild{Seconds: 12.34})
	var out strings.Builder
	if err := (&Report{Rows: []*Row{row, alone}}).WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| Orbits | 1,234 | 200.0 s | 4.00 s | 50.0 | 2,000 MB | 500 MB | 25 % | 0.50 s |\n",
		"| Orbits | 0.20 s | 0.25 s | 1.25 | 9.00 s | 0.45 s | 5.0 % | 0.60 s |\n",
		"| alone | 0 | – | 12.3 s | – | – | 0 kB | – | 0.00 s |\n",
		"| alone | 1.00 s | 1.00 s | 1.00 | 1.00 s | 1.00 s | 100.0 % | – |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables lack\n%s\nin\n%s", want, out.String())
		}
	}
}

func TestReadWorkload(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "walk")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("workload.jl", "")
	if _, err := ReadWorkload(dir); err == nil || !strings.Contains(err.Error(), "trace.jl") {
		t.Errorf("a folder without a trace: %v", err)
	}
	write("trace.jl", "")
	w, err := ReadWorkload(dir)
	if err != nil || w.Name != "walk" || w.Project != "" || len(w.Packages) != 0 {
		t.Errorf("a folder without a project is %+v, %v", w, err)
	}
	write("Project.toml", "uuid = \"…\"\nname = \"Walk\"\n")
	w, err = ReadWorkload(dir)
	if err != nil || w.Project != dir || len(w.Packages) != 1 || w.Packages[0] != "Walk" {
		t.Errorf("a package's folder is %+v, %v", w, err)
	}
}
