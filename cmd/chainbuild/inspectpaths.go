package main

// This file lists what ties an image to the machine that it was built on.

import (
	"fmt"
	"io"
	"slices"

	"chainbuild/internal/anatomy"
	"chainbuild/internal/words"
	"chainbuild/sysimage"
)

// exitTied is the exit code of inspect --paths for an image that knows places that may not be there on another machine.
const exitTied = 3

// audit is what inspect --paths prints.
type audit struct {
	Image string `json:"image"`
	// Tied says that some of the findings may do harm on another machine.
	Tied     bool         `json:"tied"`
	Unknown  string       `json:"unknown,omitempty"`
	Findings []finding    `json:"findings"`
	Classes  []auditClass `json:"classes"`
}

type finding struct {
	Class    anatomy.Class `json:"class"`
	Harmless bool          `json:"harmless"`
	Path     string        `json:"path"`
	Holder   string        `json:"holder"`
	Route    string        `json:"route"`
	Package  string        `json:"package,omitempty"`
}

type auditClass struct {
	Class    anatomy.Class `json:"class"`
	Harmless bool          `json:"harmless"`
	Count    int           `json:"count"`
	Why      string        `json:"why"`
}

func inspectPaths(w io.Writer, path string, asJSON bool) error {
	image, err := openImage(path)
	if err != nil {
		return err
	}
	defer image.Close()
	stock, unknown, err := stockOf(image)
	if err != nil {
		return err
	}
	if stock != nil && stock != image {
		defer stock.Close()
	}
	found, err := anatomy.Paths(image, stock)
	if err != nil {
		return err
	}
	found.Unknown = unknown
	a := auditOf(image, found)
	if asJSON {
		err = printJSON(w, a)
	} else {
		err = a.print(w)
	}
	if err == nil && a.Tied {
		return &exitError{exitTied}
	}
	return err
}

// stockOf opens the image of Julia itself that an image was chained to, be it over others; for Julia's own image it is that. It is nil
// without an error if that is not there any more, with the reason.
func stockOf(image *sysimage.Base) (stock *sysimage.Base, missing string, err error) {
	if image.Note == nil || len(image.Note.Bases) == 0 {
		return image, "", nil
	}
	lowest := image.Note.Bases[len(image.Note.Bases)-1]
	return openIdentity(lowest)
}

func auditOf(image *sysimage.Base, found *anatomy.Audit) audit {
	a := audit{Image: image.Layers[0].Path, Tied: len(found.Ties()) > 0, Unknown: found.Unknown, Findings: []finding{}, Classes: []auditClass{}}
	counts := map[anatomy.Class]int{}
	for _, f := range found.Findings {
		counts[f.Class]++
		a.Findings = append(a.Findings, finding{f.Class, f.Class.Harmless(), f.Path, f.Holder, f.Route, f.Package})
	}
	for _, class := range anatomy.Classes() {
		if counts[class] > 0 {
			a.Classes = append(a.Classes, auditClass{class, class.Harmless(), counts[class], class.Why()})
		}
	}
	return a
}

// print lists what may do harm, and counts the rest.
func (a audit) print(w io.Writer) error {
	table := newRowTable(w)
	table.row("image", "%s", a.Image)
	if a.Unknown != "" {
		table.row("", "%s, so Julia's own paths are told by their folders alone", a.Unknown)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, class := range a.Classes {
		if class.Harmless {
			continue
		}
		fmt.Fprintf(w, "\n%s: %s\n", class.Class, class.Why)
		for _, f := range a.Findings {
			if f.Class == class.Class {
				fmt.Fprintf(w, "  %s\n      %s\n", f.Path, f.where())
			}
		}
	}
	if !a.Tied {
		fmt.Fprintln(w, "\nNothing ties it to this machine.")
	}
	harmless := slices.DeleteFunc(slices.Clone(a.Classes), func(c auditClass) bool { return !c.Harmless })
	if len(harmless) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nharmless (--json lists them):")
	for _, class := range harmless {
		table.row("  "+words.Thousands(class.Count), "%s: %s", class.Class, class.Why)
	}
	return table.Flush()
}

func (f finding) where() string {
	return fmt.Sprintf("%s at %s", f.Holder, f.Route)
}
