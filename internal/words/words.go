// Package words writes numbers and lists as people read them: counts, sizes, times, choices.
package words

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Count counts things: 1 function, 2,037 functions, 0 entries. The thing is given in the singular.
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok && !strings.ContainsAny(stem[len(stem)-1:], "aeou") {
		return Thousands(n) + " " + stem + "ies"
	}
	return Thousands(n) + " " + thing + "s"
}

// Or is a list of things to choose from: "a", "a or b", "a, b or c".
func Or(things []string) string {
	last := len(things) - 1
	if last < 1 {
		return strings.Join(things, "")
	}
	return strings.Join(things[:last], ", ") + " or " + things[last]
}

// Thousands writes n, which is not negative, in groups of three digits.
func Thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Bytes writes a number of bytes in units of a thousand or a million: 96 kB, 7.9 MB, 131 MB, 10,737 MB.
func Bytes(n int64) string {
	switch mb := float64(n) / 1e6; {
	case mb >= 10:
		return Thousands(int(math.Round(mb))) + " MB"
	case mb >= 0.1:
		return fmt.Sprintf("%.1f MB", mb)
	default:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
}

// Seconds writes a duration in seconds: 0.25 s, 12.3 s.
func Seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Minute writes a time to the minute, in its own zone: 2026-01-31 14:05.
func Minute(t time.Time) string { return t.Format("2006-01-02 15:04") }
