package pipeline

// This file reports to people: lines of text, one for each stage that is over, and at the end what was built.
//
// A build must never look hung. On a terminal (reportlive.go) a line that is redrawn says what is going on; elsewhere a
// line is printed when nothing was for a while.

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"chainbuild/internal/words"
)

// A TextStyle says how much a text report says.
type TextStyle int

const (
	// Normal reports stages, partitions, warnings, unresolved statements by reason, and the result.
	Normal TextStyle = iota
	// Quiet reports warnings only.
	Quiet
	// Verbose reports all events.
	Verbose
)

// heartbeat is how long a text report says nothing while a stage is running.
const heartbeat = 10 * time.Second

// NewTextReporter returns a Reporter that writes lines to w. An error of the build is left to the caller to print. Close
// must be called.
func NewTextReporter(w io.Writer, style TextStyle) *TextReporter {
	t := newTextReporter(w, style)
	if style != Quiet {
		t.every(heartbeat/10, func() {
			if len(t.running) > 0 && time.Since(t.said) >= heartbeat {
				t.say("%s", t.now())
			}
		})
	}
	return t
}

// A TextReporter is a Reporter for people.
type TextReporter struct {
	w     io.Writer
	style TextStyle
	live  *liveLine // nil: not on a terminal
	stop  chan struct{}
	ticks sync.WaitGroup

	mu          sync.Mutex
	start, said time.Time // of the report, and of its last line
	running     []runningStage
	done, total int // partitions
	remote      int // of those done, from the remote cache
	executed    int // of those done, compiled remotely
	reasons     []reasonCount
}

type runningStage struct {
	name  string
	start time.Time
}

type reasonCount struct {
	reason string
	count  int
}

func newTextReporter(w io.Writer, style TextStyle) *TextReporter {
	now := time.Now()
	return &TextReporter{w: w, style: style, stop: make(chan struct{}), start: now, said: now}
}

// every calls tick in intervals, under the lock, until Close.
func (t *TextReporter) every(interval time.Duration, tick func()) {
	t.ticks.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-t.stop:
				return
			case <-ticker.C:
				t.mu.Lock()
				tick()
				t.mu.Unlock()
			}
		}
	})
}

// Close ends the report; there are no more events.
func (t *TextReporter) Close() {
	close(t.stop)
	t.ticks.Wait()
	t.live.erase(t.w)
}

// Report writes what the event is worth.
func (t *TextReporter) Report(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.style == Quiet {
		if warning, ok := e.(Warning); ok {
			t.say("warning: %s", warning.Text)
		}
		return
	}
	switch e := e.(type) {
	case StageStarted:
		if len(t.running) == 0 {
			t.said = e.At // the silence begins now
		}
		t.running = append(t.running, runningStage{e.Name, e.At})
		if t.style == Verbose {
			t.say("%s begins", e.Name)
		}
	case StageEnded:
		t.running = slices.DeleteFunc(t.running, func(s runningStage) bool { return s.name == e.Name })
		if e.Err != nil {
			t.say("%s failed after %s", e.Name, words.Seconds(e.Took))
		} else {
			t.say("%s: %s", e.Name, words.Seconds(e.Took))
		}
	case PartitionStarted:
		if t.style == Verbose {
			t.say("partition %d: %s, on worker %d", e.Partition, words.Count(e.Functions, "function"), e.Worker)
		}
	case BatchEnded:
		if t.style == Verbose {
			text := fmt.Sprintf("%d of a batch of %s compiled remotely in %s", e.Executed, words.Count(e.Partitions, "partition"), words.Seconds(e.Took))
			if e.Err != nil {
				text += ": " + e.Err.Error()
			}
			t.say("%s", text)
		}
	case PartitionEnded:
		t.partition(e)
	case UnresolvedStatement:
		t.unresolved(e.Unresolved)
	case Note:
		t.say("%s", e.Text)
	case Warning:
		t.say("warning: %s", e.Text)
	case Watching:
		text := "watching " + words.Count(e.Files, "file")
		if e.Polled {
			text += ", looking at them now and then, as not all are on a file system that tells of changes"
		}
		t.say("%s", text)
	case Changed:
		t.done, t.total, t.remote, t.executed, t.reasons = 0, 0, 0, 0, nil
		t.say("changed: %s", strings.Join(shorten(e.Paths), ", "))
	case Finished:
		t.finished(e)
	}
	t.live.draw(t)
}

// partition says how many are done: each time in a verbose report, else at every tenth part of all. The live line shows
// it anyway.
func (t *TextReporter) partition(e PartitionEnded) {
	before := t.done
	if e.Remote {
		t.remote++
	}
	if e.Executed {
		t.executed++
	}
	t.done, t.total = e.Done, e.Total
	switch {
	case e.Err != nil:
		// The error of the build names the partition.
	case t.style == Verbose && e.Remote:
		t.say("partition %d: from the remote cache (%d of %d)", e.Partition, e.Done, e.Total)
	case t.style == Verbose && e.Hit:
		t.say("partition %d: from the cache (%d of %d)", e.Partition, e.Done, e.Total)
	case t.style == Verbose && e.Executed:
		t.say("partition %d: compiled remotely (%d of %d)", e.Partition, e.Done, e.Total)
	case t.style == Verbose:
		t.say("partition %d: compiled (%d of %d)", e.Partition, e.Done, e.Total)
	case t.live == nil && e.Total > 0 && e.Done*10/e.Total > before*10/e.Total:
		t.say("%d of %s", e.Done, words.Count(e.Total, "partition"))
	}
}

func (t *TextReporter) unresolved(u Unresolved) {
	i := slices.IndexFunc(t.reasons, func(r reasonCount) bool { return r.reason == u.Reason })
	if i < 0 {
		i = len(t.reasons)
		t.reasons = append(t.reasons, reasonCount{reason: u.Reason})
	}
	t.reasons[i].count++
	if t.style == Verbose {
		t.say("%s:%d: %s: %s", u.File, u.Line, u.Reason, u.Statement)
	}
}

// shownReasons is how many of the reasons for which statements were not used a report lists.
const shownReasons = 10

func (t *TextReporter) finished(e Finished) {
	t.running = nil
	if e.Err != nil {
		return
	}
	r := e.Result
	if r.Statements.Unresolved > 0 {
		t.say("%d of %s not used:", r.Statements.Unresolved, words.Count(r.Statements.Total, "statement"))
		slices.SortStableFunc(t.reasons, func(a, b reasonCount) int { return b.count - a.count })
		for _, reason := range t.reasons[:min(len(t.reasons), shownReasons)] {
			t.say("  %6d  %s", reason.count, reason.reason)
		}
		if more := len(t.reasons) - shownReasons; more > 0 {
			t.say("  and %s more; -v lists all", words.Count(more, "reason"))
		}
	}
	t.say("%s", r.Summary())
}

// Summary says in one line what was built, from how much, how large and how fast.
func (r *Result) Summary() string {
	partitions := words.Count(r.Partitions.Total, "partition")
	var sources []string
	if r.Partitions.Hits > 0 {
		sources = append(sources, fmt.Sprintf("%d from the cache", r.Partitions.Hits))
	}
	if r.Partitions.RemoteHits > 0 {
		sources = append(sources, fmt.Sprintf("%d of them from the remote one", r.Partitions.RemoteHits))
	}
	if r.Partitions.Executed > 0 {
		sources = append(sources, fmt.Sprintf("%d compiled remotely", r.Partitions.Executed))
	}
	if sources != nil {
		partitions += " (" + strings.Join(sources, ", ") + ")"
	}
	statements := words.Count(r.Statements.Resolved, "statement")
	if r.Statements.InBase > 0 {
		statements = fmt.Sprintf("%s and %s of the base", words.Count(r.Statements.Resolved-r.Statements.InBase, "new statement"), words.Thousands(r.Statements.InBase))
	}
	return fmt.Sprintf("built %s: %s and %s of the base, from %s in %s; %s, %s, peak memory %s",
		r.Image, words.Count(r.Functions.New, "new function"), words.Thousands(r.Functions.Base), statements, partitions,
		words.Bytes(r.Bytes), words.Seconds(time.Duration(r.Seconds*float64(time.Second))), words.Bytes(r.PeakRSS))
}

// say prints a line.
func (t *TextReporter) say(format string, args ...any) {
	t.said = time.Now()
	t.live.erase(t.w)
	fmt.Fprintf(t.w, "%8s  %s\n", words.Seconds(t.said.Sub(t.start)), fmt.Sprintf(format, args...))
}

// now says what is going on, "" if nothing is.
func (t *TextReporter) now() string {
	var parts []string
	for _, s := range t.running {
		parts = append(parts, fmt.Sprintf("%s for %s", s.name, words.Seconds(time.Since(s.start))))
	}
	text := strings.Join(parts, ", ")
	if len(parts) > 0 && t.done < t.total {
		text += fmt.Sprintf("; %d of %s done", t.done, words.Count(t.total, "partition"))
		if t.remote > 0 {
			text += fmt.Sprintf(", %d from the remote cache", t.remote)
		}
		if t.executed > 0 {
			text += fmt.Sprintf(", %d compiled remotely", t.executed)
		}
	}
	return text
}
