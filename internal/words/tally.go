package words

// This file counts, and lists what comes most often.

import (
	"fmt"
	"slices"
)

// A Tally counts by name. The names are in the order in which they came.
type Tally []Tallied

// Tallied is how often a name came.
type Tallied struct {
	Name  string
	Count int
}

// Listed is how many names a list for people has.
const Listed = 10

// Add counts a name once more.
func (t *Tally) Add(name string) {
	i := slices.IndexFunc(*t, func(c Tallied) bool { return c.Name == name })
	if i < 0 {
		i = len(*t)
		*t = append(*t, Tallied{Name: name})
	}
	(*t)[i].Count++
}

// MostFirst is the tally with what came most often first; of two that came as often, the first one comes first.
func (t Tally) MostFirst() Tally {
	sorted := slices.Clone(t)
	slices.SortStableFunc(sorted, func(a, b Tallied) int { return b.Count - a.Count })
	return sorted
}

// Lines list what came most often, a line each, and in a last line how many more there are of thing, with what more says of them.
func (t Tally) Lines(thing, more string) (lines []string) {
	for _, c := range t.MostFirst()[:min(len(t), Listed)] {
		lines = append(lines, fmt.Sprintf("  %6d  %s", c.Count, c.Name))
	}
	if n := len(t) - Listed; n > 0 {
		lines = append(lines, "  and "+Count(n, thing)+" more"+more)
	}
	return lines
}
