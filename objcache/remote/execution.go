package remote

// This file speaks the service Execution.
//
//	Execute         a stream of Operations: the action waits, is run, is done; the last one has an ExecuteResponse
//	WaitExecution   the same stream again, by the Operation's name, where it broke
//
// A server may forget an Operation (NOT_FOUND), and a worker may be lost (UNAVAILABLE, INTERNAL and others, of the call or in the response): then the
// action has to be executed once more.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Why an action was not executed, besides the errors of transports.
var (
	// errLost is an action that may go well if it is executed once more.
	errLost = errors.New("a worker was lost")
	// errUnmet is an action that lacks something: inputs that the server has not any more, or a worker that fits.
	errUnmet = errors.New("it has no such inputs any more, or no worker that fits")
	// errLate is an action that took too long for its server.
	errLate = errors.New("it took longer than it may")
)

// execute has the action executed, and returns its result, whatever the exit code. It waits for as long as ctx lets it. The action, and all that it
// refers to, must be stored.
func (t *grpcTransport) execute(ctx context.Context, action digest) (*repb.ActionResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	name, broken := "", 0
	for {
		var stream interface {
			Recv() (*longrunningpb.Operation, error)
		}
		var err error
		opened := time.Now()
		if name == "" {
			// What others say that the result is, is not asked for: whoever may write results would decide what is executed.
			stream, err = t.execution.Execute(t.with(ctx), &repb.ExecuteRequest{InstanceName: t.instance, ActionDigest: action.message(), SkipCacheLookup: true})
		} else {
			stream, err = t.execution.WaitExecution(t.with(ctx), &repb.WaitExecutionRequest{Name: name})
		}
		for err == nil {
			var operation *longrunningpb.Operation
			if operation, err = stream.Recv(); err == nil {
				if name = operation.GetName(); operation.GetDone() {
					return executionResult(operation)
				}
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if time.Since(opened) > patientBehind {
			broken = 0
		}
		broken++
		if code := status.Code(err); name == "" || broken == attempts || err != io.EOF && code != codes.Unavailable && code != codes.Internal && code != codes.Unknown {
			return nil, executionError(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(broken) * 50 * time.Millisecond):
		}
	}
}

// executionResult is what an operation that is done has come to.
func executionResult(operation *longrunningpb.Operation) (*repb.ActionResult, error) {
	if failed := operation.GetError(); failed != nil {
		return nil, executionError(status.ErrorProto(failed))
	}
	var response repb.ExecuteResponse
	if err := operation.GetResponse().UnmarshalTo(&response); err != nil {
		return nil, &serverError{errWrong, "an operation that is done without a response"}
	}
	if err := status.ErrorProto(response.GetStatus()); err != nil {
		return nil, executionError(err)
	}
	if response.GetResult() == nil {
		return nil, &serverError{errWrong, "a response without a result"}
	}
	return response.GetResult(), nil
}

// executionError says what an error of an execution means.
func executionError(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return &serverError{errLost, fmt.Sprint(err)} // the stream ended before the operation did
	}
	says := firstLine(s.Message())
	switch s.Code() {
	case codes.FailedPrecondition:
		return &serverError{errUnmet, says}
	case codes.DeadlineExceeded:
		return &serverError{errLate, says}
	case codes.Internal, codes.Unknown, codes.NotFound, codes.Canceled, codes.Unavailable:
		return &serverError{errLost, says}
	}
	return grpcError(err)
}
