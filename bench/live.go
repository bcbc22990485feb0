package bench

// This file shows a run while it goes on: on a terminal the table grows above a bar that says how far the run is; elsewhere there is a line for
// each step.

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"chainbuild/internal/screen"
)

// A Progress shows a run. Report is for Options.Report; Close must be called.
type Progress struct {
	screen  *screen.Screen
	lively  bool // on a terminal
	began   time.Time
	results Results
	step    Step
	stepped time.Time // when the step began
}

// heartbeat is how long a report that is not on a terminal says nothing.
const heartbeat = time.Minute

// NewProgress returns a Progress that writes to w.
func NewProgress(w io.Writer) *Progress {
	if file, ok := w.(*os.File); ok {
		return newProgress(func(o screen.Options) *screen.Screen { return screen.Of(file, o) })
	}
	return newProgress(func(o screen.Options) *screen.Screen { return screen.New(w, o) })
}

func newProgress(open func(screen.Options) *screen.Screen) *Progress {
	p := &Progress{began: time.Now()}
	p.screen = open(screen.Options{Now: p.now, Above: p.table, Silence: heartbeat})
	p.lively = p.screen.OnTerminal()
	return p
}

// Close ends the report and removes what was drawn.
func (p *Progress) Close() { p.screen.Close() }

// Report takes up an event.
func (p *Progress) Report(e Event) { p.screen.Do(func() { p.report(e) }) }

func (p *Progress) report(e Event) {
	switch e := e.(type) {
	case Header:
		p.results.Header = e
	case WorkloadInfo:
		p.results.Workloads = append(p.results.Workloads, e)
	case Sample:
		p.results.Samples = append(p.results.Samples, e)
	case Skipped:
		p.results.Skipped = append(p.results.Skipped, e)
		if !p.lively {
			what := e.Workload
			if e.Subject != "" {
				what += ", " + e.Subject
			}
			p.screen.Say(screen.Failed, "%s: not measured: %s", what, e.Reason)
		}
	case Step:
		p.step, p.stepped = e, time.Now()
		if !p.lively {
			p.screen.Say(screen.Plain, "%s", e)
		}
	}
}

// now says how far the run is.
func (p *Progress) now() (screen.Position, bool) {
	if p.step.What == "" {
		return screen.Position{}, false
	}
	at := screen.Position{What: p.step.name()}
	if p.step.Remaining > 0 {
		at.Left = max(time.Second, p.step.Remaining-time.Since(p.stepped))
		gone := time.Since(p.began)
		at.Fraction = gone.Seconds() / (gone + at.Left).Seconds()
	}
	return at, true
}

// table has the lines of the table of what was measured.
func (p *Progress) table() []string {
	if len(p.results.Workloads) == 0 {
		return nil
	}
	return strings.Split(p.results.overview().text(), "\n")
}

// String says what goes on, how far the run is and how long it will still take.
func (s Step) String() string {
	text := s.name()
	if s.Remaining > 0 {
		text += fmt.Sprintf(" (%d of %d steps done, about %s to go)", s.Done, s.Total, screen.Duration(s.Remaining))
	}
	return text
}

func (s Step) name() string {
	if s.Workload == "" {
		return s.What
	}
	return s.Workload + ": " + s.What
}
