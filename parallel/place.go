package parallel

// This file is one place of a pool: a goroutine and the worker process that it owns.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

type place struct {
	pool   *Pool
	number int

	process *Process // nil: none is running
	tasks   io.WriteCloser
	replies chan []byte
	stop    context.CancelCauseFunc
}

// work does tasks until there are no more.
func (w *place) work(ctx context.Context) {
	defer w.pool.places.Done()
	for {
		task, ok := w.pool.next(w)
		switch {
		case !ok:
			w.dismiss()
			return
		case task == nil:
			w.pool.started(w.start(ctx))
			continue
		}
		answered := w.do(ctx, task)
		w.pool.done(w)
		if answered || w.pool.settle(task) {
			task.run.left.Done()
		}
	}
}

// do tries a task up to two times, and settles it with an update that has its reply, or ends its run. A task that is settled elsewhere meanwhile is
// given up. It says whether it has settled the task.
func (w *place) do(ctx context.Context, task *queuedTask) bool {
	run := task.run
	for attempt := 1; ; attempt++ {
		if run.ctx.Err() != nil || isClosed(task.settled) {
			return false
		}
		run.tell(Update{Task: task.index, Worker: w.number})
		reply, err := w.try(ctx, task)
		if err == nil {
			if w.pool.settle(task) {
				run.tell(Update{Task: task.index, Worker: w.number, Reply: reply})
				return true
			}
			return false
		}
		var said *saidError
		switch {
		case run.ctx.Err() != nil, isClosed(task.settled):
			return false
		case ctx.Err() != nil:
			run.cancel(context.Cause(ctx))
			return false
		case errors.As(err, &said), attempt == 2:
			run.cancel(&TaskError{Task: task.Name, Attempts: attempt, Err: err})
			return false
		}
		run.tell(Update{Task: task.index, Worker: w.number, Lost: err})
	}
}

// errSettled is why a worker is stopped whose task was done elsewhere.
var errSettled = errors.New("the task was done elsewhere")

// saidError is an error that a worker answered.
type saidError struct{ text string }

func (e *saidError) Error() string { return e.text }

// try hands the task to the worker and waits for the answer. After an error other than a *saidError it has no worker.
func (w *place) try(ctx context.Context, task *queuedTask) (json.RawMessage, error) {
	// A worker that ended while it had nothing to do says nothing about the task.
	if w.process != nil && (isClosed(w.process.Ended()) || len(w.replies) > 0) {
		w.lose(errors.New("the worker answered what it had not been asked"))
	}
	if w.process == nil {
		if err := w.start(ctx); err != nil {
			return nil, err
		}
	}
	// A worker that does not read any more has ended, or is about to: its end says more than the error would.
	io.WriteString(w.tasks, task.Line+"\n")
	var line []byte
	select {
	case line = <-w.replies:
	case <-w.process.Ended():
		select {
		case line = <-w.replies: // it answered, then ended
		default:
			return nil, w.lose(nil)
		}
	case <-task.run.ctx.Done():
		return nil, w.lose(context.Cause(task.run.ctx))
	case <-task.settled:
		return nil, w.lose(errSettled)
	}
	var said struct {
		Error string `json:"error"`
	}
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &said) != nil {
		shown := line[:min(len(line), tailLine)]
		return nil, w.lose(fmt.Errorf("the worker answered %q, which is no JSON object", shown))
	}
	if said.Error != "" {
		return nil, &saidError{said.Error}
	}
	return line, nil
}

// start gives the place a process.
func (w *place) start(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	cmd := w.pool.options.Command()
	tasks, err := cmd.StdinPipe()
	if err != nil {
		stop(nil)
		return err
	}
	replies := make(chan []byte, 1)
	process, err := StartProcess(ctx, "a worker", cmd, ProcessOptions{
		Output: w.pool.options.Output,
		Event: func(line []byte) error {
			select {
			case replies <- bytes.Clone(line):
				return nil
			default:
				return errors.New("the worker answered more than it had been asked")
			}
		},
	})
	if err != nil {
		stop(nil)
		tasks.Close()
		return err
	}
	w.process, w.tasks, w.replies, w.stop = process, tasks, replies, stop
	return nil
}

// lose stops the process, for the given reason if it has not ended, waits for its end and returns why it ended.
func (w *place) lose(reason error) error {
	w.stop(reason)
	err := w.process.Wait()
	if err == nil {
		err = fmt.Errorf("the worker exited before it answered%s", logText(w.process.output.lastLines()))
	}
	w.gone()
	return err
}

// dismiss lets the process end by itself, or stops it if that takes too long.
func (w *place) dismiss() {
	if w.process == nil {
		return
	}
	w.tasks.Close()
	select {
	case <-w.process.Ended():
	case <-time.After(grace):
	}
	w.stop(nil)
	w.process.Wait()
	w.gone()
}

// gone frees the place of a process that has ended.
func (w *place) gone() {
	w.pool.mu.Lock()
	w.pool.peakRSS = max(w.pool.peakRSS, w.process.PeakRSS())
	w.pool.mu.Unlock()
	w.stop(nil)
	w.process, w.tasks, w.replies, w.stop = nil, nil, nil, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
