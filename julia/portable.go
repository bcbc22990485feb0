package julia

// This file finds out which files of a Julia another machine needs to run it.
//
// They are the program, the default image and the libraries that a process has mapped when its image is loaded, with those of the system but for the C
// library, which a machine has itself. The standard library's sources, headers and the like are not among them: a process that loads no package reads
// none. Files of the installation keep their places, since a Julia finds its image and its libraries relative to its program:
//
//	bin/julia, lib/julia/sys.so, lib/julia/libLLVM-15jl.so, …     as in the installation
//	libraries/libz.so.1, …                                        from elsewhere

import (
	"bytes"
	"context"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed portable.jl
var portableScript string

// A Portable is a Julia as it can be taken to another machine of the same kind.
type Portable struct {
	// Program is the path of the program within its folder.
	Program string
	// Files are the paths of files on this machine by those within the folder, both with slashes.
	Files map[string]string
	// Libraries are the folders within it that its libraries are in, in the order in which they are to be searched.
	Libraries []string
}

// cLibrary are the names of the C library's parts, which belong to a machine.
var cLibrary = regexp.MustCompile(`^(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|anl|nsl|nss_.*|mvec))\.so(\..*)?$`)

// Portable runs the Julia to find out what it needs.
func (in *Installation) Portable(ctx context.Context) (*Portable, error) {
	cmd := in.Command(ctx, "--history-file=no", "-e", portableScript)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s does not say which libraries it has (%w: %s)", in.Executable, err, strings.TrimSpace(lastLine(stderr.String())))
	}
	return in.portable(strings.Split(strings.TrimSpace(stdout.String()), "\n"))
}

// portable arranges the files: the program, then libraries.
func (in *Installation) portable(files []string) (*Portable, error) {
	p := &Portable{Files: map[string]string{}}
	root := filepath.Dir(in.BinDir)
	for i, file := range append(files, in.Image) {
		if !strings.HasPrefix(file, "/") || cLibrary.MatchString(path.Base(file)) {
			continue // the kernel's part of a process has a name and no file
		}
		file = filepath.Clean(file)
		name := "libraries/" + path.Base(file)
		if below, err := filepath.Rel(root, file); err == nil && filepath.IsLocal(below) {
			name = filepath.ToSlash(below)
		}
		p.Files[name] = file
		if i == 0 {
			p.Program = name
			continue
		}
		// Others may ask for a library by the name that it has itself.
		soname, err := sonameOf(file)
		if err != nil {
			return nil, err
		}
		if soname != "" && !strings.Contains(soname, "/") {
			if own := path.Join(path.Dir(name), soname); p.Files[own] == "" {
				p.Files[own] = file
			}
		}
		if folder := path.Dir(name); !slices.Contains(p.Libraries, folder) {
			p.Libraries = append(p.Libraries, folder)
		}
	}
	if p.Program == "" {
		return nil, fmt.Errorf("%s does not say which program it is", in.Executable)
	}
	return p, nil
}

// sonameOf is the name that a library has itself; empty if it has none.
func sonameOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	object, err := elf.NewFile(f)
	if err != nil {
		return "", fmt.Errorf("%s is no library: %w", file, err)
	}
	names, err := object.DynString(elf.DT_SONAME)
	if err != nil || len(names) == 0 {
		return "", nil // one without it needs none
	}
	return names[0], nil
}
