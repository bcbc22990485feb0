package bench

// This file computes what is said of several samples of one thing.

import (
	"math"
	"slices"
)

// A summary is what samples say together. The zero value is that of no samples.
type summary struct {
	N                int
	Median, Min, Max float64
}

// summarize summarizes samples.
func summarize(values []float64) summary {
	if len(values) == 0 {
		return summary{}
	}
	return summary{len(values), median(values), slices.Min(values), slices.Max(values)}
}

// spread is the larger distance of a sample from the median, as a part of the median; 0 for fewer than two samples.
func (s summary) spread() float64 {
	if s.N < 2 || s.Median == 0 {
		return 0
	}
	return math.Max(s.Max-s.Median, s.Median-s.Min) / math.Abs(s.Median)
}

// median is 0 for no values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
