package bench

// This file is a model of a build: how long one takes with a number of new functions, of processors, and of other machines.
//
// With n new functions each stage takes a + b·n seconds of one processor; a and b are fitted to cold builds with one compile worker, in which
// no two processes compete. The stages of the front worker and of chainbuild come one after the other; only what compile workers do is divided:
//
//	before    inspect, prepare, start, load, infer, collect, emit       nothing can be compiled yet
//	beside    split, heap, write, chain                                 one processor is busy with this, the others compile
//	(wait)    what of the compile work is left, on all processors
//	after     link, verify, and what no stage is
//
// It is Amdahl's law with an overlap: before + after never get shorter, and beside is free room for compiling. What the model leaves out: a
// partition is compiled as a whole; processors that share memory or a core slow each other; the linking of objects is itself parallel.

import (
	"errors"
	"math"
)

// A linear function of the number of new functions is seconds, or bytes.
type linear struct{ At0, PerFunction float64 }

// at is the value for n new functions.
func (l linear) at(n float64) float64 { return l.At0 + l.PerFunction*n }

// A model predicts builds. All lines are seconds, but Bytes.
type model struct {
	Before, Beside, After linear
	// Compiling is the work of compile workers, all together.
	Compiling linear
	// Bytes is the size of the image.
	Bytes linear
	// Least and Most are the numbers of new functions between which was measured.
	Least, Most float64
}

var (
	beforeStages = []string{"inspect", "prepare", "start", "load", "infer", "collect", "emit"}
	besideStages = []string{"split", "heap", "write", "chain"}
	afterStages  = []string{"link", "verify"}
)

// fitModel fits a model to the cold builds of generated packages with the smallest number of compile workers that was measured.
func fitModel(r *Results) (*model, error) {
	jobs := math.MaxInt
	for _, w := range r.Workloads {
		if w.Size > 0 {
			jobs = min(jobs, w.Jobs)
		}
	}
	var n, before, beside, after, compiling, size []float64
	for _, w := range r.Workloads {
		if w.Size == 0 || w.Jobs != jobs {
			continue
		}
		at := func(what string) float64 { return median(r.values(w.Name, Cold+"/"+what)) }
		sum := func(stages []string) float64 {
			total := 0.0
			for _, stage := range stages {
				total += at(Stage + stage)
			}
			return total
		}
		if r.values(w.Name, Cold+"/"+Seconds) == nil {
			continue
		}
		n = append(n, at(Functions))
		before = append(before, sum(beforeStages))
		beside = append(beside, sum(besideStages))
		compiling = append(compiling, at(Compiling))
		// What no stage is, the start of processes among it, is the rest of the time, less the wait for compile workers: it is small, so it is taken
		// from builds that do not wait.
		rest := at(Seconds) - sum(beforeStages) - sum(besideStages) - sum(afterStages)
		after = append(after, sum(afterStages)+math.Max(0, rest-math.Max(0, at(Stage+"compile")-sum(besideStages))))
		size = append(size, at(Bytes))
	}
	if len(n) < 2 {
		return nil, errors.New("a model needs cold builds of at least two sizes: measure with `chainbuild bench growth`")
	}
	m := &model{Before: fit(n, before), Beside: fit(n, beside), After: fit(n, after), Compiling: fit(n, compiling), Bytes: fit(n, size)}
	m.Least, m.Most = math.Inf(1), 0
	for _, x := range n {
		m.Least, m.Most = math.Min(m.Least, x), math.Max(m.Most, x)
	}
	return m, nil
}

// fit is the linear line with the least sum of squared relative errors, so that small sizes count as much as large ones. Neither of its
// numbers is negative: no stage takes less than nothing.
func fit(x, y []float64) linear {
	var w, wx, wy, wxx, wxy float64
	for i := range x {
		if y[i] <= 0 {
			continue
		}
		weight := 1 / (y[i] * y[i])
		w, wx, wy = w+weight, wx+weight*x[i], wy+weight*y[i]
		wxx, wxy = wxx+weight*x[i]*x[i], wxy+weight*x[i]*y[i]
	}
	if w == 0 {
		return linear{}
	}
	line := linear{At0: wy / w}
	if d := w*wxx - wx*wx; d > 1e-9*w*wxx {
		line.PerFunction = (w*wxy - wx*wy) / d
		line.At0 = (wy - line.PerFunction*wx) / w
	}
	if line.PerFunction < 0 {
		line = linear{At0: wy / w}
	}
	if line.At0 < 0 {
		line = linear{PerFunction: wxy / wxx}
	}
	return line
}

// secondsHere predicts a cold build of n new functions with a number of compile workers on a machine with a number of cores.
func (m *model) secondsHere(n float64, workers, cores int) float64 {
	return m.seconds(n, workers, cores, 0)
}

// secondsWith predicts the same with more compile workers on other machines. Partitions go to them, and objects come back, over a network of so
// many bytes a second; how much that is, is taken to be at most what the image grows by. Setup is how many seconds it takes until the first of
// them compiles.
func (m *model) secondsWith(n float64, workers, cores, others int, bytesPerSecond, setup float64) float64 {
	if others == 0 {
		return m.secondsHere(n, workers, cores)
	}
	transfer := m.Bytes.PerFunction * n / bytesPerSecond
	return m.seconds(n, workers, cores, others) + math.Max(0, setup-m.Before.at(n)) + transfer*float64(others)/float64(others+workers)
}

// seconds adds up the phases. Others are workers with cores of their own.
func (m *model) seconds(n float64, workers, cores, others int) float64 {
	beside, work := m.Beside.at(n), m.Compiling.at(n)
	rateBeside := float64(min(workers, cores-1) + others)
	rateAlone := float64(min(workers, cores) + others)
	left := math.Max(0, work-rateBeside*beside)
	return m.Before.at(n) + beside + left/rateAlone + m.After.at(n)
}

// floor is what no number of workers gets below.
func (m *model) floor(n float64) float64 { return m.Before.at(n) + m.Beside.at(n) + m.After.at(n) }

// paysFrom returns the smallest number of new functions, to two digits, for which a second machine with as many cores makes a build shorter by
// a tenth; 0 if there is none up to limit.
func (m *model) paysFrom(cores int, bytesPerSecond, setup, limit float64) float64 {
	for n := 100.0; n <= limit; n *= 1.05 {
		if m.secondsWith(n, cores, cores, cores, bytesPerSecond, setup) < 0.9*m.secondsHere(n, cores, cores) {
			digit := math.Pow(10, math.Floor(math.Log10(n))-1)
			return math.Ceil(n/digit) * digit
		}
	}
	return 0
}
