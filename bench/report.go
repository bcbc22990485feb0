package bench

// This file is the result of a measurement, and the tables that people read.

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"chainbuild/build"
)

// A Report is all that was measured in one run. Sizes are bytes.
type Report struct {
	Date       string `json:"date"`
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Memory     int64  `json:"memory_bytes"`
	Julia      string `json:"julia"`
	// BaseBytes and BaseFunctions are the size of Julia's own image and its number of native functions.
	BaseBytes     int64 `json:"base_bytes"`
	BaseFunctions int   `json:"base_functions"`
	// Builds, Starts and Runs are how often was measured what the medians are of.
	Builds int    `json:"builds"`
	Starts int    `json:"starts"`
	Runs   int    `json:"runs"`
	Rows   []*Row `json:"rows"`
}

// A Row is a workload's part.
type Row struct {
	Name    string        `json:"name"`
	Chained ChainedBuilds `json:"chained"`
	// Stock is nil if it was left out.
	Stock *StockBuild `json:"stock,omitempty"`
	// Start is a start of Julia that does nothing, Run the workload from the start of Julia to its end.
	Start Times `json:"start"`
	Run   Times `json:"run"`
}

// A StockBuild is a build of a whole image.
type StockBuild struct {
	// Seconds is the time of compiling and linking, LinkSeconds that of linking.
	Seconds     float64 `json:"seconds"`
	LinkSeconds float64 `json:"link_seconds"`
	// PeakRSS is the largest resident set of any one process.
	PeakRSS int64 `json:"peak_rss_bytes"`
	Bytes   int64 `json:"bytes"`
}

// A ChainedBuild is a build by chaining with nothing from a cache.
type ChainedBuild struct {
	// Seconds is the time from the start of chainbuild's process to its end.
	Seconds float64 `json:"seconds"`
	// PeakRSS is the largest resident set of any one process, chainbuild's own included.
	PeakRSS    int64         `json:"peak_rss_bytes"`
	Bytes      int64         `json:"bytes"`
	Statements int           `json:"statements"`
	Functions  int           `json:"functions"`
	Stages     []build.Stage `json:"stages"`
}

// goStages are what chainbuild's own process does; the rest it waits for.
var goStages = []string{"inspect", "prepare", "chain", "link"}

// GoSeconds is the time that chainbuild's own process takes: reading the base, chaining, linking, writing.
func (c ChainedBuild) GoSeconds() float64 {
	sum := 0.0
	for _, s := range c.Stages {
		if slices.Contains(goStages, s.Name) {
			sum += s.Seconds
		}
	}
	return sum
}

// ChainedBuilds are builds of the same image.
type ChainedBuilds struct {
	// Seconds and GoSeconds are medians.
	Seconds   float64 `json:"seconds"`
	GoSeconds float64 `json:"go_seconds"`
	// PeakRSS is the largest of all.
	PeakRSS int64          `json:"peak_rss_bytes"`
	All     []ChainedBuild `json:"all"`
}

func (c *ChainedBuilds) add(b ChainedBuild) {
	c.All = append(c.All, b)
	var seconds, ours []float64
	for _, one := range c.All {
		seconds, ours = append(seconds, one.Seconds), append(ours, one.GoSeconds())
	}
	c.Seconds, c.GoSeconds = median(seconds), median(ours)
	c.PeakRSS = max(c.PeakRSS, b.PeakRSS)
}

// Times are medians, in seconds, under Julia's own image, the chained one and, if it was built, the stock one.
type Times struct {
	Base    float64     `json:"base"`
	Chained float64     `json:"chained"`
	Stock   float64     `json:"stock,omitempty"`
	All     [][]float64 `json:"all"` // in the same order
}

func newTimes(all [][]float64) Times {
	t := Times{All: all}
	for i, value := range []*float64{&t.Base, &t.Chained, &t.Stock} {
		if i < len(all) {
			*value = median(all[i])
		}
	}
	return t
}

// median is 0 for no values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// WriteMarkdown writes the report as two tables: what builds cost, and what images gain.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var out bytes.Buffer
	line := func(cells ...string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	seconds := func(s float64) string {
		if s < 10 {
			return fmt.Sprintf("%.2f s", s)
		}
		return fmt.Sprintf("%.1f s", s)
	}
	fmt.Fprintf(&out, "Julia %s, %d × %s, %s of memory, %s. Julia's own image: %s, %s functions.\n\n",
		r.Julia, r.Processors, r.Processor, build.FormatBytes(r.Memory), r.Date, build.FormatBytes(r.BaseBytes), build.Thousands(r.BaseFunctions))

	fmt.Fprintf(&out, "Builds (chained: median of %d, nothing from a cache; memory: the largest process):\n\n", r.Builds)
	line("content", "new functions", "stock build", "chained", "times faster", "memory, stock", "chained", "of stock", "chainbuild's own part")
	line("---", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:")
	for _, row := range r.Rows {
		c := row.Chained
		stock, faster, memory, share := "–", "–", "–", "–"
		if s := row.Stock; s != nil {
			stock, faster = seconds(s.Seconds), fmt.Sprintf("%.1f", s.Seconds/c.Seconds)
			memory, share = build.FormatBytes(s.PeakRSS), fmt.Sprintf("%.0f %%", 100*float64(c.PeakRSS)/float64(s.PeakRSS))
		}
		line(row.Name, build.Thousands(c.All[0].Functions), stock, seconds(c.Seconds), faster, memory, build.FormatBytes(c.PeakRSS), share, seconds(c.GoSeconds))
	}

	fmt.Fprintf(&out, "\nRuns, from the start of Julia to its end (medians of %d starts and %d workloads, in turns):\n\n", r.Starts, r.Runs)
	line("content", "start, own image", "chained", "ratio", "workload, own image", "chained", "of own", "stock-built image")
	line("---", "--:", "--:", "--:", "--:", "--:", "--:", "--:")
	for _, row := range r.Rows {
		stock := "–"
		if row.Stock != nil {
			stock = seconds(row.Run.Stock)
		}
		line(row.Name, seconds(row.Start.Base), seconds(row.Start.Chained), fmt.Sprintf("%.2f", row.Start.Chained/row.Start.Base),
			seconds(row.Run.Base), seconds(row.Run.Chained), fmt.Sprintf("%.1f %%", 100*row.Run.Chained/row.Run.Base), stock)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// processorName is what the kernel calls the first processor.
func processorName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	return valueOf(text, "model name")
}

// memoryBytes is the memory of the machine.
func memoryBytes() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	var kilobytes int64
	fmt.Sscan(valueOf(text, "MemTotal"), &kilobytes)
	return kilobytes << 10
}

// valueOf finds the first line "name : value".
func valueOf(text []byte, name string) string {
	for line := range bytes.Lines(text) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == name {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
