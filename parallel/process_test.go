package parallel

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcessEndsWell(t *testing.T) {
	p, err := StartProcess(t.Context(), "the worker", workerCommand("plain"), ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("a worker without tasks ended with %v", err)
	}
	if p.PeakRSS() < 1<<20 {
		t.Errorf("its peak memory is %d bytes, less than any Go program needs", p.PeakRSS())
	}
}

func TestProcessDeathQuotesTheLog(t *testing.T) {
	var copied strings.Builder
	p, err := StartProcess(t.Context(), "the worker", workerCommand("print"), ProcessOptions{Output: &copied})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Wait()
	var death *DeathError
	if !errors.As(err, &death) {
		t.Fatalf("Wait returned %v, not a *DeathError", err)
	}
	if death.Status.ExitStatus() != 3 {
		t.Errorf("its exit status is %d, not 3", death.Status.ExitStatus())
	}
	if len(death.LastLines) != tailLines || death.LastLines[tailLines-1] != "line 4999" || death.LastLines[0] != "line 4970" {
		t.Errorf("its last lines are %q", death.LastLines)
	}
	if text := err.Error(); !strings.Contains(text, "the worker exited with status 3, with a peak memory of ") || !strings.Contains(text, "\n  line 4999") {
		t.Errorf("the error reads %q", text)
	}
	if !strings.HasPrefix(copied.String(), "line 0\n") || !strings.HasSuffix(copied.String(), "line 4999\n") {
		t.Errorf("the copy of the output is not whole: %d bytes", copied.Len())
	}
}

func TestProcessDeathNamesTheSignal(t *testing.T) {
	cmd := workerCommand("plain")
	cmd.Stdin = strings.NewReader("crash\n")
	p, err := StartProcess(t.Context(), "the worker", cmd, ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var death *DeathError
	if err := p.Wait(); !errors.As(err, &death) || !death.Status.Signaled() || death.Status.Signal() != syscall.SIGKILL {
		t.Fatalf("Wait returned %v, not a death by SIGKILL", err)
	} else if !strings.Contains(err.Error(), "was killed by signal 9 (killed)") {
		t.Errorf("the error reads %q", err)
	}
}

func TestProcessEventError(t *testing.T) {
	cmd := workerCommand("plain")
	cmd.Stdin = strings.NewReader("garbage\nsleep\t1h\n")
	refused := errors.New("no such event")
	p, err := StartProcess(t.Context(), "the worker", cmd, ProcessOptions{Event: func([]byte) error { return refused }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); !errors.Is(err, refused) {
		t.Errorf("Wait returned %v, not the error of Event", err)
	}
}

// A worker that says what is wrong and exits at once is quoted, not called dead.
func TestProcessEventErrorThenExit(t *testing.T) {
	for range 20 {
		cmd := workerCommand("plain")
		cmd.Stdin = strings.NewReader("fail\nexit\n")
		p, err := StartProcess(t.Context(), "the worker", cmd, ProcessOptions{Event: func(line []byte) error {
			return errors.New(string(line))
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "there is no such file") {
			t.Fatalf("Wait returned %v, not the worker's own error", err)
		}
	}
}

// The context of the command itself ends the process too.
func TestProcessCommandContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	plain := workerCommand("deaf")
	cmd := exec.CommandContext(ctx, plain.Path)
	cmd.Env = plain.Env
	p, err := StartProcess(t.Context(), "the worker", cmd, ProcessOptions{Event: func([]byte) error {
		cancel()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait returned %v", err)
	}
}

func TestProcessCannotStart(t *testing.T) {
	cmd := workerCommand("plain")
	cmd.Path, cmd.Err = "/nowhere/julia", nil
	if _, err := StartProcess(t.Context(), "the front worker", cmd, ProcessOptions{}); err == nil || !strings.HasPrefix(err.Error(), "the front worker cannot be started: ") {
		t.Errorf("StartProcess returned %v", err)
	}
}

// A worker that ignores SIGTERM is killed, and the context's cause is what Wait returns.
func TestProcessCancelDeaf(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	ready := make(chan struct{})
	p, err := StartProcess(ctx, "the worker", workerCommand("deaf"), ProcessOptions{Event: func([]byte) error {
		close(ready)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-ready
	interrupt := errors.New("interrupted")
	start := time.Now()
	cancel(interrupt)
	if err := p.Wait(); !errors.Is(err, interrupt) {
		t.Errorf("Wait returned %v, not the cause", err)
	}
	if took := time.Since(start); took < grace/2 || took > 3*grace {
		t.Errorf("it took %v from the cancellation to the end, where SIGKILL comes after %v", took, grace)
	}
}

// What a worker started goes with it, whether it is stopped or ends by itself.
func TestProcessGroupIsEmptied(t *testing.T) {
	for _, way := range []string{"stopped", "by itself"} {
		t.Run(way, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := workerCommand("children")
			tasks, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			child := make(chan int, 1)
			p, err := StartProcess(ctx, "the worker", cmd, ProcessOptions{Event: func(line []byte) error {
				var event struct{ Child int }
				err := json.Unmarshal(line, &event)
				child <- event.Child
				return err
			}})
			if err != nil {
				t.Fatal(err)
			}
			pid := <-child
			if err := syscall.Kill(pid, 0); err != nil {
				t.Fatalf("the child %d does not run: %v", pid, err)
			}
			if way == "stopped" {
				cancel()
			} else {
				tasks.Close()
			}
			p.Wait()
			if !isGone(pid) {
				t.Errorf("the child %d still runs", pid)
			}
		})
	}
}
