package main

// This file is the command that tells what an image holds.

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"chainbuild/internal/usage"
	"chainbuild/internal/words"
	"chainbuild/sysimage"

	"github.com/spf13/cobra"
)

func newInspectCommand(stdout *os.File) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Tell what an image holds",
		Long: `Tell what a system image holds, one of Julia's own or one that chainbuild made:
its layout and base, the processors that its code is for, the numbers of functions
and of cells (pointers in native code that Julia fills when it loads the image), and
the packages with their numbers and sizes of native code, the largest first.

Nothing of the image is run.`,
		Example: `  chainbuild inspect chained.so
  chainbuild inspect --json chained.so | jq '.packages[:5]'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage.Errorf("inspect takes one image and not %d: see `%s --help`", len(args), cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"so"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			contents, err := inspect(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(stdout, contents)
			}
			return contents.print(stdout)
		},
	}
	addJSONFlag(cmd.Flags(), &asJSON, "one JSON object")
	return cmd
}

// contents are what an image holds, as inspect prints them.
type contents struct {
	Image string `json:"image"`
	// Layout is "stock" for an image that Julia itself has made, else as --layout takes it.
	Layout string `json:"layout"`
	// Format is the version of Julia that brought the image's format.
	Format string `json:"format"`
	// Bytes is the size of the file, without its bases.
	Bytes int64 `json:"bytes"`
	// Bases are the images that it was chained to, one on top of the other. A thin image needs their files.
	Bases   []sysimage.Identity `json:"bases"`
	Targets []target            `json:"targets"`
	// Functions and Cells are the entries of the tables; New came with this image, the others with its bases.
	Functions count `json:"functions"`
	Cells     count `json:"cells"`
	Heap      heap  `json:"heap"`
	Packages  []pkg `json:"packages"`
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

type pkg struct {
	Name      string `json:"name"`
	Modules   int    `json:"modules"`
	Functions int    `json:"functions"`
	Bytes     int64  `json:"code_bytes"`
}

func inspect(path string) (*contents, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	image, err := sysimage.OpenFile(absolute)
	if err != nil {
		return nil, usage.Wrap(err)
	}
	defer image.Close()
	packages, err := image.Packages()
	if err != nil {
		return nil, err
	}
	c := &contents{
		Image: absolute, Layout: layoutOf(image), Format: image.Format, Bytes: int64(len(image.Layers[0].Data)),
		Bases:     []sysimage.Identity{},
		Functions: count{Total: len(image.Functions)}, Cells: count{Total: len(image.Globals)},
		Heap: heap{Total: image.Blob.Total, Objects: image.Blob.Heap, Constants: image.Blob.Constants, Relocs: image.Blob.Relocs},
	}
	if note := image.Note; note != nil {
		c.Bases = note.Bases
		c.Functions.New, c.Cells.New = note.Functions, note.Globals
	} else {
		c.Functions.New, c.Cells.New = c.Functions.Total, c.Cells.Total
	}
	for _, t := range image.Targets {
		c.Targets = append(c.Targets, target{t.Name, append([]string{}, t.On...), append([]string{}, t.Off...)})
	}
	for _, p := range packages {
		c.Packages = append(c.Packages, pkg{p.Name, p.Modules, p.Functions, p.Bytes})
	}
	return c, nil
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
	table.row("functions", "%s", ofAll(c.Functions))
	table.row("cells", "%s", ofAll(c.Cells))
	table.row("heap", "%s: objects %s, constants %s, relocations %s", words.Bytes(c.Heap.Total),
		words.Bytes(c.Heap.Objects), words.Bytes(c.Heap.Constants), words.Bytes(c.Heap.Relocs))
	if err := table.Flush(); err != nil {
		return err
	}
	list := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(list, "\nmodules\tfunctions\tcode\t  package\n")
	for _, p := range c.Packages {
		fmt.Fprintf(list, "%s\t%s\t%s\t  %s\n", words.Thousands(p.Modules), words.Thousands(p.Functions), words.Bytes(p.Bytes), p.Name)
	}
	return list.Flush()
}
