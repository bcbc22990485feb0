// Package jobserver takes part in the jobserver of GNU make: a number of tokens that all jobs of a `make -j` share.
//
// Each process that make runs has one job for itself. For each further one it takes a byte, a token, out of a pipe or a fifo, and puts the same byte
// back when that job is over ("POSIX Jobserver Interaction" in the manual of GNU make). The environment variable MAKEFLAGS says where:
//
//	--jobserver-auth=fifo:PATH   a fifo, since make 4.4; every recipe finds it
//	--jobserver-auth=R,W         file descriptors of a pipe, which only recipes with $(MAKE) or a + before them have; -2,-2 says so to others
//	--jobserver-fds=R,W          the same, before make 4.2
package jobserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Client takes tokens. Its methods may be called by several goroutines at once.
type Client struct {
	read, write *os.File

	mu     sync.Mutex
	tokens []byte // that were taken
}

// Connect returns a client of the jobserver that MAKEFLAGS names, nil where there is none, or none that this process was given. The error is
// for one that is named and cannot be used. Close must be called.
func Connect() (*Client, error) { return connect(os.Getenv("MAKEFLAGS")) }

func connect(makeflags string) (*Client, error) {
	where := auth(makeflags)
	var read, write string
	if path, ok := strings.CutPrefix(where, "fifo:"); ok {
		read, write = path, path
	} else {
		r, w, ok := strings.Cut(where, ",")
		if !ok || !isPipe(r) || !isPipe(w) {
			return nil, nil
		}
		read, write = "/proc/self/fd/"+r, "/proc/self/fd/"+w
	}
	// What is opened anew has a mode of its own: others that use the pipe expect that reading it waits.
	c := &Client{}
	var err error
	if c.read, err = os.OpenFile(read, os.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
		c.write, err = os.OpenFile(write, os.O_WRONLY, 0)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("the jobserver of make cannot be used: %w", err)
	}
	return c, nil
}

// auth is where the jobserver is, "" if there is none. The last of several counts, and what follows `--` are variables.
func auth(makeflags string) string {
	where := ""
	for _, word := range strings.Fields(makeflags) {
		if word == "--" {
			break
		}
		for _, name := range []string{"--jobserver-auth=", "--jobserver-fds="} {
			if value, ok := strings.CutPrefix(word, name); ok {
				where = value
			}
		}
	}
	return where
}

// isPipe says whether this process has a pipe as the file descriptor.
func isPipe(descriptor string) bool {
	number, err := strconv.Atoi(descriptor)
	if err != nil || number < 0 {
		return false
	}
	var stat unix.Stat_t
	if unix.Fstat(number, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		return false
	}
	// Our own processes do not need it.
	unix.CloseOnExec(number)
	return true
}

// Take waits for a token. The error is that of the context, or of a jobserver that is gone.
func (c *Client) Take(ctx context.Context) error {
	if err := c.read.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.read.SetReadDeadline(time.Now()) })
	defer stop()
	token := make([]byte, 1)
	if _, err := c.read.Read(token); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("the jobserver of make has gone: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = append(c.tokens, token[0])
	return nil
}

// Give puts a token back that Take has taken.
func (c *Client) Give() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.tokens) - 1
	if last < 0 {
		return errors.New("there is no token to put back")
	}
	_, err := c.write.Write(c.tokens[last:])
	c.tokens = c.tokens[:last]
	return err
}

// Close puts all tokens back. A nil client has none.
func (c *Client) Close() error {
	if c == nil {
		return nil
	}
	var all error
	for len(c.tokens) > 0 {
		all = errors.Join(all, c.Give())
	}
	for _, file := range []*os.File{c.read, c.write} {
		if file != nil {
			all = errors.Join(all, file.Close())
		}
	}
	return all
}
