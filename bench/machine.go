package bench

// This file says what the machine is, as far as measurements depend on it.

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
)

func thisMachine() Machine {
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	meminfo, _ := os.ReadFile("/proc/meminfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	var kilobytes int64
	fmt.Sscan(valueOf(meminfo, "MemTotal"), &kilobytes)
	return Machine{
		Processor: valueOf(cpuinfo, "model name"), Cores: runtime.NumCPU(), MemoryBytes: kilobytes << 10,
		Kernel: "Linux " + strings.TrimSpace(string(kernel)), Load: loadAverage(),
	}
}

// loadAverage is how many processes wanted to run in the last minute.
func loadAverage() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	var load float64
	fmt.Sscan(string(text), &load)
	return load
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
