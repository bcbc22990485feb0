package pipeline

// This file remembers what an image was made of, so that the next build of it can say what has changed.
//
// The record lies in the cache's folder, under the image's path, and is replaced by each successful build:
// {"partitions": {LABEL: {"inputs": […], "functions": […]}}, "stages": {NAME: SECONDS}, "statements": {"PACKAGE PACKAGE…": COUNT}, …}.

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"chainbuild/internal/choice"
	"chainbuild/internal/scratch"
	"chainbuild/objcache"
)

// A record is what an image was made of.
type record struct {
	Partitions map[string]partitionRecord `json:"partitions"`
	Stages     map[string]float64         `json:"stages"`
	// Statements count those that were used, by the packages that they name (choice.ModulesKey).
	Statements map[string]int `json:"statements"`
	// ObjectBytes is the size of all objects, PerByte how many seconds a byte of them took to compile in the last build that compiled enough to tell; 0 if
	// none did.
	ObjectBytes int64   `json:"object_bytes"`
	PerByte     float64 `json:"seconds_per_byte"`
}

// MinTimed is how many bytes of objects must have been compiled, in one build, for their times to say something of others.
const MinTimed = 200_000

type partitionRecord struct {
	Inputs    []objcache.Input `json:"inputs"`
	Functions []string         `json:"functions"`
}

// recordPath is where the record of the image is kept; empty without a cache.
func (p *plan) recordPath() string {
	if p.cache.Dir() == "" {
		return ""
	}
	return filepath.Join(p.cache.Dir(), "builds", fmt.Sprintf("%x.json", sha256.Sum256([]byte(p.inputs.output))))
}

// readRecord returns the record of the last build of this image, nil if there is none that can be read.
func (p *plan) readRecord() *record {
	path := p.recordPath()
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	r := &record{}
	if json.Unmarshal(text, r) != nil {
		return nil
	}
	return r
}

// writeRecord remembers this build. That it cannot be written is no reason to fail: the next build explains less.
func (p *plan) writeRecord(objects []object, stages map[string]float64, result *Result) {
	path := p.recordPath()
	if path == "" || p.makesWorkerImage {
		return
	}
	r := record{Partitions: map[string]partitionRecord{}, Stages: stages, Statements: map[string]int{}}
	for _, o := range objects {
		r.Partitions[o.partition.Label] = partitionRecord{Inputs: o.inputs, Functions: o.partition.Defined()}
		r.ObjectBytes += int64(len(o.data))
	}
	useless := map[string]bool{}
	for _, u := range result.Unresolved {
		useless[u.Statement] = true
	}
	for _, s := range p.inputs.statements {
		if !useless[s.Source] {
			r.Statements[choice.ModulesKey(s.Modules)]++
		}
	}
	if p.last != nil {
		r.PerByte = p.last.PerByte
	}
	if c := result.Compiling; c.Bytes >= MinTimed {
		r.PerByte = (c.Passes + c.Codegen) / float64(c.Bytes)
	}
	text, err := json.Marshal(r)
	if err == nil && os.MkdirAll(filepath.Dir(path), 0o700) == nil {
		scratch.WriteFile(path, text, 0o600)
	}
}
