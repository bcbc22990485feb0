package bench

// This file writes a review: Markdown for a comment on a pull request, a page, JSON, and annotations of GitHub. The measurements of both Julias
// are written beside them, each as `chainbuild bench` writes one, so that a review can be judged again by other thresholds.

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/internal/usage"
)

// Names of the files in the folder of a review.
const (
	reviewMarkdown = "report.md"
	reviewPage     = "report.html"
	reviewJSON     = "report.json"
)

// reviewFile is the form of report.json.
type reviewFile struct {
	Passed     bool          `json:"passed"`
	Findings   []Finding     `json:"findings"`
	Thresholds []Threshold   `json:"thresholds"`
	Alpha      float64       `json:"alpha"`
	Old        Header        `json:"old"`
	New        Header        `json:"new"`
	Changes    []changeLine  `json:"changes"`
	Tests      []TestRun     `json:"tests"`
	Skipped    [sides]string `json:"tests_skipped"` // of the old Julia, of the new one
	Builds     []SameBuild   `json:"builds"`
}

// A changeLine is a metric in both measurements. Old and New are medians, in seconds, bytes or counts; Percent is null where Old is 0.
type changeLine struct {
	Workload string   `json:"workload"`
	Metric   string   `json:"metric"`
	Old      float64  `json:"old"`
	New      float64  `json:"new"`
	Percent  *float64 `json:"percent"`
	P        float64  `json:"p"`
	Verdict  string   `json:"verdict,omitempty"`
}

// Write writes all files of the review into the folder, which exists.
func (r *Review) Write(dir string, v *Verdict, thresholds []Threshold, alpha float64) error {
	for i := range sides {
		side := filepath.Join(dir, sideNames[i])
		if err := os.MkdirAll(side, 0o755); err != nil {
			return err
		}
		if err := r.side(i).WriteReports(side); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{reviewMarkdown, func(w io.Writer) error { return r.WriteMarkdown(w, v) }},
		{reviewPage, func(w io.Writer) error { return r.writePage(w, v) }},
		{reviewJSON, func(w io.Writer) error { return r.writeJSON(w, v, thresholds, alpha) }},
	} {
		var out bytes.Buffer
		if err := file.write(&out); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ReadReview reads what Write has written. Its errors are *usage.Error.
func ReadReview(dir string) (*Review, error) {
	path := filepath.Join(dir, reviewJSON)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usage.Errorf("%s has no report (%w): name a folder that `chainbuild report -o` wrote", dir, errors.Unwrap(err))
	}
	var file reviewFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, usage.Errorf("%s is no report (%w): name a folder that `chainbuild report -o` wrote", path, err)
	}
	r := &Review{Tests: file.Tests, TestsSkipped: file.Skipped, Builds: file.Builds}
	for i, results := range []**Results{&r.Old, &r.New} {
		if *results, err = ReadResultsFile(filepath.Join(dir, sideNames[i], SamplesFile)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Review) writeJSON(w io.Writer, v *Verdict, thresholds []Threshold, alpha float64) error {
	file := reviewFile{
		Passed: v.Against() == 0, Findings: orEmpty(v.Findings), Thresholds: thresholds, Alpha: alpha, Old: r.Old.Header, New: r.New.Header,
		Changes: []changeLine{}, Tests: orEmpty(r.Tests), Skipped: r.TestsSkipped, Builds: orEmpty(r.Builds),
	}
	for _, c := range v.Changes {
		line := changeLine{c.Workload, c.Metric, c.Before.Median, c.After.Median, &c.Percent, c.P, c.Verdict}
		if c.Before.Median == 0 {
			line.Percent = nil
		}
		file.Changes = append(file.Changes, line)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(file)
}

// orEmpty is the list as JSON has it: [] and not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// reviewParts are the metrics of each table of a review, as CompareOptions.Metrics takes them.
var reviewParts = []struct {
	title   string
	metrics []string
}{
	{"Time to first execute", []string{"base/load", "base/work", "base/first", "chained/load", "chained/work", "chained/first", "chained/residual"}},
	{"Builds", []string{"record/seconds", "first build/seconds", "cold/seconds", "cold/cpu", "cold/compiling", "warm/seconds", "warm/hits"}},
	{"Cold builds by stage", []string{"cold/stage/*"}},
	{"Sizes and memory", []string{"cold/bytes", "cold/peak", "warm/peak", "base/peak", "chained/peak"}},
	{"Start of Julia", []string{"base/start", "chained/start"}},
}

// tables are all that was found out, but for the findings.
func (r *Review) tables(v *Verdict) []sheet {
	var tables []sheet
	for _, part := range reviewParts {
		t := sheet{Title: part.title, Header: []string{"workload, metric", "old", "new", "change", "p", ""}}
		for _, c := range v.Changes {
			if !(CompareOptions{Metrics: part.metrics}).matches(c.Metric) {
				continue
			}
			percent := "≈"
			if c.Verdict != "" {
				percent = fmt.Sprintf("%+.1f %%", c.Percent)
			}
			t.Rows = append(t.Rows, sheetRow{Cells: []string{
				c.Workload + ", " + c.Metric, formatValue(c.Metric, c.Before), formatValue(c.Metric, c.After), percent, fmt.Sprintf("%.3f", c.P), c.Verdict,
			}})
		}
		if len(t.Rows) > 0 {
			tables = append(tables, t)
		}
	}
	if t := r.testTable(); len(t.Rows) > 0 {
		tables = append(tables, t)
	}
	if t := r.buildTable(); len(t.Rows) > 0 {
		tables = append(tables, t)
	}
	return tables
}

// testTable has a row for each of Julia's own tests.
func (r *Review) testTable() sheet {
	t := sheet{Title: "Julia's own tests", Header: []string{"test", "Julia", "under its own image", "under the chained image"}}
	for _, run := range r.Tests {
		chained := "the same"
		if !run.Same() {
			chained = run.Chained
		}
		t.Rows = append(t.Rows, sheetRow{Cells: []string{run.Name, run.Julia, inCell(run.Own), inCell(chained)}})
	}
	return t
}

// inCell is a text as the cell of a table can have it.
func inCell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", "; ").Replace(text)
}

// buildTable has a row for each build that was made twice.
func (r *Review) buildTable() sheet {
	t := sheet{Title: "The same build twice", Header: []string{"workload", "Julia", "bytes that differ", "where"}}
	for _, b := range r.Builds {
		where := none
		if b.Different > 0 {
			where = b.where()
		}
		t.Rows = append(t.Rows, sheetRow{Cells: []string{b.Workload, b.Julia, fmt.Sprint(b.Different), where}})
	}
	return t
}

// headline says what the verdict is.
func (v *Verdict) headline() string {
	if n := v.Against(); n == 1 {
		return "1 finding is against the new Julia."
	} else if n > 1 {
		return fmt.Sprintf("%d findings are against the new Julia.", n)
	}
	return "Nothing speaks against the new Julia."
}

// preamble says in a few lines what was compared.
func (r *Review) preamble() []string {
	var lines []string
	for i := range sides {
		lines = append(lines, strings.ToUpper(sideNames[i][:1])+sideNames[i][1:]+": "+r.side(i).preamble()[0])
	}
	return append(lines, r.New.preamble()[1])
}

// WriteMarkdown writes the review as a comment on a pull request: the verdict and the findings, and the tables folded.
func (r *Review) WriteMarkdown(w io.Writer, v *Verdict) error {
	var out strings.Builder
	mark := "✅"
	if v.Against() > 0 {
		mark = "❌"
	}
	fmt.Fprintf(&out, "### %s %s\n\n", mark, v.headline())
	for _, f := range v.Findings {
		name := f.About
		if f.Against {
			name = "**" + name + "**"
		}
		fmt.Fprintf(&out, "- %s: %s\n", name, strings.ReplaceAll(f.Text, "\n", " "))
	}
	for _, t := range r.tables(v) {
		fmt.Fprintf(&out, "\n<details><summary>%s</summary>\n\n%s\n</details>\n", t.Title, t.markdown())
	}
	out.WriteString("\n")
	for _, line := range r.preamble() {
		out.WriteString(line + "\n")
	}
	fmt.Fprintf(&out, "\n```sh\n%s\n```\n", r.New.commands())
	_, err := io.WriteString(w, out.String())
	return err
}

// Text is the review for a terminal: what changed, the tests and builds, the findings.
func (r *Review) Text(v *Verdict) string {
	var out strings.Builder
	for _, t := range r.tables(v) {
		out.WriteString(t.text() + "\n")
	}
	for _, f := range v.Findings {
		mark := "note"
		if f.Against {
			mark = "against"
		}
		fmt.Fprintf(&out, "%s: %s: %s\n", mark, f.About, f.Text)
	}
	out.WriteString(v.headline() + "\n")
	return out.String()
}

// Annotations are workflow commands of GitHub Actions, one a line: an error for each finding against the new Julia, a notice for each other.
// See https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
func (v *Verdict) Annotations() string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var out strings.Builder
	for _, f := range v.Findings {
		level := "notice"
		if f.Against {
			level = "error"
		}
		fmt.Fprintf(&out, "::%s title=%s::%s\n", level, property.Replace("chainbuild: "+f.About), data.Replace(f.Text))
	}
	return out.String()
}

//go:embed review.html
var reviewSource string

var reviewTemplate = template.Must(template.New("review").Parse(reviewSource))

// writePage writes a page that needs nothing else, with charts of both Julias side by side.
func (r *Review) writePage(w io.Writer, v *Verdict) error {
	var charts []template.HTML
	for _, chart := range r.sideBySide().charts() {
		svg, err := chart.svg()
		if err != nil {
			return err
		}
		charts = append(charts, template.HTML(svg)) // as in writePage of a measurement
	}
	return reviewTemplate.Execute(w, map[string]any{
		"Headline": v.headline(), "Passed": v.Against() == 0, "Findings": v.Findings, "Tables": r.tables(v), "Charts": charts,
		"Preamble": r.preamble(), "Command": r.New.commands(), "Date": r.New.Header.Date,
	})
}

// sideBySide are both measurements as one, in which each workload is there twice.
func (r *Review) sideBySide() *Results {
	both := &Results{Header: r.New.Header, End: r.New.End}
	var names []string
	for i := range sides {
		for _, w := range r.side(i).Workloads {
			if !slices.Contains(names, w.Name) {
				names = append(names, w.Name)
			}
		}
	}
	for _, name := range names {
		for i := range sides {
			renamed := name + ", " + sideNames[i]
			for _, w := range r.side(i).Workloads {
				if w.Name == name {
					w.Name = renamed
					both.Workloads = append(both.Workloads, w)
				}
			}
			for _, s := range r.side(i).Samples {
				if s.Workload == name {
					s.Workload = renamed
					both.Samples = append(both.Samples, s)
				}
			}
		}
	}
	return both
}
