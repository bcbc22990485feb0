package bench

// This file shows a run while it goes on: on a terminal the table grows above a line that says what is going on; elsewhere there is a
// line for each step.

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A Progress shows a run. Report is for Options.Report; Close must be called.
type Progress struct {
	w     io.Writer
	width func() int // columns of the terminal; nil: not a terminal
	began time.Time
	stop  chan struct{}
	ticks sync.WaitGroup

	mu      sync.Mutex // guards what follows, and w
	results Results
	step    Step
	stepped time.Time // when the step began
	said    time.Time // when the last line was written
	drawn   int       // lines that are drawn over next time
}

// heartbeat is how long a report that is not on a terminal says nothing.
const heartbeat = time.Minute

// NewProgress returns a Progress that writes to w. Width returns the number of columns of the terminal that w is; nil: it is none.
func NewProgress(w io.Writer, width func() int) *Progress {
	p := &Progress{w: w, width: width, began: time.Now(), stop: make(chan struct{})}
	p.ticks.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case now := <-ticker.C:
				p.mu.Lock()
				p.tick(now)
				p.mu.Unlock()
			}
		}
	})
	return p
}

// Close ends the report and removes what was drawn.
func (p *Progress) Close() {
	close(p.stop)
	p.ticks.Wait()
	p.erase()
}

// tick shows that time goes on: stock builds take minutes.
func (p *Progress) tick(now time.Time) {
	switch {
	case p.step.What == "":
	case p.width != nil:
		p.draw()
	case now.Sub(p.said) >= heartbeat:
		p.say("%s, for %.0f s", p.step.name(), now.Sub(p.stepped).Seconds())
	}
}

// Report takes up an event.
func (p *Progress) Report(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
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
			p.say("%s: not measured: %s", what, e.Reason)
		}
	case Step:
		p.step, p.stepped = e, time.Now()
		if p.width == nil {
			p.say("%s", e)
		} else {
			p.draw()
		}
	}
}

// say writes a line.
func (p *Progress) say(format string, args ...any) {
	p.said = time.Now()
	fmt.Fprintf(p.w, "%s  %s\n", p.elapsed(), fmt.Sprintf(format, args...))
}

// String says what goes on, how far the run is and how long it will still take.
func (s Step) String() string {
	text := s.name()
	if s.Remaining > 0 {
		text += fmt.Sprintf(" (%d of %d steps done, %s to go)", s.Done, s.Total, about(s.Remaining))
	}
	return text
}

func (s Step) name() string {
	if s.Workload == "" {
		return s.What
	}
	return s.Workload + ": " + s.What
}

// about writes a duration as an estimate is worth.
func about(d time.Duration) string {
	if d < 90*time.Second {
		return fmt.Sprintf("about %d s", max(10, int(d.Seconds()+5)/10*10))
	}
	return fmt.Sprintf("about %d min", int(d.Minutes()+0.5))
}

func (p *Progress) elapsed() string { return fmt.Sprintf("%7.1f s", time.Since(p.began).Seconds()) }

// draw draws the table and a line for the step over what was drawn before. Lines are cut at the terminal's width: one that wraps could not be
// drawn over.
func (p *Progress) draw() {
	step := p.step
	if step.Remaining > 0 {
		step.Remaining = max(time.Second, step.Remaining-time.Since(p.stepped))
	}
	text := p.elapsed() + "  " + step.String()
	if len(p.results.Workloads) > 0 {
		text = p.results.overview().text() + "\n" + text
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
