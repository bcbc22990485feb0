package bench

// This file makes the project that a snippet runs in: from a folder of package sources, else by Julia's package manager from the
// snippet's own Project.toml, and from its manifest if it has one.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"chainbuild/julia"
)

// packages are the snippet's packages that are not standard libraries.
func (s *snippet) packages(in *julia.Installation) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.deps)), func(name string) bool {
		_, err := os.Stat(filepath.Join(in.StdlibDir, name))
		return err == nil
	})
}

// makeSnippetProject writes the snippet's project into dir and returns the versions of its packages, as makeProject does, but none where
// the package manager chooses them.
func (b *bencher) makeSnippetProject(ctx context.Context, s *snippet, dir string) (map[string]string, error) {
	if s.refuse != "" {
		return nil, cannotRun(s.refuse)
	}
	if olderThan(b.Julia.Version, s.julia) {
		return nil, cannotRun(fmt.Sprintf("its project is for Julia %s", s.julia))
	}
	sources := b.Packages
	if len(s.packages(b.Julia)) == 0 {
		sources = b.Julia.StdlibDir
	}
	if sources == "" {
		return nil, b.instantiate(ctx, s, dir)
	}
	names := slices.Sorted(maps.Keys(s.deps))
	for _, name := range names {
		if p, err := findSource(sources, b.Julia.StdlibDir, name); err == nil && p != nil && p.UUID != s.deps[name] {
			return nil, cannotRun(fmt.Sprintf("its package %s has the UUID %s, and the one in the folder of packages %s", name, s.deps[name], p.UUID))
		}
	}
	return projectFromSources(sources, b.Julia, names, dir)
}

// instantiate has Julia's package manager install what the snippet's project asks for.
func (b *bencher) instantiate(ctx context.Context, s *snippet, dir string) error {
	if err := b.needRegistry(); err != nil {
		return err
	}
	for _, name := range []string{snippetProject, "Manifest.toml", "Manifest-v" + minorVersion(b.Julia.Version) + ".toml"} {
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) && name != snippetProject {
			continue
		} else if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	if _, err := b.run(ctx, b.juliaCommand(ctx, "--project="+dir, "-e", "using Pkg; Pkg.instantiate()")); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return cannotRun("its packages cannot be installed: " + reasonIn(err.Error()))
	}
	return nil
}

// compatBound is a part of a compat entry that has a lower bound: all but "<1.5".
var compatBound = regexp.MustCompile(`^\s*(?:\^|~|=|>=|≥)?\s*v?(\d+(?:\.\d+)*)`)

// leastVersion is the lowest version that a compat entry such as "1.6, 1.10" or ">=1.3" lets in. It is false if there is none.
func leastVersion(compat string) (least []int, ok bool) {
	for part := range strings.SplitSeq(compat, ",") {
		m := compatBound.FindStringSubmatch(part)
		if m == nil {
			return nil, false
		}
		if bound := versionNumbers(m[1]); !ok || slices.Compare(bound, least) < 0 {
			least, ok = bound, true
		}
	}
	return least, ok
}

// olderThan says whether the version is below all that a compat entry lets in.
func olderThan(version, compat string) bool {
	least, ok := leastVersion(compat)
	return ok && slices.Compare(versionNumbers(version), least) < 0
}

// versionNumbers are the three numbers of a version: {1, 12, 0} of "1.12" and of "1.12.0-rc1".
func versionNumbers(version string) []int {
	numbers := make([]int, 3)
	version, _, _ = strings.Cut(version, "-")
	for i, text := range strings.SplitN(version, ".", 3) {
		numbers[i], _ = strconv.Atoi(text)
	}
	return numbers
}
