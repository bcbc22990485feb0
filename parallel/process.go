// Package parallel runs worker processes: one of them, or a pool that takes on tasks. It does not know what they do.
//
// A worker writes its events to file descriptor 3, one JSON object per line; what it prints is kept for error messages.
// It is the leader of a process group. Nothing of the group outlives it, whether it ends by itself, is stopped, or this
// process is killed.
package parallel

// This file runs one process.
//
// A process is reaped in three steps: wait until it is dead without taking its exit status, so that its id cannot be
// given to another process yet; kill what is left of its group; take the status. Signals are sent under the lock that
// the last step takes, so none can reach a stranger.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a running or finished worker.
type Process struct {
	name   string
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{} // closed when the fields below are final

	mu     sync.Mutex
	reaped bool
	reason error // why it is being stopped

	err     error
	peakRSS int64
}

// ProcessOptions are what a Process may be started with besides its command.
type ProcessOptions struct {
	// Output gets a copy of all that the process prints, from one goroutine; nil: nobody.
	Output io.Writer
	// Event is called with each line of file descriptor 3, without its end of line, from one goroutine. The line is valid
	// until the call returns. An error stops the process, and Wait returns it. Nil: the descriptor is not open.
	Event func(line []byte) error
	// Files are open in the process too, as descriptors 4 and so on.
	Files []*os.File
}

const (
	// grace is the time between asking a process to end and killing it.
	grace = 2 * time.Second
	// maxEvent is the length in bytes of the longest event that is accepted.
	maxEvent = 16 << 20
)

// StartProcess starts cmd, which must not have been started and whose Stdout, Stderr, ExtraFiles and SysProcAttr are
// set here. Name is what errors call it. When ctx ends, the process group gets SIGTERM, and SIGKILL after two seconds.
// Wait must be called.
func StartProcess(ctx context.Context, name string, cmd *exec.Cmd, options ProcessOptions) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	p := &Process{name: name, cmd: cmd, output: &tail{copy: options.Output}, ended: make(chan struct{})}
	// One writer for both: os/exec then uses one pipe, which keeps the order of what is printed.
	cmd.Stdout, cmd.Stderr = p.output, p.output
	// The kernel sends the signal when the thread that started the process ends. Go keeps its threads, but for those of
	// goroutines that end while locked to one; nothing here does that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// Only a process that left the group can still hold the pipe then.
	cmd.WaitDelay = grace
	if cmd.Cancel != nil {
		// The command has a context of its own, whose end would otherwise kill the process and not its group.
		cmd.Cancel = func() error {
			p.stop(context.Canceled)
			return nil
		}
	}

	var events *os.File
	cmd.ExtraFiles = append([]*os.File{nil}, options.Files...)
	if options.Event != nil {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("%s cannot be started: %w", name, err)
		}
		defer write.Close()
		events, cmd.ExtraFiles[0] = read, write
	}
	if err := cmd.Start(); err != nil {
		if events != nil {
			events.Close()
		}
		return nil, fmt.Errorf("%s cannot be started: %w", name, err)
	}

	eventsRead := make(chan struct{})
	if events == nil {
		close(eventsRead)
	} else {
		go func() {
			defer close(eventsRead)
			defer events.Close()
			if err := readEvents(name, events, options.Event); err != nil {
				p.stop(err)
			}
		}()
	}
	unwatch := context.AfterFunc(ctx, func() { p.stop(context.Cause(ctx)) })
	go func() {
		defer close(p.ended)
		defer unwatch()
		p.reap(events, eventsRead)
	}()
	return p, nil
}

func readEvents(name string, events io.Reader, handle func([]byte) error) error {
	lines := bufio.NewScanner(events)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	for lines.Scan() {
		if err := handle(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the events of %s cannot be read: %w", name, err)
	}
	return nil
}

// reap waits for the end of the process and of all that is connected with it, then sets the outcome.
func (p *Process) reap(events *os.File, eventsRead <-chan struct{}) {
	pid := p.cmd.Process.Pid
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	p.mu.Lock()
	syscall.Kill(-pid, syscall.SIGKILL)
	p.reaped = true
	p.mu.Unlock()
	err := p.cmd.Wait()
	if events != nil {
		// As for WaitDelay: the pipe is at its end, unless a process that left the group holds it.
		events.SetReadDeadline(time.Now().Add(grace))
	}
	<-eventsRead

	p.mu.Lock()
	defer p.mu.Unlock()
	state := p.cmd.ProcessState
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		p.peakRSS = usage.Maxrss << 10
	}
	switch {
	case p.reason != nil:
		p.err = p.reason
	case !state.Success():
		p.err = &DeathError{Name: p.name, Status: state.Sys().(syscall.WaitStatus), PeakRSS: p.peakRSS, LastLines: p.output.lastLines()}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		p.err = fmt.Errorf("what %s printed cannot be read: %w", p.name, err)
	}
}

// stop asks the process group to end, and kills it if that takes too long. Wait will return the first call's reason, also
// if the process ended by itself meanwhile: a worker that says what is wrong and exits has its words heard.
func (p *Process) stop(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason != nil {
		return
	}
	p.reason = reason
	if p.reaped {
		return
	}
	pid := p.cmd.Process.Pid
	syscall.Kill(-pid, syscall.SIGTERM)
	time.AfterFunc(grace, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.reaped {
			syscall.Kill(-pid, syscall.SIGKILL)
		}
	})
}

// Wait returns when the process and its group are gone and all events were handled. The error is nil if it exited with
// status 0, a *DeathError if it ended otherwise by itself, the cause of its context's end, or that of Event.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Ended is closed when Wait would not block.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// PeakRSS is the largest resident set, in bytes, that the process or a child that it waited for had. Linux counts from
// before the start of its program, so it is at least what this process had when it started it. It is known once Ended is
// closed.
func (p *Process) PeakRSS() int64 {
	<-p.ended
	return p.peakRSS
}
