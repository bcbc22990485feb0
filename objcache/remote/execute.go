package remote

// This file has commands executed.
//
// A command becomes an Action that is not to be cached: its result is for whoever asked. The inputs, as far as the server lacks them, the Command and
// the Action are stored first, whether or not results are. What comes back is read like all else, and has its digests.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
)

// A Command is run in a folder with some files and writes others.
type Command struct {
	// Arguments are the program and what it is told; Environment is all of its environment, by name.
	Arguments   []string
	Environment map[string]string
	// Input is what it finds in its folder.
	Input *Folder
	// Outputs are the files that it writes, by paths relative to its folder. It need not write all of them.
	Outputs []string
	// Platform are the properties of a machine that can run it, by name.
	Platform map[string]string
	// Timeout is how long it may run; 0: as the server says.
	Timeout time.Duration
}

// Executed is what has come of a command that ran.
type Executed struct {
	// ExitCode is 0 where it succeeded.
	ExitCode int
	// Outputs are those of the files that it has written anything to.
	Outputs map[string][]byte
	// Stdout and Stderr are what it has printed, each of it empty where it is more than 1 MB.
	Stdout, Stderr []byte
}

// LastLine is the last line that the command has printed to its standard error, as far as an error can quote it; empty if there is none.
func (e *Executed) LastLine() string {
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(e.Stderr, []byte("?")))), "\n")
	return firstLine(lines[len(lines)-1])
}

// ErrNoExecution is a server that stores and does not execute.
var ErrNoExecution = errors.New("it does not execute (its capabilities do not say exec_enabled)")

const (
	// executions is how often a command is given to the server whose worker was lost.
	executions = 2
	// maxPrinted is the most, in bytes, that is read of what a command prints.
	maxPrinted = 1 << 20
)

// Executes waits until the server has said who it is, and returns why it does not execute: ErrNoExecution, or why it is not asked at all.
func (c *Cache) Executes(ctx context.Context) error {
	if !c.isReady(ctx) {
		if off := c.Off(); off != nil {
			return off
		}
		return context.Cause(ctx)
	}
	if !c.server.Executes {
		return ErrNoExecution
	}
	return nil
}

// Execute has the server run a command. It waits for as long as ctx lets it, and the server may be long in coming: whoever cannot wait ends ctx. A command whose
// worker was lost is given to the server once more. The error is about the server; a command that failed has an exit code.
func (c *Cache) Execute(ctx context.Context, command *Command) (*Executed, error) {
	if err := c.Executes(ctx); err != nil {
		return nil, err
	}
	ctx, end := c.within(ctx)
	defer end()
	described := messageBlob(&repb.Command{
		Arguments: command.Arguments, EnvironmentVariables: environment(command.Environment), OutputPaths: slices.Sorted(slices.Values(command.Outputs)),
		//lint:ignore SA1019 servers before version 2.2 of the protocol look here
		Platform: platform(command.Platform),
	})
	a := &repb.Action{
		CommandDigest: described.digest.message(), InputRootDigest: command.Input.root.message(), Platform: platform(command.Platform), DoNotCache: true,
	}
	if command.Timeout > 0 {
		a.Timeout = durationpb.New(command.Timeout)
	}
	action := messageBlob(a)
	for attempt := 1; ; attempt++ {
		err := c.storeFolder(ctx, command.Input)
		if err == nil {
			err = c.storeBlobs(ctx, []blob{described, action})
		}
		if err != nil {
			return nil, ofExecution(ctx, err)
		}
		result, err := c.transport.(*grpcTransport).execute(ctx, action.digest)
		switch {
		case err == nil:
			executed, err := c.collect(ctx, command, result)
			return executed, ofExecution(ctx, err)
		case errors.Is(err, errUnmet):
			c.forgetFolder(command.Input)
			c.know([]blob{described, action}, false)
		case !errors.Is(err, errLost) && !passes(err):
			return nil, ofExecution(ctx, err)
		}
		if attempt == executions || ctx.Err() != nil {
			return nil, ofExecution(ctx, err)
		}
	}
}

// ofExecution is the error of an execution: its context's if that has ended.
func ofExecution(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// storeFolder stores what the server lacks of a folder.
func (c *Cache) storeFolder(ctx context.Context, f *Folder) error {
	for _, folder := range f.folders {
		if err := c.storeFolder(ctx, folder); err != nil {
			return err
		}
	}
	f.storing.Lock()
	defer f.storing.Unlock()
	return c.storeBlobs(ctx, f.blobs)
}

// forgetFolder notes that the server may lack what it had of a folder.
func (c *Cache) forgetFolder(f *Folder) {
	for _, folder := range f.folders {
		c.forgetFolder(folder)
	}
	c.know(f.blobs, false)
}

// collect reads what a command has written.
func (c *Cache) collect(ctx context.Context, command *Command, result *repb.ActionResult) (*Executed, error) {
	e := &Executed{ExitCode: int(result.GetExitCode()), Outputs: map[string][]byte{}, Stdout: result.GetStdoutRaw(), Stderr: result.GetStderrRaw()}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.transport.limits().calls)
	for _, printed := range []struct {
		digest *repb.Digest
		into   *[]byte
	}{{result.GetStdoutDigest(), &e.Stdout}, {result.GetStderrDigest(), &e.Stderr}} {
		d, ok := digestFrom(printed.digest)
		if !ok || d.size > maxPrinted || len(*printed.into) > 0 {
			continue
		}
		group.Go(func() error {
			data, err := c.fetcher.fetch(ctx, d)
			if errors.Is(err, errMissing) {
				return nil // nobody depends on it
			}
			*printed.into = data
			return err
		})
	}
	contents := make([][]byte, len(command.Outputs))
	for i, path := range command.Outputs {
		for _, file := range result.GetOutputFiles() {
			if file.GetPath() != path {
				continue
			}
			d, ok := digestFrom(file.GetDigest())
			if !ok {
				return nil, &serverError{errWrong, "an output without a digest"}
			}
			group.Go(func() (err error) {
				contents[i], err = c.fetcher.fetch(ctx, d)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("what a command has written cannot be read: %w", err)
	}
	for i, path := range command.Outputs {
		if contents[i] != nil {
			e.Outputs[path] = contents[i]
		}
	}
	return e, nil
}
