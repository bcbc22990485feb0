// Chainbuild makes Julia system images in seconds, by chaining what is new to the image that there is already.
package main

// This file is the process around a command: signals, the error's line, the exit code.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"chainbuild/internal/usage"
	"chainbuild/julia"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes besides 0. A command that a signal ended has 128 + the signal's number, as in a shell.
const (
	exitFailed = 1 // it was tried and failed
	exitUsage  = 2 // it cannot be done as it was asked for, and was not begun
)

// run runs the command that the arguments say and returns the exit code.
func run(arguments []string, stdout, stderr *os.File) int {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	root := newRootCommand(stdout, stderr)
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var answer *exitError
	if errors.As(err, &answer) {
		return answer.code
	}
	// A build that a signal ended may also report what the signal broke: the signal is the reason.
	var ended *signalError
	if errors.As(context.Cause(ctx), &ended) {
		fmt.Fprintf(stderr, "chainbuild: %v\n", ended)
		return 128 + int(ended.signal)
	}
	printError(stderr, err)
	var refused *usage.Error
	if errors.As(err, &refused) {
		return exitUsage
	}
	return exitFailed
}

// An exitError is an answer that a command gives by its exit code. All that is to be printed was.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func printError(w io.Writer, err error) {
	fmt.Fprintf(w, "chainbuild: error: %v\n", err)
	// What a package says of its own failure is for its author to read in full.
	var worker *julia.WorkerError
	if errors.As(err, &worker) && strings.Contains(worker.Detail, "\n") {
		for line := range strings.Lines(worker.Detail) {
			fmt.Fprintf(w, "  %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
}

// A signalError is why a context ended.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string {
	if e.signal == syscall.SIGINT {
		return "interrupted"
	}
	return "stopped by the signal " + e.signal.String()
}

// untilSignal returns a context that ends at the first SIGINT, SIGTERM or SIGHUP. The second is not caught: whoever
// does not want to wait for the end of all processes presses Ctrl-C again, and the kernel ends them.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&signalError{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
