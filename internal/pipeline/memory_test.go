package pipeline

import (
	"os"
	"path/filepath"
	"testing"
)

const mb = 1 << 20

func TestPlanMemory(t *testing.T) {
	tests := []struct {
		name             string
		limit, heap      int64
		jobs, processors int
		beside, after    int
		front            int64 // heap, 0: nothing is said of it
	}{
		{"no limit", 0, 140 * mb, 8, 8, 7, 8, 0},
		{"no limit, one processor", 0, 140 * mb, 1, 1, 1, 1, 0},
		{"enough", 16000 * mb, 140 * mb, 8, 8, 7, 8, (16000 - 140 - 150 - 7*300) * mb},
		{"two gigabytes", 2000 * mb, 250 * mb, 8, 8, 3, 5, (2000 - 250 - 150 - 3*300) * mb},
		{"none beside the front worker", 1000 * mb, 250 * mb, 8, 8, 0, 2, (1000 - 250 - 150) * mb},
		{"too little", 300 * mb, 250 * mb, 8, 8, 0, 1, leastHeap},
	}
	for _, test := range tests {
		p, least := planMemory(test.limit, test.heap, test.jobs, test.processors)
		if p.beside != test.beside || p.after != test.after || p.frontHeap != test.front || (p.workerHeap > 0) != (test.limit > 0) {
			t.Errorf("%s: the plan is %+v", test.name, p)
		}
		if least != test.heap+700*mb {
			t.Errorf("%s: it takes %d at the least", test.name, least)
		}
		// What the plan gives to its processes is within the limit, if that can be met at all.
		if test.limit >= least {
			if sum := test.heap + ownMemory + p.frontHeap + int64(p.beside)*workerMemory; sum > test.limit {
				t.Errorf("%s: the processes get %d of %d", test.name, sum, test.limit)
			}
		}
	}
}

func TestGroupLimit(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) string {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("a/memory.max", "3000000000\n")
	write("a/b/memory.max", "max\n")
	write("c/memory.max", "max\n")
	write("d/memory.max", "4000\n")
	write("d/e/memory.max", "5000\n")
	for membership, want := range map[string]int64{
		"0::/a/b\n": 3_000_000_000, "4:memory:/x\n0::/a\n": 3_000_000_000, "0::/c\n": 0, "0::/d/e\n": 4000, "0::/nowhere\n": 0, "4:memory:/a\n": 0, "": 0,
	} {
		if got := groupLimit(write("membership", membership), root); got != want {
			t.Errorf("of %q, the limit is %d and not %d", membership, got, want)
		}
	}
	if got := groupLimit(filepath.Join(root, "missing"), root); got != 0 {
		t.Errorf("without groups, the limit is %d", got)
	}
}
