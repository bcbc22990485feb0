package pipeline

// This file reports to programs: one JSON object per event and line.
//
// Each has "event" and, but for the last, "at", the seconds since the build began. The events are
//
//	stage_started      name
//	stage_ended        name, seconds, error if it failed
//	remote_answered    partition, hit, seconds; the remote cache was asked
//	batch_ended        partitions, executed, seconds, error if it failed; the remote cache's server was given some to compile
//	partition_started  partition, worker, functions
//	partition_ended    partition, hit, done, total, remote if the hit is one of the remote cache, executed if its server compiled it,
//	                   error if it failed
//	chosen             kept, added, dropped; policies or a budget have left so many statements of all
//	dropped            statement, by, reason, file, line if it is from one; comes before chosen
//	withheld           kind, by, reason, partition if it is of one; a policy has not let it leave for the remote cache
//	unresolved         file, line, statement, reason
//	note, warning      text
//	watching           files, polled; of a build that watches
//	changed            paths; a build begins anew
//	result             what Result has; the last line of a build that succeeded
//	error              message; the last line of a build that failed

import (
	"encoding/json"
	"io"
	"time"

	"chainbuild/internal/choice"
)

// NewJSONReporter returns a Reporter that writes events to w.
func NewJSONReporter(w io.Writer) Reporter {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return &jsonReporter{encoder, time.Now()}
}

type jsonReporter struct {
	encoder *json.Encoder
	start   time.Time
}

// Report cannot fail: a reader that has gone away is no reason to give up a build.
func (j *jsonReporter) Report(e Event) {
	type object = map[string]any
	seconds := func(at time.Time) float64 { return at.Sub(j.start).Seconds() }
	withError := func(o object, err error) object {
		if err != nil {
			o["error"] = err.Error()
		}
		return o
	}
	switch e := e.(type) {
	case StageStarted:
		j.encoder.Encode(object{"event": "stage_started", "at": seconds(e.At), "name": e.Name})
	case StageEnded:
		j.encoder.Encode(withError(object{"event": "stage_ended", "at": seconds(e.At), "name": e.Name, "seconds": e.Took.Seconds()}, e.Err))
	case PartitionStarted:
		j.encoder.Encode(object{"event": "partition_started", "at": seconds(e.At), "partition": e.Partition, "worker": e.Worker, "functions": e.Functions})
	case RemoteAnswered:
		j.encoder.Encode(object{"event": "remote_answered", "at": seconds(e.At), "partition": e.Partition, "hit": e.Hit, "seconds": e.Took.Seconds()})
	case BatchEnded:
		j.encoder.Encode(withError(object{"event": "batch_ended", "at": seconds(e.At), "partitions": e.Partitions, "executed": e.Executed, "seconds": e.Took.Seconds()}, e.Err))
	case PartitionEnded:
		o := object{"event": "partition_ended", "at": seconds(e.At), "partition": e.Partition, "hit": e.Hit, "done": e.Done, "total": e.Total}
		if e.Remote {
			o["remote"] = true
		}
		if e.Executed {
			o["executed"] = true
		}
		j.encoder.Encode(withError(o, e.Err))
	case Chosen:
		for _, d := range e.Dropped {
			j.encoder.Encode(struct {
				Event string  `json:"event"`
				At    float64 `json:"at"`
				choice.Dropped
			}{"dropped", seconds(e.At), d})
		}
		j.encoder.Encode(object{"event": "chosen", "at": seconds(e.At), "kept": len(e.Kept), "added": e.Added(), "dropped": len(e.Dropped)})
	case Withheld:
		o := object{"event": "withheld", "at": seconds(e.At), "kind": e.Kind, "by": e.By, "reason": e.Reason}
		if e.Partition > 0 {
			o["partition"] = e.Partition
		}
		j.encoder.Encode(o)
	case UnresolvedStatement:
		j.encoder.Encode(object{"event": "unresolved", "at": seconds(e.At), "file": e.File, "line": e.Line, "statement": e.Statement, "reason": e.Reason})
	case Note:
		j.encoder.Encode(object{"event": "note", "at": seconds(e.At), "text": e.Text})
	case Warning:
		j.encoder.Encode(object{"event": "warning", "at": seconds(e.At), "text": e.Text})
	case Watching:
		j.encoder.Encode(object{"event": "watching", "at": seconds(e.At), "files": e.Files, "polled": e.Polled})
	case Changed:
		j.encoder.Encode(object{"event": "changed", "at": seconds(e.At), "paths": e.Paths})
	case Finished:
		if e.Err != nil {
			j.encoder.Encode(object{"event": "error", "message": e.Err.Error()})
			return
		}
		j.encoder.Encode(struct {
			Event string `json:"event"`
			*Result
		}{"result", e.Result})
	}
}
