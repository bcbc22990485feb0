package bench

// This file is the form in which measurements are kept: JSON lines, one object each, told apart by "type".
//
//	run       first; the machine, the Julia, the program, how it was called. Where runs were put together, one for each
//	workload  before a workload's samples; its packages
//	sample    one number that was measured
//	skipped   what was not measured, and why
//	end       last; how busy the machine was. Without it the measurement was cut short
//
// Tables, charts and comparisons are made from these lines alone, so that they can be made again from a file.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"chainbuild/internal/usage"
)

// A Header is the line of type run.
type Header struct {
	Type    string   `json:"type"`
	Date    string   `json:"date"` // UTC, RFC 3339
	Command []string `json:"command"`
	// Program is the version of the chainbuild that was measured.
	Program string    `json:"chainbuild"`
	Machine Machine   `json:"machine"`
	Julia   JuliaInfo `json:"julia"`
	// Rounds is how often each thing was measured, Starts how often an image was started in each round.
	Rounds int `json:"rounds"`
	Starts int `json:"starts"`
	// Jobs is the number of compile workers.
	Jobs int `json:"jobs"`
	// Emit is what chained builds compile: all or traced.
	Emit string `json:"emit"`
}

// A Machine is what measurements depend on. Load is the load average of the last minute.
type Machine struct {
	Processor   string  `json:"processor"`
	Cores       int     `json:"cores"`
	MemoryBytes int64   `json:"memory_bytes"`
	Kernel      string  `json:"kernel"`
	Load        float64 `json:"load"`
}

// JuliaInfo is the Julia that was measured, and its own image.
type JuliaInfo struct {
	Version        string `json:"version"`
	ImageBytes     int64  `json:"image_bytes"`
	ImageFunctions int    `json:"image_functions"`
	CPUName        string `json:"cpu_name"`
}

// A WorkloadInfo is the line of type workload. Size and Jobs are set for generated packages only: the number of new functions that
// were asked for, and of compile workers.
type WorkloadInfo struct {
	Type     string            `json:"type"`
	Name     string            `json:"name"`
	About    string            `json:"about,omitempty"`
	Packages map[string]string `json:"packages,omitempty"` // versions
	Size     int               `json:"size,omitempty"`
	Jobs     int               `json:"jobs,omitempty"`
	// Published is how many seconds load and work took together where the workload comes from, on another machine; 0 if that is not known.
	Published float64 `json:"published,omitempty"`
}

// A Sample is one number that was measured. Seconds, bytes, or a count: Unit of the metric says which.
type Sample struct {
	Type     string  `json:"type"`
	Workload string  `json:"workload"`
	Metric   string  `json:"metric"`
	Value    float64 `json:"value"`
	Round    int     `json:"round"` // from 0
	At       float64 `json:"at"`    // seconds since the start of the run
}

// A Skipped is what was not measured. Subject is "" if it is the whole workload.
type Skipped struct {
	Type     string `json:"type"`
	Workload string `json:"workload"`
	Subject  string `json:"subject,omitempty"`
	Reason   string `json:"reason"`
	// Failed says that it was tried and should have worked.
	Failed bool `json:"failed,omitempty"`
}

// An End is the last line.
type End struct {
	Type    string  `json:"type"`
	Seconds float64 `json:"seconds"`
	Load    float64 `json:"load"`
}

// Metrics are named SUBJECT/WHAT. The subjects:
const (
	Base       = "base"        // under Julia's own image
	Record     = "record"      // the same, writing down what is compiled
	FirstBuild = "first build" // the build of a chained image where there never was a build on this base
	Cold       = "cold"        // the same where there was one, but nothing of the content is in the cache
	Warm       = "warm"        // the same build again
	Change     = "change"      // a build of one more function on that image
	Chained    = "chained"     // under the chained image
	Stock      = "stock"       // the stock whole-image build, and under its image
	Compiler   = "PackageCompiler"
	Packages   = "package images" // under Julia's own image with the packages' own
)

// What is measured of a subject:
const (
	Load       = "load"       // s: the line that loads packages
	Work       = "work"       // s: the work
	First      = "first"      // s: both, the time to first execute
	FirstCPU   = "first cpu"  // s: processor time of both
	Process    = "process"    // s: from the start of Julia to its end
	Start      = "start"      // s: a Julia that does nothing
	Precompile = "precompile" // s: the first load of all, in which Julia writes its own caches
	Seconds    = "seconds"    // s: a build, or the recorded run
	Stage      = "stage/"     // s: a stage of a build; its name follows
	CPU        = "cpu"        // s: processor time of a run or of a chained build, of all its processes
	Compiling  = "compiling"  // s: what compile workers were at work, all together
	Passes     = "passes"     // s: of that, in LLVM's passes; 0 where Julia does not tell them from code generation
	Codegen    = "codegen"    // s: of that, in code generation
	BuildCPU   = "build cpu"  // s: processor time of a build that is compared with
	BuildPeak  = "build peak" // bytes: largest resident set of any one process of it
	Peak       = "peak"       // bytes: largest resident set of any one process
	Bytes      = "bytes"      // bytes: the image
	Functions  = "functions"  // new functions in the image
	Statements = "statements" // statements that were used
	Unresolved = "unresolved" // statements that could not be used
	Hits       = "hits"       // partitions from the cache
	Partitions = "partitions" // partitions
	Residual   = "residual"   // statements that Julia still compiles under the image
)

// unit returns the unit of a metric: "s", "B" or "" for a count.
func unit(metric string) string {
	_, what, _ := strings.Cut(metric, "/")
	switch what {
	case Peak, BuildPeak, Bytes:
		return "B"
	case Functions, Statements, Unresolved, Hits, Partitions, Residual:
		return ""
	}
	return "s"
}

// Results are the lines of a measurement.
type Results struct {
	Header    Header
	More      []Header // of runs that were put together with it
	Workloads []WorkloadInfo
	Samples   []Sample
	Skipped   []Skipped
	End       *End // nil: cut short
}

// maxLine is the length in bytes of the longest line that is read.
const maxLine = 1 << 20

// readResults reads JSON lines.
func readResults(name string, r io.Reader) (*Results, error) {
	results := &Results{}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if len(strings.TrimSpace(string(line))) == 0 {
			continue
		}
		var kind struct {
			Type string `json:"type"`
		}
		err := json.Unmarshal(line, &kind)
		if err == nil && kind.Type != "run" && results.Header.Type == "" {
			err = errors.New(`the first line must be of type "run"`)
		}
		if err == nil {
			err = results.add(kind.Type, line)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d is not of a measurement (%w): give a file that `chainbuild bench` wrote", name, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	if number == 0 {
		return nil, fmt.Errorf("%s is empty: give a file that `chainbuild bench` wrote", name)
	}
	return results, nil
}

// ReadResultsFile reads the file at path. Its errors are *usage.Error.
func ReadResultsFile(path string) (*Results, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usage.Wrap(err)
	}
	defer f.Close()
	r, err := readResults(path, f)
	return r, usage.Wrap(err)
}

func (r *Results) add(kind string, line []byte) error {
	switch kind {
	case "run":
		var h Header
		err := json.Unmarshal(line, &h)
		if r.Header.Type == "" {
			r.Header = h
		} else {
			r.More = append(r.More, h)
		}
		return err
	case "workload":
		var w WorkloadInfo
		err := json.Unmarshal(line, &w)
		r.Workloads = append(r.Workloads, w)
		return err
	case "sample":
		var s Sample
		err := json.Unmarshal(line, &s)
		r.Samples = append(r.Samples, s)
		return err
	case "skipped":
		var s Skipped
		err := json.Unmarshal(line, &s)
		r.Skipped = append(r.Skipped, s)
		return err
	case "end":
		r.End = &End{}
		return json.Unmarshal(line, r.End)
	}
	return fmt.Errorf("it is of type %q", kind)
}

// Merge adds the workloads of another run of the same program on the same machine. A workload that both have is the other's.
func (r *Results) Merge(other *Results) {
	names := map[string]bool{}
	for _, w := range other.Workloads {
		names[w.Name] = true
	}
	r.More = append(append(r.More, other.Header), other.More...)
	if other.End == nil {
		r.End = nil
	}
	r.Workloads = append(slices.DeleteFunc(r.Workloads, func(w WorkloadInfo) bool { return names[w.Name] }), other.Workloads...)
	r.Samples = append(slices.DeleteFunc(r.Samples, func(s Sample) bool { return names[s.Workload] }), other.Samples...)
	r.Skipped = append(slices.DeleteFunc(r.Skipped, func(s Skipped) bool { return names[s.Workload] }), other.Skipped...)
}

// values returns the samples of a metric, in the order in which they were measured; nil if there are none.
func (r *Results) values(workload, metric string) []float64 {
	var values []float64
	for _, s := range r.Samples {
		if s.Workload == workload && s.Metric == metric {
			values = append(values, s.Value)
		}
	}
	return values
}

// reason returns why a subject of a workload was not measured, "" if it was.
func (r *Results) reason(workload, subject string) string {
	for _, s := range r.Skipped {
		if s.Workload == workload && (s.Subject == subject || s.Subject == "") {
			return s.Reason
		}
	}
	return ""
}

// Failures counts what was tried and should have worked.
func (r *Results) Failures() int {
	n := 0
	for _, s := range r.Skipped {
		if s.Failed {
			n++
		}
	}
	return n
}
