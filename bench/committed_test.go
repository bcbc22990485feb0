package bench

// This file tests that the measurements in results/ are what their samples say.

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommittedResults(t *testing.T) {
	samples, err := filepath.Glob("results/*/*/" + SamplesFile)
	if err != nil || len(samples) == 0 {
		t.Fatalf("there are no measurements: %v", err)
	}
	for _, path := range samples {
		folder := filepath.Dir(path)
		t.Run(strings.TrimPrefix(folder, "results/"), func(t *testing.T) {
			results, err := ReadResultsFile(path)
			if err != nil {
				t.Fatal(err)
			}
			made := t.TempDir()
			if err := results.WriteReports(made); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(made, pageFile)); err != nil {
				t.Error(err)
			}
			committed, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range committed {
				if name := file.Name(); filepath.Ext(name) == ".png" || name == pageFile {
					t.Errorf("%s is made from the samples where it is wanted: do not commit it", name)
				}
				got, err := os.ReadFile(filepath.Join(folder, file.Name()))
				if err != nil {
					t.Fatal(err)
				}
				if want, err := os.ReadFile(filepath.Join(made, file.Name())); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s is not what `chainbuild bench report %s` makes of the samples: make it again (%v)", file.Name(), folder, err)
				}
			}
		})
	}
}
