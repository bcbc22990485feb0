package pipeline

// This file estimates how long the rest of a build takes: from the stages of the last build of this image, else from what is to be built, and from how
// long the stages that are over took.
//
// The front worker's stages follow one another, and compiling goes on beside the last of them:
//
//	inspect workers prepare start load infer collect emit split heap chain ┐
//	                                               └── compile ────────────┴ link verify

import (
	"time"
)

// alone are the stages before the link that follow one another.
var alone = []string{"inspect", policiesStage, "workers", "prepare", "start", "load", "infer", "collect", "emit", "split", "heap", "chain"}

// atEnd are those after them.
var atEnd = []string{"link", "verify"}

// untilCompiling is the stage with which compiling begins.
const untilCompiling = "split"

// An estimate follows the stages of a build.
type estimate struct {
	began    time.Time
	expected map[string]float64   // seconds by stage
	started  map[string]time.Time // of stages
	took     map[string]float64   // seconds of the stages that are over
	share    map[string]float64   // of a stage that can be counted: how much of it is done, from 0 to 1
	shown    float64              // the largest fraction that was returned
}

func newEstimate(began time.Time, expected map[string]float64) *estimate {
	return &estimate{began: began, expected: expected, started: map[string]time.Time{}, took: map[string]float64{}, share: map[string]float64{}}
}

// guess is how long stages take where no such image was built before, on a machine of these days.
func guess(statements, packages, jobs int, workerImage bool) map[string]float64 {
	s, p := float64(statements), float64(packages)
	expected := map[string]float64{
		"inspect": 0.2, "prepare": 0.1, "start": 0.5, "load": 0.1 + 1.0*p, "infer": 0.3 + 0.005*s, "collect": 0.4 + 0.3*p, "emit": 0.2 + 0.003*s,
		"split": 0.1 + 0.002*s, "heap": 1.5 + 0.2*p, "chain": 0.1, "compile": 0.5 + (0.03*s+1.5*p)/float64(max(jobs, 1)), "link": 0.3, "verify": 1,
	}
	if workerImage {
		expected["workers"] = 15
	}
	return expected
}

// pace is how much longer stages take than expected, as far as those that are over tell.
func (e *estimate) pace() float64 {
	// A second of doubt keeps short stages from deciding.
	took, expected := 1.0, 1.0
	for _, name := range alone {
		if seconds, ok := e.took[name]; ok && name != "workers" {
			took += seconds
			expected += e.expected[name]
		}
	}
	return min(max(took/expected, 0.3), 5)
}

// rest is how many seconds of a stage are to come.
func (e *estimate) rest(name string, now time.Time, pace float64) float64 {
	if _, over := e.took[name]; over {
		return 0
	}
	expected := e.expected[name] * pace
	started, running := e.started[name]
	if !running {
		return expected
	}
	// One that takes longer than expected will go on for a while. Where it can be counted, the more is done, the more its speed says.
	ran := now.Sub(started).Seconds()
	rest := max(expected-ran, ran/8)
	if share := e.share[name]; share > 0 {
		rest = share*(ran/share-ran) + (1-share)*rest
	}
	return rest
}

// left is how many seconds the build will still take.
func (e *estimate) left(now time.Time) float64 {
	pace := e.pace()
	front, compiling := 0.0, 0.0
	for _, name := range alone {
		front += e.rest(name, now, pace)
		if name == untilCompiling {
			compiling = front
		}
	}
	if _, begun := e.started["compile"]; begun {
		compiling = 0
	}
	compiling += e.rest("compile", now, pace)
	left := max(front, compiling)
	for _, name := range atEnd {
		left += e.rest(name, now, pace)
	}
	return left
}

// at returns which part of the build's time is over, which never becomes less, and how long the rest will take.
func (e *estimate) at(now time.Time) (fraction float64, left time.Duration) {
	seconds := e.left(now)
	if gone := now.Sub(e.began).Seconds(); gone+seconds > 0 {
		e.shown = max(e.shown, gone/(gone+seconds))
	}
	return e.shown, time.Duration(seconds * float64(time.Second))
}

func (e *estimate) begin(name string, at time.Time) { e.started[name] = at }

func (e *estimate) end(name string, took time.Duration) {
	// A stage that took no time is over too.
	e.took[name] = max(took.Seconds(), 1e-9)
}

// count says how much of a stage is done.
func (e *estimate) count(name string, done, total int) {
	if total > 0 {
		e.share[name] = min(float64(done)/float64(total), 1)
	}
}
