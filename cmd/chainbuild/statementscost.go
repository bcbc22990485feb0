package main

// This file says what the statements of each package cost and gain.

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"chainbuild/internal/anatomy"
	"chainbuild/internal/project"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
)

// costs are what statements list --cost prints. Times are in seconds of one processor.
type costs struct {
	Image string `json:"image"`
	// Infer is how long the build took to infer all statements.
	Infer float64 `json:"infer_seconds"`
	// TimedAt is when the build was whose times estimates are made from; there are none without it.
	TimedAt  *time.Time    `json:"timed_at,omitempty"`
	Packages []packageCost `json:"packages"`
}

type packageCost struct {
	Name string `json:"package"`
	// Statements are those that count for it, of those that were asked for and that the image was built from. A statement counts for
	// the youngest package that it names, as what is compiled for it does.
	Statements int `json:"statements"`
	// Last is the day when a session last compiled one of them, YYYY-MM-DD.
	Last string `json:"last_seen,omitempty"`
	// Bytes is what the image has for it beyond its base, CodeBytes what of that is machine code.
	Bytes     int64 `json:"bytes"`
	CodeBytes int64 `json:"code_bytes"`
	// Seconds is an estimate of how long its code takes to compile, missing if no build's times say.
	Seconds *float64 `json:"seconds,omitempty"`
}

// costOf finds out what the newest image of a project has of each package. With names, it is about those packages only.
func costOf(p *project.Project, list []*project.Recorded, names []string) (*costs, error) {
	known, err := p.Cost()
	if err != nil {
		return nil, err
	}
	image, err := openImage(known.Image.File)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	of, base, missing, err := readAnatomies(image)
	if err != nil {
		return nil, err
	}
	if base == nil {
		return nil, usage.Errorf("what the image has beyond its base is not known, since %s: build it again", missing)
	}
	of.Beyond(base, len(image.Layers) == 1)
	return costsOf(known, of, list, names), nil
}

func costsOf(known *project.Cost, of *anatomy.Anatomy, list []*project.Recorded, names []string) *costs {
	c := &costs{Image: known.Image.File, Infer: known.Image.Compiling.Infer, Packages: []packageCost{}}
	if known.Seconds() > 0 {
		c.TimedAt = &known.TimedAt
	}
	byName, allCode := map[string]*packageCost{}, int64(0)
	for _, p := range of.Packages {
		allCode += p.New[anatomy.Code]
		cost := byName[p.Name]
		if cost == nil {
			cost = &packageCost{Name: p.Name}
			byName[p.Name] = cost
		}
		cost.Bytes += p.New.Total()
		cost.CodeBytes += p.New[anatomy.Code]
	}
	for _, s := range list {
		if !known.Sources[s.Source] {
			continue
		}
		if cost := byName[youngest(of.Ages, s.Modules)]; cost != nil {
			cost.Statements++
			cost.Last = max(cost.Last, s.Last)
		}
	}
	for name, cost := range byName {
		switch {
		case len(names) > 0 && !slices.Contains(names, name), cost.Statements == 0 && cost.CodeBytes == 0:
			continue
		case !slices.Contains(of.Ages, name):
			continue // a group of what counts for no package
		}
		if c.TimedAt != nil && allCode > 0 {
			seconds := known.Seconds() * float64(cost.CodeBytes) / float64(allCode)
			cost.Seconds = &seconds
		}
		c.Packages = append(c.Packages, *cost)
	}
	slices.SortFunc(c.Packages, func(a, b packageCost) int {
		return cmp.Or(cmp.Compare(b.CodeBytes, a.CodeBytes), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return c
}

// youngest is the youngest of some packages, Base if there is none of them.
func youngest(ages, names []string) string {
	best := slices.Index(ages, "Base")
	for _, name := range names {
		best = max(best, slices.Index(ages, name))
	}
	if best < 0 {
		return ""
	}
	return ages[best]
}

func (c *costs) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "statements\tlast seen\tadds\tof it code\tcompiling\t  package\n")
	seconds := 0.0
	for _, p := range c.Packages {
		compiling := "?"
		if p.Seconds != nil {
			compiling = fmt.Sprintf("%.1f s", *p.Seconds)
			seconds += *p.Seconds
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t  %s\n", p.Statements, cmp.Or(p.Last, "-"), signedBytes(p.Bytes), words.Bytes(max(p.CodeBytes, 0)), compiling, p.Name)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if c.TimedAt == nil {
		_, err := fmt.Fprintln(w, "\nHow long code takes to compile is not known: the builds whose images are kept compiled too little.\nchainbuild build --force --cache-dir off compiles all of it.")
		return err
	}
	_, err := fmt.Fprintf(w, "\nCompiling is estimated from the share of code and from the times of the build of %s, when the machine was as busy as it was: %.1f s for these.\n"+
		"A session without the image spends about as much when it first calls all of this, and %.1f s or so for inference,\nwhich took that long in the build for all packages.\n",
		words.Minute(c.TimedAt.Local()), seconds, c.Infer)
	return err
}
