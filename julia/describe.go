package julia

// This file asks a julia what it is (describe.jl) and reads the answer.

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed describe.jl
var describeScript string

// describe runs the executable once, and gives up when it takes longer than patience or when ctx ends.
func describe(ctx context.Context, executable string, patience time.Duration) (*Installation, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	in := &Installation{Executable: executable}
	cmd := in.Command(waiting, "--history-file=no", "-e", describeScript)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if waiting.Err() != nil {
			return nil, fmt.Errorf("%s does not answer: name another julia with --julia or CHAINBUILD_JULIA", executable)
		}
		if strings.Contains(stderr.String(), "homedir()") {
			return nil, fmt.Errorf("%s does not start, because the user has no home folder: set HOME, or JULIA_DEPOT_PATH without an empty entry", executable)
		}
		said := strings.TrimSpace(lastLine(stderr.String()))
		if said != "" {
			said = ": " + said
		}
		return nil, fmt.Errorf("%s does not run as a julia (%w%s): name one that does with --julia or CHAINBUILD_JULIA", executable, err, said)
	}
	if err := in.parseDescription(stdout.String()); err != nil {
		return nil, fmt.Errorf("%s does not describe itself as a julia does (%w): name a Julia %s with --julia or %s", executable, err, supported(), Environment)
	}
	in.Patches = in.findPatches()
	return in, nil
}

// parseDescription fills the installation from what describe.jl printed.
func (in *Installation) parseDescription(text string) error {
	var wrong []string
	number := func(name, value string) int {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			wrong = append(wrong, fmt.Sprintf("%s is %q", name, value))
		}
		return n
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch name {
		case "version":
			in.Version = value
		case "bindir":
			in.BinDir = value
		case "image":
			in.Image = value
		case "cpu_name":
			in.CPUName = value
		case "stdlib_dir":
			in.StdlibDir = value
		case "word_size":
			in.WordSize = number(name, value)
		case "incremental_offset":
			in.IncrementalOffset = number(name, value)
		case "incremental_size":
			in.IncrementalSize = number(name, value)
		case "depot_path":
			in.DepotPaths = append(in.DepotPaths, value)
		case "library":
			in.addLibrary(value)
		}
	}
	for _, answer := range []struct {
		name    string
		missing bool
	}{
		{"version", in.Version == ""}, {"bindir", in.BinDir == ""}, {"image", in.Image == ""},
		{"libjulia", in.LibJulia == ""}, {"libLLVM", in.LibLLVM == ""}, {"incremental_size", in.IncrementalSize == 0},
	} {
		if answer.missing {
			wrong = append(wrong, "no "+answer.name)
		}
	}
	if wrong != nil {
		return errors.New(strings.Join(wrong, ", "))
	}
	return nil
}

func (in *Installation) addLibrary(path string) {
	name := filepath.Base(path)
	switch {
	case strings.HasPrefix(name, "libLLVM"):
		in.LibLLVM = path
	case strings.HasPrefix(name, "libjulia-internal"), strings.HasPrefix(name, "libjulia.so") && in.LibJulia == "":
		in.LibJulia = path
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
