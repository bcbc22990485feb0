package choice

// This file keeps what is built within a budget.
//
// The heaviest are taken first, those of the same weight by their text, until there is one that the budget has no room for. So what a larger budget
// takes is what a smaller one takes and more.

import (
	"cmp"
	"fmt"
	"slices"
)

// Estimates are what the statements of a build cost, as far as earlier builds tell.
type Estimates struct {
	// Seconds and Bytes are those of what is kept.
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
	// Guessed says that no earlier build tells, and that each statement is taken to cost the same.
	Guessed bool `json:"guessed,omitempty"`
}

// keepWithin drops what the budget has no room for.
func (o *Outcome) keepWithin(costs *Costs) {
	budget := o.Budget
	order := make([]int, len(o.Kept))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := o.Kept[a], o.Kept[b]
		return cmp.Or(cmp.Compare(y.Weight(), x.Weight()), cmp.Compare(x.Source, y.Source))
	})
	o.Estimates = &Estimates{Guessed: costs.Guessed}
	taken := make([]bool, len(o.Kept))
	for _, i := range order {
		cost := costs.of(o.Kept[i].Modules)
		seconds, bytes := o.Estimates.Seconds+cost.Seconds, o.Estimates.Bytes+cost.Bytes
		if budget.Seconds > 0 && seconds > budget.Seconds || budget.Bytes > 0 && bytes > budget.Bytes {
			break
		}
		o.Estimates.Seconds, o.Estimates.Bytes, taken[i] = seconds, bytes, true
	}
	var kept []Candidate
	for i, c := range o.Kept {
		if taken[i] {
			kept = append(kept, c)
		} else {
			o.Dropped = append(o.Dropped, Dropped{c.Source, c.File, c.Line, ByBudget, fmt.Sprintf("beyond %s", budget)})
		}
	}
	o.Kept = kept
}
