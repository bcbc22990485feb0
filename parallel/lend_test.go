package parallel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// lender runs tasks in the background with a pool of one worker that is busy with something else, and collects how they were settled.
type lender struct {
	pool  *Pool
	block string // the worker is busy until this file is there

	mu    sync.Mutex
	by    map[int]any // what settled a task: what a loan was settled with, or "worker"
	begun []int       // tasks, by the worker
	lost  []int
	done  chan error
}

func newLender(t *testing.T, tasks []Task) *lender {
	t.Helper()
	l := &lender{pool: workerPool(t, t.Context(), 1, "plain"), by: map[int]any{}, done: make(chan error, 1)}
	folder := t.TempDir()
	l.block = filepath.Join(folder, "free")
	began := make(chan struct{})
	go l.pool.Run(t.Context(), []Task{{Name: "wait", Line: "wait\t" + l.block, Weight: 1 << 30}}, func(u Update) {
		if u.Reply == nil {
			close(began)
		}
	})
	<-began
	go func() {
		l.done <- l.pool.Run(t.Context(), tasks, func(u Update) {
			l.mu.Lock()
			defer l.mu.Unlock()
			switch {
			case u.Elsewhere != nil:
				l.by[u.Task] = u.Elsewhere
			case u.Reply != nil:
				l.by[u.Task] = "worker"
			case u.Lost != nil:
				l.lost = append(l.lost, u.Task)
			default:
				l.begun = append(l.begun, u.Task)
			}
		})
	}()
	return l
}

// free lets the worker go on.
func (l *lender) free(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(l.block, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the end of the tasks and compares who settled them.
func (l *lender) ends(t *testing.T, want ...any) {
	t.Helper()
	select {
	case err := <-l.done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the tasks are not done after 20 s")
	}
	for i, by := range want {
		if l.by[i] != by {
			t.Errorf("task %d was settled by %v, not %v", i, l.by[i], by)
		}
	}
	if len(l.lost) > 0 {
		t.Errorf("the tasks %v are said to be lost", l.lost)
	}
}

func weights(loans []*Loan) (all []int64) {
	for _, l := range loans {
		all = append(all, l.Task().Weight)
	}
	return all
}

// Batches are of a bounded weight, the heaviest first, and have nothing that cannot be lent; one task may be heavier than the bound.
func TestLendBatches(t *testing.T) {
	l := newLender(t, []Task{
		{Line: "echo", Weight: 3, Lendable: 3}, {Line: "echo", Weight: 20, Lendable: 20}, {Line: "echo", Weight: 5, Lendable: 5},
		{Line: "echo", Weight: 4}, {Line: "echo", Weight: 2, Lendable: 2},
	})
	var all []*Loan
	for _, want := range [][]int64{{20}, {5, 3}, {2}} {
		loans := l.pool.Lend(t.Context(), 9, 10*time.Millisecond)
		if !slices.Equal(weights(loans), want) {
			t.Fatalf("a batch has the weights %v, not %v", weights(loans), want)
		}
		all = append(all, loans...)
	}
	for _, loan := range all {
		if loan.Task().Lendable != int(loan.Task().Weight) {
			t.Errorf("the task of weight %d is known by %v", loan.Task().Weight, loan.Task().Lendable)
		}
		if !loan.Settle("elsewhere") || loan.Settle("again") {
			t.Error("a loan is not settled once")
		}
	}
	l.free(t)
	l.ends(t, "elsewhere", "elsewhere", "elsewhere", "worker", "elsewhere")
}

// Lend waits for others to come, for the moment and no longer; and what a free worker takes at once is not lent.
func TestLendWaits(t *testing.T) {
	l := newLender(t, []Task{{Line: "echo", Weight: 1, Lendable: "a"}})
	start := time.Now()
	loans := l.pool.Lend(t.Context(), 9, 200*time.Millisecond)
	if took := time.Since(start); len(loans) != 1 || took < 200*time.Millisecond {
		t.Errorf("%d were lent after %v", len(loans), took)
	}
	loans[0].Return()
	l.free(t)
	l.ends(t, "worker")

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	go l.pool.Run(t.Context(), []Task{{Line: "sleep\t1s", Lendable: "a"}}, ignore)
	if loans := l.pool.Lend(ctx, 9, 0); loans != nil {
		t.Error("a task was lent that a worker was free for")
	}
}

// What does not come back is done by a worker that has nothing else to do: the last loan first.
func TestLendTakenBack(t *testing.T) {
	l := newLender(t, []Task{{Line: "echo", Weight: 9, Lendable: 0}, {Line: "echo", Weight: 8, Lendable: 1}, {Line: "echo", Weight: 1}})
	first, second := l.pool.Lend(t.Context(), 9, 0), l.pool.Lend(t.Context(), 8, 0)
	l.free(t)
	l.ends(t, "worker", "worker", "worker")
	if want := []int{2, 1, 0}; !slices.Equal(l.begun, want) {
		t.Errorf("the worker has done %v, not %v", l.begun, want)
	}
	for _, loan := range slices.Concat(first, second) {
		if !isClosed(loan.Settled()) || loan.Settle("too late") {
			t.Error("a task that a worker has done can be settled")
		}
		loan.Return() // nothing happens
	}
}

// A worker whose task was done elsewhere is stopped, and the next task gets another one.
func TestLendStopsWorker(t *testing.T) {
	l := newLender(t, []Task{{Line: "sleep\t1h", Weight: 2, Lendable: "a"}})
	loans := l.pool.Lend(t.Context(), 9, 0)
	l.free(t)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		l.pool.mu.Lock()
		taken := len(l.pool.queue) == 0
		l.pool.mu.Unlock()
		if taken {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the worker does not take up the task")
		}
	}
	if !loans[0].Settle("elsewhere") {
		t.Error("the task cannot be settled while a worker is at it")
	}
	l.ends(t, "elsewhere")
	if err := l.pool.Run(t.Context(), []Task{{Line: "echo"}}, ignore); err != nil {
		t.Errorf("the next task: %v", err)
	}
}

// Loans of a run that has ended are settled: nobody waits for them.
func TestLendEndedRun(t *testing.T) {
	pool := workerPool(t, t.Context(), 1, "plain")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	tasks := []Task{{Line: "sleep\t1h", Weight: 2}, {Line: "echo", Weight: 1, Lendable: "a"}}
	go func() { done <- pool.Run(ctx, tasks, ignore) }()
	loans := pool.Lend(t.Context(), 9, 0)
	reason := errors.New("enough")
	cancel(reason)
	if err := <-done; err != reason {
		t.Errorf("Run returned %v", err)
	}
	<-loans[0].Settled()
	if loans[0].Settle("too late") {
		t.Error("a task of a run that has ended can be settled")
	}
	go pool.Close()
	if pool.Lend(t.Context(), 9, 0) != nil {
		t.Error("a closed pool lends")
	}
}

// With tasks lent, returned and settled in all orders, each is settled once.
func TestLendMany(t *testing.T) {
	pool := workerPool(t, t.Context(), 3, "plain")
	const count = 300
	tasks := make([]Task, count)
	for i := range tasks {
		tasks[i] = Task{Line: "echo", Weight: int64(i * 7919 % count), Lendable: i}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var borrowers sync.WaitGroup
	for n := range 3 {
		borrowers.Go(func() {
			for turn := n; ; turn++ {
				loans := pool.Lend(ctx, count, time.Millisecond)
				if loans == nil {
					return
				}
				for i, loan := range loans {
					if (i+turn)%3 == 0 {
						loan.Return()
					} else {
						loan.Settle("elsewhere")
					}
				}
			}
		})
	}
	settled := map[int]int{}
	if err := pool.Run(t.Context(), tasks, func(u Update) {
		if u.Reply != nil || u.Elsewhere != nil {
			settled[u.Task]++
		}
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	borrowers.Wait()
	for i := range tasks {
		if settled[i] != 1 {
			t.Errorf("task %d was settled %d times", i, settled[i])
		}
	}
}
