// Package screen writes what a long command says while it works: lines that stay, and how far it is.
//
// On a terminal the last lines are drawn over and over: a bar with an estimate, and what is going on. Elsewhere a line says it when nothing was
// said for a while, so that nothing ever looks hung.
package screen

// This file is the lines that stay, and when what goes on is shown.

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"chainbuild/internal/terminal"
	"chainbuild/internal/words"
)

// Options say how a Screen looks, and ask what goes on. The functions are called by one goroutine at a time, and never while one of Do runs.
type Options struct {
	// Width returns the number of columns of the terminal; nil: it is none.
	Width func() int
	// Colour and ASCII say what the terminal can show.
	Colour, ASCII bool
	// Times puts the time since the beginning before each line that stays. Where there is no terminal they are always there.
	Times bool
	// Marks puts marks before lines that stay, and no times, where there is no terminal either.
	Marks bool
	// Quiet shows only what is said.
	Quiet bool
	// Now says how far the work is, and false while nothing goes on.
	Now func() (Position, bool)
	// Above are lines to draw above the bar; nil: none.
	Above func() []string
	// Silence is how long nothing is said where there is no terminal.
	Silence time.Duration
}

// A Screen shows one command. Close must be called.
type Screen struct {
	o     Options
	w     io.Writer
	stop  chan struct{}
	ticks sync.WaitGroup

	mu          sync.Mutex // guards what follows, w, and what the functions of the options read
	began, said time.Time
	drawn       int // lines that are drawn over next time
}

// redraw is the interval in which a terminal's bar moves on.
const redraw = 100 * time.Millisecond

// Of returns a Screen on the file, which may be a terminal: the options that say how it looks follow from it and from the environment.
func Of(file *os.File, o Options) *Screen {
	if terminal.Is(file) {
		o.Width = func() int { return terminal.Width(file) }
		o.Colour, o.ASCII = terminal.Colour(), terminal.ASCII()
	}
	return New(file, o)
}

// New returns a Screen that writes to w.
func New(w io.Writer, o Options) *Screen {
	now := time.Now()
	s := &Screen{o: o, w: w, stop: make(chan struct{}), began: now, said: now}
	interval := redraw
	if o.Width == nil {
		interval = max(o.Silence/10, redraw)
	}
	if !o.Quiet {
		s.ticks.Go(func() { s.tick(interval) })
	}
	return s
}

// OnTerminal says whether how far things are is drawn.
func (s *Screen) OnTerminal() bool { return s.o.Width != nil }

func (s *Screen) tick(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.mu.Lock()
			s.show()
			s.mu.Unlock()
		}
	}
}

// show says what goes on. The lock is held.
func (s *Screen) show() {
	if s.o.Quiet {
		return
	}
	at, working := s.o.Now()
	switch {
	case s.o.Width != nil:
		s.draw(at, working)
	case working && time.Since(s.said) >= s.o.Silence:
		s.say(at.text())
	}
}

// Do runs change, which may change what Now and Above tell, and say something; then it shows how far things are.
func (s *Screen) Do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	if s.o.Width != nil {
		s.show()
	}
}

// Close removes what is drawn. Nothing is said any more.
func (s *Screen) Close() {
	close(s.stop)
	s.ticks.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	io.WriteString(s.w, s.erasure())
	s.drawn = 0
}

// A Mark says what kind a line is of.
type Mark int

const (
	// Plain lines are about something that goes on.
	Plain Mark = iota
	// Done lines are about something that is over, Failed ones about something that failed.
	Done
	Failed
	// Warned lines are about something that probably was not meant.
	Warned
	// Doubtful lines are of a list, about something that is neither done nor failed.
	Doubtful
)

// Say writes a line that stays. It is called within Do.
func (s *Screen) Say(mark Mark, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if mark == Warned {
		text = s.paint(yellow, "warning:") + " " + text
	}
	if !s.times() {
		text = s.margin(mark) + text
	}
	s.say(text)
}

// times says whether lines that stay begin with the time.
func (s *Screen) times() bool { return !s.o.Marks && (s.o.Width == nil || s.o.Times) }

func (s *Screen) margin(mark Mark) string {
	switch mark {
	case Warned:
		return "  "
	case Plain:
		return "    "
	default:
		return "  " + s.Sign(mark) + " "
	}
}

// Sign is what a line is marked with, "" where it has no sign.
func (s *Screen) Sign(mark Mark) string {
	i := 0
	if s.o.ASCII {
		i = 1
	}
	switch mark {
	case Done:
		return s.paint(green, [2]string{"✓", "+"}[i])
	case Failed:
		return s.paint(red, [2]string{"✗", "x"}[i])
	case Doubtful:
		return s.paint(yellow, "?")
	}
	return ""
}

// say writes a line, behind the time where that belongs there, and leaves what is drawn to be drawn again.
func (s *Screen) say(text string) {
	s.said = time.Now()
	if s.times() {
		text = fmt.Sprintf("%8s  %s", words.Seconds(s.said.Sub(s.began)), text)
	}
	io.WriteString(s.w, s.erasure()+text+"\n")
	s.drawn = 0
}

// erasure is what removes the lines that are drawn.
func (s *Screen) erasure() string {
	if s.drawn == 0 {
		return ""
	}
	return "\r\x1b[K" + strings.Repeat("\x1b[A\x1b[K", s.drawn-1)
}

// draw draws how far things are over what was drawn before. Lines are cut at the terminal's width: one that wraps could not be drawn over.
func (s *Screen) draw(at Position, working bool) {
	text := s.erasure()
	s.drawn = 0
	if working {
		columns := max(s.o.Width()-1, 1)
		var lines []string
		if s.o.Above != nil {
			for _, line := range s.o.Above() {
				lines = append(lines, cut(line, columns))
			}
		}
		lines = append(lines, s.bar(at, columns)...)
		text += strings.Join(lines, "\n")
		s.drawn = len(lines)
	}
	io.WriteString(s.w, text)
}

// cut is the text as far as it fits.
func cut(text string, columns int) string {
	runes := []rune(text)
	return string(runes[:max(0, min(len(runes), columns))])
}

// Colours, as terminals number them.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

func (s *Screen) paint(colour, text string) string {
	if !s.o.Colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
