package julia

// This file hands out the Julia code that worker processes run. It is part of the chainbuild binary.

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed worker/*.jl
var workerSources embed.FS

// WriteWorker writes the worker sources into the folder dir, which must exist, under their own names, and returns their
// names in alphabetical order.
func WriteWorker(dir string) ([]string, error) {
	entries, err := workerSources.ReadDir("worker")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		source, err := workerSources.ReadFile("worker/" + entry.Name())
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name()), source, 0o644); err != nil {
			return nil, fmt.Errorf("the worker's sources cannot be written: %w", err)
		}
		names = append(names, entry.Name())
	}
	return names, nil
}

// Pipeline is the name of the worker source that compiles partitions in this Julia.
func (in *Installation) Pipeline() string {
	if in.Before(1, 6) {
		return "pipeline_v1_5.jl"
	}
	return "pipeline_v1_10.jl"
}

// WorkerSources returns the named worker sources, all if none is named, one after the other.
func WorkerSources(names ...string) (string, error) {
	if len(names) == 0 {
		entries, err := workerSources.ReadDir("worker")
		if err != nil {
			return "", err
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
	}
	var all strings.Builder
	for _, name := range names {
		source, err := workerSources.ReadFile("worker/" + name)
		if err != nil {
			return "", err
		}
		all.Write(source)
	}
	return all.String(), nil
}
