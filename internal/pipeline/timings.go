package pipeline

// This file writes down what ran when, for Chrome's trace viewer (chrome://tracing, https://ui.perfetto.dev).
//
// The format is the JSON object form of Chrome's Trace Event Format: {"traceEvents": [event, …]} with
//
//	ph   "X" a span with a start and a length; "M" the name of a row
//	pid  1; tid the row: stages in the rows from 0, since overlapping spans of a row must enclose one another,
//	     look-ups in the remote cache in the rows from firstRemoteRow and batches that its server compiles in those from firstBatchRow, side by
//	     side; workers in the rows from firstWorkerRow, one each
//	ts, dur  microseconds from the start of the build
//	args     of a partition: functions, and once it is compiled passes_seconds and codegen_seconds; of what failed: error
//
// "otherData" says of a build that succeeded what it could use again: base, worker_image, statements, functions and partitions, as the result of
// --json has them.

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/renameio/v2"
)

// timings is a Reporter that collects the stages and partitions of a build.
type timings struct {
	start time.Time
	spans []*span
	open  map[string]*span
	rows  map[int]string
}

type span struct {
	name, category string
	row            int
	start, end     time.Time // end is zero while it is running
	args           map[string]any
}

const (
	firstRemoteRow = 20
	firstBatchRow  = 60
	firstWorkerRow = 100
)

// recordTimings adds what o.Timings asks for to those who follow the build. The returned function writes the file; it is
// called when the build is over, with what came of it, or nil.
func recordTimings(o *Options) (write func(*Result) error) {
	if o.Timings == "" {
		return func(*Result) error { return nil }
	}
	timings := newTimings()
	o.Report = Reporters(timings, o.Report)
	return func(result *Result) error { return timings.write(o.Timings, result) }
}

// newTimings starts to count time.
func newTimings() *timings {
	return &timings{start: time.Now(), open: map[string]*span{}, rows: map[int]string{}}
}

// Report takes up an event.
func (t *timings) Report(e Event) {
	switch e := e.(type) {
	case StageStarted:
		t.begin("stage "+e.Name, &span{name: e.Name, category: "stage", row: t.freeStageRow(), start: e.At})
	case StageEnded:
		t.end("stage "+e.Name, e.At, e.Err)
	case RemoteAnswered:
		start := e.At.Add(-e.Took)
		t.spans = append(t.spans, &span{
			name: partitionKey(e.Partition), category: remoteCategory, row: t.freeRow(firstRemoteRow, firstBatchRow, remoteCategory, start), start: start, end: e.At,
			args: map[string]any{"hit": e.Hit},
		})
	case BatchEnded:
		start := e.At.Add(-e.Took)
		s := &span{
			name: fmt.Sprintf("%d partitions", e.Partitions), category: batchCategory, row: t.freeRow(firstBatchRow, firstWorkerRow, batchCategory, start), start: start,
			args: map[string]any{"executed": e.Executed},
		}
		s.finish(e.At, e.Err)
		t.spans = append(t.spans, s)
	case PartitionStarted:
		row := firstWorkerRow + e.Worker
		t.rows[row] = fmt.Sprintf("worker %d", e.Worker)
		// One that is started again was lost by the worker that had it.
		t.end(partitionKey(e.Partition), e.At, nil)
		t.begin(partitionKey(e.Partition), &span{
			name: partitionKey(e.Partition), category: "partition", row: row, start: e.At,
			args: map[string]any{"functions": e.Functions},
		})
	case PartitionEnded:
		key := partitionKey(e.Partition)
		if s := t.open[key]; s != nil && e.Codegen > 0 {
			s.args["passes_seconds"], s.args["codegen_seconds"] = e.Passes.Seconds(), e.Codegen.Seconds()
		}
		t.end(key, e.At, e.Err)
	}
}

func partitionKey(partition int) string { return fmt.Sprintf("partition %d", partition) }

func (t *timings) begin(key string, s *span) {
	t.spans = append(t.spans, s)
	t.open[key] = s
}

func (t *timings) end(key string, at time.Time, err error) {
	if s := t.open[key]; s != nil {
		s.finish(at, err)
		delete(t.open, key)
	}
}

func (s *span) finish(at time.Time, err error) {
	s.end = at
	if err != nil {
		if s.args == nil {
			s.args = map[string]any{}
		}
		s.args["error"] = err.Error()
	}
}

// freeStageRow returns the first row in which no stage is running.
func (t *timings) freeStageRow() int {
	for row := 0; ; row++ {
		if !slices.ContainsFunc(t.spans, func(s *span) bool { return s.category == "stage" && s.row == row && s.end.IsZero() }) {
			t.rows[row] = "stages"
			return row
		}
	}
}

// Categories of what is asked of the remote cache: look-ups, and batches that its server compiles.
const (
	remoteCategory = "remote cache"
	batchCategory  = "remote execution"
)

// freeRow returns the first of some rows in which nothing was going on then, the last one where there are too many, and names it.
func (t *timings) freeRow(first, end int, name string, start time.Time) int {
	row := first
	for row < end-1 && slices.ContainsFunc(t.spans, func(s *span) bool { return s.row == row && s.end.After(start) }) {
		row++
	}
	t.rows[row] = name
	return row
}

// write writes the trace of what was reported so far, and what came of it, to the file at path.
func (t *timings) write(path string, result *Result) error {
	type event struct {
		Name     string         `json:"name"`
		Category string         `json:"cat,omitempty"`
		Phase    string         `json:"ph"`
		Start    int64          `json:"ts"`
		Length   int64          `json:"dur"`
		Process  int            `json:"pid"`
		Row      int            `json:"tid"`
		Args     map[string]any `json:"args,omitempty"`
	}
	events := []event{}
	for row, name := range t.rows {
		events = append(events, event{Name: "thread_name", Phase: "M", Process: 1, Row: row, Args: map[string]any{"name": name}})
	}
	slices.SortFunc(events, func(a, b event) int { return a.Row - b.Row })
	for _, s := range t.spans {
		end := s.end
		if end.IsZero() {
			end = time.Now()
		}
		events = append(events, event{
			Name: s.name, Category: s.category, Phase: "X", Process: 1, Row: s.row, Args: s.args,
			Start: s.start.Sub(t.start).Microseconds(), Length: end.Sub(s.start).Microseconds(),
		})
	}
	file := map[string]any{"traceEvents": events, "displayTimeUnit": "ms"}
	if r := result; r != nil {
		file["otherData"] = map[string]any{"base": r.Base, "worker_image": r.WorkerImage, "statements": r.Statements, "functions": r.Functions, "partitions": r.Partitions}
	}
	text, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("the timings cannot be written: %w", err)
	}
	if err := renameio.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("the timings cannot be written: %w", err)
	}
	return nil
}
