package project

// This file reads what Julia's package manager keeps about a project: its file and its manifest.
//
// Project.toml (or JuliaProject.toml) lists the direct dependencies:
//
//	name = "Mine"; uuid = "…"; version = "…"         only if the project is a package itself
//	[deps]                                           NAME = "UUID"
//
// Manifest.toml (or JuliaManifest.toml) lists every package with all that it needs; base/loading.jl reads it. Up to
// Julia 1.6 the packages are at the top, from 1.7 on (manifest_format = "2.0") below deps, else it is the same:
//
//	[[NAME]]  or  [[deps.NAME]]
//	deps = ["NAME", …]  or  {NAME = "UUID", …}       the latter where names are ambiguous
//	uuid = "…"
//	version = "…"                                    not for standard libraries of old
//	git-tree-sha1 = "…"                              of the source: a package that was added
//	path = "…"                                       a package under development, relative to the manifest's folder
//
// An entry with neither a tree nor a path is a standard library.

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/internal/tomlfile"
)

// A Package is a package as the manifest lists it.
type Package struct {
	Name    string `json:"name"`
	UUID    string `json:"uuid"`
	Version string `json:"version,omitempty"`
	// Tree is the hash of the source of an added package, Path the absolute folder of one under development. A standard
	// library has neither.
	Tree string `json:"git_tree_sha1,omitempty"`
	Path string `json:"path,omitempty"`
	// needs are UUIDs.
	needs []string
}

// An environment is what the two files say.
type environment struct {
	dir          string // absolute, of the project's file
	projectFile  string // absolute; it may not be there
	manifestFile string // absolute, "" if there is none
	name, uuid   string // of the project itself, if it is a package
	direct       map[string]string
	packages     map[string]*Package // by UUID
	hasDepsTable bool                // the manifest lists packages below deps
	preferences  map[string]any      // [preferences] of the project's file, by package name
}

// The names that Julia looks for, the first ones first (base/loading.jl, project_names and manifest_names).
var (
	projectNames  = []string{"JuliaProject.toml", "Project.toml"}
	manifestNames = []string{"JuliaManifest.toml", "Manifest.toml"}
)

// readEnvironment reads the files of the project in a folder. A folder without a project's file is an empty project.
func readEnvironment(dir string) (*environment, error) {
	env := &environment{dir: dir, projectFile: filepath.Join(dir, "Project.toml"), direct: map[string]string{}, packages: map[string]*Package{}}
	if name := firstFile(dir, projectNames); name != "" {
		env.projectFile = name
	}
	file, err := tomlfile.Read(env.projectFile)
	if errors.Is(err, fs.ErrNotExist) {
		return env, nil
	}
	if err != nil {
		return nil, err
	}
	tables := file.Values
	env.name, _ = tables["name"].(string)
	env.uuid, _ = tables["uuid"].(string)
	env.preferences, _ = tables["preferences"].(map[string]any)
	deps, _ := tables["deps"].(map[string]any)
	for name, value := range deps {
		uuid, ok := value.(string)
		if !ok || uuid == "" {
			return nil, fmt.Errorf("%s: the dependency %s has no UUID: let Julia's package manager write it, with `pkg> add %[2]s`", env.projectFile, name)
		}
		env.direct[name] = strings.ToLower(uuid)
	}
	if manifest, ok := tables["manifest"].(string); ok {
		env.manifestFile = filepath.Join(dir, manifest)
	} else {
		env.manifestFile = firstFile(dir, manifestNames)
	}
	if env.manifestFile == "" {
		return env, nil
	}
	return env, env.readManifest()
}

func firstFile(dir string, names []string) string {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

func (env *environment) readManifest() error {
	file, err := tomlfile.Read(env.manifestFile)
	if err != nil {
		return err
	}
	tables := file.Values
	if format, ok := tables["manifest_format"].(string); ok && !strings.HasPrefix(format, "1.") {
		tables, _ = tables["deps"].(map[string]any)
		env.hasDepsTable = true
	}
	byName := map[string][]string{}
	type unresolved struct {
		of    *Package
		names []any
	}
	var later []unresolved
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		entries, _ := tables[name].([]any) // what is no list of packages, such as julia_version, is none
		for _, element := range entries {
			entry, ok := element.(map[string]any)
			uuid, _ := entry["uuid"].(string)
			if !ok || uuid == "" {
				return fmt.Errorf("%s: an entry of %s has no UUID: let Julia's package manager write it, with `pkg> resolve`", env.manifestFile, name)
			}
			p := &Package{Name: name, UUID: strings.ToLower(uuid)}
			p.Version, _ = entry["version"].(string)
			p.Tree, _ = entry["git-tree-sha1"].(string)
			if path, ok := entry["path"].(string); ok {
				if p.Path = path; !filepath.IsAbs(path) {
					p.Path = filepath.Join(filepath.Dir(env.manifestFile), path)
				}
			}
			switch deps := entry["deps"].(type) {
			case []any:
				later = append(later, unresolved{p, deps})
			case map[string]any:
				for _, value := range deps {
					if uuid, ok := value.(string); ok {
						p.needs = append(p.needs, strings.ToLower(uuid))
					}
				}
			}
			env.packages[p.UUID] = p
			byName[name] = append(byName[name], p.UUID)
		}
	}
	for _, u := range later {
		for _, value := range u.names {
			name, _ := value.(string)
			if len(byName[name]) != 1 {
				return fmt.Errorf("%s: %s needs %q, which %d entries have for a name: let Julia's package manager write it, with `pkg> resolve`",
					env.manifestFile, u.of.Name, name, len(byName[name]))
			}
			u.of.needs = append(u.of.needs, byName[name][0])
		}
	}
	for _, p := range env.packages {
		slices.Sort(p.needs)
	}
	return nil
}
