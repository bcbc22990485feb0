package bench

// This file shows a run while it goes on: on a terminal the table grows above a line that says what is going on; elsewhere there is a
// line for each step.

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A Progress shows a run. Report is for Options.Report.
type Progress struct {
	w       io.Writer
	width   func() int // columns of the terminal; nil: not a terminal
	results Results
	drawn   int // lines that are drawn over next time
	began   time.Time
}

// NewProgress returns a Progress that writes to w. Width returns the number of columns of the terminal that w is; nil: it is none.
func NewProgress(w io.Writer, width func() int) *Progress {
	return &Progress{w: w, width: width, began: time.Now()}
}

// Report takes up an event.
func (p *Progress) Report(e Event) {
	switch e := e.(type) {
	case Header:
		p.results.Header = e
	case WorkloadInfo:
		p.results.Workloads = append(p.results.Workloads, e)
	case Sample:
		p.results.Samples = append(p.results.Samples, e)
	case Skipped:
		p.results.Skipped = append(p.results.Skipped, e)
		if p.width == nil {
			what := e.Workload
			if e.Subject != "" {
				what += ", " + e.Subject
			}
			fmt.Fprintf(p.w, "%s  %s: not measured: %s\n", p.elapsed(), what, e.Reason)
		}
	case Step:
		if p.width == nil {
			fmt.Fprintf(p.w, "%s  %s\n", p.elapsed(), e)
		} else {
			p.draw(e.String())
		}
	case End:
		p.erase()
	}
}

// String says what goes on, how far the run is and how long it will still take.
func (s Step) String() string {
	text := s.What
	if s.Workload != "" {
		text = s.Workload + ": " + text
	}
	if s.Remaining > 0 {
		text += fmt.Sprintf(" (%d of %d steps done, %s to go)", s.Done, s.Total, about(s.Remaining))
	}
	return text
}

// about writes a duration as an estimate is worth.
func about(d time.Duration) string {
	if d < 90*time.Second {
		return fmt.Sprintf("about %d s", max(10, int(d.Seconds()+5)/10*10))
	}
	return fmt.Sprintf("about %d min", int(d.Minutes()+0.5))
}

func (p *Progress) elapsed() string { return fmt.Sprintf("%7.1f s", time.Since(p.began).Seconds()) }

// draw draws the table and the line over what was drawn before. Lines are cut at the terminal's width: one that wraps could not be drawn over.
func (p *Progress) draw(line string) {
	text := p.elapsed() + "  " + line
	if len(p.results.Workloads) > 0 {
		text = p.results.Overview().Text() + "\n" + text
	}
	p.erase()
	lines := strings.Split(text, "\n")
	for _, l := range lines {
		runes := []rune(l)
		fmt.Fprintf(p.w, "%s\n", string(runes[:min(len(runes), max(p.width()-1, 0))]))
	}
	p.drawn = len(lines)
}

// erase removes what was drawn.
func (p *Progress) erase() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA\x1b[J", p.drawn)
		p.drawn = 0
	}
}
