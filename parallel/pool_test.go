package parallel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func ignore(Update) {}

// replies collects the updates that have a reply, by task.
func replies(into map[int]string) func(Update) {
	return func(u Update) {
		if u.Reply != nil {
			into[u.Task] = string(u.Reply)
		}
	}
}

func TestPoolManyTasks(t *testing.T) {
	pool := workerPool(t, t.Context(), 4, "plain")
	const count = 500
	tasks := make([]Task, count)
	for i := range tasks {
		tasks[i] = Task{Name: fmt.Sprint("task ", i), Line: fmt.Sprint("echo\t", i), Weight: int64(i * 7919 % count)}
	}
	answered := map[int]string{}
	if err := pool.Run(t.Context(), tasks, replies(answered)); err != nil {
		t.Fatal(err)
	}
	for i := range tasks {
		var reply struct{ Echo string }
		if json.Unmarshal([]byte(answered[i]), &reply); reply.Echo != fmt.Sprint(i) {
			t.Errorf("task %d was answered %q", i, answered[i])
		}
	}
}

func TestPoolHeaviestFirst(t *testing.T) {
	pool := workerPool(t, t.Context(), 1, "plain")
	tasks := []Task{{Line: "echo", Weight: 2}, {Line: "echo", Weight: 9}, {Line: "echo", Weight: 1}, {Line: "echo", Weight: 9}, {Line: "echo", Weight: 5}}
	var order []int
	if err := pool.Run(t.Context(), tasks, func(u Update) {
		if u.Reply != nil {
			order = append(order, u.Task)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 3, 4, 0, 2}; !slices.Equal(order, want) {
		t.Errorf("the tasks were done in the order %v, not %v", order, want)
	}
}

func TestPoolRunsAtOnce(t *testing.T) {
	pool := workerPool(t, t.Context(), 2, "plain")
	done := make(chan error)
	meet := "meet\t2\t" + t.TempDir()
	for range 2 {
		go func() {
			done <- pool.Run(t.Context(), []Task{{Line: meet, Weight: 1}, {Line: "echo"}, {Line: "echo"}}, ignore)
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestPoolLimit(t *testing.T) {
	pool := workerPool(t, t.Context(), 3, "plain")
	for _, limit := range []int{1, 2, 3} {
		pool.SetLimit(limit)
		busy, most := 0, 0
		tasks := slices.Repeat([]Task{{Line: fmt.Sprintf("meet\t%d\t%s", limit, t.TempDir())}}, 6)
		if err := pool.Run(t.Context(), tasks, func(u Update) {
			if u.Reply != nil {
				busy--
				return
			}
			busy++
			most = max(most, busy)
		}); err != nil {
			t.Fatal(err)
		}
		if most != limit {
			t.Errorf("with a limit of %d workers, %d were busy", limit, most)
		}
	}
}

func TestPoolSlowStart(t *testing.T) {
	pool := workerPool(t, t.Context(), 2, "slow start")
	answered := map[int]string{}
	if err := pool.Run(t.Context(), []Task{{Line: "echo\ta"}, {Line: "echo\tb"}}, replies(answered)); err != nil {
		t.Fatal(err)
	}
	if len(answered) != 2 {
		t.Errorf("%d of 2 tasks were answered", len(answered))
	}
}

// A worker is used again for the next task: a new one for each would cost a start-up each.
func TestPoolKeepsWorkers(t *testing.T) {
	pool := workerPool(t, t.Context(), 1, "plain")
	pids := map[int]bool{}
	for range 3 {
		if err := pool.Run(t.Context(), []Task{{Line: "echo"}}, func(u Update) {
			var reply struct{ Pid int }
			if u.Reply != nil && json.Unmarshal(u.Reply, &reply) == nil {
				pids[reply.Pid] = true
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(pids) != 1 {
		t.Errorf("%d processes did 3 tasks one after the other", len(pids))
	}
}

func TestPoolWorkerLostOnce(t *testing.T) {
	pool := workerPool(t, t.Context(), 2, "plain")
	mark := filepath.Join(t.TempDir(), "mark")
	var lost []error
	answered := map[int]string{}
	note := replies(answered)
	err := pool.Run(t.Context(), []Task{{Name: "task 0", Line: "crash once\t" + mark}, {Name: "task 1", Line: "echo"}}, func(u Update) {
		if u.Lost != nil {
			lost = append(lost, u.Lost)
		}
		note(u)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(answered) != 2 {
		t.Errorf("%d of 2 tasks were answered", len(answered))
	}
	var death *DeathError
	if len(lost) != 1 || !errors.As(lost[0], &death) || death.Status.Signal() != syscall.SIGKILL {
		t.Errorf("the losses reported are %v, not one death by SIGKILL", lost)
	}
}

func TestPoolTaskFails(t *testing.T) {
	tests := []struct {
		mode, verb string
		attempts   int
		says       []string
	}{
		{"plain", "crash", 2, []string{"partition 3 failed 2 times: a worker was killed by signal 9 (killed)", "peak memory of", "out of memory", "asked to crash"}},
		{"plain", "exit", 2, []string{"a worker exited with status 7", "asked to exit"}},
		{"plain", "leave", 2, []string{"exited before it answered", "asked to leave"}},
		{"plain", "garbage", 2, []string{`answered "not what was agreed", which is no JSON object`}},
		{"plain", "fail", 1, []string{"partition 3 failed: there is no such file"}},
		{"never starts", "echo", 2, []string{"exited with status 127", "no such library"}},
		{"ends when idle", "echo", 2, []string{"exited before it answered; it printed nothing"}},
	}
	for _, test := range tests {
		t.Run(test.mode+" "+test.verb, func(t *testing.T) {
			pool := workerPool(t, t.Context(), 1, test.mode)
			err := pool.Run(t.Context(), []Task{{Name: "partition 3", Line: test.verb}, {Name: "later", Line: "echo"}}, ignore)
			var failed *TaskError
			if !errors.As(err, &failed) {
				t.Fatalf("Run returned %v, not a *TaskError", err)
			}
			if failed.Attempts != test.attempts {
				t.Errorf("%d attempts, not %d", failed.Attempts, test.attempts)
			}
			for _, part := range test.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error %q does not say %q", err, part)
				}
			}
			if test.mode == "plain" {
				if err := pool.Run(t.Context(), []Task{{Name: "next", Line: "echo"}}, ignore); err != nil {
					t.Errorf("the pool is of no use after a failure: %v", err)
				}
			}
		})
	}
}

// A failed task does not leave Run waiting for tasks that others still do.
func TestPoolFailureStopsTheRun(t *testing.T) {
	pool := workerPool(t, t.Context(), 2, "plain")
	start := time.Now()
	err := pool.Run(t.Context(), []Task{{Line: "sleep\t1h", Weight: 2}, {Line: "fail", Weight: 1}, {Line: "sleep\t1h"}}, ignore)
	var failed *TaskError
	if !errors.As(err, &failed) {
		t.Fatalf("Run returned %v, not a *TaskError", err)
	}
	if took := time.Since(start); took > 2*grace {
		t.Errorf("Run took %v", took)
	}
}

// What a worker says unasked must not be taken for the answer to the next task.
func TestPoolUnaskedReplies(t *testing.T) {
	w := &place{pool: &Pool{options: PoolOptions{Command: func() *exec.Cmd { return workerCommand("plain") }}}}
	defer w.dismiss()
	try := func(line string) (string, error) {
		reply, err := w.try(t.Context(), &queuedTask{Task: Task{Line: line}, run: &run{ctx: t.Context()}, settled: make(chan struct{})})
		return string(reply), err
	}
	for range 3 {
		// The second answer may come before the first is read: the worker is lost then.
		if _, err := try("twice"); err != nil && !strings.Contains(err.Error(), "more than it had been asked") {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); w.process != nil && len(w.replies) == 0 && !isClosed(w.process.Ended()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the second answer does not come")
			}
		}
		if reply, err := try("echo\tme"); err != nil || !strings.Contains(reply, `"echo":"me"`) {
			t.Errorf("the echo is %q (%v)", reply, err)
		}
	}
}

func TestPoolCancel(t *testing.T) {
	for _, what := range []string{"pool", "run"} {
		t.Run(what, func(t *testing.T) {
			interrupt := errors.New("interrupted")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			poolContext, runContext := t.Context(), t.Context()
			if what == "pool" {
				poolContext = ctx
			} else {
				runContext = ctx
			}
			pool := workerPool(t, poolContext, 2, "plain")
			begun := 0
			var start time.Time
			err := pool.Run(runContext, []Task{{Line: "sleep\t1h"}, {Line: "sleep\t1h"}, {Line: "sleep\t1h"}}, func(u Update) {
				if begun++; begun == 2 {
					start = time.Now()
					cancel(interrupt)
				}
			})
			if !errors.Is(err, interrupt) {
				t.Errorf("Run returned %v, not the cause", err)
			}
			if took := time.Since(start); took > 2*grace {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestPoolIdleClose(t *testing.T) {
	pool := workerPool(t, t.Context(), 3, "plain")
	start := time.Now()
	pool.Close()
	if took := time.Since(start); took > grace {
		t.Errorf("closing an idle pool took %v: the workers did not end by themselves", took)
	}
	if err := pool.Run(t.Context(), []Task{{Line: "echo"}}, ignore); err == nil {
		t.Error("a closed pool took a task")
	}
}

func TestPoolPeakRSS(t *testing.T) {
	pool := workerPool(t, t.Context(), 2, "plain")
	if err := pool.Run(t.Context(), []Task{{Line: "allocate"}, {Line: "echo"}}, ignore); err != nil {
		t.Fatal(err)
	}
	pool.Close()
	if peak := pool.PeakRSS(); peak < 200<<20 || peak > 2<<30 {
		t.Errorf("the peak is %d bytes where a worker filled 200 MB", peak)
	}
}

// Workers do not outlive a parent that had no chance to stop them.
func TestPoolParentKilled(t *testing.T) {
	worker := make(chan int, 1)
	cmd := workerCommand("parent")
	p, err := StartProcess(t.Context(), "the parent", cmd, ProcessOptions{Event: func(line []byte) error {
		var event struct{ Pid int }
		err := json.Unmarshal(line, &event)
		worker <- event.Pid
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	pid := <-worker
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the worker %d does not run: %v", pid, err)
	}
	syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
	p.Wait()
	if !isGone(pid) {
		t.Errorf("the worker %d still runs", pid)
	}
}

func TestPoolOfNone(t *testing.T) {
	if _, err := NewPool(t.Context(), PoolOptions{}); err == nil {
		t.Error("a pool without workers was made")
	}
}

func TestPoolLineBreak(t *testing.T) {
	pool := workerPool(t, t.Context(), 1, "plain")
	if err := pool.Run(t.Context(), []Task{{Name: "two", Line: "echo\nfail"}}, ignore); err == nil || !strings.Contains(err.Error(), "line break") {
		t.Errorf("Run returned %v", err)
	}
}
