package screen

// This file is how far a command is, as a bar and in words.

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Position is how far a command is.
type Position struct {
	// What says what goes on.
	What string
	// Fraction of the time is over, from 0 to 1.
	Fraction float64
	// Left is how long it will still take; 0: nobody knows.
	Left time.Duration
}

// wide is the number of columns from which on a bar and what goes on are in one line.
const wide = 60

// bar draws a position in at most so many columns.
func (s *Screen) bar(at Position, columns int) []string {
	share := fmt.Sprintf("%3d %%", at.percent())
	left := ""
	if at.Left > 0 {
		left = Duration(at.Left) + " left"
	}
	if columns+1 < wide {
		length := columns - len("  "+"  "+share+"  ") - max(len(left), len("10 s left"))
		first := cut("  "+what(at.What), columns)
		if length < 4 {
			return []string{first}
		}
		return []string{first, "  " + s.line(at.Fraction, length) + "  " + share + "  " + left}
	}
	const length = 22
	rest := cut(fmt.Sprintf("  %s  %-10s  %s", share, left, what(at.What)), columns-length-2)
	return []string{"  " + s.line(at.Fraction, length) + rest}
}

// line is the bar itself.
func (s *Screen) line(fraction float64, length int) string {
	halves := int(math.Round(fraction * float64(2*length)))
	full := min(halves/2, length)
	if s.o.ASCII {
		text := strings.Repeat("=", max(full-1, 0)) + ">"
		return "[" + cut(text, length-2) + strings.Repeat(" ", max(length-2-len(text), 0)) + "]"
	}
	done := strings.Repeat("━", full)
	if full < length && halves%2 == 1 {
		done += "╸"
		full++
	}
	return s.paint(green, done) + s.paint(faint, strings.Repeat("─", length-full))
}

// percent is at most 99: what is done is not shown any more.
func (p Position) percent() int { return min(int(p.Fraction*100), 99) }

// text is the position in words.
func (p Position) text() string {
	text := what(p.What)
	if p.Left > 0 {
		text += fmt.Sprintf(" (%d %%, %s left)", p.percent(), Duration(p.Left))
	}
	return text
}

func what(text string) string {
	if text == "" {
		return "Working"
	}
	return text
}

// Duration writes a duration as exactly as an estimate is worth: 7 s, 45 s, 3 min.
func Duration(d time.Duration) string {
	seconds := int(math.Ceil(d.Seconds()))
	switch {
	case seconds < 20:
		return fmt.Sprintf("%d s", max(seconds, 1))
	case seconds < 90:
		return fmt.Sprintf("%d s", (seconds+4)/5*5)
	default:
		return fmt.Sprintf("%d min", (seconds+30)/60)
	}
}
