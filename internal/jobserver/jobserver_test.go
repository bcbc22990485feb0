package jobserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAuth(t *testing.T) {
	for flags, want := range map[string]string{
		"": "", "k -j": "", "rR -j8 --jobserver-auth=3,4": "3,4", " --jobserver-fds=5,6 -j": "5,6", "--jobserver-auth=fifo:/tmp/GMfifo12": "fifo:/tmp/GMfifo12",
		"-j --jobserver-auth=-2,-2": "-2,-2", "--jobserver-auth=3,4 --jobserver-auth=7,8": "7,8", "w -- A=--jobserver-auth=3,4 --jobserver-auth=3,4": "",
	} {
		if got := auth(flags); got != want {
			t.Errorf("of %q, the jobserver is at %q and not at %q", flags, got, want)
		}
	}
}

// servers makes a jobserver with tokens, in each of its forms, and returns what MAKEFLAGS says, and what reads the tokens that are there.
func servers(t *testing.T, tokens string) map[string]func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fifo.Close(); unix.Close(pipe[0]); unix.Close(pipe[1]) })
	fifo.WriteString(tokens)
	unix.Write(pipe[1], []byte(tokens))
	return map[string]func() string{
		"-j --jobserver-auth=fifo:" + path: func() string {
			text := make([]byte, 100)
			n, _ := fifo.Read(text)
			return string(text[:n])
		},
		fmt.Sprintf("-j --jobserver-auth=%d,%d", pipe[0], pipe[1]): func() string {
			unix.SetNonblock(pipe[0], true)
			text := make([]byte, 100)
			n, _ := unix.Read(pipe[0], text)
			return string(text[:max(n, 0)])
		},
	}
}

// Tokens are taken as long as there are some, waited for, and all put back.
func TestTokens(t *testing.T) {
	for flags, left := range servers(t, "ab") {
		c, err := connect(flags)
		if err != nil || c == nil {
			t.Fatalf("%s: %v, %v", flags, c, err)
		}
		for range 2 {
			if err := c.Take(t.Context()); err != nil {
				t.Errorf("%s: a token that is there is not taken: %v", flags, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := c.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: where there is no token, it is said: %v", flags, err)
		}
		cancel()
		taken := make(chan error)
		go func() { taken <- c.Take(t.Context()) }()
		time.Sleep(20 * time.Millisecond)
		select {
		case err := <-taken:
			t.Errorf("%s: a third token of two was taken (%v)", flags, err)
		default:
		}
		if err := c.Give(); err != nil {
			t.Errorf("%s: a token cannot be put back: %v", flags, err)
		}
		if err := <-taken; err != nil {
			t.Errorf("%s: a token that was put back is not taken: %v", flags, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", flags, err)
		}
		if got := left(); got != "ab" && got != "ba" {
			t.Errorf("%s: in the end the tokens are %q", flags, got)
		}
		if err := c.Give(); err == nil {
			t.Errorf("%s: a token was put back that nobody has taken", flags)
		}
	}
}

// Of what this process was not given, nothing is used; what cannot be used is said.
func TestNone(t *testing.T) {
	for _, flags := range []string{"", "-j8", "--jobserver-auth=-2,-2", "--jobserver-auth=4711,4712", "--jobserver-auth=x", fmt.Sprintf("--jobserver-auth=%d,%d", int(os.Stdin.Fd()), 4711)} {
		if c, err := connect(flags); c != nil || err != nil {
			t.Errorf("%q: %v, %v", flags, c, err)
		}
	}
	if _, err := connect("--jobserver-auth=fifo:/nowhere/fifo"); err == nil {
		t.Error("a fifo that is not there is used")
	}
}
