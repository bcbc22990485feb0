package project

// This file decides which packages are in a project's image.
//
// By default: the direct dependencies and what they need. A package in an image can not change any more, so what is
// under development (listed with a path, or the project itself) stays out, and so does what needs it, which would bring
// it in; what it needs itself stays in. Settings add packages with all that they need, those under development too, and
// take some out.
//
// Where what is under development is in the image, an edit makes the image stale. So that is a layer (layer.go) on an image of the rest, which
// stays as it is.
//
// Where Julia's own image lacks what an interactive session loads, that is in the image too: its caches fit Julia's own image alone.

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/internal/tomlfile"
)

// Content is what is to be in an image.
type Content struct {
	// Packages are loaded into the image, by name.
	Packages []Package `json:"packages"`
	// Interactive are the names of those that are there for interactive sessions alone.
	Interactive []string `json:"interactive,omitempty"`
	// Out are packages of the project that are not, by name.
	Out []LeftOut `json:"left_out"`
}

// LeftOut is a package that is not in the image, and why.
type LeftOut struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// notInteractive is why a standard library is left out that an interactive session would load.
const notInteractive = "interactive = false"

// content decides. Stdlib is the folder of the standard libraries, which are found without a manifest. Interactive are those that an
// interactive session loads and Julia's own image lacks.
func (env *environment) content(s *Settings, stdlib string, interactive []string) (*Content, error) {
	all := maps.Clone(env.packages)
	roots := slices.Collect(maps.Values(env.direct))
	self := env.self()
	if self != nil && s.Development {
		all[self.UUID] = self
		roots = append(roots, self.UUID)
	}
	for name, uuid := range env.direct {
		if all[uuid] != nil {
			continue
		}
		if !isStdlib(stdlib, name) {
			return nil, fmt.Errorf("%s is a dependency in %s and not in its manifest: let Julia's package manager add it, with `pkg> resolve`", name, env.projectFile)
		}
		all[uuid] = &Package{Name: name, UUID: uuid}
	}
	named := func(name string) []string {
		var uuids []string
		for uuid, p := range all {
			if p.Name == name {
				uuids = append(uuids, uuid)
			}
		}
		return uuids
	}
	wanted, out := map[string]bool{}, map[string]string{}
	// What is wanted by name cannot be had without what it needs.
	var want func(uuid string)
	want = func(uuid string) {
		if p := all[uuid]; p != nil && !wanted[uuid] {
			wanted[uuid] = true
			for _, needed := range p.needs {
				want(needed)
			}
		}
	}
	for _, name := range s.Packages {
		uuids := named(name)
		if len(uuids) == 0 {
			return nil, fmt.Errorf("the package %s is to be in the image and is not one of the project %s: add it there, or take it out of the settings", name, env.dir)
		}
		for _, uuid := range uuids {
			want(uuid)
			roots = append(roots, uuid)
		}
	}
	for _, name := range interactive {
		if len(named(name)) == 0 {
			uuid, err := stdlibUUID(stdlib, name)
			if err != nil {
				return nil, err
			}
			all[uuid] = &Package{Name: name, UUID: uuid}
		}
	}
	// A name that is excluded and not there excludes nothing: settings outlive dependencies.
	for _, name := range s.Exclude {
		for _, uuid := range named(name) {
			out[uuid] = "excluded"
		}
	}
	reached := map[string]bool{}
	var reach func(uuid string)
	reach = func(uuid string) {
		p := all[uuid]
		if p == nil || reached[uuid] {
			return
		}
		reached[uuid] = true
		if p.Path != "" && !s.Development && !wanted[uuid] && out[uuid] == "" {
			out[uuid] = "under development"
		}
		for _, needed := range p.needs {
			reach(needed)
		}
	}
	for _, uuid := range roots {
		reach(uuid)
	}
	var added []string
	for _, name := range interactive {
		for _, uuid := range named(name) {
			if s.Interactive && !reached[uuid] {
				added = append(added, uuid)
				reach(uuid)
			}
		}
	}
	// Until nothing changes, as packages may need each other in a circle.
	for changed := true; changed; {
		changed = false
		for uuid := range reached {
			for _, needed := range all[uuid].needs {
				if out[uuid] == "" && out[needed] != "" {
					out[uuid] = "needs " + all[needed].Name
					changed = true
				}
			}
		}
	}
	c := &Content{Packages: []Package{}, Out: []LeftOut{}}
	if env.name != "" && env.uuid != "" && (self == nil || !s.Development) {
		c.Out = append(c.Out, LeftOut{env.name, "the project itself"})
	}
	for uuid := range reached {
		if why := out[uuid]; why != "" {
			c.Out = append(c.Out, LeftOut{all[uuid].Name, why})
		} else {
			c.Packages = append(c.Packages, *all[uuid])
			if slices.Contains(added, uuid) {
				c.Interactive = append(c.Interactive, all[uuid].Name)
			}
		}
	}
	for _, name := range interactive {
		if !slices.ContainsFunc(named(name), func(uuid string) bool { return reached[uuid] }) {
			c.Out = append(c.Out, LeftOut{name, notInteractive})
		}
	}
	slices.Sort(c.Interactive)
	slices.SortFunc(c.Packages, func(a, b Package) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UUID, b.UUID)) })
	slices.SortFunc(c.Out, func(a, b LeftOut) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Why, b.Why)) })
	return c, nil
}

// self is the project itself where that is a package, else nil.
func (env *environment) self() *Package {
	if env.name == "" || env.uuid == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Join(env.dir, "src", env.name+".jl")); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return &Package{Name: env.name, UUID: strings.ToLower(env.uuid), Path: env.dir, needs: slices.Sorted(maps.Values(env.direct))}
}

// stable is the content without what is under development and what needs that, nil if that is all of it.
func (c *Content) stable() *Content {
	out := map[string]bool{} // by UUID
	for changed := true; changed; {
		changed = false
		for _, pkg := range c.Packages {
			needsIt := slices.ContainsFunc(pkg.needs, func(uuid string) bool { return out[uuid] })
			if !out[pkg.UUID] && (pkg.Path != "" || needsIt) {
				out[pkg.UUID] = true
				changed = true
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	rest := &Content{Packages: []Package{}, Interactive: c.Interactive, Out: slices.Clone(c.Out)}
	for _, pkg := range c.Packages {
		if out[pkg.UUID] {
			rest.Out = append(rest.Out, LeftOut{pkg.Name, "under development"})
		} else {
			rest.Packages = append(rest.Packages, pkg)
		}
	}
	return rest
}

// leftOut returns the names of what is left out for this reason.
func (c *Content) leftOut(why string) (names []string) {
	for _, out := range c.Out {
		if out.Why == why {
			names = append(names, out.Name)
		}
	}
	return names
}

// stdlibUUID returns the UUID of a standard library.
func stdlibUUID(stdlib, name string) (string, error) {
	path := filepath.Join(stdlib, name, "Project.toml")
	file, err := tomlfile.Read(path)
	if err != nil {
		return "", err
	}
	uuid, ok := file.Values["uuid"].(string)
	if !ok {
		return "", fmt.Errorf("%s has no uuid: name a complete Julia with --julia", path)
	}
	return uuid, nil
}

func isStdlib(stdlib, name string) bool {
	if stdlib == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(stdlib, name, "Project.toml"))
	return err == nil
}
