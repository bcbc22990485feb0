package bench

// This file compares two measurements, with benchstat's method: medians, and a Mann-Whitney U test, which asks how probable it is that
// samples of the same distribution come in such an order. It assumes nothing about the distribution. It cannot find anything significant
// in fewer than four samples on both sides.

import (
	"fmt"
	"math"
	"path"
	"strings"

	"chainbuild/internal/usage"

	"golang.org/x/perf/benchmath"
)

// CompareOptions say what counts as a difference.
type CompareOptions struct {
	// Threshold is by how many percent a median must become larger to be worse.
	Threshold float64
	// Alpha is the probability of chance below which a difference is significant.
	Alpha float64
	// Metrics are patterns of the metrics to compare, as path.Match takes them; none: all.
	Metrics []string
	// All lists metrics that did not change too.
	All bool
}

// A change is a metric of a workload in both measurements.
type change struct {
	Workload, Metric string
	Before, After    summary
	// P is the probability that the two differ by chance that much; 1 if the test cannot tell.
	P float64
	// Percent is the change of the median; infinite if it was 0.
	Percent float64
	// Verdict is better, worse, or "" if there is no change that counts.
	Verdict string
}

const (
	better = "better"
	worse  = "worse"
)

// A Comparison is the changes of all metrics that both measurements have.
type Comparison struct {
	Changes []change
	// Notes say what could not be compared, or not fairly.
	Notes []string
	all   bool
}

// moreIsBetter are metrics of which less is not better; those of which neither is, such as the number of new functions, are not compared.
var (
	moreIsBetter = map[string]bool{Hits: true}
	indifferent  = map[string]bool{Functions: true, Statements: true, Partitions: true}
)

// Compare compares. The error is for patterns that are none.
func Compare(before, after *Results, o CompareOptions) (*Comparison, error) {
	for _, pattern := range o.Metrics {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, usage.Errorf("%q is no pattern of metrics (%w): use * and ? as a shell does", pattern, err)
		}
	}
	c := &Comparison{all: o.All}
	c.note(before, after)
	seen := map[string]bool{}
	for _, s := range before.Samples {
		key := s.Workload + "\x00" + s.Metric
		_, what, _ := strings.Cut(s.Metric, "/")
		if seen[key] || indifferent[what] || !o.matches(s.Metric) {
			continue
		}
		seen[key] = true
		old, now := before.values(s.Workload, s.Metric), after.values(s.Workload, s.Metric)
		if now == nil {
			c.Notes = append(c.Notes, fmt.Sprintf("%s %s was measured before only", s.Workload, s.Metric))
			continue
		}
		c.Changes = append(c.Changes, o.change(s.Workload, s.Metric, old, now))
	}
	return c, nil
}

// note says where the two measurements are not alike.
func (c *Comparison) note(before, after *Results) {
	a, b := before.Header, after.Header
	for _, d := range []struct{ what, before, after string }{
		{"processors", fmt.Sprintf("%d × %s", a.Machine.Cores, a.Machine.Processor), fmt.Sprintf("%d × %s", b.Machine.Cores, b.Machine.Processor)},
		{"Julias", a.Julia.Version, b.Julia.Version},
		{"numbers of compile workers", fmt.Sprint(a.Jobs), fmt.Sprint(b.Jobs)},
	} {
		if d.before != d.after {
			c.Notes = append(c.Notes, fmt.Sprintf("the %s differ: %s before, %s after", d.what, d.before, d.after))
		}
	}
	for i, r := range []*Results{before, after} {
		if r.End == nil {
			c.Notes = append(c.Notes, fmt.Sprintf("the measurement %s did not reach its end", []string{"before", "after"}[i]))
		}
	}
}

func (o CompareOptions) matches(metric string) bool {
	for _, pattern := range o.Metrics {
		// A * of a pattern also stands for the slash in the names of stages.
		subject, what, _ := strings.Cut(metric, "/")
		if ok, _ := path.Match(pattern, subject+"/"+strings.ReplaceAll(what, "/", "_")); ok {
			return true
		}
		if pattern == metric {
			return true
		}
	}
	return len(o.Metrics) == 0
}

func (o CompareOptions) change(workload, metric string, before, after []float64) change {
	c := change{Workload: workload, Metric: metric, Before: summarize(before), After: summarize(after), P: mannWhitney(before, after, o.Alpha)}
	switch {
	case c.Before.Median != 0:
		c.Percent = 100 * (c.After.Median/c.Before.Median - 1)
	case c.After.Median != 0:
		c.Percent = math.Inf(1)
	}
	// What does not vary needs no test: an image that is larger each time is larger.
	exact := c.Before.Min == c.Before.Max && c.After.Min == c.After.Max && unit(metric) != "s"
	if (c.P < o.Alpha || exact) && math.Abs(c.Percent) > o.Threshold {
		_, what, _ := strings.Cut(metric, "/")
		if (c.Percent > 0) != moreIsBetter[what] {
			c.Verdict = worse
		} else {
			c.Verdict = better
		}
	}
	return c
}

// mannWhitney is the two-sided probability that samples of one distribution are as unlike as these.
func mannWhitney(before, after []float64, alpha float64) float64 {
	thresholds := &benchmath.Thresholds{CompareAlpha: alpha}
	return benchmath.AssumeNothing.Compare(benchmath.NewSample(before, thresholds), benchmath.NewSample(after, thresholds)).P
}

// Worse counts the changes for the worse.
func (c *Comparison) Worse() int {
	n := 0
	for _, change := range c.Changes {
		if change.Verdict == worse {
			n++
		}
	}
	return n
}

// Text is a table of the changes, and the notes.
func (c *Comparison) Text() string {
	t := sheet{Header: []string{"workload", "metric", "before", "after", "change", "p", ""}}
	for _, change := range c.Changes {
		if change.Verdict == "" && !c.all {
			continue
		}
		percent := "≈"
		if change.Verdict != "" {
			percent = fmt.Sprintf("%+.1f %%", change.Percent)
		}
		t.Rows = append(t.Rows, sheetRow{Cells: []string{
			change.Workload, change.Metric, formatValue(change.Metric, change.Before), formatValue(change.Metric, change.After), percent,
			fmt.Sprintf("%.3f", change.P), change.Verdict,
		}})
	}
	var out strings.Builder
	if len(t.Rows) > 0 {
		out.WriteString(t.text())
	}
	fmt.Fprintf(&out, "%d metrics compared, %d better, %d worse\n", len(c.Changes), len(c.Changes)-c.same()-c.Worse(), c.Worse())
	for _, note := range c.Notes {
		fmt.Fprintf(&out, "note: %s\n", note)
	}
	return out.String()
}

func (c *Comparison) same() int {
	n := 0
	for _, change := range c.Changes {
		if change.Verdict == "" {
			n++
		}
	}
	return n
}
