package pipeline

// This file says for each partition whether its object was in the cache, and if not, what has changed since the last build.

import (
	"fmt"
	"slices"
	"strings"

	"chainbuild/internal/words"
	"chainbuild/objcache"
)

// explain returns a line for each object and one that sums up. Last is the record of the last build of the same image; nil: there is none.
func explain(last *record, objects []object) (lines []string) {
	var counts PartitionCounts
	for _, o := range objects {
		counts.add(o)
		found := "hit"
		switch {
		case o.remote:
			found = "hit in the remote cache"
		case !o.hit:
			found = "miss: " + last.missed(o)
		}
		lines = append(lines, fmt.Sprintf("partition %d (%s, %s): %s", o.partition.Number, labelText(o.partition.Label), words.Bytes(int64(len(o.data))), found))
	}
	all, share := counts.HitBytes+counts.MissBytes, 0.0
	if all > 0 {
		share = 100 * float64(counts.HitBytes) / float64(all)
	}
	return append(lines, fmt.Sprintf("from the cache: %d of %s, %.1f %% of %s", counts.Hits, words.Count(len(objects), "partition"), share, words.Bytes(all)))
}

// missed says why the object was not in the cache.
func (r *record) missed(o object) string {
	if r == nil {
		return "this image was not built before"
	}
	before, ok := r.Partitions[o.partition.Label]
	if !ok {
		return "a new partition: " + strings.Join(shorten(o.partition.Defined()), ", ")
	}
	changes := objcache.Changes(before.Inputs, o.inputs)
	if len(changes) == 0 {
		return "nothing has changed, but the cache has lost it"
	}
	var parts []string
	for _, change := range changes {
		if change.Name == "code" {
			parts = append(parts, codeChange(before.Functions, o.partition.Defined())...)
		} else {
			parts = append(parts, change.String())
		}
	}
	return strings.Join(parts, "; ")
}

// codeChange says how code has changed in which there were some functions and are others now.
func codeChange(before, now []string) (parts []string) {
	for _, name := range shorten(missing(now, before)) {
		parts = append(parts, "+ "+name)
	}
	for _, name := range shorten(missing(before, now)) {
		parts = append(parts, "- "+name)
	}
	if len(parts) == 0 {
		parts = []string{"code changed in one of " + strings.Join(shorten(now), ", ")}
	}
	return parts
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
