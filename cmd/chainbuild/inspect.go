package main

// This file is the command that tells what an image holds.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"chainbuild/elfpatch"
	"chainbuild/internal/anatomy"
	"chainbuild/internal/scratch"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
	"chainbuild/sysimage"

	"github.com/spf13/cobra"
)

// keptThings is how many methods, types and variables --json and the page list by name. A page of that many has 3 MB.
const keptThings = 20_000

func newInspectCommand(stdout *os.File) *cobra.Command {
	var asJSON, diff, paths bool
	var page string
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Tell what an image holds",
		Long: `Tell what a system image holds, one of Julia's own or one that chainbuild made:
its layout and base, the processors that its code is for, the numbers of functions
and of cells (pointers in native code that Julia fills when it loads the image), and
how many bytes of its file each package takes, the largest first: code, heap, debug
information, and what is new beyond the base.

With --html, write a page with a map of the image by package, module, method and kind,
for any browser. With --diff, say what came, went and grew from one image to another.
With --paths, list the places of this machine that the image knows, and how each is
reached; the exit code is 3 if some may be missing on another machine.

Whom an object of the heap counts for is written at the end of the page, and in
docs/inspect.md. Nothing of the image is run.`,
		Example: `  chainbuild inspect chained.so
  chainbuild inspect --html chained.html chained.so
  chainbuild inspect --diff before.so after.so
  chainbuild inspect --paths chained.so
  chainbuild inspect --json chained.so | jq '.packages[:5] | .[] | {name, bytes}'`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch n := len(args); {
			case diff && n != 2:
				return usage.Errorf("inspect --diff takes two images and not %d: see `%s --help`", n, cmd.CommandPath())
			case !diff && n != 1:
				return usage.Errorf("inspect takes one image and not %d: see `%s --help`", n, cmd.CommandPath())
			case diff && paths, diff && page != "", paths && page != "":
				return usage.Errorf("inspect does one of --html, --diff and --paths at a time: see `%s --help`", cmd.CommandPath())
			case page != "" && asJSON:
				return usage.Errorf("inspect --html writes a page and no JSON: leave one of --html and --json out")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"so"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case diff:
				return inspectDiff(stdout, args[0], args[1], asJSON)
			case paths:
				return inspectPaths(stdout, args[0], asJSON)
			}
			c, err := inspect(args[0])
			if err != nil {
				return err
			}
			switch {
			case page != "":
				return c.writePage(page)
			case asJSON:
				return printJSON(stdout, c)
			}
			return c.print(stdout)
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "write a page about the image to `FILE`")
	cmd.Flags().BoolVar(&diff, "diff", false, "compare two images, the older one first")
	cmd.Flags().BoolVar(&paths, "paths", false, "list what ties the image to a machine; exit code 3 if there is something")
	addJSONFlag(cmd.Flags(), &asJSON, "one JSON object")
	return cmd
}

// openImage opens an image that was asked for.
func openImage(path string) (*sysimage.Base, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	image, err := sysimage.OpenFile(absolute)
	return image, usage.Wrap(err)
}

// baseOf opens the image that an image was chained to. It is nil without an error if that is not there any more, with the reason.
func baseOf(image *sysimage.Base) (base *sysimage.Base, missing string, err error) {
	if image.Note == nil || len(image.Note.Bases) == 0 {
		return nil, "", nil
	}
	return openIdentity(image.Note.Bases[0])
}

// openIdentity opens the image that an identity was taken of. It is nil without an error if that is not there any more, with the reason.
func openIdentity(was sysimage.Identity) (base *sysimage.Base, missing string, err error) {
	base, err = sysimage.OpenFile(was.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, sysimage.ErrOtherBase), errors.Is(err, elfpatch.ErrNotELF):
		return nil, fmt.Sprintf("its base %s is not there any more", was.Path), nil
	case err != nil:
		return nil, "", err
	case !base.Is(was):
		base.Close()
		return nil, fmt.Sprintf("its base %s was replaced by another build", was.Path), nil
	}
	return base, "", nil
}

// readAnatomies takes an image and its base apart, both at once. The base's is nil if it is not there.
func readAnatomies(image *sysimage.Base) (of, ofBase *anatomy.Anatomy, missing string, err error) {
	base, missing, err := baseOf(image)
	if err != nil {
		return nil, nil, "", err
	}
	done := make(chan error, 1)
	if base == nil {
		done <- nil
	} else {
		go func() {
			defer base.Close()
			var err error
			ofBase, err = anatomy.Read(base)
			done <- err
		}()
	}
	of, err = anatomy.Read(image)
	if baseErr := <-done; err == nil {
		err = baseErr
	}
	return of, ofBase, missing, err
}

// writePage writes the page about an image.
func (c *contents) writePage(path string) error {
	file, err := scratch.CreateBeside(path, 0o666)
	if err != nil {
		return usage.Wrap(err)
	}
	defer file.Discard()
	image := anatomy.PageImage{Name: filepath.Base(c.Image), Path: c.Image, Layout: c.Layout, Format: c.Format, Bases: []string{}, Targets: []string{}}
	for _, base := range c.Bases {
		image.Bases = append(image.Bases, base.Path)
	}
	for _, t := range c.Targets {
		image.Targets = append(image.Targets, t.Name)
	}
	if err := c.anatomy.WritePage(file, image); err != nil {
		return err
	}
	if err := file.Flush(); err != nil {
		return err
	}
	if err := file.Rename(); err != nil {
		return err
	}
	printNotice(os.Stderr, "wrote %s, %s", path, words.Bytes(fileSize(path)))
	return nil
}

func fileSize(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}
