package choice

// This file says what was chosen, in lines for people.

import (
	"fmt"
	"slices"

	"chainbuild/internal/words"
)

// Summary says what was left out, by reason, and what was added.
func (o *Outcome) Summary() (lines []string) {
	if len(o.Dropped) > 0 {
		var reasons []string
		for _, d := range o.Dropped {
			reasons = append(reasons, d.By+": "+d.Reason)
		}
		lines = append(lines, fmt.Sprintf("left out %s, %s stay:", words.Count(len(o.Dropped), "statement"), words.Thousands(len(o.Kept))))
		lines = append(lines, tally(reasons).Lines("reason", "")...)
	}
	var added []string
	for _, c := range o.Kept {
		if c.AddedBy != "" {
			added = append(added, c.AddedBy)
		}
	}
	for _, by := range tally(added).MostFirst() {
		lines = append(lines, fmt.Sprintf("%s has added %s", by.Name, words.Count(by.Count, "statement")))
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

// tally counts names. Of two that come as often, the one that is first by name comes first.
func tally(names []string) (t words.Tally) {
	slices.Sort(names)
	for _, name := range names {
		if last := len(t) - 1; last >= 0 && t[last].Name == name {
			t[last].Count++
		} else {
			t = append(t, words.Tallied{Name: name, Count: 1})
		}
	}
	return t
}
