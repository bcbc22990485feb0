package pipeline

import (
	"math"
	"testing"
	"time"
)

// A build whose stages take as long as is expected is estimated to the second; one that is slower all along, soon.
func TestEstimate(t *testing.T) {
	expected := map[string]float64{"inspect": 1, "start": 1, "load": 4, "infer": 6, "split": 2, "heap": 6, "compile": 5, "link": 1, "verify": 2}
	for _, slower := range []float64{1, 2} {
		now := time.Unix(1000, 0)
		e := newEstimate(now, expected)
		whole := (1 + 1 + 4 + 6 + 2 + 6 + 1 + 2) * slower
		last, steps := 0.0, 0
		check := func(from float64) {
			fraction, left := e.at(now)
			if fraction < last || fraction > 1 {
				t.Errorf("after %v the fraction goes from %v to %v", now.Sub(e.began), last, fraction)
			}
			last = fraction
			if gone := now.Sub(e.began).Seconds(); gone >= from*slower {
				steps++
				if rest := whole - gone; math.Abs(left.Seconds()-rest) > 0.12*whole {
					t.Errorf("%v times slower, after %.0f s it is said that %v are left, and not %.0f s", slower, gone, left, rest)
				}
			}
		}
		for _, stage := range []string{"inspect", "start", "load", "infer", "split", "heap", "link", "verify"} {
			e.begin(stage, now)
			if stage == "heap" {
				e.begin("compile", now)
			}
			for i := range 10 {
				now = now.Add(time.Duration(expected[stage] * slower / 10 * float64(time.Second)))
				if stage == "heap" {
					e.count("compile", i+1, 10)
				}
				check(6 * (slower - 1))
			}
			e.end(stage, time.Duration(expected[stage]*slower*float64(time.Second)))
			if stage == "heap" {
				e.end("compile", time.Duration(expected[stage]*slower*float64(time.Second)))
			}
		}
		if last < 0.97 || steps < 50 {
			t.Errorf("in the end the fraction is %v, after %d steps", last, steps)
		}
	}
}

// What compiles longer than the front worker is busy is what one waits for.
func TestEstimateOfCompiling(t *testing.T) {
	now := time.Unix(1000, 0)
	e := newEstimate(now, map[string]float64{"heap": 3, "compile": 5})
	e.begin("heap", now)
	e.begin("compile", now)
	now = now.Add(10 * time.Second)
	e.end("heap", 10*time.Second)
	e.count("compile", 25, 100)
	if _, left := e.at(now); left < 8*time.Second || left > 31*time.Second {
		t.Errorf("a quarter was compiled in ten seconds, and the rest should take %v", left)
	}
	e.count("compile", 90, 100)
	if _, left := e.at(now.Add(26 * time.Second)); left > 6*time.Second {
		t.Errorf("nine tenths were compiled in 36 seconds, and the rest should take %v", left)
	}
}

// Nothing that is missing or odd leads to numbers that are none.
func TestEstimateOfNothing(t *testing.T) {
	now := time.Unix(1000, 0)
	e := newEstimate(now, nil)
	e.count("compile", 0, 0)
	e.end("never begun", 0)
	fraction, left := e.at(now)
	if math.IsNaN(fraction) || fraction < 0 || fraction > 1 || left < 0 {
		t.Errorf("of nothing, %v is done and %v is left", fraction, left)
	}
}
