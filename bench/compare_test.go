package bench

import (
	"math"
	"strings"
	"testing"
)

// The exact probabilities are those of tables of the Mann-Whitney U distribution: of the C(n+m, n) orders, those at least as extreme.
func TestMannWhitney(t *testing.T) {
	for _, test := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 2.0 / 20},
		{[]float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{[]float64{6, 7, 8, 9, 10}, []float64{1, 2, 3, 4, 5}, 2.0 / 252},
		{[]float64{1, 2, 3, 5}, []float64{4, 6, 7, 8}, 4.0 / 70},
		{[]float64{1, 4, 5, 8}, []float64{2, 3, 6, 7}, 1},
	} {
		if got := mannWhitney(test.a, test.b, 0.05); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("of %v and %v the probability is %v, not %v", test.a, test.b, got, test.want)
		}
	}
	if got := mannWhitney([]float64{2, 2, 2, 2}, []float64{2, 2, 2, 2}, 0.05); got < 0.99 {
		t.Errorf("of equal samples the probability is %v", got)
	}
}

func resultsWith(metrics map[string][]float64) *Results {
	r := &Results{Header: Header{Type: "run", Jobs: 2}, End: &End{}}
	for metric, values := range metrics {
		for round, value := range values {
			r.Samples = append(r.Samples, Sample{Workload: "Walk", Metric: metric, Value: value, Round: round})
		}
	}
	return r
}

func TestCompare(t *testing.T) {
	before := resultsWith(map[string][]float64{
		"cold/seconds":     {10, 10.1, 10.2, 9.9, 10},
		"warm/seconds":     {5, 5.1, 4.9, 5, 5},
		"chained/work":     {1, 1.1, 0.9, 1, 1},
		"base/work":        {8, 8, 8},
		"cold/bytes":       {100e6, 100e6, 100e6},
		"warm/hits":        {10, 10, 10},
		"cold/functions":   {100, 100, 100},
		"chained/residual": {0},
		"stock/seconds":    {200},
	})
	after := resultsWith(map[string][]float64{
		"cold/seconds":     {11, 11.1, 11.2, 10.9, 11},
		"warm/seconds":     {4, 4.1, 3.9, 4, 4},
		"chained/work":     {1.01, 1.12, 0.9, 1.02, 1}, // not significant
		"base/work":        {9, 9, 9},                  // too few samples of a time
		"cold/bytes":       {110e6, 110e6, 110e6},      // does not vary
		"warm/hits":        {5, 5, 5},                  // more would be better
		"cold/functions":   {200, 200, 200},
		"chained/residual": {3},
	})
	c, err := Compare(before, after, CompareOptions{Threshold: 3, Alpha: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, change := range c.Changes {
		got[change.Metric] = change.Verdict
	}
	want := map[string]string{
		"cold/seconds": worse, "warm/seconds": better, "chained/work": "", "base/work": "", "cold/bytes": worse, "warm/hits": worse, "chained/residual": worse,
	}
	if len(got) != len(want) {
		t.Errorf("compared are %v", got)
	}
	for metric, verdict := range want {
		if got[metric] != verdict {
			t.Errorf("%s is %q, not %q", metric, got[metric], verdict)
		}
	}
	if c.Worse() != 4 {
		t.Errorf("%d metrics are worse", c.Worse())
	}
	text := c.Text()
	for _, want := range []string{"+10.0 %", "-20.0 %", "7 metrics compared, 1 better, 4 worse", "note: Walk stock/seconds was measured before only"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "chained/work") {
		t.Errorf("what did not change is listed:\n%s", text)
	}

	for _, test := range []struct {
		options CompareOptions
		worse   int
	}{
		{CompareOptions{Threshold: 10.5, Alpha: 0.05}, 2}, // the hits and what is still compiled
		{CompareOptions{Threshold: 3, Alpha: 0.001}, 3},   // what does not vary stays
		{CompareOptions{Threshold: 3, Alpha: 0.05, Metrics: []string{"cold/*"}}, 2},
		{CompareOptions{Threshold: 3, Alpha: 0.05, Metrics: []string{"warm/seconds"}}, 0},
	} {
		c, err := Compare(before, after, test.options)
		if err != nil || c.Worse() != test.worse {
			t.Errorf("with %+v %d metrics are worse, not %d, %v", test.options, c.Worse(), test.worse, err)
		}
	}
	if _, err := Compare(before, after, CompareOptions{Metrics: []string{"["}}); err == nil {
		t.Error("[ is taken for a pattern")
	}
}

func TestCompareNotesWhatIsNotAlike(t *testing.T) {
	before, after := resultsWith(nil), resultsWith(nil)
	after.Header.Jobs, after.End = 4, nil
	c, err := Compare(before, after, CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Notes, "; "); got != "the numbers of compile workers differ: 2 before, 4 after; the measurement after did not reach its end" {
		t.Errorf("the notes are: %s", got)
	}
}
