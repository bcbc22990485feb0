package parallel

// This file lends tasks that wait to somebody who does them elsewhere.
//
// A task that is lent stays in the queue, behind all others. So the pool's own workers go on as if nobody else were there: they begin with what nobody
// has, and a worker that finds nothing else takes up what is lent. Who is done first settles the task, and the other one is stopped. Whoever borrows
// can be as late as he likes, or never come back: the workers are idle only when there is nothing to do.

import (
	"container/heap"
	"context"
	"slices"
	"time"
)

// A Loan is a task that is being done elsewhere. Its methods may be called by several goroutines at once.
type Loan struct {
	pool *Pool
	task *queuedTask
}

// Lend lends tasks that wait, the heaviest first, as many as together weigh no more than weight, but at least one. What a worker that is free will begin
// at once is not lent. It waits until there is a task to lend, and then for no more than the moment for others to come. It returns nil when ctx has
// ended or the pool is closed.
func (p *Pool) Lend(ctx context.Context, weight int64, moment time.Duration) []*Loan {
	wake := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	}
	defer context.AfterFunc(ctx, wake)()
	p.mu.Lock()
	defer p.mu.Unlock()
	var patient time.Time // until when others may come; zero while there is none
	for {
		if ctx.Err() != nil || p.closed {
			return nil
		}
		waiting := p.lendable()
		count, sum := 0, int64(0)
		for count < len(waiting) && (count == 0 || sum+waiting[count].Weight <= weight) {
			sum += waiting[count].Weight
			count++
		}
		switch {
		case count == 0:
			patient = time.Time{}
		case count < len(waiting), sum >= weight, !patient.IsZero() && !time.Now().Before(patient):
			return p.lend(waiting[:count])
		case patient.IsZero():
			patient = time.Now().Add(moment)
			defer time.AfterFunc(moment, wake).Stop()
		}
		p.changed.Wait()
	}
}

// lendable are the tasks that can be lent, the heaviest first.
func (p *Pool) lendable() []*queuedTask {
	waiting := slices.DeleteFunc(slices.Clone(p.queue), func(t *queuedTask) bool { return t.loan != 0 })
	slices.SortStableFunc(waiting, (*queuedTask).compare)
	free := max(0, min(p.limit, p.options.Workers)-p.busy)
	waiting = waiting[min(free, len(waiting)):]
	return slices.DeleteFunc(waiting, func(t *queuedTask) bool { return t.Lendable == nil })
}

// lend lends tasks.
func (p *Pool) lend(tasks []*queuedTask) []*Loan {
	p.loans++
	loans := make([]*Loan, len(tasks))
	for i, t := range tasks {
		t.loan = p.loans
		loans[i] = &Loan{p, t}
	}
	heap.Init(&p.queue)
	return loans
}

// Task is what was lent.
func (l *Loan) Task() Task { return l.task.Task }

// Settled is closed when the task is settled, by whomever, or is not wanted any more.
func (l *Loan) Settled() <-chan struct{} { return l.task.settled }

// Settle says that the task is done: its run is told of an update that has result, which must not be nil. It does nothing if the task is settled
// already, and then returns false.
func (l *Loan) Settle(result any) bool {
	if !l.pool.settle(l.task) {
		return false
	}
	l.task.run.tell(Update{Task: l.task.index, Elsewhere: result})
	l.task.run.left.Done()
	return true
}

// Return gives the task back: it waits again like one that was never lent, and may be lent again. It does nothing if a worker has begun it.
func (l *Loan) Return() {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.queue, l.task); i >= 0 {
		l.task.loan = 0
		heap.Fix(&p.queue, i)
		p.changed.Broadcast()
	}
}
