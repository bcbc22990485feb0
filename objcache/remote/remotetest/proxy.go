package remotetest

// This file is a proxy between a client and a server that does what networks do.

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy passes bytes on. Its fields may be changed at any time by the methods of atomic values.
type Proxy struct {
	// Latency is how much later bytes arrive, in each direction.
	Latency atomic.Int64 // nanoseconds
	// Hangs has nothing pass any more.
	Hangs atomic.Bool
	// ResetAfter is after how many bytes of the server a connection is reset; 0: never.
	ResetAfter atomic.Int64
	// FlipAfter is after how many bytes of the server, of a connection, one is changed; 0: never.
	FlipAfter atomic.Int64

	target string
	done   chan struct{}
	mu     sync.Mutex
	open   []net.Conn
}

// StartProxy starts a proxy to the host and port. Its own are returned too. It ends with the test.
func StartProxy(t testing.TB, target string) (proxy *Proxy, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, done: make(chan struct{})}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		close(p.done)
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.open {
			c.Close()
		}
	})
	return p, listener.Addr().String()
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	p.open = append(p.open, client, server)
	p.mu.Unlock()
	go p.pass(server, client, false)
	p.pass(client, server, true)
}

// A packet is some bytes and when they arrive.
type packet struct {
	data []byte
	at   time.Time
}

// pass passes bytes from one side to the other until either is closed.
func (p *Proxy) pass(to, from net.Conn, ofServer bool) {
	packets := make(chan packet, 1<<12)
	go func() {
		defer close(packets)
		passed := int64(0)
		for {
			buffer := make([]byte, 32<<10)
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			passed += int64(n)
			if most := p.ResetAfter.Load(); ofServer && most > 0 && passed > most {
				to.(*net.TCPConn).SetLinger(0)
				to.Close()
				from.Close()
				return
			}
			if at := p.FlipAfter.Load(); ofServer && at > 0 && passed > at && passed-int64(n) <= at {
				buffer[at-(passed-int64(n))] ^= 1
			}
			packets <- packet{buffer[:n], time.Now().Add(time.Duration(p.Latency.Load()))}
		}
	}()
	for next := range packets {
		time.Sleep(time.Until(next.at))
		for p.Hangs.Load() {
			select {
			case <-p.done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		if _, err := io.Writer(to).Write(next.data); err != nil {
			break
		}
	}
	to.Close()
	from.Close()
	for range packets { // so that the reader ends
	}
}
