package bench

// This file writes everything that is made of results into a folder.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Names of the files in the folder of a measurement.
const (
	SamplesFile  = "samples.jsonl"
	MarkdownFile = "tables.md"
)

// WriteReports writes the tables into the folder, which exists.
func (r *Results) WriteReports(dir string) error {
	f, err := os.Create(filepath.Join(dir, MarkdownFile))
	if err != nil {
		return err
	}
	return errors.Join(r.WriteMarkdown(f), f.Close())
}

// ProgramVersion asks a chainbuild which it is.
func ProgramVersion(program string) (string, error) {
	text, err := exec.Command(program, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s does not say which chainbuild it is (%w): name a chainbuild program", program, err)
	}
	return strings.TrimSpace(string(text)), nil
}
