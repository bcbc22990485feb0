package julia

// This file asks a Julia what it takes a list of targets for, its option -C: which processors and features they are.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"chainbuild/internal/scratch"
)

// targetsScript has the runtime print the list of targets, as a vector of bytes. It runs in place of base/boot.jl, which a Julia without any image loads first:
// such a process takes several targets, starts at once, and knows no more than this. It ends with what is thrown, and prints that.
const targetsScript = "throw(ccall(:jl_reflect_clone_targets, Any, ()))\n"

var targetBytes = regexp.MustCompile(`\[((?:0x[0-9a-f]{2}, )*0x[0-9a-f]{2})\]`)

// Targets returns the list of targets that option -C of this Julia stands for, in the form that images have it in (package sysimage). Of the first
// one it has only features of this machine's processor, as Julia wants it. It is for series that know jl_reflect_clone_targets, from 1.10 on.
func (in *Installation) Targets(ctx context.Context, option string) ([]byte, error) {
	folder, err := scratch.MakeFolder("targets")
	if err != nil {
		return nil, err
	}
	defer folder.Remove()
	if err := os.WriteFile(filepath.Join(folder.Path, "boot.jl"), []byte(targetsScript), 0o600); err != nil {
		return nil, err
	}
	cmd := in.Command(ctx, "-C", option, "--output-ji", "unused.ji", "boot.jl")
	cmd.Dir = folder.Path
	var said bytes.Buffer
	cmd.Stderr = &said
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	match := targetBytes.FindStringSubmatch(said.String())
	if match == nil {
		// It exits with 1 in any case.
		first, _, _ := strings.Cut(strings.TrimPrefix(said.String(), "ERROR: "), "\n")
		return nil, fmt.Errorf("%s does not say what its option -C %q stands for (%v): %s", in.Executable, option, err, first)
	}
	var data []byte
	for word := range strings.SplitSeq(match[1], ", ") {
		b, err := strconv.ParseUint(word, 0, 8)
		if err != nil {
			return nil, err
		}
		data = append(data, byte(b))
	}
	return data, nil
}
