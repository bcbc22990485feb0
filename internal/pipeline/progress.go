package pipeline

// This file is the one owner of what is known of a build while it goes on.

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"chainbuild/internal/choice"
	"chainbuild/internal/words"
)

// A progress knows the stages and partitions that are done and the result so far, and tells the reporter. Its methods may be called by several
// goroutines at once; the reporter is called by one at a time, with events in the order in which they were made.
type progress struct {
	began time.Time

	mu       sync.Mutex // guards what follows, and calls of the reporter
	reporter Reporter   // nil: nobody
	running  map[string]time.Time
	done     int // partitions
	result   Result
}

func newProgress(reporter Reporter) *progress {
	return &progress{began: time.Now(), reporter: reporter, running: map[string]time.Time{}}
}

// change changes the result, and then reports the event that made returns, unless that is nil.
func (p *progress) change(made func(now time.Time, r *Result) Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if event := made(time.Now(), &p.result); event != nil && p.reporter != nil {
		p.reporter.Report(event)
	}
}

// set changes the result.
func (p *progress) set(change func(r *Result)) {
	p.change(func(_ time.Time, r *Result) Event {
		change(r)
		return nil
	})
}

// note reports something that was asked for.
func (p *progress) note(text string) {
	p.change(func(now time.Time, _ *Result) Event { return Note{At: now, Text: text} })
}

// warn reports something that probably was not meant.
func (p *progress) warn(text string) {
	p.change(func(now time.Time, _ *Result) Event { return Warning{At: now, Text: text} })
}

// stage runs do as a stage of the build.
func (p *progress) stage(name string, do func() error) error {
	p.beginStage(name)
	err := do()
	p.endStage(name, err)
	return err
}

func (p *progress) beginStage(name string) {
	p.change(func(now time.Time, r *Result) Event {
		p.running[name] = now
		r.Stages = append(r.Stages, Stage{Name: name})
		return StageStarted{At: now, Name: name}
	})
}

func (p *progress) endStage(name string, err error) {
	p.change(func(now time.Time, r *Result) Event {
		took := now.Sub(p.running[name])
		delete(p.running, name)
		if i := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Name == name }); i >= 0 {
			r.Stages[i].Seconds = took.Seconds()
		}
		return StageEnded{At: now, Name: name, Took: took, Err: err}
	})
}

// planned reports what will be built.
func (p *progress) planned(statements, packages int, expected map[string]float64) {
	p.change(func(now time.Time, _ *Result) Event {
		return Planned{At: now, Statements: statements, Packages: packages, Expected: expected}
	})
}

// loading counts and reports a package that is loaded next.
func (p *progress) loading(name string) {
	p.change(func(now time.Time, r *Result) Event {
		r.loaded++
		return Loading{At: now, Package: name}
	})
}

// inferred reports how many statements are inferred.
func (p *progress) inferred(done int) {
	p.change(func(now time.Time, _ *Result) Event { return Inferred{At: now, Done: done} })
}

// emitted notes and reports how many functions are new.
func (p *progress) emitted(functions int) {
	p.change(func(now time.Time, r *Result) Event {
		r.Functions.New = functions
		return Emitted{At: now, Functions: functions}
	})
}

// linked reports how many bytes of the image are written.
func (p *progress) linked(bytes int64) {
	p.change(func(now time.Time, _ *Result) Event { return Linked{At: now, Bytes: bytes} })
}

// stageSeconds are how long the stages took that are over.
func (p *progress) stageSeconds() map[string]float64 {
	seconds := map[string]float64{}
	p.set(func(r *Result) {
		for _, stage := range r.Stages {
			seconds[stage.Name] = stage.Seconds
		}
	})
	return seconds
}

// unresolved reports a statement that the build goes on without.
func (p *progress) unresolved(u Unresolved) {
	p.change(func(now time.Time, _ *Result) Event { return UnresolvedStatement{At: now, Unresolved: u} })
}

// chosen notes and reports what policies and the budget have left of the statements.
func (p *progress) chosen(o *choice.Outcome) {
	p.change(func(now time.Time, r *Result) Event {
		r.Policies = &PolicyCounts{Policies: o.Policies, Answers: o.Answers, Dropped: len(o.Dropped), Added: o.Added(), Budget: o.Budget.String(), Estimates: o.Estimates}
		return Chosen{now, o}
	})
}

// withheld counts and reports something that a policy has not let leave.
func (p *progress) withheld(partition int, kind, by, reason string) {
	p.change(func(now time.Time, r *Result) Event {
		r.withheld++
		return Withheld{now, kind, partition, by, reason}
	})
}

// invalidated reports how many functions of the base what was loaded has invalidated, and how many of them are revived.
func (p *progress) invalidated(functions, revived int) {
	if functions == 0 {
		return
	}
	p.change(func(now time.Time, r *Result) Event {
		r.Functions.Invalidated, r.Functions.Revived = functions, revived
		return Note{At: now, Text: fmt.Sprintf("%s of the base are invalidated by methods of the packages: the code of %s is right as it is, %s are compiled again",
			words.Count(functions, "function"), words.Thousands(revived), words.Thousands(functions-revived))}
	})
}

// remoteAnswered reports that the remote cache was asked for the object of a partition.
func (p *progress) remoteAnswered(number int, hit bool, took time.Duration) {
	p.change(func(now time.Time, _ *Result) Event {
		return RemoteAnswered{At: now, Partition: number, Hit: hit, Took: took}
	})
}

// batchBegan counts partitions that the remote cache's server is given.
func (p *progress) batchBegan(partitions int) {
	p.set(func(r *Result) {
		r.execution.Batches++
		r.execution.Partitions += partitions
	})
}

// batchEnded counts and reports what has become of a batch that was begun at a time: objects that came, and partitions that were compiled here before.
func (p *progress) batchEnded(began time.Time, partitions, executed, late int, err error) {
	p.change(func(now time.Time, r *Result) Event {
		r.execution.Executed += executed
		r.execution.Late += late
		if err != nil {
			r.execution.Failed++
		}
		return BatchEnded{At: now, Partitions: partitions, Executed: executed, Took: now.Sub(began), Err: err}
	})
}

// partitionStarted reports that a worker took up a partition.
func (p *progress) partitionStarted(number, worker, functions int) {
	p.change(func(now time.Time, _ *Result) Event {
		return PartitionStarted{At: now, Partition: number, Worker: worker, Functions: functions}
	})
}

// partitionEnded counts the object of a partition, one of total; or reports that there is none, for the reason err.
func (p *progress) partitionEnded(number, total int, o object, err error) {
	p.change(func(now time.Time, r *Result) Event {
		if err == nil {
			p.done++
			r.Partitions.Total = total
			r.Partitions.add(o)
			r.Compiling.Passes += o.times.Passes.Seconds()
			r.Compiling.Codegen += o.times.Codegen.Seconds()
			if o.times.Passes+o.times.Codegen > 0 {
				r.Compiling.Bytes += int64(len(o.data))
			}
		}
		return PartitionEnded{
			At: now, Partition: number, Hit: o.hit, Remote: o.remote, Executed: o.executed, Err: err, Done: p.done, Total: total,
			Passes: o.times.Passes, Codegen: o.times.Codegen,
		}
	})
}

// add counts an object.
func (c *PartitionCounts) add(o object) {
	if o.hit {
		c.Hits++
		c.HitBytes += int64(len(o.data))
		if o.remote {
			c.RemoteHits++
		}
	} else {
		c.Misses++
		if o.executed {
			c.Executed++
		}
		c.MissBytes += int64(len(o.data))
	}
}

// sawPeak notes the peak memory, in bytes, of a process that has ended.
func (p *progress) sawPeak(rss int64) {
	p.set(func(r *Result) { r.PeakRSS = max(r.PeakRSS, rss) })
}

// startAnew forgets what has come of a run that failed.
func (p *progress) startAnew() {
	p.set(func(r *Result) {
		*r = Result{Policies: r.Policies}
		p.done = 0
	})
}

// outcome is what has come of a build that ended with err: nil if that is an error.
func (p *progress) outcome(err error) *Result {
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	result := p.result
	return &result
}

// finish reports the end of the build, and returns what Run does.
func (p *progress) finish(err error) (result *Result, _ error) {
	p.sawPeak(ownPeak())
	p.change(func(now time.Time, r *Result) Event {
		if err == nil {
			r.Seconds = now.Sub(p.began).Seconds()
			result = r
		}
		return Finished{At: now, Result: result, Err: err}
	})
	return result, err
}

// ownPeak is the largest resident set, in bytes, that this process had.
func ownPeak() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Maxrss << 10
}
