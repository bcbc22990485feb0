package bench

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chainbuild/internal/screen"
)

// someResults are results of two workloads, one of which was not run, in which a chained image makes work a hundred times shorter.
func someResults() *Results {
	r := &Results{
		Header: Header{
			Type: "run", Date: "2021-03-04T05:06:07Z", Command: []string{"chainbuild", "bench", "Walk", "REPL completion"}, Program: "chainbuild 1",
			Machine: Machine{Processor: "P", Cores: 2, MemoryBytes: 8e9, Kernel: "Linux 6", Load: 0.5},
			Julia:   JuliaInfo{Version: "1.5.3", ImageBytes: 188e6, ImageFunctions: 21316}, Rounds: 3, Starts: 1, Jobs: 2,
		},
		Workloads: []WorkloadInfo{{Type: "workload", Name: "Walk", Packages: map[string]string{"Walk": "1.0.0"}}, {Type: "workload", Name: "Plots & <co>"}},
		Skipped: []Skipped{
			{Type: "skipped", Workload: "Plots & <co>", Reason: "it needs a | display"},
			{Type: "skipped", Workload: "Walk", Subject: Compiler, Reason: "it is not installed"},
		},
		End: &End{Type: "end", Seconds: 60, Load: 1.5},
	}
	for round, factor := range []float64{1, 1.1, 0.95} {
		for metric, value := range map[string]float64{
			"base/load": 1, "base/work": 8, "base/first": 9, "base/start": 0.2, "record/seconds": 9.5, "cold/seconds": 10, "warm/seconds": 5,
			"chained/load": 0.01, "chained/work": 0.08, "chained/first": 0.09, "chained/start": 0.21,
			"cold/stage/start": 1, "cold/stage/infer": 2, "cold/stage/heap": 3, "cold/stage/link": 0.5,
		} {
			r.Samples = append(r.Samples, Sample{Type: "sample", Workload: "Walk", Metric: metric, Value: value * factor, Round: round})
		}
		for metric, value := range map[string]float64{"cold/bytes": 145e6, "cold/peak": 600e6, "cold/functions": 1234, "cold/statements": 56} {
			r.Samples = append(r.Samples, Sample{Type: "sample", Workload: "Walk", Metric: metric, Value: value, Round: round})
		}
	}
	r.Samples = append(r.Samples,
		Sample{Type: "sample", Workload: "Walk", Metric: "stock/seconds", Value: 200}, Sample{Type: "sample", Workload: "Walk", Metric: "stock/build peak", Value: 2e9},
		Sample{Type: "sample", Workload: "Walk", Metric: "chained/residual", Value: 0})
	return r
}

func TestResultsAreReadAsWritten(t *testing.T) {
	r := someResults()
	var out bytes.Buffer
	if err := r.writeSamples(&out); err != nil {
		t.Fatal(err)
	}
	read, err := readResults("samples.jsonl", bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, r) {
		t.Errorf("read is\n%+v\nand written was\n%+v", read, r)
	}
	whole := out.String()
	first, rest, _ := strings.Cut(whole, "\n")
	for text, want := range map[string]string{
		"":                                 "is empty",
		rest:                               `samples.jsonl:1 is not of a measurement (the first line must be of type "run")`,
		first + "\n{\"type\":\"song\"}\n":  `it is of type "song"`,
		first + "\n\n{\"type\":\"sample\"": "samples.jsonl:3 ",
		first + "\n{\"type\":\"sample\",\"value\":\"x\"}": "samples.jsonl:2 ",
		strings.Repeat("x", maxLine+1):                    "cannot be read",
	} {
		if _, err := readResults("samples.jsonl", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of %.60q it is said: %v, and not %q", text, err, want)
		}
	}
}

func TestMerge(t *testing.T) {
	r, other := someResults(), someResults()
	other.Workloads = []WorkloadInfo{{Type: "workload", Name: "Walk", About: "again"}, {Type: "workload", Name: "Run"}}
	other.Samples = []Sample{{Type: "sample", Workload: "Walk", Metric: "base/load", Value: 7}, {Type: "sample", Workload: "Run", Metric: "base/load", Value: 3}}
	other.Skipped = nil
	r.Merge(other)
	if len(r.Workloads) != 3 || len(r.Samples) != 2 || len(r.Skipped) != 1 || r.values("Walk", "base/load")[0] != 7 {
		t.Errorf("together they are %+v", r)
	}
	if got, want := r.commands(), "chainbuild bench Walk 'REPL completion'\nchainbuild bench Walk 'REPL completion'"; got != want {
		t.Errorf("the commands are\n%s\nand not\n%s", got, want)
	}
	var out bytes.Buffer
	if err := r.writeSamples(&out); err != nil {
		t.Fatal(err)
	}
	if read, err := readResults("both.jsonl", &out); err != nil || len(read.More) != 1 {
		t.Errorf("what was put together is read as %+v, %v", read, err)
	}
}

func TestFormatSeconds(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0 ms", 0.0002934: "0.29 ms", 0.00612: "6.1 ms", 0.0123: "12 ms", 0.0996: "0.100 s", 0.5: "0.500 s", 1.234: "1.23 s", 12.34: "12.3 s", 123.4: "123 s",
	} {
		if got := formatSeconds(seconds); got != want {
			t.Errorf("%v s are written as %s, not %s", seconds, got, want)
		}
	}
}

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   summary
		spread float64
	}{
		{nil, summary{}, 0}, {[]float64{3}, summary{1, 3, 3, 3}, 0}, {[]float64{9, 1}, summary{2, 5, 1, 9}, 0.8},
		{[]float64{9, 1, 2}, summary{3, 2, 1, 9}, 3.5}, {[]float64{4, 1, 2, 9}, summary{4, 3, 1, 9}, 2}, {[]float64{0, 0}, summary{2, 0, 0, 0}, 0},
	} {
		got := summarize(test.values)
		if got != test.want || math.Abs(got.spread()-test.spread) > 1e-12 {
			t.Errorf("%v are summarized as %+v with a spread of %v", test.values, got, got.spread())
		}
	}
}

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := someResults().WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Julia 1.5.3 (its own image: 188 MB, 21,316 functions), chainbuild 1, on 2 × P, 8,000 MB of memory, Linux 6.",
		"chainbuild bench Walk 'REPL completion'\n", "Medians of 3 rounds",
		"| Walk | 1.00 s ±10 % | 8.00 s ±10 % | 10 ms ±10 % | 80 ms ±10 % | 100 | – | – | 0.200 s ±10 % | 0.210 s ±10 % | 0 |\n",
		"| Walk | 56 | 1,234 | 9.50 s ±10 % | – | 10.0 s ±10 % | 5.00 s ±10 % | 1.11 | 200 s | 20.0 | 145 MB | – | 600 MB | 2,000 MB |\n",
		"| Plots & <co> | not run: it needs a \\| display |",
		"- PackageCompiler was not measured, since it is not installed: Walk\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables lack\n%s\nin\n%s", want, out.String())
		}
	}
	compared := someResults()
	for what, value := range map[string]float64{Seconds: 300, BuildCPU: 280, BuildPeak: 3e9, Bytes: 260e6, Load: 0.001, Work: 0.02, First: 0.021, Start: 0.25, Peak: 4e8} {
		compared.Samples = append(compared.Samples, Sample{Type: "sample", Workload: "Walk", Metric: Compiler + "/" + what, Value: value})
	}
	if text := compared.Text(); !strings.Contains(text, "Walk      PackageCompiler  300 s           280 s  3,000 MB  260 MB  1 ms  20 ms  0.250 s  400 MB\n") {
		t.Errorf("of PackageCompiler it is said\n%s", text)
	}
	compared.Workloads[0].Published = 8.5
	if text := compared.Text(); !strings.Contains(text, "workload      as published  original: load") || !strings.Contains(text, "Walk                8.50 s    1.00 s ±10 %") {
		t.Errorf("of what is published it is said\n%s", text)
	}
	failed := someResults()
	failed.Skipped = []Skipped{{Workload: "Walk", Reason: "it fell", Failed: true}}
	if text := failed.Text(); !strings.Contains(text, "Walk did not reach its end: it fell\n") || strings.Contains(text, "Walk  not run") || failed.Failures() != 1 {
		t.Errorf("of a workload that failed on the way it is said\n%s", text)
	}
	cut := someResults()
	cut.End = nil
	if text := cut.Text(); !strings.Contains(text, "did not reach its end") {
		t.Errorf("of a run that was cut short it is said\n%s", text)
	}
}

func TestTextTable(t *testing.T) {
	got := sheet{Header: []string{"a", "seconds"}, Rows: []sheetRow{{Cells: []string{"long – name", "1"}}, {Cells: []string{"b", ""}, Note: "not run: gone"}}}.text()
	if want := "a            seconds\nlong – name        1\nb            not run: gone\n"; got != want {
		t.Errorf("the table is\n%s\nand not\n%s", got, want)
	}
}

func TestReports(t *testing.T) {
	dir := t.TempDir()
	if err := someResults().WriteReports(dir); err != nil {
		t.Fatal(err)
	}
	if read, err := ReadResultsFile(filepath.Join(dir, SamplesFile)); err != nil || len(read.Samples) != len(someResults().Samples) {
		t.Errorf("the samples cannot be read again: %v", err)
	}
	for _, chart := range []string{"first-use", "stages"} {
		svg, err := os.ReadFile(filepath.Join(dir, chart+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, chart, svg)
		if !strings.Contains(string(svg), ">Walk") || strings.Contains(string(svg), "NaN") {
			t.Errorf("%s.svg does not show the workload, or shows what is no number:\n%s", chart, svg)
		}
		f, err := os.Open(filepath.Join(dir, chart+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if picture, err := png.Decode(f); err != nil || picture.Bounds().Dx() < 500 {
			t.Errorf("%s.png is no picture: %v", chart, err)
		}
		f.Close()
	}
	page, err := os.ReadFile(filepath.Join(dir, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Plots &amp; &lt;co&gt;", "<svg", "chained/residual", "<td>1,234</td>"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, outside := range []string{"src=", "href=\"http", "@import", "<co>"} {
		if strings.Contains(string(page), outside) {
			t.Errorf("the page has %q", outside)
		}
	}
}

func wellFormed(t *testing.T, name string, text []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Errorf("%s is not well formed: %v", name, err)
			return
		}
	}
}

func TestRoundTicks(t *testing.T) {
	for _, test := range []struct {
		least, most float64
		want        string
	}{{0, 10, "0 2 4 6 8 10"}, {0, 27.6, "0 5 10 15 20 25"}, {0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"}, {3, 4300, "1000 2000 3000 4000"}, {0.011, 0.019, "0.012 0.014 0.016 0.018"}} {
		var labels []string
		for _, tick := range roundTicks(test.least, test.most) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("from %v to %v the ticks are %s, not %s", test.least, test.most, got, test.want)
		}
	}
}

func TestStageSecondsAddUp(t *testing.T) {
	r := someResults()
	sum := 0.0
	for i, s := range r.stageSeconds("Walk", Cold) {
		sum += s
		if stageGroups[i].name == waitGroup && math.Abs(s-3.5) > 1e-9 {
			t.Errorf("the rest of the build is %v s", s)
		}
	}
	if math.Abs(sum-10) > 1e-9 {
		t.Errorf("the stages are %v s together", sum)
	}
}

func TestPlan(t *testing.T) {
	var p plan
	p.add("a", stepRun, 3)
	p.add("a", stepRecord, 1)
	p.add("b", stepRun, 2)
	p.addEach("c", stepCold, 5*time.Second)
	if got, want := p.remaining(), 5*priors[stepRun]+priors[stepRecord]+5*time.Second; got != want {
		t.Errorf("before anything is known %v remain, not %v", got, want)
	}
	p.done("a", stepRun, 2*time.Second)
	// 2 more runs of a, its record like them, 2 runs of b like those of a.
	if got, want := p.remaining(), (2*2+2+2*2+5)*time.Second; got != want {
		t.Errorf("after one run %v remain, not %v", got, want)
	}
	p.drop("b")
	if done, total := p.progress(); done != 1 || total != 5 {
		t.Errorf("%d of %d steps are done", done, total)
	}
	p.done("a", "something else", time.Second) // was not planned
	if done, total := p.progress(); done != 1 || total != 5 {
		t.Errorf("%d of %d steps are done after one that was not planned", done, total)
	}
}

func TestProgressOfLines(t *testing.T) {
	var out strings.Builder
	p := NewProgress(&out)
	defer p.Close()
	p.Report(Step{Workload: "Walk", What: stepCold, Done: 3, Total: 9, Remaining: 125 * time.Second})
	p.Report(Skipped{Workload: "Plots", Reason: "gone"})
	for _, want := range []string{"Walk: building cold (3 of 9 steps done, about 2 min to go)\n", "Plots: not measured: gone\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestProgressGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := NewProgress(&out)
		p.Report(Step{Workload: "Walk", What: stepStock})
		time.Sleep(heartbeat + heartbeat/5)
		p.Close()
		if want := "  0.00 s  Walk: building the stock whole image\n  60.0 s  Walk: building the stock whole image\n"; out.String() != want {
			t.Errorf("in a good minute it is said\n%s", out.String())
		}
	})
}

func TestProgressOnATerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(func(o screen.Options) *screen.Screen {
		o.Width = func() int { return 40 }
		return screen.New(&out, o)
	})
	r := someResults()
	for _, w := range r.Workloads {
		p.Report(w)
	}
	for _, s := range r.Samples {
		p.Report(s)
	}
	p.Report(Step{Workload: "Walk", What: strings.Repeat("é", 60), Remaining: time.Minute})
	p.Close()
	drawn := out.String()[strings.LastIndex(out.String(), "\x1b[A")+1:]
	if !strings.Contains(out.String(), "Walk: éééé") || !strings.Contains(out.String(), " left") {
		t.Errorf("there is no bar in %q", out.String())
	}
	if strings.Contains(drawn, "Walk") {
		t.Errorf("what was drawn is not removed: %q", drawn)
	}
}
