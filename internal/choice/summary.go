package choice

// This file says what was chosen, in lines for people.

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"chainbuild/internal/words"
)

// shownReasons is how many of the reasons are listed.
const shownReasons = 10

// Summary says what was left out, by reason, and what was added.
func (o *Outcome) Summary() (lines []string) {
	if len(o.Dropped) > 0 {
		reasons := map[string]int{}
		for _, d := range o.Dropped {
			reasons[d.By+": "+d.Reason]++
		}
		lines = append(lines, fmt.Sprintf("left out %s, %s stay:", words.Count(len(o.Dropped), "statement"), words.Thousands(len(o.Kept))))
		names := mostFirst(reasons)
		for _, name := range names[:min(len(names), shownReasons)] {
			lines = append(lines, fmt.Sprintf("  %6d  %s", reasons[name], name))
		}
		if more := len(names) - shownReasons; more > 0 {
			lines = append(lines, fmt.Sprintf("  and %s more", words.Count(more, "reason")))
		}
	}
	added := map[string]int{}
	for _, c := range o.Kept {
		if c.AddedBy != "" {
			added[c.AddedBy]++
		}
	}
	for _, name := range mostFirst(added) {
		lines = append(lines, fmt.Sprintf("%s has added %s", name, words.Count(added[name], "statement")))
	}
	if e := o.Estimates; e != nil {
		text := fmt.Sprintf("the budget of %s takes %s: about %.1f s of a processor to compile, and %s of machine code", o.Budget, words.Count(len(o.Kept), "statement"), e.Seconds, words.Bytes(e.Bytes))
		if e.Guessed {
			text += "; no earlier build of this image tells, so each counts for the same"
		}
		lines = append(lines, text)
	}
	return lines
}

// mostFirst are the names of what is counted, those with the highest number first.
func mostFirst(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b))
	})
}
