package juliatest

// This file makes Julias for tests that need none: shell scripts that say of themselves what julia/describe.jl asks.

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Fake is a script that says it is a Julia. The files that it names are texts.
type Fake struct {
	Version, CPUName string
	// Image and LibJulia are the files that it says it has.
	Image, LibJulia string
	// Body is a shell script for all that is asked besides; empty: it prints its arguments, one a line.
	Body string
}

// NewFake returns a fake of Julia 1.5.3 whose files are in a folder, and makes those.
func NewFake(dir string) (Fake, error) {
	f := Fake{Version: "1.5.3", CPUName: "haswell", Image: filepath.Join(dir, "sys.so"), LibJulia: filepath.Join(dir, "libjulia.so.1.5")}
	for name, content := range map[string]string{"sys.so": "one image", "libjulia.so.1.5": "one build", "libLLVM-9.so.1": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return Fake{}, err
		}
	}
	return f, nil
}

// Write writes the script into a folder, in which libLLVM-9.so.1 is taken to be, and returns its path.
func (f Fake) Write(dir string) (string, error) {
	body := f.Body
	if body == "" {
		body = `printf '%s\n' "$@"`
	}
	var said strings.Builder
	for _, line := range [][2]string{
		{"version", f.Version}, {"bindir", dir}, {"image", f.Image}, {"cpu_name", f.CPUName}, {"word_size", "64"}, {"stdlib_dir", filepath.Join(dir, "stdlib")},
		{"incremental_offset", "1"}, {"incremental_size", "1"}, {"depot_path", "${JULIA_DEPOT_PATH:-$HOME/.julia}"},
		{"library", f.LibJulia}, {"library", filepath.Join(dir, "libLLVM-9.so.1")},
	} {
		fmt.Fprintf(&said, "%s\t%s\n", line[0], line[1])
	}
	script := fmt.Sprintf("#!/bin/sh\ncase $* in\n*incremental_offset*)\n\tcat <<END\n%sEND\n\texit ;;\nesac\n%s\n", said.String(), body)
	path := filepath.Join(dir, "julia")
	return path, WriteProgram(path, []byte(script), 0o755)
}
