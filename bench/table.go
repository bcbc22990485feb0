package bench

// This file makes tables of results: as Markdown, and as text for a terminal. report.go makes HTML of the same tables.

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"chainbuild/internal/words"
)

// A sheet is what people read. The first column is text, the others are numbers.
type sheet struct {
	Title  string
	Header []string
	Rows   []sheetRow
}

// A sheetRow has a cell for each column; or a name alone, and a note instead of numbers.
type sheetRow struct {
	Cells []string
	Note  string
}

const none = "–"

// overview is the table in which everything is in one line, without spread: for a terminal on which it grows.
func (r *Results) overview() sheet {
	t := sheet{Header: []string{"workload", "original", "record", "cold", "warm", "chained", "shorter", "start", "image", "memory", "left", "stock build"}}
	for _, w := range r.Workloads {
		cell := r.cells(w.Name)
		t.Rows = append(t.Rows, r.row(w.Name,
			cell.sum(Base), cell.seconds(Record, Seconds), cell.seconds(Cold, Seconds), cell.seconds(Warm, Seconds), cell.sum(Chained),
			cell.ratio(Base, First, Chained, First, "%.0f ×"), cell.plain(Base, Start)+" → "+cell.plain(Chained, Start),
			cell.bytes(Cold, Bytes), cell.bytes(Cold, Peak), cell.count(Chained, Residual), cell.seconds(Stock, Seconds)))
	}
	return t
}

// tables are what was measured, with spread: what images gain, and what builds cost.
func (r *Results) tables() []sheet {
	gain := sheet{Title: "Time to first execute", Header: []string{
		"workload", "original: load", "work", "chained: load", "work", "times shorter", "stock-built: load", "work", "start, own image", "chained", "still compiled"}}
	cost := sheet{Title: "Builds", Header: []string{
		"workload", "statements", "new functions", "record", "first on the base", "cold", "warm", "of original", "stock build", "times faster", "image", "stock", "memory", "stock"}}
	published := slices.ContainsFunc(r.Workloads, func(w WorkloadInfo) bool { return w.Published > 0 })
	if published {
		gain.Header = slices.Insert(gain.Header, 1, "as published")
	}
	used := sheet{Title: "Processor time, which depends less on what else the machine does", Header: []string{
		"workload", "first execute: original", "chained", "of original", "builds: cold", "warm", "stock", "stock / cold", "cold / original"}}
	for _, w := range r.Workloads {
		if w.Size > 0 {
			continue
		}
		cell := r.cells(w.Name)
		gained := []string{
			cell.spread(Base, Load), cell.spread(Base, Work), cell.spread(Chained, Load), cell.spread(Chained, Work), cell.ratio(Base, First, Chained, First, "%.0f"),
			cell.spread(Stock, Load), cell.spread(Stock, Work), cell.spread(Base, Start), cell.spread(Chained, Start), cell.count(Chained, Residual)}
		if published {
			gained = slices.Insert(gained, 0, publishedCell(w))
		}
		gain.Rows = append(gain.Rows, r.row(w.Name, gained...))
		used.Rows = append(used.Rows, r.row(w.Name,
			cell.spread(Base, FirstCPU), cell.spread(Chained, FirstCPU), cell.ratio(Chained, FirstCPU, Base, FirstCPU, "%.3f"),
			cell.spread(Cold, CPU), cell.spread(Warm, CPU), cell.spread(Stock, BuildCPU), cell.ratio(Stock, BuildCPU, Cold, CPU, "%.1f"),
			cell.ratio(Cold, CPU, Base, FirstCPU, "%.2f")))
		cost.Rows = append(cost.Rows, r.row(w.Name,
			cell.count(Cold, Statements), cell.count(Cold, Functions), cell.spread(Record, Seconds), cell.spread(FirstBuild, Seconds), cell.spread(Cold, Seconds), cell.spread(Warm, Seconds),
			cell.ratio(Cold, Seconds, Base, First, "%.2f"), cell.spread(Stock, Seconds), cell.ratio(Stock, Seconds, Cold, Seconds, "%.1f"),
			cell.bytes(Cold, Bytes), cell.bytes(Stock, Bytes), cell.bytes(Cold, Peak), cell.bytes(Stock, BuildPeak)))
	}
	var tables []sheet
	if len(gain.Rows) > 0 {
		tables = append(tables, gain, cost, used)
	}
	if other := r.otherComparators(); len(other.Rows) > 0 {
		tables = append(tables, other)
	}
	if len(r.grown()) > 0 {
		tables = append(tables, r.growthTables()...)
	}
	return tables
}

// publishedCell is what load and work took together where the workload comes from.
func publishedCell(w WorkloadInfo) string {
	if w.Published == 0 {
		return none
	}
	return formatSeconds(w.Published)
}

// otherComparators is the table of what was compared with besides the stock build.
func (r *Results) otherComparators() sheet {
	t := sheet{Title: "Other ways", Header: []string{"workload", "way", "build", "processor time", "memory", "image", "load", "work", "start", "memory"}}
	for _, w := range r.Workloads {
		cell := r.cells(w.Name)
		for _, subject := range []string{Compiler, Packages} {
			if r.values(w.Name, subject+"/"+First) == nil {
				continue
			}
			built := cell.spread(subject, Seconds)
			if subject == Packages {
				built = cell.spread(subject, Precompile)
			}
			t.Rows = append(t.Rows, sheetRow{Cells: []string{
				w.Name, subject, built, cell.spread(subject, BuildCPU), cell.bytes(subject, BuildPeak), cell.bytes(subject, Bytes),
				cell.spread(subject, Load), cell.spread(subject, Work), cell.spread(subject, Start), cell.bytes(subject, Peak)}})
		}
	}
	return t
}

// row is the row of a workload, with a note if it could not be measured. One that failed on the way has its row, and notes say that it did.
func (r *Results) row(name string, cells ...string) sheetRow {
	row := sheetRow{Cells: append([]string{name}, cells...)}
	if reason := r.reason(name, ""); reason != "" && !r.began(name) {
		row.Note = "not run: " + reason
	}
	return row
}

// began says whether there is anything to show of a workload.
func (r *Results) began(name string) bool { return r.values(name, Chained+"/"+First) != nil }

// notes say what besides whole workloads was not measured; the same reason is said once.
func (r *Results) notes() []string {
	var notes []string
	at := map[string]int{}
	for _, s := range r.Skipped {
		if s.Subject == "" {
			if r.began(s.Workload) {
				notes = append(notes, fmt.Sprintf("%s did not reach its end: %s", s.Workload, s.Reason))
			}
			continue
		}
		key := s.Subject + ": " + s.Reason
		if i, seen := at[key]; seen {
			notes[i] += ", " + s.Workload
			continue
		}
		at[key] = len(notes)
		notes = append(notes, fmt.Sprintf("%s was not measured, since %s: %s", s.Subject, s.Reason, s.Workload))
	}
	return notes
}

// cells writes the cells of a workload's row.
type cells struct {
	results  *Results
	workload string
}

func (r *Results) cells(workload string) cells { return cells{r, workload} }

func (c cells) summary(subject, what string) summary {
	return summarize(c.results.values(c.workload, subject+"/"+what))
}

func (c cells) format(subject, what string, format func(summary) string) string {
	s := c.summary(subject, what)
	if s.N == 0 {
		return none
	}
	return format(s)
}

// plain is a median in seconds, without a unit.
func (c cells) plain(subject, what string) string {
	return c.format(subject, what, func(s summary) string { return formatNumber(s.Median) })
}

func (c cells) seconds(subject, what string) string {
	return c.format(subject, what, func(s summary) string { return formatSeconds(s.Median) })
}

// spread is a median with the largest distance of a sample from it.
func (c cells) spread(subject, what string) string {
	return c.format(subject, what, func(s summary) string {
		if s.N < 2 {
			return formatSeconds(s.Median)
		}
		return fmt.Sprintf("%s ±%.0f %%", formatSeconds(s.Median), 100*s.spread())
	})
}

// sum is load + work.
func (c cells) sum(subject string) string {
	return c.format(subject, Work, func(s summary) string { return c.seconds(subject, Load) + " + " + formatSeconds(s.Median) })
}

func (c cells) bytes(subject, what string) string {
	return c.format(subject, what, func(s summary) string { return words.Bytes(int64(s.Median)) })
}

func (c cells) count(subject, what string) string {
	return c.format(subject, what, func(s summary) string { return words.Thousands(int(s.Median)) })
}

// ratio is that of two medians.
func (c cells) ratio(subject, what, ofSubject, ofWhat, format string) string {
	over, under := c.summary(subject, what), c.summary(ofSubject, ofWhat)
	if over.N == 0 || under.N == 0 || under.Median == 0 {
		return none
	}
	return fmt.Sprintf(format, over.Median/under.Median)
}

// formatNumber writes seconds so that three digits count, but no more than milliseconds.
func formatNumber(seconds float64) string {
	switch {
	case seconds < 0.9995:
		return fmt.Sprintf("%.3f", seconds)
	case seconds < 9.995:
		return fmt.Sprintf("%.2f", seconds)
	case seconds < 99.95:
		return fmt.Sprintf("%.1f", seconds)
	default:
		return fmt.Sprintf("%.0f", seconds)
	}
}

// formatSeconds writes seconds with their unit, or milliseconds.
func formatSeconds(seconds float64) string {
	switch {
	case seconds < 0.00995:
		return fmt.Sprintf("%.2g ms", 1000*seconds)
	case seconds < 0.0995:
		return fmt.Sprintf("%.0f ms", 1000*seconds)
	default:
		return formatNumber(seconds) + " s"
	}
}

// preamble says in a few lines what was measured where.
func (r *Results) preamble() []string {
	h := r.Header
	least, most := r.rounds()
	rounds := fmt.Sprint(most)
	if least < most {
		rounds = fmt.Sprintf("%d to %d", least, most)
	}
	loads := fmt.Sprintf("%.1f", h.Machine.Load)
	for _, more := range r.More {
		loads += fmt.Sprintf(", %.1f", more.Machine.Load)
	}
	emitted := ""
	if h.Emit != "" {
		emitted = fmt.Sprintf("--emit %s; ", h.Emit)
	}
	lines := []string{
		fmt.Sprintf("Julia %s (its own image: %s, %s functions), %s, on %d × %s, %s of memory, %s. %s.",
			h.Julia.Version, words.Bytes(h.Julia.ImageBytes), words.Thousands(h.Julia.ImageFunctions), h.Program,
			h.Machine.Cores, h.Machine.Processor, words.Bytes(h.Machine.MemoryBytes), h.Machine.Kernel, h.Date),
		fmt.Sprintf("Medians of %s rounds, ± the largest distance of a sample; %d compile workers; %sstock builds once. Cold: nothing of the content in the cache. Memory is the largest process. Load of the machine before: %s",
			rounds, h.Jobs, emitted, loads),
	}
	if r.End == nil {
		lines[1] += "; a run did not reach its end."
	} else {
		lines[1] += fmt.Sprintf(", after: %.1f.", r.End.Load)
	}
	return lines
}

// rounds returns the smallest and the largest number of cold builds of a workload.
func (r *Results) rounds() (least, most int) {
	for _, w := range r.Workloads {
		if n := len(r.values(w.Name, Cold+"/"+Seconds)); n > 0 {
			if least == 0 || n < least {
				least = n
			}
			most = max(most, n)
		}
	}
	return least, most
}

// commands are how the runs were asked for, as a shell reads them, one in a line.
func (r *Results) commands() string {
	var lines []string
	for _, h := range append([]Header{r.Header}, r.More...) {
		var words []string
		for _, word := range h.Command {
			if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%") != "" || word == "" {
				word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
			}
			words = append(words, word)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}

// WriteMarkdown writes the tables, what was measured where, and the command.
func (r *Results) WriteMarkdown(w io.Writer) error {
	var out strings.Builder
	for _, line := range r.preamble() {
		out.WriteString(line + "\n")
	}
	fmt.Fprintf(&out, "\n```sh\n%s\n```\n", r.commands())
	for _, t := range r.tables() {
		fmt.Fprintf(&out, "\n**%s**\n\n%s", t.Title, t.markdown())
	}
	for i, note := range r.notes() {
		if i == 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "- %s\n", note)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// markdown writes the table alone.
func (t sheet) markdown() string {
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.Header)
	rule := []string{"---"}
	for range t.Header[1:] {
		rule = append(rule, "--:")
	}
	line(rule)
	for _, row := range t.Rows {
		if row.Note == "" {
			line(row.Cells)
			continue
		}
		cells := make([]string, len(t.Header))
		cells[0], cells[1] = row.Cells[0], strings.ReplaceAll(row.Note, "|", "\\|")
		line(cells)
	}
	return out.String()
}

// text writes the table in columns, each as wide as it must be.
func (t sheet) text() string {
	widths := make([]int, len(t.Header))
	measure := func(cells []string) {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	measure(t.Header)
	for _, row := range t.Rows {
		if row.Note == "" {
			measure(row.Cells)
		} else {
			measure(row.Cells[:1])
		}
	}
	var out strings.Builder
	line := func(cells []string) {
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				out.WriteString(cell + pad)
			default:
				out.WriteString("  " + pad + cell)
			}
		}
		out.WriteString("\n")
	}
	if t.Title != "" {
		out.WriteString(t.Title + "\n")
	}
	line(t.Header)
	for _, row := range t.Rows {
		if row.Note == "" {
			line(row.Cells)
			continue
		}
		name := row.Cells[0]
		fmt.Fprintf(&out, "%s  %s\n", name+strings.Repeat(" ", widths[0]-utf8.RuneCountInString(name)), row.Note)
	}
	return out.String()
}

// formatValue writes the median of a metric with its unit, and the spread.
func formatValue(metric string, s summary) string {
	text := fmt.Sprintf("%.0f", s.Median)
	switch unit(metric) {
	case "s":
		text = formatSeconds(s.Median)
	case "B":
		text = words.Bytes(int64(s.Median))
	}
	if spread := s.spread(); spread > 0 {
		text += fmt.Sprintf(" ±%.0f %%", 100*spread)
	}
	return text
}

// Text is the tables, for a terminal, and what was measured where.
func (r *Results) Text() string {
	var out strings.Builder
	for _, t := range r.tables() {
		out.WriteString(t.text() + "\n")
	}
	for _, note := range r.notes() {
		out.WriteString(note + "\n")
	}
	for _, line := range r.preamble() {
		out.WriteString(line + "\n")
	}
	return out.String()
}
