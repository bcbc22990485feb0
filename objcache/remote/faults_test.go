package remote

// Tests of what goes wrong: each fault costs one warning and a bounded time, and no wrong byte gets through.

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chainbuild/objcache/remote/remotetest"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type (
	result     = repb.ActionResult
	outputFile = repb.OutputFile
)

var (
	permissionDenied = status.Error(codes.PermissionDenied, "not you")
	exhausted        = status.Error(codes.ResourceExhausted, "no space left on device")
)

// refuse is a fault of a call; "" stands for all.
func refuse(call string, err error) func(context.Context, string) error {
	return func(_ context.Context, called string) error {
		if call == "" || called == call {
			return err
		}
		return nil
	}
}

// hang has calls hang until their client gives up.
func hang(calls ...string) func(context.Context, string) error {
	return func(ctx context.Context, called string) error {
		if slices.Contains(calls, called) {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
}

// asks looks up the first of the objects, many times at once, and says how long that took and whether any was found.
func asks(t *testing.T, c *client, count int) (took time.Duration, found bool) {
	t.Helper()
	began := time.Now()
	var all sync.WaitGroup
	var any atomic.Bool
	for i := range count {
		all.Go(func() {
			if _, ok := c.Get(t.Context(), NewAction(computation(i))); ok {
				any.Store(true)
			}
		})
	}
	all.Wait()
	return time.Since(began), any.Load()
}

func TestFaults(t *testing.T) {
	leaks := goroutines()
	t.Run("all", testFaults)
	leaks(t)
}

func testFaults(t *testing.T) {
	for _, test := range []struct {
		name string
		// server and proxy are given once some objects are stored; after that, faults happen.
		fault func(s *remotetest.Server, p *remotetest.Proxy)
		says  string
		// bound is how long all look-ups may take together.
		bound time.Duration
		http  string // what is said with HTTP, if it is something else
	}{
		{name: "hangs", fault: func(s *remotetest.Server, p *remotetest.Proxy) { p.Hangs.Store(true) }, says: "does not answer in time", bound: 2 * time.Second},
		{name: "hangs when it is asked", fault: func(s *remotetest.Server, p *remotetest.Proxy) { s.Fault = hang("GetActionResult") }, says: "does not answer in time", bound: 2 * time.Second, http: "-"},
		{name: "hangs when it is read", fault: func(s *remotetest.Server, p *remotetest.Proxy) { s.Fault = hang("BatchReadBlobs", "Read") }, says: "does not answer in time", bound: 3 * time.Second, http: "-"},
		{name: "resets", fault: func(s *remotetest.Server, p *remotetest.Proxy) { p.ResetAfter.Store(1) }, says: "cannot be reached", bound: 2 * time.Second},
		{name: "refuses", fault: func(s *remotetest.Server, p *remotetest.Proxy) { s.Headers = map[string]string{"authorization": "x"} }, says: "refuses the credentials", bound: time.Second},
		{name: "too many", fault: func(s *remotetest.Server, p *remotetest.Proxy) { s.Fault = refuse("", exhausted) }, says: "is busy", bound: 2 * time.Second},
		{name: "not there", fault: func(s *remotetest.Server, p *remotetest.Proxy) {
			s.Fault = refuse("", status.Error(codes.Unavailable, "later"))
		}, says: "cannot be reached", bound: 2 * time.Second, http: "is busy"},
		{name: "deadline", fault: func(s *remotetest.Server, p *remotetest.Proxy) {
			s.Fault = refuse("GetActionResult", status.Error(codes.DeadlineExceeded, "too late"))
		}, says: "does not answer in time", bound: time.Second, http: "-"},
		{name: "wrong bytes", fault: func(s *remotetest.Server, p *remotetest.Proxy) {
			s.Spoil = func(data []byte) []byte {
				if len(data) > 0 {
					data[len(data)/2] ^= 1
				}
				return data
			}
		}, says: "not what they should be", bound: time.Second},
		{name: "truncated", fault: func(s *remotetest.Server, p *remotetest.Proxy) {
			s.Spoil = func(data []byte) []byte { return data[:len(data)/2] }
		}, says: "not what they should be", bound: time.Second},
		{name: "more than it should be", fault: func(s *remotetest.Server, p *remotetest.Proxy) {
			s.Spoil = func(data []byte) []byte { return append(data, make([]byte, 1<<20)...) }
		}, says: "not what they should be", bound: time.Second},
		{name: "internal", fault: func(s *remotetest.Server, p *remotetest.Proxy) {
			s.Fault = refuse("", status.Error(codes.Internal, "a\nb"))
		}, says: "it answers Internal: a", bound: time.Second, http: "it answers 400"},
	} {
		for _, zstd := range []bool{false, true} {
			for _, scheme := range []string{"grpc", "http"} {
				if scheme == "http" && test.http == "-" {
					continue
				}
				name := test.name + " " + scheme
				if zstd {
					name += " zstd"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					server := &remotetest.Server{Zstd: zstd}
					start := server.Start
					says := test.says
					if scheme == "http" {
						start = func(t testing.TB, _ ...grpc.ServerOption) string { return server.StartHTTP(t) }
						if test.http != "" {
							says = test.http
						}
					}
					target := start(t)
					stored(t, Options{URL: scheme + "://" + target}, 1000, 30_000, 5<<20)
					proxy, address := remotetest.StartProxy(t, target)
					test.fault(server, proxy)
					c := connect(t, Options{URL: scheme + "://" + address})
					took, found := asks(t, c, 50)
					if found {
						t.Error("something was found")
					}
					if took > test.bound+slack {
						t.Errorf("it took %v", took)
					}
					// The fastest of three: the others may have waited for the machine.
					again, _ := asks(t, c, 50)
					for range 2 {
						took, _ := asks(t, c, 50)
						again = min(again, took)
					}
					if warned := c.warned(); len(warned) != 1 || !strings.Contains(warned[0], says) {
						t.Errorf("the warnings are %q, and should be one with %q", warned, says)
					}
					if again > 100*time.Millisecond {
						t.Errorf("a server that is given up costs %v", again)
					}
					began := time.Now()
					c.Put(NewAction(computation(99)), object(99, 1000))
					c.close()
					if took := time.Since(began); took > time.Second {
						t.Errorf("to close took %v", took)
					}
				})
			}
		}
	}
}

// slack is what a busy machine takes longer.
const slack = 1500 * time.Millisecond

// A server that is far away is asked all the same.
func TestLatency(t *testing.T) {
	server := &remotetest.Server{}
	proxy, address := remotetest.StartProxy(t, server.Start(t))
	proxy.Latency.Store(int64(100 * time.Millisecond))
	o := Options{URL: "grpc://" + address}
	many := make([]int, 100)
	for i := range many {
		many[i] = 50_000
	}
	stored(t, o, many...)
	began := time.Now()
	finds(t, connect(t, o), many...)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("100 look-ups took %v, with a trip of 200 ms", took)
	}
}

// Some bytes are changed on the way: whatever they are, what is found is right.
func TestChangedOnTheWay(t *testing.T) {
	server := &remotetest.Server{}
	target := server.Start(t)
	sizes := []int{1000, 40_000, 100_000}
	stored(t, Options{URL: "grpc://" + target}, sizes...)
	proxy, address := remotetest.StartProxy(t, target)
	for at := int64(1); at < 150_000; at += 10_007 {
		proxy.FlipAfter.Store(at)
		c := connect(t, Options{URL: "grpc://" + address})
		for i, size := range sizes {
			if data, ok := c.Get(t.Context(), NewAction(computation(i))); ok && digestOf(data) != digestOf(object(i, size)) {
				t.Errorf("with the byte %d changed, something else was found", at)
			}
		}
		c.close()
		if len(c.warned()) > 1 {
			t.Errorf("there are the warnings %q", c.warned())
		}
	}
}

// A server that fails now and then is asked again.
func TestFailsNowAndThen(t *testing.T) {
	var calls atomic.Int64
	server := &remotetest.Server{}
	o := Options{URL: "grpc://" + server.Start(t)}
	server.Fault = func(context.Context, string) error {
		if calls.Add(1)%4 == 0 {
			return status.Error(codes.Unavailable, "later")
		}
		return nil
	}
	sizes := []int{1000, 2000, 3000, 4000}
	stored(t, o, sizes...)
	finds(t, connect(t, o), sizes...)
}

// What cannot be stored costs a warning, and look-ups go on.
func TestFull(t *testing.T) {
	for _, fault := range []string{"BatchUpdateBlobs", "UpdateActionResult", "FindMissingBlobs", "Write"} {
		server := &remotetest.Server{}
		o := Options{URL: "grpc://" + server.Start(t)}
		stored(t, o, 1000)
		server.Fault = refuse(fault, exhausted)
		c := connect(t, o)
		c.Put(NewAction(computation(5)), object(5, 6<<20))
		<-c.uploads.done
		findsFirst(t, c)
		began := time.Now()
		c.close()
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: to close took %v", fault, took)
		}
		if warned := c.warned(); len(warned) != 1 || !strings.Contains(warned[0], "nothing more is stored") || !strings.Contains(warned[0], "no space left") {
			t.Errorf("%s: the warnings are %q", fault, warned)
		}
	}
}

// findsFirst checks that the first object is found, whatever was warned of.
func findsFirst(t *testing.T, c *client) {
	t.Helper()
	if _, ok := c.Get(t.Context(), NewAction(computation(0))); !ok {
		t.Error("what is there is not found")
	}
}

// The end of a build waits for a bounded time.
func TestCloseIsBounded(t *testing.T) {
	server := &remotetest.Server{}
	o := Options{URL: "grpc://" + server.Start(t), Wait: 300 * time.Millisecond}
	server.Fault = hang("BatchUpdateBlobs")
	c := connect(t, o)
	c.Put(NewAction(computation(0)), object(0, 1000))
	began := time.Now()
	c.close()
	if took := time.Since(began); took < 300*time.Millisecond || took > time.Second+slack {
		t.Errorf("it took %v", took)
	}
	if warned := c.warned(); len(warned) != 1 || !strings.Contains(warned[0], "1 object did not get to the remote cache") || c.Counts().Unstored != 1 {
		t.Errorf("the warnings are %q, the counts %+v", warned, c.Counts())
	}
	// One that is stopped does not wait, nor warn.
	c = connect(t, o)
	c.Put(NewAction(computation(0)), object(0, 1000))
	stopped, stop := context.WithCancel(t.Context())
	stop()
	began = time.Now()
	c.Cache.Close(stopped)
	if took := time.Since(began); took > 200*time.Millisecond || len(c.warned()) != 0 {
		t.Errorf("it took %v, with the warnings %q", took, c.warned())
	}
}

// A look-up that nobody waits for any more ends, and says nothing about the server.
func TestStopped(t *testing.T) {
	server := &remotetest.Server{}
	o := Options{URL: "grpc://" + server.Start(t)}
	stored(t, o, 1000)
	server.Fault = hang("BatchReadBlobs")
	c := connect(t, o)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, ok := c.Get(ctx, NewAction(computation(0))); ok || c.Off() != nil || len(c.warned()) != 0 {
		t.Errorf("found is %v, %v, %q", ok, c.Off(), c.warned())
	}
}
