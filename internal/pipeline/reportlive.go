package pipeline

// This file is the line at the bottom of a terminal that says what is going on. It is drawn over itself, and erased
// before a line that stays is printed.

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// redraw is the interval in which the line's times advance.
const redraw = 100 * time.Millisecond

// IsTerminal says whether the file is a terminal that a line can be drawn over on.
func IsTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil && os.Getenv("TERM") != "dumb"
}

// NewLiveReporter returns a Reporter like NewTextReporter's in normal style, for a terminal.
func NewLiveReporter(terminal *os.File) *TextReporter {
	t := newTextReporter(terminal, Normal)
	t.live = &liveLine{width: func() int {
		if size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
		return 80
	}}
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
	line := []rune(fmt.Sprintf("%8s  %s", seconds(time.Since(t.start)), text))
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
