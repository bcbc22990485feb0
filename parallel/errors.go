package parallel

// This file says how a worker ended and what became of its task.

import (
	"fmt"
	"strings"
	"syscall"
)

// A DeathError is a process that ended by a signal or with an exit status other than 0 though nobody asked it to.
type DeathError struct {
	// Name is what the process was started as.
	Name string
	// Status is how it ended.
	Status syscall.WaitStatus
	// PeakRSS is its largest resident set in bytes.
	PeakRSS int64
	// LastLines are the last lines that it printed.
	LastLines []string
}

// IsOfIllegalInstruction says whether the process ran code that this machine's processor does not have.
func (e *DeathError) IsOfIllegalInstruction() bool {
	return e.Status.Signaled() && e.Status.Signal() == syscall.SIGILL
}

func (e *DeathError) Error() string {
	text := fmt.Sprintf("%s %s, with a peak memory of %d MB", e.Name, e.how(), (e.PeakRSS+1<<20-1)>>20)
	if e.Status.Signaled() && e.Status.Signal() == syscall.SIGKILL {
		text += "; the system may have been out of memory, fewer jobs at a time need less"
	}
	return text + logText(e.LastLines)
}

// how says how the process ended, in the words of a shell.
func (e *DeathError) how() string {
	if e.Status.Signaled() {
		return fmt.Sprintf("was killed by signal %d (%s)", int(e.Status.Signal()), e.Status.Signal())
	}
	return fmt.Sprintf("exited with status %d", e.Status.ExitStatus())
}

// logText is the part of an error that quotes a log.
func logText(lines []string) string {
	if len(lines) == 0 {
		return "; it printed nothing"
	}
	return "; the last that it printed:\n  " + strings.Join(lines, "\n  ")
}

// A TaskError is a task of a pool that was not done.
type TaskError struct {
	// Task is the task's name.
	Task string
	// Attempts is how many workers tried: 2 where a worker was lost, 1 where the worker itself said that it failed.
	Attempts int
	// Err is what went wrong the last time: a *DeathError or another.
	Err error
}

func (e *TaskError) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("%s failed %d times: %v", e.Task, e.Attempts, e.Err)
	}
	return fmt.Sprintf("%s failed: %v", e.Task, e.Err)
}

func (e *TaskError) Unwrap() error { return e.Err }
