package pipeline

// This file remembers what an image was made of, so that the next build of it can say what has changed.
//
// The record lies in the cache's folder, under the image's path, and is replaced by each successful build:
// {"partitions": {LABEL: {"inputs": […], "functions": […]}}}.

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chainbuild/internal/words"
	"chainbuild/objcache"

	"github.com/google/renameio/v2"
)

// A record is what an image was made of.
type record struct {
	Partitions map[string]partitionRecord `json:"partitions"`
}

type partitionRecord struct {
	Inputs    []objcache.Input `json:"inputs"`
	Functions []string         `json:"functions"`
}

// recordPath is where the record of the image at path is kept; empty without a cache.
func (b *builder) recordPath() string {
	if b.cache.Dir() == "" {
		return ""
	}
	return filepath.Join(b.cache.Dir(), "builds", fmt.Sprintf("%x.json", sha256.Sum256([]byte(b.inputs.output))))
}

// readRecord returns the record of the last build of this image, nil if there is none that can be read.
func (b *builder) readRecord() *record {
	path := b.recordPath()
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
func (b *builder) writeRecord(objects []object) {
	path := b.recordPath()
	if path == "" {
		return
	}
	r := record{Partitions: map[string]partitionRecord{}}
	for _, o := range objects {
		r.Partitions[o.partition.Label] = partitionRecord{Inputs: o.inputs, Functions: o.partition.Defined()}
	}
	text, err := json.Marshal(r)
	if err == nil && os.MkdirAll(filepath.Dir(path), 0o700) == nil {
		renameio.WriteFile(path, text, 0o600)
	}
}

// explain says for each partition whether it was in the cache, and why it was not.
func (b *builder) explain(objects []object) {
	for _, o := range objects {
		text := fmt.Sprintf("partition %d (%s, %s): ", o.partition.Number, labelText(o.partition.Label), words.Bytes(int64(len(o.data))))
		if o.hit {
			text += "hit"
		} else {
			text += "miss: " + b.reason(o)
		}
		b.report(Note{At: time.Now(), Text: text})
	}
	p := b.result.Partitions
	share := 0.0
	if all := p.HitBytes + p.MissBytes; all > 0 {
		share = 100 * float64(p.HitBytes) / float64(all)
	}
	b.report(Note{At: time.Now(), Text: fmt.Sprintf("from the cache: %d of %s, %.1f %% of %s", p.Hits, words.Count(p.Total, "partition"), share, words.Bytes(p.HitBytes+p.MissBytes))})
}

// reason says why the object was not in the cache.
func (b *builder) reason(o object) string {
	if b.last == nil {
		return "this image was not built before"
	}
	before, ok := b.last.Partitions[o.partition.Label]
	if !ok {
		return "a new partition: " + strings.Join(shorten(o.partition.Defined()), ", ")
	}
	changes := objcache.Changes(before.Inputs, o.inputs)
	if len(changes) == 0 {
		return "nothing has changed, but the cache has lost it"
	}
	var parts []string
	for _, change := range changes {
		if change.Name != "code" {
			parts = append(parts, change.String())
			continue
		}
		now := o.partition.Defined()
		added := missing(now, before.Functions)
		removed := missing(before.Functions, now)
		switch {
		case len(added) == 0 && len(removed) == 0:
			parts = append(parts, "code changed in one of "+strings.Join(shorten(now), ", "))
		default:
			for _, name := range shorten(added) {
				parts = append(parts, "+ "+name)
			}
			for _, name := range shorten(removed) {
				parts = append(parts, "- "+name)
			}
		}
	}
	return strings.Join(parts, "; ")
}

// labelText is a label as people see it.
func labelText(label string) string {
	if label == "" {
		return "all"
	}
	return label
}

// missing are the names of a that are not in b, each as often as a has more of it.
func missing(a, b []string) []string {
	left := map[string]int{}
	for _, name := range b {
		left[name]++
	}
	var out []string
	for _, name := range a {
		if left[name]--; left[name] < 0 {
			out = append(out, name)
		}
	}
	return out
}

// shorten leaves out what would make a line too long.
func shorten(names []string) []string {
	const most = 6
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) <= most {
		return names
	}
	return append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
}
