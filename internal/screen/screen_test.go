package screen

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A shown terminal interprets what was written, as far as a Screen writes it.
func shown(t *testing.T, text string, columns int) []string {
	t.Helper()
	lines := []string{""}
	at := 0
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "\x1b[K"):
			lines[at], text = "", text[3:] // the cursor is at the line's beginning
		case strings.HasPrefix(text, "\x1b[A"):
			if at--; at < 0 {
				t.Fatal("the cursor leaves the screen at the top")
			}
			text = text[3:]
		case text[0] == '\r':
			text = text[1:]
		case text[0] == '\n':
			at++
			if at == len(lines) {
				lines = append(lines, "")
			}
			text = text[1:]
		default:
			r := []rune(text)[0]
			lines[at] += string(r)
			text = text[len(string(r)):]
			if n := len([]rune(lines[at])); n >= columns {
				t.Errorf("a line of %d columns wraps: %q", n, lines[at])
			}
		}
	}
	return lines
}

func TestTerminal(t *testing.T) {
	tests := []struct {
		columns int
		ascii   bool
		want    []string
	}{
		{80, false, []string{"  ✓ loaded", "    a note", "  ━━━━━━━━━━━━╸─────────   57 %  6 s left    Compiling: 87 of 141 partitions"}},
		{80, true, []string{"  + loaded", "    a note", "  [===========>        ]   57 %  6 s left    Compiling: 87 of 141 partitions"}},
		{70, false, []string{"  ✓ loaded", "    a note", "  ━━━━━━━━━━━━╸─────────   57 %  6 s left    Compiling: 87 of 141 par"}},
		{40, false, []string{"  ✓ loaded", "    a note", "  Compiling: 87 of 141 partitions", "  ━━━━━━━━━━━────────   57 %  6 s left"}},
		{20, false, []string{"  ✓ loaded", "    a note", "  Compiling: 87 of "}},
		{5, false, []string{"  ✓ loaded", "    a note", "  Co"}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.columns, test.ascii), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w strings.Builder
				at := Position{What: "Compiling", Fraction: 0.5, Left: time.Minute}
				s := New(&w, Options{Width: func() int { return test.columns }, ASCII: test.ascii, Now: func() (Position, bool) { return at, true }})
				s.Do(func() { s.Say(Done, "loaded") })
				s.Do(func() { s.Say(Plain, "a %s", "note") })
				s.Do(func() {
					at = Position{What: "Compiling: 87 of 141 partitions", Fraction: 0.576, Left: 5500 * time.Millisecond}
				})
				time.Sleep(3*redraw + redraw/2)
				s.mu.Lock()
				got := shown(t, w.String(), max(test.columns, 12))
				s.mu.Unlock()
				if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
					t.Errorf("the terminal shows\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
				s.Close()
				if got := shown(t, w.String(), max(test.columns, 12)); strings.TrimSpace(strings.Join(got[2:], "")) != "" {
					t.Errorf("in the end there is still %q", got)
				}
			})
		})
	}
}

// Lines above the bar are drawn over with it, and what is said comes before them.
func TestAbove(t *testing.T) {
	var w strings.Builder
	above := []string{"a table", "with two lines"}
	s := New(&w, Options{Width: func() int { return 60 }, Now: func() (Position, bool) { return Position{What: "measuring"}, true }, Above: func() []string { return above }})
	defer s.Close()
	s.Do(func() {})
	s.Do(func() { above = append(above, "or three") })
	s.Do(func() { s.Say(Failed, "gone") })
	s.mu.Lock()
	defer s.mu.Unlock()
	want := []string{"  ✗ gone", "a table", "with two lines", "or three", "  ──────────────────────    0 %              measuring"}
	if got := shown(t, w.String(), 60); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the terminal shows\n%s", strings.Join(got, "\n"))
	}
}

func TestColours(t *testing.T) {
	for _, colour := range []bool{false, true} {
		var w strings.Builder
		s := New(&w, Options{Width: func() int { return 80 }, Colour: colour, Now: func() (Position, bool) { return Position{Fraction: 0.5}, true }})
		s.Do(func() { s.Say(Done, "loaded"); s.Say(Warned, "old") })
		s.Close()
		if got := strings.Contains(w.String(), "\x1b[32m✓\x1b[0m loaded") && strings.Contains(w.String(), "\x1b[33mwarning:\x1b[0m old"); got != colour {
			t.Errorf("with colours %v, there is %q", colour, w.String())
		}
		if strings.Contains(w.String(), "m") && !colour && strings.Contains(w.String(), "\x1b[3") {
			t.Errorf("there are colours that nobody wants: %q", w.String())
		}
	}
}

// Where there is no terminal, something is said now and then, while something goes on.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w strings.Builder
		working := false
		at := Position{What: "Linking", Fraction: 0.995, Left: 3 * time.Second}
		s := New(&w, Options{Silence: 10 * time.Second, Now: func() (Position, bool) { return at, working }})
		time.Sleep(time.Minute)
		s.Do(func() { working = true; s.Say(Warned, "old") })
		time.Sleep(25 * time.Second)
		s.Do(func() { working = false; s.Say(Done, "linked") })
		time.Sleep(time.Minute)
		s.Close()
		want := "  60.0 s  warning: old\n  70.0 s  Linking (99 %, 3 s left)\n  80.0 s  Linking (99 %, 3 s left)\n  85.0 s  linked\n"
		if w.String() != want {
			t.Errorf("there is\n%s\ninstead of\n%s", w.String(), want)
		}
	})
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", 6100 * time.Millisecond: "7 s", 21 * time.Second: "25 s", 89 * time.Second: "90 s", 100 * time.Second: "2 min", 200 * time.Second: "3 min",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is written %s, and not %s", d, got, want)
		}
	}
}
