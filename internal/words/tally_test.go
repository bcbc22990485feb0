package words

import (
	"fmt"
	"slices"
	"testing"
)

func TestTally(t *testing.T) {
	var tally Tally
	if lines := tally.Lines("reason", "."); lines != nil {
		t.Errorf("of nothing there are the lines %q", lines)
	}
	for _, name := range []string{"a", "b", "c", "b"} {
		tally.Add(name)
	}
	if got, want := tally.Lines("reason", "."), []string{"       2  b", "       1  a", "       1  c"}; !slices.Equal(got, want) {
		t.Errorf("the lines are %q, not %q", got, want)
	}
	if tally[0].Name != "a" {
		t.Error("listing has changed the order")
	}
	for i := range Listed {
		tally.Add(fmt.Sprint(i))
	}
	lines := tally.Lines("reason", "; ask")
	if last := lines[len(lines)-1]; len(lines) != Listed+1 || last != "  and 3 reasons more; ask" {
		t.Errorf("of %d names there are the lines %q", len(tally), lines)
	}
}
