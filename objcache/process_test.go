package objcache

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// Three processes use the same entries while this one trims, verifies and clears: nobody sees anything but whole entries
// and misses, and nobody is warned.
func TestProcesses(t *testing.T) {
	c, w := newCache(t, Options{Limit: 400_000})
	var running []*exec.Cmd
	var outputs [3]bytes.Buffer
	for n := range outputs {
		cmd := testProcess("churn", c.Dir(), strconv.Itoa(n))
		cmd.Stdout, cmd.Stderr = &outputs[n], &outputs[n]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n, cmd := range running {
			if err := cmd.Wait(); err != nil || outputs[n].Len() > 0 {
				t.Errorf("process %d: %v\n%s", n, err, outputs[n].String())
			}
		}
	}()
	// What was cleared need not be trimmed: on a slow machine nothing would be, if clearing did not wait for a trim.
	trimmed, cleared, trimmedBefore := 0, 0, 0
	for round := 0; !isClosed(ended); round++ {
		var removed Removed
		var err error
		switch {
		case round%8 == 3:
			var v Verified
			v, err = c.Verify(t.Context())
			for _, damage := range v.Damaged {
				t.Error(damage)
			}
		case round%8 == 7 && trimmed > trimmedBefore:
			trimmedBefore = trimmed
			removed, err = c.Clear(t.Context())
			cleared += removed.Entries
		default:
			removed, err = c.Trim(t.Context())
			trimmed += removed.Entries
		}
		if err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if trimmed == 0 || cleared == 0 {
		t.Errorf("the processes were not disturbed: %d entries trimmed, %d cleared", trimmed, cleared)
	}
	w.expect(t, 0)
	if left := temporaryFiles(t, c); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	if v, err := c.Verify(t.Context()); err != nil || len(v.Damaged) != 0 {
		t.Errorf("at the end: %v, %v", v.Damaged, err)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A process that is killed while it stores leaves a temporary file, which is nobody's entry and goes after a while.
func TestKilled(t *testing.T) {
	c, w := newCache(t, Options{})
	key := testKey(1)
	old := []byte("stored before")
	c.Put(key, old)

	cmd := testProcess("put half", c.Dir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	written := func() bool {
		for _, path := range temporaryFiles(t, c) {
			if info, err := os.Stat(path); err == nil && info.Size() > headerSize {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(10 * time.Second); !written(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process does not write")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()

	expectData(t, c, key, old)
	if v, err := c.Verify(t.Context()); err != nil || v.Entries != 1 || len(v.Damaged) != 0 {
		t.Errorf("%d entries are there, %v damaged: %v", v.Entries, v.Damaged, err)
	}
	if s, err := c.Stats(t.Context()); err != nil || s.Temporary != 1 || s.Entries != 1 || s.Foreign != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	// It could still be at work, for all that others know.
	if removed, err := c.Trim(t.Context()); err != nil || removed.Temporary != 0 {
		t.Errorf("a trim at once: %+v, %v", removed, err)
	}
	c.now = func() time.Time { return time.Now().Add(2 * temporaryAge) }
	if removed, err := c.Trim(t.Context()); err != nil || removed.Temporary != 1 || removed.Entries != 0 {
		t.Errorf("a later trim: %+v, %v", removed, err)
	}
	if left := temporaryFiles(t, c); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	expectData(t, c, key, old)
	w.expect(t, 0)
}

// Killed at any time among many small stores: what is there is whole.
func TestKilledAnyTime(t *testing.T) {
	c, w := newCache(t, Options{})
	for n := range 8 {
		cmd := testProcess("churn", c.Dir(), strconv.Itoa(n), "aloud")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 20+7*n)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		cmd.Wait()
	}
	v, err := c.Verify(t.Context())
	if err != nil || len(v.Damaged) != 0 || v.Entries == 0 {
		t.Errorf("%d entries are there, %v damaged: %v", v.Entries, v.Damaged, err)
	}
	w.expect(t, 0)
}
