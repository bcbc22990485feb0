package remote

// This file is what a protocol has to do, and how it says what went wrong.

import (
	"context"
	"errors"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// A transport speaks one of the protocols. Its methods may be called by any number of goroutines at once. Each of them tries once.
type transport interface {
	// hello asks the server who it is and what it can do. It is called before the others, whose requests keep to the answer.
	hello(ctx context.Context) (*Server, error)
	// actionResult returns the result of the action; errMissing if there is none.
	actionResult(ctx context.Context, action digest) (*repb.ActionResult, error)
	// read returns the blobs in the order of the digests, nil for one that is not there. The server is not trusted: the caller
	// checks what came. The sizes together are within the limits of the transport, unless there is one digest alone.
	read(ctx context.Context, digests []digest) ([][]byte, error)
	// missing returns those of the blobs that the server does not have.
	missing(ctx context.Context, blobs []blob) ([]blob, error)
	// write stores blobs, within the same limits as for read.
	write(ctx context.Context, blobs []blob) error
	// setActionResult stores the result of an action. All blobs that it refers to must be stored.
	setActionResult(ctx context.Context, action digest, result *repb.ActionResult) error
	limits() limits
	close()
}

// limits say how much a transport takes at a time.
type limits struct {
	// batchBytes and batchCount bound what is read or written by one call of several blobs.
	batchBytes int64
	batchCount int
	// calls is how many calls are made at a time.
	calls int
}

// fit is how many of n blobs, from the first, are read or written by one call, and their bytes together: at least one, however large.
func (l limits) fit(n int, size func(i int) int64) (count int, bytes int64) {
	for count < n && count < l.batchCount && (count == 0 || bytes+size(count) <= l.batchBytes) {
		bytes += size(count)
		count++
	}
	return count, bytes
}

// Bounds of our own, for servers that announce none, or more than is good.
const (
	// maxBlob is the largest blob, in bytes, that is read or written. Objects have some 100 kB, few of them more than 1 MB.
	maxBlob = 256 << 20
	// maxBatch is the most, in bytes, that is asked for in one message: that of gRPC's default, 4 MiB, less what is around the blobs.
	maxBatch = 4<<20 - 64<<10
	// maxMessage is the largest message that is taken.
	maxMessage = 4<<20 + 64<<10
)

// Why a server did not do what it was asked. Errors of transports are one of these, or wrap one, or are another failure of that server.
var (
	// errMissing is a result that is not there.
	errMissing = errors.New("it is not there")
	// errRefused is a server that wants other credentials.
	errRefused = errors.New("it refuses the credentials")
	// errFull is a server that has no room.
	errFull = errors.New("it has no room")
	// errBusy is a server that may do it when it is asked again.
	errBusy = errors.New("it is busy")
	// errGone is a server that cannot be reached, or a connection that broke.
	errGone = errors.New("it cannot be reached")
	// errSlow is a server that is waited for no longer.
	errSlow = errors.New("it does not answer in time")
	// errWrong is data that is not what was asked for.
	errWrong = errors.New("it has sent bytes that are not what they should be")
)

// A serverError is one of the errors above, with what the server or the system says.
type serverError struct {
	kind error
	says string
}

func (e *serverError) Error() string {
	if e.says == "" {
		return e.kind.Error()
	}
	return e.kind.Error() + " (" + e.says + ")"
}

func (e *serverError) Unwrap() error { return e.kind }

// passes says whether the same call may succeed a moment later.
func passes(err error) bool { return errors.Is(err, errBusy) || errors.Is(err, errGone) }
