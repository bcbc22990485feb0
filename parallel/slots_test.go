package parallel

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// A shelf has a number of slots, and remembers how many were taken at most.
type shelf struct {
	slots chan struct{}
	gone  error // of Take

	mu          sync.Mutex
	taken, most int
}

func newShelf(slots int) *shelf {
	s := &shelf{slots: make(chan struct{}, slots)}
	for range slots {
		s.slots <- struct{}{}
	}
	return s
}

func (s *shelf) Take(ctx context.Context) error {
	if s.gone != nil {
		return s.gone
	}
	select {
	case <-s.slots:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
	s.most = max(s.most, s.taken)
	return nil
}

func (s *shelf) Give() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.slots <- struct{}{}
	return nil
}

// sharingPool is a pool of 4 workers with slots.
func sharingPool(t *testing.T, slots Slots, own int) *Pool {
	t.Helper()
	pool, err := NewPool(t.Context(), PoolOptions{Workers: 4, Slots: slots, Command: func() *exec.Cmd { return workerCommand("plain") }})
	if err != nil {
		t.Fatal(err)
	}
	pool.SetOwn(own)
	return pool
}

// runMany runs 40 tasks and returns how many workers were busy at most.
func runMany(t *testing.T, pool *Pool) int {
	t.Helper()
	var tasks []Task
	for i := range 40 {
		tasks = append(tasks, Task{Name: fmt.Sprint("task ", i), Line: "sleep\t2ms"})
	}
	busy, most := 0, 0
	if err := pool.Run(t.Context(), tasks, func(u Update) {
		if u.Reply == nil {
			busy++
		} else {
			busy--
		}
		most = max(most, busy)
	}); err != nil {
		t.Fatal(err)
	}
	return most
}

func TestSlots(t *testing.T) {
	for _, test := range []struct{ slots, own, most int }{{1, 0, 1}, {1, 1, 2}, {2, 1, 3}, {9, 1, 4}, {0, 2, 2}} {
		s := newShelf(test.slots)
		pool := sharingPool(t, s, test.own)
		if most := runMany(t, pool); most > test.most {
			t.Errorf("with %d slots and %d workers that need none, %d were busy", test.slots, test.own, most)
		}
		pool.Close()
		if s.taken != 0 || s.most > test.slots || test.slots > 0 && s.most == 0 {
			t.Errorf("of %d slots, %d were taken at most and %d in the end", test.slots, s.most, s.taken)
		}
	}
}

// A pool that needs no slot any more does not wait for one.
func TestSlotsThatNobodyGives(t *testing.T) {
	s := newShelf(0)
	pool := sharingPool(t, s, 1)
	runMany(t, pool)
	closed := make(chan struct{})
	go func() { pool.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the pool waits for a slot that it does not need")
	}
}

// Without its own, a pool waits; it begins when it has one.
func TestSlotsLater(t *testing.T) {
	s := newShelf(0)
	pool := sharingPool(t, s, 0)
	defer pool.Close()
	time.AfterFunc(50*time.Millisecond, func() { pool.SetOwn(1) })
	began := time.Now()
	if most := runMany(t, pool); most != 1 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("after %v, %d workers were busy", time.Since(began), most)
	}
}

// Where slots cannot be had any more, the pool does without.
func TestSlotsGone(t *testing.T) {
	s := newShelf(3)
	s.gone = errors.New("the jobserver has gone")
	pool := sharingPool(t, s, 0)
	runMany(t, pool)
	pool.Close()
}
