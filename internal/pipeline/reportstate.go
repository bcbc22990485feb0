package pipeline

// This file is what a text report knows of a build, in the words of a user: what goes on, how far it is, what is over, what was gained.

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chainbuild/internal/screen"
	"chainbuild/internal/words"
)

// A buildState follows the events of a build.
type buildState struct {
	running  []string // stages, in the order in which they began
	estimate *estimate
	planned  Planned
	inferred int
	packages []string // that were loaded
	linked   int64    // bytes
	compiled PartitionCounts
	done     int // partitions
	new      int // functions
}

func (b *buildState) reset() {
	*b = buildState{estimate: newEstimate(time.Now(), guess(0, 0, 1, false))}
}

// take takes up an event.
func (b *buildState) take(e Event) {
	switch e := e.(type) {
	case Planned:
		b.planned = e
		b.estimate.expected = e.Expected
	case StageStarted:
		b.running = append(b.running, e.Name)
		b.estimate.begin(e.Name, e.At)
	case StageEnded:
		b.running = slices.DeleteFunc(b.running, func(name string) bool { return name == e.Name })
		b.estimate.end(e.Name, e.Took)
	case Loading:
		b.packages = append(b.packages, e.Package)
	case Inferred:
		b.inferred = e.Done
		b.estimate.count("infer", e.Done, b.planned.Statements)
	case Emitted:
		b.new = e.Functions
	case Linked:
		b.linked = e.Bytes
	case PartitionEnded:
		b.done, b.compiled.Total = e.Done, e.Total
		b.estimate.count("compile", e.Done, e.Total)
		switch {
		case e.Err != nil:
		case e.Remote:
			b.compiled.Hits++
			b.compiled.RemoteHits++
		case e.Hit:
			b.compiled.Hits++
		case e.Executed:
			b.compiled.Executed++
		}
	case Changed, Finished:
		b.reset()
	}
}

// doing says what goes on in a stage.
func doing(stage string) string {
	switch stage {
	case "inspect", "prepare":
		return "Reading the base image"
	case policiesStage:
		return "Asking policies"
	case "workers":
		return "Preparing this Julia (once)"
	case "start":
		return "Starting Julia"
	case "load":
		return "Loading packages"
	case "infer":
		return "Inferring statements"
	case "collect", "emit", "split":
		return "Generating code"
	case "compile":
		return "Compiling"
	case "heap", "chain":
		return "Writing Julia's state"
	case "link":
		return "Linking"
	case "verify":
		return "Checking the image"
	}
	return "The stage " + stage
}

// lowerFirst is a text within a sentence.
func lowerFirst(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToLower(first)) + text[size:]
}

// now says how far the build is.
func (b *buildState) now() (screen.Position, bool) {
	if len(b.running) == 0 {
		return screen.Position{}, false
	}
	fraction, left := b.estimate.at(time.Now())
	return screen.Position{What: b.what(), Fraction: fraction, Left: left}, true
}

// what says what goes on. Of two stages it is the one that one waits for: compiling, as long as there is something to compile.
func (b *buildState) what() string {
	stage := b.running[len(b.running)-1]
	if slices.Contains(b.running, "compile") && (b.done < b.compiled.Total || len(b.running) == 1) {
		stage = "compile"
	} else if stage == "compile" {
		stage = b.running[0]
	}
	text := doing(stage)
	switch {
	case stage == "load" && len(b.packages) > 0:
		return "Loading " + b.packages[len(b.packages)-1]
	case stage == "infer" && b.planned.Statements > 0:
		return fmt.Sprintf("%s: %s of %s", text, words.Thousands(b.inferred), words.Thousands(b.planned.Statements))
	case stage == "compile" && b.compiled.Total > 0:
		return fmt.Sprintf("%s: %s of %s", text, words.Thousands(b.done), words.Count(b.compiled.Total, "partition"))
	case stage == "link" && b.linked > 0:
		return text + ": " + words.Bytes(b.linked)
	}
	return text
}

// over says what there is when a stage is over, "" if that is nothing that a user waits for.
func (b *buildState) over(stage string) string {
	switch stage {
	case "workers":
		return "Prepared this Julia for builds (once)"
	case "load":
		if len(b.packages) > 0 {
			return "Loaded " + words.Count(len(b.packages), "package")
		}
	case "infer":
		if b.planned.Statements > 0 {
			return "Inferred " + words.Count(b.planned.Statements, "statement")
		}
	case "compile":
		text := "Compiled " + words.Count(b.new, "function")
		var parts []string
		if b.compiled.Hits > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d partitions from the cache", b.compiled.Hits, b.compiled.Total))
		}
		if b.compiled.RemoteHits > 0 {
			parts = append(parts, fmt.Sprintf("%d from the remote cache", b.compiled.RemoteHits))
		}
		if b.compiled.Executed > 0 {
			parts = append(parts, fmt.Sprintf("%d compiled remotely", b.compiled.Executed))
		}
		if parts != nil {
			text += ", " + strings.Join(parts, ", ") + ","
		}
		return text
	case "verify":
		return "Checked the image"
	}
	return ""
}

// gain says what a session has of the image. The state may be that of a build that is over.
func (b *buildState) gain(r *Result) string {
	function := "function"
	if r.Statements.InBase > 0 {
		function = "more function"
	}
	has := words.Count(r.Functions.New, function) + " compiled"
	if r.loaded > 0 {
		has = words.Count(r.loaded, "package") + " loaded and " + has
	}
	text := "a session has " + has + " when it starts"
	// What came from a cache was compiled at another time.
	if r.Partitions.Hits == 0 && r.Partitions.Executed == 0 {
		seconds := r.Compiling.Passes + r.Compiling.Codegen
		for _, stage := range r.Stages {
			if stage.Name == "load" || stage.Name == "infer" {
				seconds += stage.Seconds
			}
		}
		text += fmt.Sprintf(", which took %s of processor time here", words.Seconds(time.Duration(seconds*float64(time.Second))))
	}
	return text
}
