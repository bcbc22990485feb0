package bench

// This file decides whether a review speaks against the new Julia.
//
//	measurements   a workload, or the run of Julia's tests, failed with the new Julia and not with the old one
//	tests          one of Julia's own tests ends in another way under the new Julia's chained image than under its own
//	builds         the same build gives other bytes with the new Julia, and the same with the old one
//	changes        a metric that has a threshold became worse by more, and not by chance (compare.go)
//
// What is wrong with both Julias is said, and does not count.

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"chainbuild/internal/usage"
	"chainbuild/internal/words"
)

// A Threshold is how many percent worse the metrics may become that match a pattern, as path.Match takes it. A * also stands for the slash in
// the names of stages.
type Threshold struct {
	Pattern string  `json:"pattern"`
	Percent float64 `json:"percent"`
}

// DefaultThresholds are those of a review that names none: what people wait for, and what it takes.
var DefaultThresholds = []Threshold{{"*/first", 5}, {"*/seconds", 5}, {"*/start", 5}, {"*/bytes", 3}, {"*/peak", 10}}

// ParseThresholds reads PERCENT, for the metrics of DefaultThresholds, and PATTERN=PERCENT, which goes before. The errors are *usage.Error.
func ParseThresholds(texts []string) ([]Threshold, error) {
	thresholds := slices.Clone(DefaultThresholds)
	var own []Threshold
	for _, text := range texts {
		pattern, number, both := strings.Cut(text, "=")
		if !both {
			number = text
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(number), "%"), 64)
		if err != nil || percent < 0 || math.IsNaN(percent) || math.IsInf(percent, 0) {
			return nil, usage.Errorf("--threshold does not take %q: give percent, such as 5, or a pattern with percent, such as 'cold/seconds=10'", text)
		}
		if !both {
			for i := range thresholds {
				thresholds[i].Percent = percent
			}
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return nil, usage.Errorf("--threshold does not take %q: its pattern is none, use * and ? as a shell does", text)
		}
		own = append(own, Threshold{pattern, percent})
	}
	slices.Reverse(own) // the last one that matches counts
	return append(own, thresholds...), nil
}

// limit is the threshold of a metric; false if it has none.
func limit(thresholds []Threshold, metric string) (percent float64, ok bool) {
	for _, t := range thresholds {
		if (CompareOptions{Metrics: []string{t.Pattern}}).matches(metric) {
			return t.Percent, true
		}
	}
	return 0, false
}

// A Finding is something that a reviewer should know. Against says that it counts against the new Julia.
type Finding struct {
	About   string `json:"about"`
	Text    string `json:"text"`
	Against bool   `json:"against"`
}

// A Verdict is what follows from a review.
type Verdict struct {
	Findings []Finding
	// Changes are all metrics that both sides have. Those that count have a verdict (better or worse).
	Changes []change
}

// Against counts the findings against the new Julia.
func (v *Verdict) Against() int {
	n := 0
	for _, f := range v.Findings {
		if f.Against {
			n++
		}
	}
	return n
}

func (v *Verdict) add(against bool, about, format string, args ...any) {
	v.Findings = append(v.Findings, Finding{about, fmt.Sprintf(format, args...), against})
}

// Judge says what follows from a review. Alpha is the probability of chance below which a difference counts. Findings against come first.
func (r *Review) Judge(thresholds []Threshold, alpha float64) *Verdict {
	v := &Verdict{}
	v.judgeMeasurements(r)
	v.judgeTests(r)
	v.judgeBuilds(r.Builds)
	v.judgeChanges(r, thresholds, alpha)
	slices.SortStableFunc(v.Findings, func(a, b Finding) int {
		switch {
		case a.Against && !b.Against:
			return -1
		case b.Against && !a.Against:
			return 1
		}
		return 0
	})
	return v
}

func (v *Verdict) judgeMeasurements(r *Review) {
	for i := range sides {
		for _, s := range r.side(i).Skipped {
			other := r.side(1-i).reason(s.Workload, s.Subject)
			switch {
			case other == "" && i == newSide:
				v.add(true, s.Workload, "could not be measured with the new Julia, and with the old one it could: %s", s.Reason)
			case other == "":
				v.add(false, s.Workload, "could be measured with the new Julia only: %s", s.Reason)
			case i == newSide:
				v.add(false, s.Workload, "could not be measured with either Julia: %s", s.Reason)
			}
		}
	}
	if len(r.Old.Samples) == 0 && len(r.New.Samples) == 0 {
		v.add(true, "measurements", "nothing was measured with either Julia, so nothing speaks for the new one")
	}
	if n := r.New.Header.Rounds; n < 4 {
		v.add(false, "measurements", "%s tell no change of times from chance: it takes four or more", words.Count(n, "round"))
	}
}

func (v *Verdict) judgeTests(r *Review) {
	own := map[string]string{}
	for _, t := range r.Tests {
		if t.Julia == sideNames[oldSide] {
			own[t.Name] = t.Own
		}
	}
	for _, t := range r.Tests {
		isNew := t.Julia == sideNames[newSide]
		if !t.Same() {
			v.add(isNew, "test "+t.Name, "gives another result under the %s Julia's chained image than under its own: %q, not %q", t.Julia, t.Chained, t.Own)
		}
		if before, both := own[t.Name]; isNew && both && before != t.Own {
			v.add(false, "test "+t.Name, "gives another result with the new Julia itself: %q, not %q", t.Own, before)
		}
	}
	for i, reason := range r.TestsSkipped {
		if reason != "" {
			v.add(false, "Julia's own tests", "were not run with the %s Julia: %s", sideNames[i], reason)
		}
	}
}

func (v *Verdict) judgeBuilds(builds []SameBuild) {
	differs := map[string]bool{}
	for _, b := range builds {
		if b.Julia == sideNames[oldSide] && b.Different > 0 {
			differs[b.Workload] = true
		}
	}
	for _, b := range builds {
		if b.Different > 0 {
			against := b.Julia == sideNames[newSide] && !differs[b.Workload]
			v.add(against, b.Workload, "two builds with the %s Julia differ in %s of %s: %s", b.Julia, words.Count(int(b.Different), "byte"), words.Bytes(b.Bytes[1]), b.where())
		}
	}
}

// where says in which sections a build differs.
func (b SameBuild) where() string {
	var parts []string
	for _, s := range b.Sections {
		parts = append(parts, fmt.Sprintf("%s (%s, the first at %#x)", s.Name, words.Count(int(s.Different), "byte"), s.First))
	}
	return strings.Join(parts, ", ")
}

// judgeChanges compares with no threshold first, so that each metric can have its own.
func (v *Verdict) judgeChanges(r *Review, thresholds []Threshold, alpha float64) {
	comparison, err := Compare(r.Old, r.New, CompareOptions{Alpha: alpha})
	if err != nil {
		panic(err) // only patterns can be wrong, and there are none
	}
	v.Changes = comparison.Changes
	for i := range v.Changes {
		c := &v.Changes[i]
		percent, has := limit(thresholds, c.Metric)
		if has && math.Abs(c.Percent) <= percent {
			c.Verdict = ""
		}
		if c.Verdict == worse && has {
			v.add(true, c.Workload, "%s became worse by %.1f %%, and %g %% is accepted: %s before, %s now (p = %.3f)",
				c.Metric, c.Percent, percent, formatValue(c.Metric, c.Before), formatValue(c.Metric, c.After), c.P)
		}
	}
	for _, note := range comparison.Notes {
		if !strings.HasSuffix(note, "was measured before only") { // it failed, which is said already
			v.add(false, "comparison", "%s", note)
		}
	}
}
