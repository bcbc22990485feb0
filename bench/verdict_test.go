package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/internal/usage"
)

// someReview is one with four rounds in which nothing differs.
func someReview() *Review {
	side := func() *Results {
		r := &Results{Header: Header{Type: "run", Rounds: 4}, Workloads: []WorkloadInfo{{Type: "workload", Name: "Walk"}}, End: &End{Type: "end"}}
		for round := range 4 {
			for metric, value := range map[string]float64{"chained/first": 1, "chained/start": 0.2, "cold/seconds": 4, "cold/stage/heap": 2} {
				r.Samples = append(r.Samples, Sample{Type: "sample", Workload: "Walk", Metric: metric, Value: value + float64(round)/1000, Round: round})
			}
			r.Samples = append(r.Samples, Sample{Type: "sample", Workload: "Walk", Metric: "cold/bytes", Value: 1000, Round: round})
		}
		return r
	}
	r := &Review{Old: side(), New: side()}
	for _, name := range sideNames {
		r.Tests = append(r.Tests, TestRun{Julia: name, Name: "sets", Own: "sets: 9 passed", Chained: "sets: 9 passed"})
		r.Builds = append(r.Builds, SameBuild{Julia: name, Workload: "Walk", Bytes: [2]int64{1000, 1000}, Sections: []SectionDifference{}})
	}
	return r
}

func scale(r *Results, metric string, by float64) {
	for i := range r.Samples {
		if r.Samples[i].Metric == metric {
			r.Samples[i].Value *= by
		}
	}
}

// findings are those of a review, those against the new Julia with a ! before them.
func findings(v *Verdict) string {
	var all []string
	for _, f := range v.Findings {
		mark := ""
		if f.Against {
			mark = "!"
		}
		all = append(all, mark+f.About+": "+f.Text)
	}
	return strings.Join(all, "\n")
}

func TestJudge(t *testing.T) {
	differs := SameBuild{Workload: "Walk", Bytes: [2]int64{1000, 1000}, Different: 7, Sections: []SectionDifference{{".text", [2]int64{500, 500}, 7, 16}}}
	for name, test := range map[string]struct {
		change func(*Review)
		// want is in the findings, "" if there must be none.
		want string
	}{
		"nothing":                  {func(r *Review) {}, ""},
		"slower":                   {func(r *Review) { scale(r.New, "cold/seconds", 1.2) }, "!Walk: cold/seconds became worse by 20.0 %, and 5 % is accepted: 4.00 s"},
		"a little slower":          {func(r *Review) { scale(r.New, "cold/seconds", 1.04) }, ""},
		"faster":                   {func(r *Review) { scale(r.New, "cold/seconds", 0.8) }, ""},
		"larger":                   {func(r *Review) { scale(r.New, "cold/bytes", 1.05) }, "!Walk: cold/bytes became worse"},
		"a stage has no threshold": {func(r *Review) { scale(r.New, "cold/stage/heap", 2) }, ""},
		"a test":                   {func(r *Review) { r.Tests[1].Chained = "sets: 8 passed" }, `!test sets: gives another result under the new Julia's chained image than under its own: "sets: 8 passed", not "sets: 9 passed"`},
		"a test of the old":        {func(r *Review) { r.Tests[0].Chained = "sets: 8 passed" }, "test sets: gives another result under the old Julia's chained image"},
		"a test of Julia itself":   {func(r *Review) { r.Tests[1].Own, r.Tests[1].Chained = "gone", "gone" }, `test sets: gives another result with the new Julia itself: "gone", not`},
		"no tests":                 {func(r *Review) { r.TestsSkipped[newSide] = "none were asked for" }, "Julia's own tests: were not run with the new Julia: none were asked for"},
		"a build":                  {func(r *Review) { r.Builds[1] = differs; r.Builds[1].Julia = "new" }, "!Walk: two builds with the new Julia differ in 7 bytes of 1 kB: .text (7 bytes, the first at 0x10)"},
		"builds of both": {func(r *Review) {
			r.Builds = []SameBuild{differs, differs}
			r.Builds[0].Julia, r.Builds[1].Julia = "old", "new"
		}, "Walk: two builds with the old Julia differ"},
		"a failure":            {func(r *Review) { r.New.Skipped = []Skipped{{Workload: "Walk", Reason: "it died"}} }, "!Walk: could not be measured with the new Julia, and with the old one it could: it died"},
		"a failure of the old": {func(r *Review) { r.Old.Skipped = []Skipped{{Workload: "Walk", Reason: "it died"}} }, "Walk: could be measured with the new Julia only: it died"},
		"a failure of both": {func(r *Review) {
			s := []Skipped{{Workload: "Walk", Reason: "it died"}}
			r.Old.Skipped, r.New.Skipped = s, s
		}, "Walk: could not be measured with either Julia: it died"},
		"nothing measured":          {func(r *Review) { r.Old.Samples, r.New.Samples = nil, nil }, "!measurements: nothing was measured"},
		"too few rounds":            {func(r *Review) { r.New.Header.Rounds = 3 }, "measurements: 3 rounds tell no change of times from chance"},
		"another number of workers": {func(r *Review) { r.New.Header.Jobs = 3 }, "comparison: the numbers of compile workers differ"},
	} {
		t.Run(name, func(t *testing.T) {
			r := someReview()
			test.change(r)
			got := findings(r.Judge(DefaultThresholds, 0.05))
			if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
				t.Errorf("the findings are %q, not %q", got, test.want)
			}
		})
	}
}

func TestParseThresholds(t *testing.T) {
	thresholds, err := ParseThresholds([]string{"10", "cold/*=1", "cold/stage/heap=2.5%"})
	if err != nil {
		t.Fatal(err)
	}
	for metric, want := range map[string]float64{"warm/seconds": 10, "cold/seconds": 1, "cold/stage/heap": 2.5, "cold/stage/link": 1, "base/load": -1} {
		got, ok := limit(thresholds, metric)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("the threshold of %s is %g, not %g", metric, got, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "NaN", "cold/*=", "=3", "[=3", "cold/*=inf"} {
		var refused *usage.Error
		if _, err := ParseThresholds([]string{text}); !errors.As(err, &refused) {
			t.Errorf("%q is taken for a threshold: %v", text, err)
		}
	}
	if DefaultThresholds[0].Percent != 5 {
		t.Error("the defaults have changed")
	}
}

func TestReviewIsReadAsWritten(t *testing.T) {
	r, dir := someReview(), t.TempDir()
	scale(r.New, "cold/seconds", 1.2)
	r.Old.Samples = append(r.Old.Samples, Sample{Type: "sample", Workload: "Walk", Metric: "chained/residual"})
	r.New.Samples = append(r.New.Samples, Sample{Type: "sample", Workload: "Walk", Metric: "chained/residual", Value: 2})
	r.Tests[1].Chained = "sets: 8 passed\n  failed at sets.jl:1: a | b"
	v := r.Judge(DefaultThresholds, 0.05)
	if err := r.Write(dir, v, DefaultThresholds, 0.05); err != nil {
		t.Fatal(err)
	}
	read, err := ReadReview(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := findings(read.Judge(DefaultThresholds, 0.05)), findings(v); got != want {
		t.Errorf("what was read is judged\n%s\nand not\n%s", got, want)
	}
	text, err := os.ReadFile(filepath.Join(dir, reviewMarkdown))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"❌ 2 findings are against the new Julia.", "| Walk, cold/seconds | 4.00 s ±0 % | 4.80 s ±0 % | +20.0 % | 0.029 | worse |", `failed at sets.jl:1: a \| b |`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the Markdown does not have %q:\n%s", want, text)
		}
	}
	text, err = os.ReadFile(filepath.Join(dir, reviewJSON))
	var file map[string]any
	if err != nil || json.Unmarshal(text, &file) != nil || file["passed"] != false {
		t.Errorf("the JSON is %v, %s", err, text)
	}
	if _, err := os.Stat(filepath.Join(dir, reviewPage)); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "[]", "{"} {
		if err := os.WriteFile(filepath.Join(dir, reviewJSON), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var refused *usage.Error
		if _, err := ReadReview(dir); !errors.As(err, &refused) {
			t.Errorf("%q is taken for a report: %v", text, err)
		}
	}
}

func TestAnnotations(t *testing.T) {
	v := &Verdict{Findings: []Finding{{"a: b, c", "5 % more\nthan ::error::", true}, {"d", "e", false}}}
	want := "::error title=chainbuild%3A a%3A b%2C c::5 %25 more%0Athan ::error::\n::notice title=chainbuild%3A d::e\n"
	if got := v.Annotations(); got != want {
		t.Errorf("the annotations are\n%s\nand not\n%s", got, want)
	}
}

func TestCountDifferent(t *testing.T) {
	for _, test := range []struct {
		a, b     string
		n, first int64
	}{{"", "", 0, -1}, {"abc", "abc", 0, -1}, {"abc", "axy", 2, 1}, {"abc", "ab", 1, 2}, {"", "ab", 2, 0}} {
		if n, first := countDifferent([]byte(test.a), []byte(test.b)); n != test.n || first != test.first {
			t.Errorf("%q and %q differ in %d bytes, the first at %d", test.a, test.b, n, first)
		}
	}
}

func TestJuliaTests(t *testing.T) {
	all, quick := JuliaTests(false), JuliaTests(true)
	if len(quick) == 0 || len(all) <= len(quick) || all[0] != quick[0] || strings.HasPrefix(all[0], "#") {
		t.Errorf("the tests are %v, the quick ones %v", all, quick)
	}
}

func TestResolvable(t *testing.T) {
	trace := "precompile(Tuple{typeof(Base.sin), Int64})\nprecompile(Tuple{typeof(Main.Test_sets.f)})\nprecompile(Tuple{typeof(Base.sin), Int64})\nprecompile(Tuple{typeof(Base.co"
	if got, want := string(resolvable([]byte(trace))), "precompile(Tuple{typeof(Base.sin), Int64})\n"; got != want {
		t.Errorf("the statements are %q, not %q", got, want)
	}
}

func TestChangesFromNothing(t *testing.T) {
	r := someReview()
	r.Old.Samples = append(r.Old.Samples, Sample{Type: "sample", Workload: "Walk", Metric: "chained/residual"})
	r.New.Samples = append(r.New.Samples, Sample{Type: "sample", Workload: "Walk", Metric: "chained/residual", Value: 2})
	for _, c := range r.Judge(DefaultThresholds, 0.05).Changes {
		if c.Metric == "chained/residual" && (!math.IsInf(c.Percent, 1) || c.Verdict != worse) {
			t.Errorf("what was 0 has changed by %g %%: %q", c.Percent, c.Verdict)
		}
	}
}
