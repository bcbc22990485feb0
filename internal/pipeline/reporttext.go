package pipeline

// This file reports to people, on a screen (package screen): how far the build is, a line for each part of it that is over, and at the end what was
// built. A verbose report has a line for each event, under the stage's own name.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chainbuild/internal/screen"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
)

// A TextStyle says how much a text report says.
type TextStyle int

const (
	// Normal reports how far the build is, its parts, warnings, unresolved statements by reason, and the result.
	Normal TextStyle = iota
	// Quiet reports warnings only.
	Quiet
	// Verbose reports all events too.
	Verbose
)

// heartbeat is how long a text report says nothing while a stage is running, where it is not on a terminal.
const heartbeat = 10 * time.Second

// A TextReporter is a Reporter for people.
type TextReporter struct {
	// Start is how the new image is started, for the last line; empty: `julia -J` with the image.
	Start string

	screen *screen.Screen
	style  TextStyle
	state  buildState
	// reasons are those for which statements were not used, withheld those for which something did not leave for the remote cache.
	reasons, withheld words.Tally
}

// NewTextReporter returns a Reporter that writes lines to w, or, if w is a terminal, also draws how far the build is. An error of the build is left
// to the caller to print. Close must be called.
func NewTextReporter(w io.Writer, style TextStyle) *TextReporter {
	t := &TextReporter{style: style}
	t.state.reset()
	o := screen.Options{Now: t.state.now, Quiet: style == Quiet, Times: style == Verbose, Silence: heartbeat}
	if file, ok := w.(*os.File); ok {
		t.screen = screen.Of(file, o)
	} else {
		t.screen = screen.New(w, o)
	}
	return t
}

// Close ends the report; there are no more events.
func (t *TextReporter) Close() { t.screen.Close() }

// Report writes what the event is worth.
func (t *TextReporter) Report(e Event) { t.screen.Do(func() { t.report(e) }) }

func (t *TextReporter) report(e Event) {
	if t.style == Quiet {
		if warning, ok := e.(Warning); ok {
			t.screen.Say(screen.Warned, "%s", warning.Text)
		}
		return
	}
	t.state.take(e)
	if t.style == Verbose {
		t.detail(e)
	}
	switch e := e.(type) {
	case StageEnded:
		t.stageEnded(e)
	case Chosen:
		t.sayLines(e.Summary())
	case Withheld:
		t.withheld.Add(e.By + ": " + e.Reason)
	case UnresolvedStatement:
		t.reasons.Add(e.Reason)
	case Note:
		t.screen.Say(screen.Plain, "%s", e.Text)
	case Warning:
		t.screen.Say(screen.Warned, "%s", e.Text)
	case Watching:
		text := "watching " + words.Count(e.Files, "file")
		if e.Polled {
			text += ", looking at them now and then, as not all are on a file system that tells of changes"
		}
		t.screen.Say(screen.Plain, "%s", text)
	case Changed:
		t.reasons, t.withheld = nil, nil
		t.screen.Say(screen.Plain, "changed: %s", strings.Join(shorten(e.Paths), ", "))
	case Finished:
		t.finished(e)
	}
}

// stageEnded says what is over.
func (t *TextReporter) stageEnded(e StageEnded) {
	switch text := t.state.over(e.Name); {
	case t.style == Verbose, e.Name == policiesStage && errors.As(e.Err, new(*usage.Error)): // of a policy there is one line, which whoever asked prints
	case e.Err != nil:
		t.screen.Say(screen.Failed, "%s failed after %s", lowerFirst(doing(e.Name)), words.Seconds(e.Took))
	case text != "":
		t.screen.Say(screen.Done, "%s in %s", text, words.Seconds(e.Took))
	}
}

// detail says what a verbose report has beside the others.
func (t *TextReporter) detail(e Event) {
	say := func(format string, args ...any) { t.screen.Say(screen.Plain, format, args...) }
	switch e := e.(type) {
	case StageStarted:
		say("%s begins", e.Name)
	case StageEnded:
		if e.Err != nil {
			say("%s failed after %s", e.Name, words.Seconds(e.Took))
		} else {
			say("%s: %s", e.Name, words.Seconds(e.Took))
		}
	case PartitionStarted:
		say("partition %d: %s, on worker %d", e.Partition, words.Count(e.Functions, "function"), e.Worker)
	case BatchEnded:
		text := fmt.Sprintf("%d of a batch of %s compiled remotely in %s", e.Executed, words.Count(e.Partitions, "partition"), words.Seconds(e.Took))
		if e.Err != nil {
			text += ": " + e.Err.Error()
		}
		say("%s", text)
	case PartitionEnded:
		if e.Err == nil { // the error of the build names the partition
			say("partition %d: %s (%d of %d)", e.Partition, e.origin(), e.Done, e.Total)
		}
	case Chosen:
		for _, d := range e.Dropped {
			say("%sleft out by %s (%s): %s", atPlace(d.File, d.Line), d.By, d.Reason, d.Source)
		}
		for _, c := range e.Kept {
			if c.AddedBy != "" {
				say("%sadded by %s: %s", atPlace(c.File, c.Line), c.AddedBy, c.Source)
			}
		}
	case Withheld:
		if e.Partition > 0 {
			say("partition %d: its %s does not leave for the remote cache, by %s (%s)", e.Partition, e.Kind, e.By, e.Reason)
		}
	case UnresolvedStatement:
		say("%s:%d: %s: %s", e.File, e.Line, e.Reason, e.Statement)
	}
}

// origin says where the object came from.
func (e PartitionEnded) origin() string {
	switch {
	case e.Remote:
		return "from the remote cache"
	case e.Hit:
		return "from the cache"
	case e.Executed:
		return "compiled remotely"
	default:
		return "compiled"
	}
}

// atPlace is what a line about a place in a file begins with.
func atPlace(file string, line int) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", file, line)
}

func (t *TextReporter) sayLines(lines []string) {
	for _, line := range lines {
		t.screen.Say(screen.Plain, "%s", line)
	}
}

// sayReasons lists reasons, the most frequent first.
func (t *TextReporter) sayReasons(reasons words.Tally) {
	t.sayLines(reasons.Lines("reason", "; -v lists all"))
}

// missing are modules that statements name and that are in no package that could be loaded. Modules of sessions are not among them.
func (t *TextReporter) missing() []string {
	var names []string
	for _, r := range t.reasons {
		if name, ok := strings.CutPrefix(r.Name, "module "); ok {
			if name, ok := strings.CutSuffix(name, " is not loaded"); ok && name != "Main" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	if len(names) > words.Listed {
		names = append(names[:words.Listed], "…")
	}
	return names
}

func (t *TextReporter) finished(e Finished) {
	if e.Err != nil {
		return
	}
	say := func(format string, args ...any) { t.screen.Say(screen.Plain, format, args...) }
	r := e.Result
	if r.Statements.Unresolved > 0 {
		say("%d of %s not used:", r.Statements.Unresolved, words.Count(r.Statements.Total, "statement"))
		t.sayReasons(t.reasons)
		if missing := t.missing(); len(missing) > 0 {
			say("  %s: to have their methods in the image, name the project that has them with --project", strings.Join(missing, ", "))
		}
	}
	if t.withheld != nil {
		say("by policies, some of it does not leave for the remote cache:")
		t.sayReasons(t.withheld)
	}
	if r.Statements.Resolved == 0 && r.Statements.Total > 0 {
		t.screen.Say(screen.Warned, "no statement could be used, so nothing of them is in the image")
	}
	t.screen.Say(screen.Done, "%s", r.Summary())
	if t.style == Verbose {
		say("%s", r.details())
	}
	say("%s", t.state.gain(r))
	start := t.Start
	if start == "" {
		start = "julia -J " + ShellWord(nearPath(r.Image))
	}
	say("start it with: %s", start)
}

// Summary says in one line what was built.
func (r *Result) Summary() string {
	return fmt.Sprintf("built %s in %s: %s, with %s for %s", nearPath(r.Image), words.Seconds(time.Duration(r.Seconds*float64(time.Second))), words.Bytes(r.Bytes),
		words.Count(r.Functions.New, "new function"), r.statements())
}

// statements says how many statements were used, and which of them the base had.
func (r *Result) statements() string {
	if r.Statements.InBase == 0 {
		return words.Count(r.Statements.Resolved, "statement")
	}
	return fmt.Sprintf("%s and %s of the base", words.Count(r.Statements.Resolved-r.Statements.InBase, "new statement"), words.Thousands(r.Statements.InBase))
}

// details say of what it was built.
func (r *Result) details() string {
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
	return fmt.Sprintf("%s of the base, %s, peak memory %s", words.Count(r.Functions.Base, "function"), partitions, words.Bytes(r.PeakRSS))
}

// nearPath is a path as one would type it here: relative where it lies in the working folder.
func nearPath(path string) string {
	if dir, err := os.Getwd(); err == nil {
		if near, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(near) {
			return near
		}
	}
	return path
}

// ShellWord is the text as a word of a shell's command line.
func ShellWord(text string) string {
	if strings.IndexFunc(text, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("/._-+=:,@%", r))
	}) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
