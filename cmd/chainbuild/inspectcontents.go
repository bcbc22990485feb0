package main

// This file is what inspect says of one image, as text and as JSON.

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"chainbuild/internal/anatomy"
	"chainbuild/internal/words"
	"chainbuild/sysimage"
)

// contents are what an image holds, as inspect prints them.
type contents struct {
	Image string `json:"image"`
	// Layout is "stock" for an image that Julia itself has made, else as --layout takes it.
	Layout string `json:"layout"`
	// Format is the version of Julia that brought the image's format.
	Format string `json:"format"`
	// Bytes is the size of the file, without its bases. Sizes add up to it.
	Bytes int64 `json:"bytes"`
	Sizes sizes `json:"sizes"`
	// New is what of that is beyond the base that it was chained to; it is missing if that base is not there.
	New *sizes `json:"new,omitempty"`
	// Bases are the images that it was chained to, one on top of the other. A thin image needs their files.
	Bases   []sysimage.Identity `json:"bases"`
	Targets []target            `json:"targets"`
	// PackageImages are the package images whose native code the image uses, and needs as files.
	PackageImages []packageImage `json:"package_images,omitempty"`
	// Build is what policies and a budget had to do with it: policies, with the SHA-256 of each; answers, a hash of what they said; budget.
	Build map[string]string `json:"build,omitempty"`
	// Functions and Cells are the entries of the tables; New came with this image, the others with its bases.
	Functions count `json:"functions"`
	Cells     count `json:"cells"`
	Heap      heap  `json:"heap"`
	Packages  []pkg `json:"packages"`

	anatomy *anatomy.Anatomy
	// missing is why nothing is known of what is new, empty if something is, or if all is.
	missing string
}

// A packageImage is the file of a package image, and how much code it has.
type packageImage struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Code  int64  `json:"code"`
}

type target struct {
	Name string   `json:"name"`
	On   []string `json:"features_on"`
	Off  []string `json:"features_off"`
}

type count struct {
	Total int `json:"total"`
	New   int `json:"new"`
}

// heap is the serialised heap, in bytes.
type heap struct {
	Total     int64 `json:"total_bytes"`
	Objects   int64 `json:"object_bytes"`
	Constants int64 `json:"constant_bytes"`
	Relocs    int64 `json:"relocation_bytes"`
}

// sizes are bytes by kind.
type sizes struct {
	Code        int64 `json:"code,omitempty"`
	Debug       int64 `json:"debug,omitempty"`
	Objects     int64 `json:"objects,omitempty"`
	Constants   int64 `json:"constants,omitempty"`
	Symbols     int64 `json:"symbols,omitempty"`
	Relocations int64 `json:"relocations,omitempty"`
	Tables      int64 `json:"tables,omitempty"`
}

func sizesOf(s anatomy.Sizes) sizes {
	return sizes{s[anatomy.Code], s[anatomy.Debug], s[anatomy.HeapObjects], s[anatomy.Constants], s[anatomy.Symbols], s[anatomy.Relocations], s[anatomy.Tables]}
}

func newSizesOf(s *anatomy.Sizes) *sizes {
	if s == nil {
		return nil
	}
	of := sizesOf(*s)
	return &of
}

// A weight is what all parts of an image have.
type weight struct {
	Bytes int64  `json:"bytes"`
	Sizes sizes  `json:"sizes"`
	New   *sizes `json:"new,omitempty"`
}

func weightOf(s anatomy.Sizes, beyond *anatomy.Sizes) weight {
	return weight{s.Total(), sizesOf(s), newSizesOf(beyond)}
}

type pkg struct {
	Name string `json:"name"`
	weight
	Functions int      `json:"functions"`
	Modules   []module `json:"modules"`
}

type module struct {
	Name string `json:"name"`
	weight
	Things []thing    `json:"things"`
	Types  []heapType `json:"types"`
}

type thing struct {
	Kind anatomy.ThingKind `json:"kind"`
	Name string            `json:"name"`
	File string            `json:"file,omitempty"`
	Line int               `json:"line,omitempty"`
	weight
	Functions int `json:"functions,omitempty"`
}

type heapType struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	Bytes int64  `json:"bytes"`
}

// inspect takes an image apart.
func inspect(path string) (*contents, error) {
	image, err := openImage(path)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	of, base, missing, err := readAnatomies(image)
	if err != nil {
		return nil, err
	}
	if base != nil {
		of.Beyond(base, len(image.Layers) == 1)
	}
	of.Fold(keptThings)
	c := &contents{
		Image: image.Layers[0].Path, Layout: layoutOf(image), Format: image.Format, Bytes: of.Bytes,
		Sizes: sizesOf(of.Sizes), New: newSizesOf(of.New), Bases: []sysimage.Identity{},
		Functions: count{Total: len(image.Functions)}, Cells: count{Total: len(image.Globals)},
		Heap:    heap{Total: image.Blob.Total, Objects: image.Blob.Heap, Constants: image.Blob.Constants, Relocs: image.Blob.Relocs},
		anatomy: of, missing: missing,
	}
	if note := image.Note; note != nil {
		c.Bases, c.Build = note.Bases, note.Build
		c.Functions.New, c.Cells.New = note.Functions, note.Globals
	} else {
		c.Functions.New, c.Cells.New = c.Functions.Total, c.Cells.Total
	}
	for _, p := range image.Packages {
		of := packageImage{Path: p.Path, Bytes: int64(len(p.Data))}
		if code, _, ok := p.Section(".text"); ok {
			of.Code = int64(len(code))
		}
		c.PackageImages = append(c.PackageImages, of)
	}
	for _, t := range image.Targets {
		c.Targets = append(c.Targets, target{t.Name, append([]string{}, t.On...), append([]string{}, t.Off...)})
	}
	for _, p := range of.Packages {
		c.Packages = append(c.Packages, packageOf(p))
	}
	return c, nil
}

func packageOf(p *anatomy.Package) pkg {
	of := pkg{Name: p.Name, weight: weightOf(p.Sizes, p.New)}
	for _, m := range p.Modules {
		mod := module{Name: m.Name, weight: weightOf(m.Sizes, m.New), Things: []thing{}, Types: []heapType{}}
		for _, t := range m.Things {
			of.Functions += t.Functions
			mod.Things = append(mod.Things, thing{t.Kind, t.Title(), t.File, t.Line, weightOf(t.Sizes, t.New), t.Functions})
		}
		for _, t := range m.Types {
			mod.Types = append(mod.Types, heapType{t.Name, t.Count, t.Bytes})
		}
		of.Modules = append(of.Modules, mod)
	}
	return of
}

func layoutOf(image *sysimage.Base) string {
	switch {
	case image.Note == nil:
		return "stock"
	case len(image.Layers) > 1:
		return "thin"
	default:
		return "standalone"
	}
}

func (c *contents) print(w io.Writer) error {
	table := newRowTable(w)
	table.row("image", "%s", c.Image)
	table.row("layout", "%s, %s, of Julia %s's format", c.Layout, words.Bytes(c.Bytes), c.Format)
	for _, base := range c.Bases {
		table.row("base", "%s", base.Path)
	}
	for _, p := range c.PackageImages {
		table.row("package image", "%s, %s of code", p.Path, words.Bytes(p.Code))
	}
	var names []string
	for _, t := range c.Targets {
		names = append(names, t.Name)
	}
	table.row("targets", "%s", strings.Join(names, ", "))
	ofAll := func(n count) string {
		if len(c.Bases) == 0 {
			return words.Thousands(n.Total)
		}
		return fmt.Sprintf("%s, %s of them new", words.Thousands(n.Total), words.Thousands(n.New))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Build)) {
		table.row(name, "%s", c.Build[name])
	}
	table.row("functions", "%s", ofAll(c.Functions))
	table.row("cells", "%s", ofAll(c.Cells))
	table.row("heap", "%s: objects %s, constants %s, relocations %s", words.Bytes(c.Heap.Total),
		words.Bytes(c.Heap.Objects), words.Bytes(c.Heap.Constants), words.Bytes(c.Heap.Relocs))
	if err := table.Flush(); err != nil {
		return err
	}
	if err := c.printPackages(w); err != nil {
		return err
	}
	if c.missing != "" {
		fmt.Fprintf(w, "\nWhat is new cannot be told: %s.\n", c.missing)
	}
	return nil
}

// printPackages prints what packages take of the file.
func (c *contents) printPackages(w io.Writer) error {
	list := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	header, cells := "\ntotal\tcode\theap\tdebug\t", func(p *anatomy.Package) []int64 {
		return []int64{p.Sizes.Total(), p.Sizes[anatomy.Code], p.Sizes.Heap(), p.Sizes[anatomy.Debug]}
	}
	if c.New != nil {
		header += "new\t"
	}
	fmt.Fprint(list, header+"  package\n")
	for _, p := range c.anatomy.Packages {
		for _, n := range cells(p) {
			fmt.Fprintf(list, "%s\t", signedBytes(n))
		}
		if p.New != nil {
			fmt.Fprintf(list, "%s\t", signedBytes(p.New.Total()))
		}
		fmt.Fprintf(list, "  %s\n", p.Name)
	}
	return list.Flush()
}

// signedBytes writes a number of bytes that may be negative.
func signedBytes(n int64) string {
	if n < 0 {
		return "-" + words.Bytes(-n)
	}
	return words.Bytes(n)
}
