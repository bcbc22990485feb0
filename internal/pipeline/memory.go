package pipeline

// This file has a build keep within a limit of memory: by how many compile workers there are, and by what Julia is told of its heap.
//
//	the front worker   what it loads and infers, on top of the base; most of it while it emits
//	the heap           the serialised heap, a file in memory (heapfile.go)
//	compile workers    some hundred megabytes each, beside the front worker or, where there is no room for any, after it
//	chainbuild         the linked image passes through it
//
// The numbers are peaks that were measured (docs/performance.md, "Memory"). They are expected, not enforced: packages that need more get more.

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"chainbuild/internal/words"
)

const (
	frontMemory  = 550 << 20 // of the front worker, besides what its packages take
	workerMemory = 300 << 20 // of a compile worker
	ownMemory    = 150 << 20 // of chainbuild
	leastHeap    = 200 << 20 // that Julia is told of
)

// A memoryPlan says what the processes of a build may take.
type memoryPlan struct {
	// beside and after are how many compile workers there may be beside the front worker and after it.
	beside, after int
	// frontHeap and workerHeap are what Julia is told of the sizes of heaps, in bytes; 0: nothing.
	frontHeap, workerHeap int64
}

// planMemory plans for a limit, 0 for none, and a base with a serialised heap of some size, all in bytes. It returns what a build takes at the least
// too: with less than that, the limit cannot be met.
func planMemory(limit, heap int64, jobs, processors int) (p memoryPlan, least int64) {
	p = memoryPlan{beside: max(1, min(jobs, processors-1)), after: jobs}
	least = heap + frontMemory + ownMemory
	if limit == 0 {
		return p, least
	}
	workers := func(room int64) int { return int(max(room, 0) / workerMemory) }
	p.beside = min(p.beside, workers(limit-least))
	p.after = max(1, min(jobs, workers(limit-heap-ownMemory)))
	p.frontHeap = max(leastHeap, limit-heap-ownMemory-int64(p.beside)*workerMemory)
	p.workerHeap = leastHeap
	return p, least
}

// limitMemory makes the plan of the build's memory. A limit that was asked for and cannot be met is refused; the machine's own is warned of.
func (p *plan) limitMemory(progress *progress) error {
	limit := int64(p.options.MaxMemory)
	machine := int64(0)
	if limit == 0 {
		machine = groupLimit("/proc/self/cgroup", "/sys/fs/cgroup")
		limit = machine
	}
	var least int64
	p.memory, least = planMemory(limit, int64(p.base.Blob.Total), p.options.Jobs, runtime.NumCPU())
	switch {
	case limit == 0 || limit >= least:
	case machine > 0:
		progress.warn("this machine gives the build " + words.Bytes(limit) + " of memory, and it needs about " + words.Bytes(least) + ": it may be ended")
	default:
		return refuse("--max-memory %s cannot be met: a build on this base takes about %s at the least: give that, or leave it out", words.Bytes(limit), words.Bytes(least))
	}
	return nil
}

// heapOption tells a Julia of the size of its heap, where it can be told.
func (p *plan) heapOption(bytes int64) []string {
	if bytes == 0 || !p.series.TakesHeapSize {
		return nil
	}
	return []string{"--heap-size-hint=" + strconv.FormatInt(bytes>>20, 10) + "M"}
}

// groupLimit is the least limit of memory, in bytes, of the control groups (cgroup v2) that this process is in; 0: none.
func groupLimit(membership, root string) int64 {
	text, err := os.ReadFile(membership)
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range bytes.Lines(text) {
		path, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::")
		if !ok {
			continue
		}
		for dir := filepath.Join(root, path); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			text, err := os.ReadFile(filepath.Join(dir, "memory.max"))
			if err != nil {
				continue
			}
			// Without a limit it is "max".
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (least == 0 || limit < least) {
				least = limit
			}
		}
	}
	return least
}
