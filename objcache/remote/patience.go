package remote

// This file is how long a server is waited for.
//
// Builds wait for look-ups, so these must end soon. But a long answer on a slow line is on its way for longer than a server that says nothing may be
// waited for. So there are two bounds: nothing at all was heard from the server for some time, and the answer as a whole is slower than to compile the
// object again would be. What was heard is noted where bytes arrive, below both protocols.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"
)

const (
	// patient is how long nothing may be heard while a build waits.
	patient = time.Second
	// patientBehind is the same for what nobody waits for.
	patientBehind = 5 * time.Second
	// connecting is how long a connection is tried. The calls that wait for one give up before, and so it is they that say what was waited for.
	connecting = 2 * patientBehind
	// slowest is how many bytes of an answer must come in a second. Two workers compile about as fast.
	slowest = 1 << 20
	// attempts is how often a call is made whose failure may pass.
	attempts = 3
)

// A patience knows when something was last heard from the server.
type patience struct {
	heard atomic.Int64 // in nanoseconds since began
	began time.Time
	// flying is how many bytes of answers are waited for.
	flying atomic.Int64
}

func newPatience() *patience { return &patience{began: time.Now()} }

// hear notes that the server has said something.
func (p *patience) hear() { p.heard.Store(int64(time.Since(p.began))) }

// bound returns a context for a call that is answered with about size bytes. It ends when the server is silent for too long, or slow; its cause
// says which. End must be called.
func (p *patience) bound(ctx context.Context, silence time.Duration, size int64) (_ context.Context, end func()) {
	// Answers share the line.
	whole := 2*silence + time.Duration(p.flying.Add(size))*time.Second/slowest
	ctx, cancel := context.WithCancelCause(ctx)
	start := time.Since(p.began)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			quiet := time.Since(p.began) - max(start, time.Duration(p.heard.Load()))
			took := time.Since(p.began) - start
			switch {
			case quiet >= silence:
				cancel(&serverError{errSlow, fmt.Sprintf("it has said nothing for %v", silence)})
				return
			case took >= whole:
				cancel(&serverError{errSlow, fmt.Sprintf("%d bytes have not come in %v", size, took.Round(time.Second/10))})
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(min(silence-quiet, whole-took)):
			}
		}
	}()
	return ctx, func() {
		p.flying.Add(-size)
		close(stop)
		<-done
		cancel(nil)
	}
}

// A listening connection notes when something is heard.
type listening struct {
	net.Conn
	patience *patience
}

func (l listening) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.patience.hear()
	}
	return n, err
}

// call calls the server, and once more after a moment if it may do then what it did not. Size is how many bytes the answer has.
func (c *Cache) call(ctx context.Context, silence time.Duration, size int64, do func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		bounded, end := c.patience.bound(ctx, silence, size)
		err := do(bounded)
		if cause := context.Cause(bounded); err != nil && cause != nil {
			err = cause
		}
		end()
		if err == nil || !passes(err) || attempt == attempts || ctx.Err() != nil {
			return err
		}
		// Those who were turned away together do not come back together.
		moment := time.Duration(attempt) * (50*time.Millisecond + rand.N(50*time.Millisecond))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(moment):
		}
	}
}
