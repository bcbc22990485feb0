package pipeline

// This file is the line at the bottom of a terminal that says what is going on. It is drawn over itself, and erased
// before a line that stays is printed.

import (
	"fmt"
	"io"
	"os"
	"time"

	"chainbuild/internal/terminal"
	"chainbuild/internal/words"
)

// redraw is the interval in which the line's times advance.
const redraw = 100 * time.Millisecond

// NewLiveReporter returns a Reporter like NewTextReporter's in normal style, for a terminal.
func NewLiveReporter(file *os.File) *TextReporter {
	t := newTextReporter(file, Normal)
	t.live = &liveLine{width: func() int { return terminal.Width(file) }}
	t.every(redraw, func() { t.live.draw(t) })
	return t
}

// A nil liveLine draws nothing.
type liveLine struct {
	width func() int // columns
	drawn bool
}

func (l *liveLine) draw(t *TextReporter) {
	if l == nil {
		return
	}
	text := t.now()
	if text == "" {
		l.erase(t.w)
		return
	}
	line := []rune(fmt.Sprintf("%8s  %s", words.Seconds(time.Since(t.start)), text))
	// A line that reaches the last column would wrap, and could not be drawn over.
	line = line[:min(len(line), max(l.width()-1, 0))]
	io.WriteString(t.w, "\r\x1b[K"+string(line))
	l.drawn = true
}

func (l *liveLine) erase(w io.Writer) {
	if l != nil && l.drawn {
		io.WriteString(w, "\r\x1b[K")
		l.drawn = false
	}
}
