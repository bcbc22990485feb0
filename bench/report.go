package bench

// This file writes everything that is made of results into a folder: samples, tables as Markdown and as a page that needs nothing else, charts.

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Names of the files in the folder of a measurement, besides those of charts.
const (
	SamplesFile  = "samples.jsonl"
	markdownFile = "tables.md"
	pageFile     = "report.html"
)

// WriteReports writes the files into the folder, which exists.
func (r *Results) WriteReports(dir string) error {
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{{SamplesFile, r.writeSamples}, {markdownFile, r.WriteMarkdown}, {pageFile, r.writePage}} {
		var out bytes.Buffer
		if err := file.write(&out); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	for _, chart := range r.charts() {
		if err := chart.write(dir); err != nil {
			return err
		}
	}
	return nil
}

// writeSamples writes the results as JSON lines.
func (r *Results) writeSamples(w io.Writer) error {
	encoder := json.NewEncoder(w)
	lines := []any{r.Header}
	for _, line := range r.More {
		lines = append(lines, line)
	}
	for _, line := range r.Workloads {
		lines = append(lines, line)
	}
	for _, line := range r.Skipped {
		lines = append(lines, line)
	}
	for _, line := range r.Samples {
		lines = append(lines, line)
	}
	if r.End != nil {
		lines = append(lines, r.End)
	}
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

//go:embed report.html review.html style.html
var pageFiles embed.FS

// newPage is the template of a page, with the style that all have.
func newPage(name string) *template.Template {
	return template.Must(template.ParseFS(pageFiles, name, "style.html"))
}

var pageTemplate = newPage("report.html")

// writePage writes an HTML page with tables, charts and all samples.
func (r *Results) writePage(w io.Writer) error {
	type row struct {
		sheetRow
		Span int // columns of the note
	}
	type table struct {
		sheet
		Rows []row
	}
	var tables []table
	for _, t := range r.tables() {
		withSpans := table{sheet: t}
		for _, tr := range t.Rows {
			withSpans.Rows = append(withSpans.Rows, row{tr, len(t.Header) - 1})
		}
		tables = append(tables, withSpans)
	}
	charts, err := drawn(r.charts())
	if err != nil {
		return err
	}
	var samples strings.Builder
	if err := r.writeSamples(&samples); err != nil {
		return err
	}
	return pageTemplate.Execute(w, map[string]any{
		"Header": r.Header, "Preamble": r.preamble(), "Command": r.commands(), "Tables": tables, "Notes": r.notes(),
		"Charts": charts, "Samples": samples.String(),
	})
}

// drawn are charts as a page has them.
func drawn(charts []*chart) (list []template.HTML, err error) {
	for _, chart := range charts {
		svg, err := chart.svg()
		if err != nil {
			return nil, err
		}
		// Drawn here, from numbers; texts in it are escaped by the canvas.
		list = append(list, template.HTML(svg))
	}
	return list, nil
}

// ProgramVersion asks a chainbuild which it is.
func ProgramVersion(program string) (string, error) {
	text, err := exec.Command(program, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s does not say which chainbuild it is (%w): name a chainbuild program", program, err)
	}
	return strings.TrimSpace(string(text)), nil
}
