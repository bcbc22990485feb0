package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"chainbuild/llvmdriver"
)

// A listener is a reporter that does nothing about being called by several goroutines at once.
type listener struct{ events []Event }

func (l *listener) Report(e Event) { l.events = append(l.events, e) }

// at is when an event happened.
func at(e Event) time.Time {
	switch e := e.(type) {
	case StageStarted:
		return e.At
	case StageEnded:
		return e.At
	case PartitionStarted:
		return e.At
	case PartitionEnded:
		return e.At
	case UnresolvedStatement:
		return e.At
	case Note:
		return e.At
	case Warning:
		return e.At
	case Finished:
		return e.At
	}
	return time.Time{}
}

// Whatever happens at once, events come one after the other, and the result counts all of them.
func TestProgress(t *testing.T) {
	const count = 200
	heard := &listener{}
	p := newProgress(heard)
	var all sync.WaitGroup
	all.Go(func() {
		for i := range 20 {
			p.stage(fmt.Sprint("stage ", i), func() error { return nil })
		}
	})
	all.Go(func() {
		for i := range 20 {
			p.unresolved(Unresolved{Line: i})
			p.note("noted")
			p.warn("warned")
			p.sawPeak(1 << 50)
			p.set(func(r *Result) { r.Functions.New++ })
		}
	})
	for i := range count {
		all.Go(func() {
			o := object{data: make([]byte, 10), hit: i%4 == 0}
			if !o.hit {
				p.partitionStarted(i+1, 0, 7)
				o.times = llvmdriver.Times{Passes: time.Second, Codegen: 2 * time.Second}
			}
			p.partitionEnded(i+1, count, o, nil)
		})
	}
	all.Wait()
	result, err := p.finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (PartitionCounts{Total: count, Hits: 50, Misses: 150, HitBytes: 500, MissBytes: 1500}); result.Partitions != want {
		t.Errorf("the partitions are %+v and not %+v", result.Partitions, want)
	}
	if want := (CompileTimes{150, 300, 1500}); result.Compiling != want {
		t.Errorf("compiling took %+v and not %+v", result.Compiling, want)
	}
	if len(result.Stages) != 20 || result.Functions.New != 20 || result.PeakRSS != 1<<50 || result.Seconds <= 0 {
		t.Errorf("the result is %+v", result)
	}
	done := 0
	for _, e := range heard.events {
		if ended, ok := e.(PartitionEnded); ok {
			if done++; ended.Done != done || ended.Total != count {
				t.Errorf("partition %d is reported as %d of %d", done, ended.Done, ended.Total)
			}
		}
	}
	if !slices.IsSortedFunc(heard.events, func(a, b Event) int { return at(a).Compare(at(b)) }) {
		t.Error("the events are not in the order of their times")
	}
	if want := 2*20 + 3*20 + 150 + count + 1; len(heard.events) != want {
		t.Errorf("there were %d events, and not %d", len(heard.events), want)
	}
	if last, ok := heard.events[len(heard.events)-1].(Finished); !ok || last.Result != result {
		t.Errorf("the last event is %+v", last)
	}
}

func TestProgressOfFailure(t *testing.T) {
	heard := &listener{}
	p := newProgress(heard)
	failure := errors.New("the disk is full")
	if err := p.stage("link", func() error { return failure }); err != failure {
		t.Errorf("the stage failed with %v", err)
	}
	p.partitionEnded(1, 2, object{}, failure)
	if result, err := p.finish(failure); result != nil || err != failure {
		t.Errorf("the build ended with %+v, %v", result, err)
	}
	if e, ok := heard.events[1].(StageEnded); !ok || e.Err != failure || e.Name != "link" {
		t.Errorf("of the stage was reported %+v", heard.events[1])
	}
	if e, ok := heard.events[2].(PartitionEnded); !ok || e.Err != failure || e.Done != 0 {
		t.Errorf("of the partition was reported %+v", heard.events[2])
	}
	if e, ok := heard.events[3].(Finished); !ok || e.Err != failure || e.Result != nil {
		t.Errorf("of the build was reported %+v", heard.events[3])
	}
}

// A second run begins with nothing of the first, and nobody has to listen.
func TestProgressStartsAnew(t *testing.T) {
	p := newProgress(nil)
	p.beginStage("start")
	p.partitionEnded(1, 1, object{data: []byte("code")}, nil)
	p.startAnew()
	p.stage("start", func() error { return nil })
	p.partitionEnded(1, 1, object{hit: true}, nil)
	result, err := p.finish(nil)
	if err != nil || len(result.Stages) != 1 || (result.Partitions != PartitionCounts{Total: 1, Hits: 1}) || p.done != 1 {
		t.Errorf("the result is %+v (%v)", result, err)
	}
}
