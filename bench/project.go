package bench

// This file makes the project that a workload runs in: from a folder of package sources, or by Julia's package manager from
// the user's depot and registries.
//
// The project made from a folder is a Project.toml and a Manifest.toml with nothing but `path` entries (manifest format 1, which
// all versions of Julia read), so nothing is looked up or downloaded.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/julia"

	"github.com/pelletier/go-toml/v2"
)

// A cannotRun is why a workload is not measured on this machine.
type cannotRun string

func (c cannotRun) Error() string { return string(c) }

// A sourcePackage is what a package's Project.toml says, and where it is.
type sourcePackage struct {
	Name    string            `toml:"name"`
	UUID    string            `toml:"uuid"`
	Version string            `toml:"version"`
	Deps    map[string]string `toml:"deps"`
	Weak    map[string]string `toml:"weakdeps"`
	// Extensions are by name what triggers them: a package, or a list of packages.
	Extensions map[string]any `toml:"extensions"`
	Compat     struct {
		Julia string `toml:"julia"`
	} `toml:"compat"`

	dir string // "" for a standard library
}

// forExtensions makes the package what a Julia takes it for that has extensions: what is in both lists of dependencies is a weak one, and only
// older Julias need it.
func (p *sourcePackage) forExtensions() {
	maps.DeleteFunc(p.Deps, func(name, _ string) bool { return p.Weak[name] != "" })
}

// writeExtensions writes the part of a package's entry in a manifest from which Julia knows its extensions.
func (p *sourcePackage) writeExtensions(manifest *strings.Builder) error {
	weak, err := toml.Marshal(p.Weak)
	if err != nil {
		return err
	}
	extensions, err := toml.Marshal(p.Extensions)
	if err != nil {
		return err
	}
	fmt.Fprintf(manifest, "\n[%s.weakdeps]\n%s\n[%[1]s.extensions]\n%[3]s", p.Name, weak, extensions)
	return nil
}

// packagesFor returns the versions by name of the packages that the workload asks for with this version of Julia.
func packagesFor(w *Workload, version string) (map[string]string, error) {
	if len(w.Packages) == 0 {
		return nil, nil
	}
	minor := minorVersion(version)
	if packages, ok := w.Packages[minor]; ok {
		return packages, nil
	}
	return nil, cannotRun(fmt.Sprintf("no package versions are listed for Julia %s", minor))
}

// minorVersion is the "1.5" of "1.5.3".
func minorVersion(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// makeProject writes the workload's project into dir, which exists, and returns the versions of the packages that are not Julia's own.
// Packages come from the folder of sources, if one is given, else from Julia's package manager. The error is a cannotRun if they
// cannot be had here.
func (b *bencher) makeProject(ctx context.Context, w *Workload, dir string) (map[string]string, error) {
	for _, variable := range w.Needs {
		if os.Getenv(variable) == "" {
			return nil, cannotRun(fmt.Sprintf("it needs %s, which is not set", variable))
		}
	}
	if w.snippet != nil {
		return b.makeSnippetProject(ctx, w.snippet, dir)
	}
	wanted, err := packagesFor(w, b.Julia.Version)
	if err != nil {
		return nil, err
	}
	if w.Package != "" {
		return nil, copyPackage(w, dir)
	}
	if len(wanted) == 0 {
		return nil, os.WriteFile(filepath.Join(dir, "Project.toml"), nil, 0o644)
	}
	if b.Packages != "" {
		return projectFromSources(b.Packages, b.Julia, slices.Sorted(maps.Keys(wanted)), dir)
	}
	return b.projectFromRegistry(ctx, wanted, dir)
}

// copyPackage writes the workload's own package to dir, so that the project is the package.
func copyPackage(w *Workload, dir string) error {
	sub, err := fs.Sub(w.files, w.Package)
	if err != nil {
		return err
	}
	return os.CopyFS(dir, sub)
}

// projectFromSources writes a project of the named packages, which are in subfolders of sources, NAME or NAME.jl, as are the packages that
// they need.
func projectFromSources(sources string, in *julia.Installation, names []string, dir string) (map[string]string, error) {
	sources, err := filepath.Abs(sources)
	if err != nil {
		return nil, err
	}
	extensions := hasPackageImages(in.Version) // they came together
	found := map[string]*sourcePackage{}
	needed := map[string]string{} // by whom, for the message
	for _, name := range names {
		needed[name] = "the workload"
	}
	todo := slices.Clone(names)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if found[name] != nil {
			continue
		}
		p, err := findSource(sources, in.StdlibDir, name)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, cannotRun(fmt.Sprintf("the package %s, which %s needs, is not in the folder of packages", name, needed[name]))
		}
		if p.dir != "" && olderThan(in.Version, p.Compat.Julia) {
			return nil, cannotRun(fmt.Sprintf("the package %s %s, which %s needs, is for Julia %s", name, p.Version, needed[name], p.Compat.Julia))
		}
		if extensions {
			p.forExtensions()
		}
		found[name] = p
		for _, dependency := range slices.Sorted(maps.Keys(p.Deps)) {
			if needed[dependency] == "" {
				needed[dependency] = name
			}
			todo = append(todo, dependency)
		}
	}

	var project, manifest strings.Builder
	project.WriteString("[deps]\n")
	for _, name := range names {
		fmt.Fprintf(&project, "%s = %q\n", name, found[name].UUID)
	}
	versions := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		p := found[name]
		fmt.Fprintf(&manifest, "[[%s]]\n", name)
		if len(p.Deps) > 0 {
			var quoted []string
			for _, dependency := range slices.Sorted(maps.Keys(p.Deps)) {
				quoted = append(quoted, fmt.Sprintf("%q", dependency))
			}
			fmt.Fprintf(&manifest, "deps = [%s]\n", strings.Join(quoted, ", "))
		}
		if p.dir != "" {
			fmt.Fprintf(&manifest, "path = %q\n", p.dir)
			versions[name] = p.Version
		}
		fmt.Fprintf(&manifest, "uuid = %q\n", p.UUID)
		if p.Version != "" && p.dir != "" {
			fmt.Fprintf(&manifest, "version = %q\n", p.Version)
		}
		if extensions && len(p.Extensions) > 0 {
			if err := p.writeExtensions(&manifest); err != nil {
				return nil, err
			}
		}
		manifest.WriteString("\n")
	}
	return versions, errors.Join(
		os.WriteFile(filepath.Join(dir, "Project.toml"), []byte(project.String()), 0o644),
		os.WriteFile(filepath.Join(dir, "Manifest.toml"), []byte(manifest.String()), 0o644))
}

// findSource finds a package in the folder of sources or among the standard libraries; it returns nil if it is in neither.
func findSource(sources, stdlib, name string) (*sourcePackage, error) {
	for _, dir := range []string{filepath.Join(sources, name), filepath.Join(sources, name+".jl"), filepath.Join(stdlib, name)} {
		file := filepath.Join(dir, "Project.toml")
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		p := &sourcePackage{dir: dir}
		if err := toml.Unmarshal(text, p); err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", file, err)
		}
		if p.Name != name || p.UUID == "" {
			return nil, fmt.Errorf("%s is not that of the package %s: it needs the name and a uuid", file, name)
		}
		if filepath.Dir(dir) == filepath.Clean(stdlib) {
			p.dir = ""
		}
		return p, nil
	}
	return nil, nil
}

// addScript adds packages to the active project. Its arguments are name@version…
const addScript = `using Pkg
Pkg.add([Pkg.PackageSpec(name = String(split(a, '@')[1]), version = String(split(a, '@')[2])) for a in ARGS])`

// projectFromRegistry has Julia's package manager make the project. It is not tried without a registry in the user's depots, since the
// package manager would download one.
func (b *bencher) projectFromRegistry(ctx context.Context, wanted map[string]string, dir string) (map[string]string, error) {
	if err := b.needRegistry(); err != nil {
		return nil, err
	}
	args := []string{"--project=" + dir, "-e", addScript}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		args = append(args, name+"@"+wanted[name])
	}
	if _, err := b.run(ctx, b.juliaCommand(ctx, args...)); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, cannotRun("its packages cannot be installed: " + reasonIn(err.Error()))
	}
	return wanted, nil
}

// needRegistry says whether a depot of the user's has a registry; the error is a cannotRun.
func (b *bencher) needRegistry() error {
	if slices.ContainsFunc(b.Julia.DepotPaths, func(depot string) bool {
		entries, err := os.ReadDir(filepath.Join(depot, "registries"))
		return err == nil && len(entries) > 0
	}) {
		return nil
	}
	return cannotRun("its packages are not installed: no depot has a registry, and no folder of packages was given")
}

// reasonIn finds what a Julia process that failed says of the reason.
func reasonIn(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if reason, ok := strings.CutPrefix(line, "ERROR: "); ok {
			return reason
		}
	}
	return lines[len(lines)-1]
}
