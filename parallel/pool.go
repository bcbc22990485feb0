package parallel

// This file is the pool: it hands tasks to worker processes.
//
// Each place of the pool has a goroutine, which owns the place's process. The goroutine takes the heaviest task that is
// waiting (a long one that starts last would leave the other workers idle at the end), writes its line to the worker's
// standard input and waits for the line that answers it. Workers are started before there are tasks, so their start-up
// costs nothing while something else is being done.
//
// A worker that ends, or whose answer is not a JSON object, is lost: its place gets another one when the next task
// comes. The task is tried once more, since the worker may have died by chance (memory pressure, someone's kill). If it is
// lost a second time, the task fails, and with it the Run that it belongs to. A worker that answers {"error": "…"} is
// healthy, and another try would end the same: that task fails at once.
//
// Tasks that wait can be lent to somebody who does them elsewhere (lend.go). A task is settled once: by its answer, its failure, or
// whoever it was lent to.

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// PoolOptions say what the workers of a pool are.
type PoolOptions struct {
	// Workers is the number of processes, at least 1.
	Workers int
	// Command makes the command of a worker. It reads tasks from its standard input, one a line, answers each with one
	// line on file descriptor 3, and exits when its input ends.
	Command func() *exec.Cmd
	// Ready is how many workers are started at once (see SetReady).
	Ready int
	// Slots are needed by workers that are busy, besides those of the pool's own (SetOwn); nil: none are needed.
	Slots Slots
	// Output gets a copy of all that the workers print; nil: nobody. It must allow for use by several goroutines at once.
	Output io.Writer
}

// A Task is a piece of work for a worker.
type Task struct {
	// Name is what errors call it, such as "partition 3".
	Name string
	// Line is what the worker is sent, without its end of line.
	Line string
	// Weight is the work it is expected to be, in any unit.
	Weight int64
	// Lendable is what somebody whom the task is lent to knows it by; nil: it is not lent.
	Lendable any
}

// An Update says how a task of a Run goes on.
type Update struct {
	// Task is the index of the task.
	Task int
	// Worker is the place in the pool that does it, from 0.
	Worker int
	// Lost is why the worker that tried it was lost: the task begins again with another one. Else nil.
	Lost error
	// Reply is the JSON object that the worker answered; nil: the task is only begun, or was done elsewhere.
	Reply json.RawMessage
	// Elsewhere is what the task was settled with by somebody whom it was lent to; else nil. Worker then says nothing.
	Elsewhere any
}

// A Pool is a number of worker processes. Its methods may be called by several goroutines at once.
type Pool struct {
	options PoolOptions
	stop    context.CancelFunc
	places  sync.WaitGroup
	slots   sync.WaitGroup // for who takes them

	mu      sync.Mutex
	changed sync.Cond // queue, busy, free, ready, limit, own, taken, closed
	queue   taskQueue
	busy    int // workers that have a task
	free    int // workers that run and have none
	ready   int // workers that are to run before there are tasks
	limit   int // of busy
	own     int // workers that need no slot; see slots.go
	taken   int // slots
	loans   int // that were made
	closed  bool
	peakRSS int64
}

// A run is one call of Run.
type run struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	left   sync.WaitGroup
	mu     sync.Mutex   // for calls of notify
	notify func(Update) // nil: Run has returned
}

func (r *run) tell(u Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.notify != nil {
		r.notify(u)
	}
}

// over says that Run returns. A worker may still be stopped whose task was done elsewhere.
func (r *run) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notify = nil
	r.cancel(nil)
}

type queuedTask struct {
	Task
	index   int
	run     *run
	loan    int           // the number of its loan, counted from 1; 0: it is not lent. Guarded by the pool.
	settled chan struct{} // closed when it is settled; guarded by the pool
}

// NewPool starts the workers that are to be ready. When ctx ends they are all stopped. Close must be called.
func NewPool(ctx context.Context, options PoolOptions) (*Pool, error) {
	if options.Workers < 1 {
		return nil, fmt.Errorf("a pool of %d workers can do nothing: it needs at least 1", options.Workers)
	}
	ctx, stop := context.WithCancel(ctx)
	p := &Pool{options: options, stop: stop, limit: options.Workers, ready: options.Ready}
	p.changed.L = &p.mu
	for number := range options.Workers {
		w := &place{pool: p, number: number}
		if number < options.Ready {
			if err := w.start(ctx); err != nil {
				p.Close()
				return nil, err
			}
			p.free++
		}
		p.places.Add(1)
		go w.work(ctx)
	}
	if options.Slots != nil {
		p.slots.Go(func() { p.takeSlots(ctx) })
	}
	return p, nil
}

// Run has the tasks done and returns when all of them are, or when the first has failed (a *TaskError) or ctx has ended
// (its cause); tasks that wait are then dropped, and workers that are busy with one are stopped. Notify is called by one
// goroutine at a time and not after Run returned.
func (p *Pool) Run(ctx context.Context, tasks []Task, notify func(Update)) error {
	r := &run{notify: notify}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.over()
	for _, t := range tasks {
		if strings.ContainsAny(t.Line, "\n\r") {
			return &TaskError{Task: t.Name, Attempts: 0, Err: errors.New("its line has a line break in it")}
		}
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return errors.New("the pool of workers is closed already")
	}
	r.left.Add(len(tasks))
	for i, t := range tasks {
		heap.Push(&p.queue, &queuedTask{Task: t, index: i, run: r, settled: make(chan struct{})})
	}
	p.changed.Broadcast()
	p.mu.Unlock()
	defer context.AfterFunc(r.ctx, func() { p.drop(r) })()
	r.left.Wait()
	return context.Cause(r.ctx)
}

// SetLimit says how many workers may be busy at a time; at first all may be. Tasks that were begun go on. With 0, tasks wait for another limit.
func (p *Pool) SetLimit(workers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = max(0, workers)
	p.changed.Broadcast()
}

// drop takes the tasks of a run that wait out of the queue.
func (p *Pool) drop(r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(t *queuedTask) bool {
		if t.run == r {
			close(t.settled)
			r.left.Done()
		}
		return t.run == r
	})
	heap.Init(&p.queue)
}

// settle settles a task, unless it is settled already. Whoever settles it tells its run of that, and then counts it there.
func (p *Pool) settle(t *queuedTask) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isClosed(t.settled) {
		return false
	}
	close(t.settled)
	if i := slices.Index(p.queue, t); i >= 0 {
		heap.Remove(&p.queue, i)
	}
	return true
}

// Close lets busy workers finish, tells all of them to end, and returns when they are gone.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.limit = max(1, p.limit)
	p.changed.Broadcast()
	p.mu.Unlock()
	p.places.Wait()
	p.stop()
	p.slots.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own = 0
	p.giveSlots()
}

// PeakRSS is the largest resident set, in bytes, of any worker that is gone: after Close, of any worker.
func (p *Pool) PeakRSS() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peakRSS
}

// SetReady says how many workers are to run before there are tasks, if they are more than was said before. The others are started when there is a task that
// none of those is free for.
func (p *Pool) SetReady(workers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = max(p.ready, workers)
	p.changed.Broadcast()
}

// next waits for a task, for the worker of a place, which is then busy; it runs, or will be started. There is no task any more once the pool is closed and
// the queue is empty. There is none either if the worker is to be started before there is one.
func (p *Pool) next(w *place) (task *queuedTask, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	runs := w.process != nil
	for {
		switch {
		case len(p.queue) == 0 && p.closed:
			return nil, false
		case len(p.queue) > 0 && p.busy < p.allowed() && (runs || p.free < len(p.queue)):
			p.busy++
			if runs {
				p.free--
			}
			p.changed.Broadcast()
			return heap.Pop(&p.queue).(*queuedTask), true
		case !runs && !p.closed && w.number < p.ready:
			return nil, true
		}
		p.changed.Wait()
	}
}

// started says that a worker was started before there was a task, or could not be: the error is the next task's.
func (p *Pool) started(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.ready = 0
		return
	}
	p.free++
}

// done says that the worker of a place, which was busy, is not any more.
func (p *Pool) done(w *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	if w.process != nil {
		p.free++
	}
	p.giveSlots()
	p.changed.Broadcast()
}

// taskQueue is a heap with the heaviest task first; of two that are as heavy, the one that was given first. Those that are lent come behind all others,
// the last loan first: it will be the last to come back.
type taskQueue []*queuedTask

func (q taskQueue) Len() int           { return len(q) }
func (q taskQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q taskQueue) Less(i, j int) bool { return q[i].compare(q[j]) < 0 }

// compare is negative where t comes before the other in the queue, and 0 where either may come first.
func (t *queuedTask) compare(other *queuedTask) int {
	switch {
	case t.loan != other.loan && (t.loan == 0 || other.loan == 0):
		return cmp.Compare(t.loan, other.loan)
	case t.loan != other.loan:
		return cmp.Compare(other.loan, t.loan)
	case t.Weight != other.Weight:
		return cmp.Compare(other.Weight, t.Weight)
	case t.run != other.run:
		return 0
	}
	return cmp.Compare(t.index, other.index)
}

func (q *taskQueue) Push(t any) { *q = append(*q, t.(*queuedTask)) }
func (q *taskQueue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return t
}
