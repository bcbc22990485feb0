package parallel

// This file keeps the end of what a process prints.

import (
	"bytes"
	"io"
	"sync"
)

const (
	// tailBytes is how much of the output is kept at least, tailLines how many lines of it an error shows: room for a
	// backtrace and the line before it.
	tailBytes = 16 << 10
	tailLines = 30
	// tailLine is the number of bytes that are shown of a line.
	tailLine = 400
)

// tail is a writer that remembers the last of what was written to it.
type tail struct {
	copy io.Writer

	mu   sync.Mutex
	kept []byte
}

// Write never fails: a process must not stall because a copy of what it says cannot be written.
func (t *tail) Write(text []byte) (int, error) {
	if t.copy != nil {
		t.copy.Write(text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, text...)
	if surplus := len(t.kept) - tailBytes; surplus > tailBytes {
		t.kept = append(t.kept[:0], t.kept[surplus:]...)
	}
	return len(text), nil
}

// lastLines returns the last lines that are not blank, in order.
func (t *tail) lastLines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for line := range bytes.Lines(t.kept) {
		line = bytes.TrimRight(line, "\r\n\t ")
		if len(line) > tailLine {
			line = append(line[:tailLine:tailLine], " …"...)
		}
		if len(line) > 0 {
			lines = append(lines, string(line))
		}
	}
	return lines[max(0, len(lines)-tailLines):]
}
