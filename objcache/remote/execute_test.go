package remote

// Tests of execution, with the server of package remotetest.

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"chainbuild/objcache/remote/remotetest"
)

// upper is a command that writes a file in capitals, once it has found all that it should. It has the folder tool, which was described before.
func upper(text string) *Command {
	tool := NewFolder(map[string]File{"bin/upper": {Data: []byte("#!/bin/sh\ntr a-z A-Z\n"), Executable: true}, "share/notes": {Data: []byte("x")}}, nil)
	return &Command{
		Arguments:   []string{"/bin/sh", "-c", `[ "$WORKER-$OWN-$HOME" = w-o- ] && echo said && tool/bin/upper <in/text >out.1 && echo two >out.2`},
		Environment: map[string]string{"OWN": "o", "PATH": "/usr/bin:/bin"},
		Input:       NewFolder(map[string]File{"in/text": {Data: []byte(text)}}, map[string]*Folder{"tool": tool}),
		Outputs:     []string{"out.2", "out.1", "out.none"},
		Platform:    map[string]string{"kind": "a", "also": "b"},
		Timeout:     time.Minute,
	}
}

func newExecutor(fault func(int) remotetest.Fault) *remotetest.Server {
	return &remotetest.Server{Instance: "i", Zstd: true, Executor: &remotetest.Executor{
		Properties: map[string]string{"kind": "a", "also": "b"}, Environment: []string{"WORKER=w"}, Fault: fault,
	}}
}

// first has the first execution go wrong.
func first(f remotetest.Fault) func(int) remotetest.Fault {
	return func(number int) remotetest.Fault {
		if number == 1 {
			return f
		}
		return remotetest.None
	}
}

func always(f remotetest.Fault) func(int) remotetest.Fault {
	return func(int) remotetest.Fault { return f }
}

func TestExecute(t *testing.T) {
	for _, test := range []struct {
		name     string
		fault    func(int) remotetest.Fault
		change   func(*Command)
		err      error // nil: it is executed
		exitCode int
		outputs  map[string]string
		executed int
	}{
		{name: "well", executed: 1},
		{name: "stream breaks", fault: first(remotetest.Break), executed: 1},
		{name: "operation forgotten", fault: first(remotetest.Forget), executed: 2},
		{name: "worker lost", fault: first(remotetest.Lose), executed: 2},
		{name: "all workers lost", fault: always(remotetest.Lose), err: errLost, executed: 2},
		{name: "too late", fault: always(remotetest.Late), err: errLate, executed: 1},
		{name: "fails", fault: always(remotetest.Fail), exitCode: 3, outputs: map[string]string{}, executed: 1},
		{name: "drops outputs", fault: always(remotetest.Drop), outputs: map[string]string{"out.1": "SOME TEXT"}, executed: 1},
		{name: "no such worker", change: func(c *Command) { c.Platform = map[string]string{"kind": "c"} }, err: errUnmet},
		{name: "no such program", change: func(c *Command) { c.Arguments = []string{"/nowhere"} }, err: errLost, executed: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newExecutor(test.fault)
			c := connect(t, Options{URL: "grpc://" + server.Start(t) + "/i", Execute: true})
			command := upper("some text")
			if test.change != nil {
				test.change(command)
			}
			e, err := c.Execute(t.Context(), command)
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Fatalf("the error is %v, not %v", err, test.err)
			}
			if server.Executor.Executed() != test.executed {
				t.Errorf("it was executed %d times, not %d", server.Executor.Executed(), test.executed)
			}
			if err != nil {
				return
			}
			if test.outputs == nil {
				test.outputs = map[string]string{"out.1": "SOME TEXT", "out.2": "two\n"}
				if string(e.Stdout) != "said\n" {
					t.Errorf("it has said %q", e.Stdout)
				}
			}
			outputs := map[string]string{}
			for name, data := range e.Outputs {
				outputs[name] = string(data)
			}
			if e.ExitCode != test.exitCode || !maps.Equal(outputs, test.outputs) {
				t.Errorf("the exit code is %d, the outputs are %q", e.ExitCode, outputs)
			}
			if e.ExitCode != 0 && e.LastLine() != "no such luck" {
				t.Errorf("the last line is %q", e.LastLine())
			}
			if server.Results() != 0 {
				t.Error("the result was stored for others")
			}
		})
	}
}

// What several commands need is stored once, also if they are executed side by side, and again if the server has lost it.
func TestExecuteStores(t *testing.T) {
	server := newExecutor(nil)
	c := connect(t, Options{URL: "grpc://" + server.Start(t) + "/i", Execute: true, Upload: UploadNo})
	tool := upper("").Input.folders["tool"]
	run := func(text string) {
		command := upper("")
		command.Input = NewFolder(map[string]File{"in/text": {Data: []byte(text)}}, map[string]*Folder{"tool": tool})
		e, err := c.Execute(t.Context(), command)
		if err != nil || string(e.Outputs["out.1"]) != strings.ToUpper(text) {
			t.Errorf("of %q comes %v (%v)", text, e, err)
		}
	}
	run("a")
	before := server.Calls("BatchUpdateBlobs")
	run("a")
	if server.Calls("BatchUpdateBlobs") != before {
		t.Error("what the server has was stored again")
	}
	var all sync.WaitGroup
	for _, text := range []string{"b", "c", "d", "e"} {
		all.Go(func() { run(text) })
	}
	all.Wait()
	server.Forget()
	run("f")
	server.Forget()
	run("a")
	if warned := c.warned(); len(warned) > 0 {
		t.Errorf("there are the warnings %q", warned)
	}
}

// A server that hangs is waited for as long as the caller likes.
func TestExecuteHangs(t *testing.T) {
	server := newExecutor(always(remotetest.Hang))
	c := connect(t, Options{URL: "grpc://" + server.Start(t) + "/i", Execute: true})
	ctx, cancel := context.WithTimeout(t.Context(), 3*patient)
	defer cancel()
	if _, err := c.Execute(ctx, upper("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if _, ok := c.Get(t.Context(), NewAction(computation(1))); ok || c.Off() != nil || len(c.warned()) > 0 {
		t.Errorf("the cache is off (%v), with the warnings %q", c.Off(), c.warned())
	}
	done := make(chan error)
	go func() {
		_, err := c.Execute(t.Context(), upper("x"))
		done <- err
	}()
	for server.Executor.Executed() < 2 {
		time.Sleep(time.Millisecond)
	}
	c.giveUp(errSlow)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("when the server is given up the error is %v", err)
	}
}

// Outputs have their digests.
func TestExecuteSpoilt(t *testing.T) {
	server := newExecutor(nil)
	server.Spoil = func(data []byte) []byte {
		data[0] ^= 1
		return data
	}
	c := connect(t, Options{URL: "grpc://" + server.Start(t) + "/i", Execute: true})
	if _, err := c.Execute(t.Context(), upper("x")); !errors.Is(err, errWrong) {
		t.Errorf("the error is %v", err)
	}
}

func TestExecutes(t *testing.T) {
	server := &remotetest.Server{}
	c := connect(t, Options{URL: "grpc://" + server.Start(t), Execute: true})
	if err := c.Executes(t.Context()); err != ErrNoExecution {
		t.Errorf("a server that does not execute: %v", err)
	}
	if _, err := c.Execute(t.Context(), upper("x")); err != ErrNoExecution {
		t.Errorf("a server that does not execute: %v", err)
	}
	gone := connect(t, Options{URL: "grpc://127.0.0.1:1", Execute: true})
	if err := gone.Executes(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("a server that is not there: %v", err)
	}
}
