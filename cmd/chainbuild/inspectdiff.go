package main

// This file says what changed from one image to another.

import (
	"fmt"
	"io"
	"text/tabwriter"

	"chainbuild/internal/anatomy"
	"chainbuild/internal/words"
	"chainbuild/sysimage"
)

// shownChanges is how many changes of things the text lists.
const shownChanges = 25

// difference is what inspect --diff prints.
type difference struct {
	Old      string       `json:"old"`
	New      string       `json:"new"`
	Bytes    [2]int64     `json:"bytes"`
	Sizes    [2]sizes     `json:"sizes"`
	Packages []changeJSON `json:"packages"`
	Things   []changeJSON `json:"things"`
}

// changeJSON is a change: of a package, or of a thing. Sizes are before and after.
type changeJSON struct {
	What    string            `json:"what"` // came, went, grew, shrank, changed
	Package string            `json:"package"`
	Module  string            `json:"module,omitempty"`
	Kind    anatomy.ThingKind `json:"kind,omitempty"`
	Name    string            `json:"name,omitempty"`
	By      int64             `json:"by"`
	Bytes   [2]int64          `json:"bytes"`
	Sizes   [2]sizes          `json:"sizes"`
}

func inspectDiff(w io.Writer, oldPath, newPath string, asJSON bool) error {
	images := [2]*sysimage.Base{}
	anatomies := [2]*anatomy.Anatomy{}
	for i, path := range []string{oldPath, newPath} {
		image, err := openImage(path)
		if err != nil {
			return err
		}
		defer image.Close()
		images[i] = image
	}
	done := make(chan error, 1)
	go func() {
		var err error
		anatomies[0], err = anatomy.Read(images[0])
		done <- err
	}()
	var err error
	anatomies[1], err = anatomy.Read(images[1])
	if oldErr := <-done; oldErr != nil {
		return oldErr
	}
	if err != nil {
		return err
	}
	d := anatomy.Compare(anatomies[0], anatomies[1])
	if asJSON {
		return printJSON(w, differenceOf(d, images))
	}
	return printDifference(w, d, images)
}

func differenceOf(d *anatomy.Difference, images [2]*sysimage.Base) difference {
	list := func(changes []anatomy.Change) []changeJSON {
		of := []changeJSON{}
		for _, c := range changes {
			of = append(of, changeJSON{
				whatChanged(c), c.Package, c.Module, c.Kind, c.Name, c.By(),
				[2]int64{c.Old.Total(), c.New.Total()}, [2]sizes{sizesOf(c.Old), sizesOf(c.New)},
			})
		}
		return of
	}
	return difference{
		Old: images[0].Layers[0].Path, New: images[1].Layers[0].Path,
		Bytes: [2]int64{d.Old.Total(), d.New.Total()}, Sizes: [2]sizes{sizesOf(d.Old), sizesOf(d.New)},
		Packages: list(d.Packages), Things: list(d.Things),
	}
}

func whatChanged(c anatomy.Change) string {
	switch {
	case c.Old == anatomy.Sizes{}:
		return "came"
	case c.New == anatomy.Sizes{}:
		return "went"
	case c.By() > 0:
		return "grew"
	case c.By() < 0:
		return "shrank"
	}
	return "changed"
}

func printDifference(w io.Writer, d *anatomy.Difference, images [2]*sysimage.Base) error {
	table := newRowTable(w)
	for i, name := range []string{"old", "new"} {
		table.row(name, "%s, %s, %s", images[i].Layers[0].Path, layoutOf(images[i]), words.Bytes([]int64{d.Old.Total(), d.New.Total()}[i]))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	list := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(what string, old, new int64, name string) {
		fmt.Fprintf(list, "%s\t%s\t%s\t%s\t  %s\n", words.Bytes(old), words.Bytes(new), changeInWords(new-old), what, name)
	}
	fmt.Fprint(list, "\nold\tnew\tchange\t\t  kind\n")
	for k, name := range anatomy.KindNames {
		row("", d.Old[k], d.New[k], name)
	}
	row("", d.Old.Total(), d.New.Total(), "all")
	if err := list.Flush(); err != nil {
		return err
	}
	for _, part := range []struct {
		title   string
		changes []anatomy.Change
		name    func(anatomy.Change) string
	}{
		{"package", d.Packages, func(c anatomy.Change) string { return c.Package }},
		{"method, type or variable", d.Things, func(c anatomy.Change) string {
			where := c.Module
			if where == "" {
				where = c.Package
			}
			return fmt.Sprintf("%s %s in %s", c.Kind, c.Name, where)
		}},
	} {
		if len(part.changes) == 0 {
			continue
		}
		fmt.Fprintf(list, "\nold\tnew\tchange\t\t  %s\n", part.title)
		for _, c := range part.changes[:min(len(part.changes), shownChanges)] {
			row(whatChanged(c), c.Old.Total(), c.New.Total(), part.name(c))
		}
		if err := list.Flush(); err != nil {
			return err
		}
		if more := len(part.changes) - shownChanges; more > 0 {
			fmt.Fprintf(w, "and %s with smaller changes: see --json\n", words.Thousands(more))
		}
	}
	if len(d.Packages) == 0 && len(d.Things) == 0 {
		fmt.Fprintln(w, "\nNothing differs in size.")
	}
	return nil
}

// changeInWords writes a change with its sign.
func changeInWords(n int64) string {
	if n > 0 {
		return "+" + words.Bytes(n)
	}
	return signedBytes(n)
}
