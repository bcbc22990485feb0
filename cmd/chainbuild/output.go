package main

// This file is what commands print with.

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// printJSON prints a value for programs.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printNotice prints one line that is no error and no result.
func printNotice(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "chainbuild: "+format+"\n", args...)
}

// A rowTable prints rows of a name and what there is to say.
type rowTable struct{ *tabwriter.Writer }

func newRowTable(w io.Writer) rowTable { return rowTable{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

// row adds a row. One without a name belongs to the one above.
func (t rowTable) row(name, format string, args ...any) {
	fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
}
