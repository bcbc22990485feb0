package bench

// This file estimates how long the rest of a run takes.

import "time"

// A plan counts the steps that are to come and knows how long those that are over took.
type plan struct {
	open  []planned
	steps int // in all, but for those that were dropped
	ended int
	took  map[planned][]time.Duration
	guess map[planned]time.Duration // better than the priors
}

// A planned step is of one kind for one workload.
type planned struct{ workload, kind string }

// priors are how long a kind of step takes where nothing is known yet.
var priors = map[string]time.Duration{
	stepPrepare: time.Second, stepOnce: 10 * time.Second, stepRecord: 8 * time.Second, stepStock: 4 * time.Minute, stepRun: 8 * time.Second, stepCold: 10 * time.Second, stepFirst: 20 * time.Second,
	stepWarm: 6 * time.Second, stepChange: 20 * time.Second, stepChained: time.Second, stepCompare: time.Second, stepStart: 3 * time.Second,
}

// likeRun are the kinds that take as long as another kind of the same workload did.
var likeRun = map[string]string{stepRun: stepRecord, stepRecord: stepRun, stepCold: stepRecord}

// add plans a number of steps.
func (p *plan) add(workload, kind string, number int) {
	for range number {
		p.open = append(p.open, planned{workload, kind})
	}
	p.steps += number
}

// addEach plans a step that should take as long as is guessed.
func (p *plan) addEach(workload, kind string, guess time.Duration) {
	if p.guess == nil {
		p.guess = map[planned]time.Duration{}
	}
	p.guess[planned{workload, kind}] = guess
	p.add(workload, kind, 1)
}

// done says that a step is over.
func (p *plan) done(workload, kind string, took time.Duration) {
	step := planned{workload, kind}
	if p.took == nil {
		p.took = map[planned][]time.Duration{}
	}
	p.took[step] = append(p.took[step], took)
	for i := range p.open {
		if p.open[i] == step {
			p.open = append(p.open[:i], p.open[i+1:]...)
			p.ended++
			return
		}
	}
}

// drop gives up what is left of a workload.
func (p *plan) drop(workload string) {
	kept := p.open[:0]
	for _, step := range p.open {
		if step.workload != workload {
			kept = append(kept, step)
		}
	}
	p.steps -= len(p.open) - len(kept)
	p.open = kept
}

// progress is how many of the steps are over.
func (p *plan) progress() (done, total int) { return p.ended, p.steps }

// remaining is how long the open steps should take.
func (p *plan) remaining() time.Duration {
	sum := time.Duration(0)
	for _, step := range p.open {
		sum += p.expect(step)
	}
	return sum
}

// expect is the mean of what such steps took: for the same workload, else a like kind for it, else for all workloads, else a guess.
func (p *plan) expect(step planned) time.Duration {
	for _, like := range []planned{step, {step.workload, likeRun[step.kind]}} {
		if took := p.took[like]; len(took) > 0 {
			return mean(took)
		}
	}
	if guess, ok := p.guess[step]; ok {
		return guess
	}
	var all []time.Duration
	for other, took := range p.took {
		if other.kind == step.kind {
			all = append(all, took...)
		}
	}
	if len(all) > 0 {
		return mean(all)
	}
	return priors[step.kind]
}

func mean(durations []time.Duration) time.Duration {
	sum := time.Duration(0)
	for _, d := range durations {
		sum += d
	}
	return sum / time.Duration(len(durations))
}
