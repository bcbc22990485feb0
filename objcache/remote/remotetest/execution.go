package remotetest

// This file executes: it runs commands in a folder that has their input root and nothing else, with their environment and nothing else.
//
// It is as strict as servers may be: all inputs are stored, properties and environment are in order, and a command runs only where its properties are
// just those of the workers.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"chainbuild/internal/juliatest"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// A Fault is what goes wrong with an execution.
type Fault int

const (
	// None: it is run.
	None Fault = iota
	// Hang never runs it, and says nothing more.
	Hang
	// Break runs it, but breaks the stream before it is done; it can be waited for again.
	Break
	// Forget breaks the stream before it is done, and does not know of it any more.
	Forget
	// Lose says that the worker was lost.
	Lose
	// Late says that it took too long.
	Late
	// Fail runs "exit 3" in its place.
	Fail
	// Drop runs it and loses its outputs, but for the first.
	Drop
)

// An Executor runs the commands of a server. Its fields are set before the server starts.
type Executor struct {
	// Workers is how many commands run at a time; 0: as many as come.
	Workers int
	// Properties are those of the workers. A command with others is refused.
	Properties map[string]string
	// Environment is what commands find in their environment besides their own, NAME=VALUE each.
	Environment []string
	// Fault is asked what goes wrong with an execution, which are counted from 1; nil: nothing does.
	Fault func(number int) Fault

	server *Server
	slots  chan struct{}

	mu         sync.Mutex // guards what follows
	operations map[string]*operation
	executed   int // executions that were begun
	ran        int // commands that have run to their end

	repb.UnimplementedExecutionServer
}

// An operation is an execution.
type operation struct {
	name     string
	done     chan struct{} // closed when response is set
	response *repb.ExecuteResponse
}

func (e *Executor) on(s *Server) *Executor {
	e.server, e.operations = s, map[string]*operation{}
	if e.Workers > 0 {
		e.slots = make(chan struct{}, e.Workers)
	}
	return e
}

func (e *Executor) capabilities() *repb.ExecutionCapabilities {
	if e == nil {
		return nil
	}
	return &repb.ExecutionCapabilities{DigestFunction: repb.DigestFunction_SHA256, ExecEnabled: true}
}

// Executed is how many executions were begun.
func (e *Executor) Executed() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.executed
}

// Ran is how many commands have run to their end.
func (e *Executor) Ran() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ran
}

// Execute begins an execution and waits for it.
func (e *Executor) Execute(r *repb.ExecuteRequest, stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	if r.GetInstanceName() != e.server.Instance {
		return status.Errorf(codes.InvalidArgument, "there is no instance %q", r.GetInstanceName())
	}
	if !r.GetSkipCacheLookup() {
		return status.Error(codes.InvalidArgument, "the result may be one that somebody else has stored")
	}
	var action repb.Action
	var command repb.Command
	if err := e.server.message(r.GetActionDigest(), &action); err != nil {
		return err
	}
	if err := e.server.message(action.GetCommandDigest(), &command); err != nil {
		return err
	}
	if err := e.check(&action, &command); err != nil {
		return err
	}
	e.mu.Lock()
	e.executed++
	number := e.executed
	op := &operation{name: "operations/" + strconv.Itoa(number), done: make(chan struct{})}
	e.operations[op.name] = op
	e.mu.Unlock()

	fault := None
	if e.Fault != nil {
		fault = e.Fault(number)
	}
	if err := stream.Send(&longrunningpb.Operation{Name: op.name}); err != nil {
		return err
	}
	switch fault {
	case Hang:
		<-stream.Context().Done()
		return nil
	case Forget:
		e.mu.Lock()
		delete(e.operations, op.name)
		e.mu.Unlock()
		return status.Error(codes.Unavailable, "the scheduler starts again")
	case Lose:
		op.end(&repb.ExecuteResponse{Status: status.New(codes.Unavailable, "the worker does not answer any more").Proto()})
	case Late:
		op.end(&repb.ExecuteResponse{Status: status.New(codes.DeadlineExceeded, "the command ran for too long").Proto()})
	case Break:
		go e.run(context.WithoutCancel(stream.Context()), op, &action, &command, fault)
		return status.Error(codes.Unavailable, "the line breaks")
	default:
		go e.run(stream.Context(), op, &action, &command, fault)
	}
	return op.wait(stream)
}

// WaitExecution waits for an execution.
func (e *Executor) WaitExecution(r *repb.WaitExecutionRequest, stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	e.mu.Lock()
	op := e.operations[r.GetName()]
	e.mu.Unlock()
	if op == nil {
		return status.Errorf(codes.NotFound, "there is no operation %q", r.GetName())
	}
	if err := stream.Send(&longrunningpb.Operation{Name: op.name}); err != nil {
		return err
	}
	return op.wait(stream)
}

func (op *operation) end(response *repb.ExecuteResponse) {
	op.response = response
	close(op.done)
}

func (op *operation) wait(stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	select {
	case <-op.done:
	case <-stream.Context().Done():
		return nil
	}
	response, err := anypb.New(op.response)
	if err != nil {
		return err
	}
	return stream.Send(&longrunningpb.Operation{Name: op.name, Done: true, Result: &longrunningpb.Operation_Response{Response: response}})
}

// check says why an action cannot be executed.
func (e *Executor) check(action *repb.Action, command *repb.Command) error {
	properties := map[string]string{}
	for _, p := range action.GetPlatform().GetProperties() {
		properties[p.GetName()] = p.GetValue()
	}
	variables := command.GetEnvironmentVariables()
	switch {
	case !action.GetDoNotCache():
		return status.Error(codes.InvalidArgument, "the result would be stored for others")
	case !slices.IsSortedFunc(variables, func(a, b *repb.Command_EnvironmentVariable) int {
		return bytes.Compare([]byte(a.GetName()), []byte(b.GetName()))
	}),
		!slices.IsSorted(command.GetOutputPaths()):
		return status.Error(codes.InvalidArgument, "something is not in order")
	//lint:ignore SA1019 servers before version 2.2 of the protocol look here
	case !proto.Equal(action.GetPlatform(), command.GetPlatform()):
		return status.Error(codes.InvalidArgument, "older servers would see other properties")
	case !maps.Equal(properties, e.Properties):
		return status.Errorf(codes.FailedPrecondition, "no worker has the properties %v", properties)
	}
	return nil
}

// run runs a command and ends the operation.
func (e *Executor) run(ctx context.Context, op *operation, action *repb.Action, command *repb.Command, fault Fault) {
	if e.slots != nil {
		e.slots <- struct{}{}
		defer func() { <-e.slots }()
	}
	result, err := e.result(ctx, action, command, fault)
	e.mu.Lock()
	e.ran++
	e.mu.Unlock()
	op.end(&repb.ExecuteResponse{Result: result, Status: status.Convert(err).Proto()})
}

func (e *Executor) result(ctx context.Context, action *repb.Action, command *repb.Command, fault Fault) (*repb.ActionResult, error) {
	folder, err := os.MkdirTemp("", "executed-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if err := e.server.unfold(action.GetInputRootDigest(), folder); err != nil {
		return nil, err
	}
	arguments := command.GetArguments()
	if fault == Fail {
		arguments = []string{"/bin/sh", "-c", "echo no such luck >&2; exit 3"}
	}
	if bound := action.GetTimeout(); bound != nil {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, bound.AsDuration())
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	cmd.Dir, cmd.Env = folder, slices.Clone(e.Environment)
	for _, v := range command.GetEnvironmentVariables() {
		cmd.Env = append(cmd.Env, v.GetName()+"="+v.GetValue())
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, status.Error(codes.DeadlineExceeded, "the command ran for too long")
	case err != nil && !errors.As(err, &exit):
		return nil, status.Error(codes.Internal, fmt.Sprint(err))
	}
	result := &repb.ActionResult{ExitCode: int32(cmd.ProcessState.ExitCode()), StderrDigest: e.server.keep(stderr.Bytes()), StdoutDigest: e.server.keep(stdout.Bytes())}
	for i, path := range command.GetOutputPaths() {
		data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
		if err != nil || fault == Drop && i > 0 {
			continue
		}
		result.OutputFiles = append(result.OutputFiles, &repb.OutputFile{Path: path, Digest: e.server.keep(data)})
	}
	return result, nil
}

// stored is the blob with a digest; without it an action cannot be executed.
func (s *Server) stored(d *repb.Digest) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.blobs[d.GetHash()]
	if !ok || int64(len(data)) != d.GetSizeBytes() {
		return nil, status.Errorf(codes.FailedPrecondition, "the blob %s is not stored", d.GetHash())
	}
	return data, nil
}

func (s *Server) message(d *repb.Digest, into proto.Message) error {
	data, err := s.stored(d)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, into)
}

// keep stores what a command has made.
func (s *Server) keep(data []byte) *repb.Digest {
	d := digestOf(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[d.GetHash()] = bytes.Clone(data)
	return d
}

// unfold writes a folder that is stored.
func (s *Server) unfold(d *repb.Digest, folder string) error {
	var directory repb.Directory
	if err := s.message(d, &directory); err != nil {
		return err
	}
	for _, file := range directory.GetFiles() {
		data, err := s.stored(file.GetDigest())
		if err != nil {
			return err
		}
		mode := os.FileMode(0o444)
		if file.GetIsExecutable() {
			mode = 0o555
		}
		if err := juliatest.WriteProgram(filepath.Join(folder, file.GetName()), data, mode); err != nil {
			return err
		}
	}
	for _, below := range directory.GetDirectories() {
		path := filepath.Join(folder, below.GetName())
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := s.unfold(below.GetDigest(), path); err != nil {
			return err
		}
	}
	return nil
}
