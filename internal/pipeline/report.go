package pipeline

// This file lets several reporters follow one build.

// Reporters returns a Reporter that passes each event on to all of the given ones, in their order. Those that are nil
// are left out.
func Reporters(all ...Reporter) Reporter {
	var kept reporters
	for _, r := range all {
		if r != nil {
			kept = append(kept, r)
		}
	}
	return kept
}

type reporters []Reporter

func (all reporters) Report(e Event) {
	for _, r := range all {
		r.Report(e)
	}
}
