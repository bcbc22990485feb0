package project

// This file writes the project that builds look packages up in, environment/ in the state's folder.
//
// It lists all packages of the image as its direct dependencies, so that those which only dependencies need can be loaded
// by name, and those that are left out cannot. The manifest is the project's, and has an entry for the project itself if that is in the image.

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"chainbuild/internal/scratch"
	"github.com/pelletier/go-toml/v2"
)

// writeEnvironment writes the project that packages are looked up in. Its manifest is the project's, with absolute paths.
func (p *Project) writeEnvironment() error {
	dir := p.path(environmentName)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	deps := map[string]string{}
	for _, pkg := range p.Content.Packages {
		if other, twice := deps[pkg.Name]; twice {
			return fmt.Errorf("two packages of the project have the name %s (%s, %s): leave them out with --exclude %[1]s", pkg.Name, other, pkg.UUID)
		}
		deps[pkg.Name] = pkg.UUID
	}
	if err := p.writeProjectFile(filepath.Join(dir, "Project.toml"), deps); err != nil {
		return err
	}
	var preferences []byte
	if len(p.preferences) > 0 {
		var err error
		if preferences, err = toml.Marshal(p.preferences); err != nil {
			return err
		}
	}
	if err := writeOrRemove(filepath.Join(dir, settingsFile), preferences); err != nil {
		return err
	}
	var manifest []byte
	if p.environment.manifestFile != "" {
		var err error
		if manifest, err = os.ReadFile(p.environment.manifestFile); err != nil {
			return err
		}
		manifest = withAbsolutePaths(manifest, filepath.Dir(p.environment.manifestFile))
	}
	if self := p.environment.self(); self != nil && deps[self.Name] == self.UUID {
		manifest = append(manifest, p.environment.entry(self)...)
	}
	return writeOrRemove(filepath.Join(dir, "Manifest.toml"), manifest)
}

// writeProjectFile writes a project's file with the given dependencies. Up to version 1.5 Julia reads it with regular
// expressions, which know text in double quotes only (base/loading.jl, re_key_to_string).
func (p *Project) writeProjectFile(path string, deps map[string]string) error {
	var text bytes.Buffer
	text.WriteString("[deps]\n")
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		fmt.Fprintf(&text, "%s = \"%s\"\n", name, deps[name])
	}
	if len(p.environment.preferences) > 0 {
		preferences, err := toml.Marshal(map[string]any{"preferences": p.environment.preferences})
		if err != nil {
			return err
		}
		text.Write(preferences)
	}
	return scratch.WriteFile(path, text.Bytes(), 0o600)
}

// pathLine is the line of a manifest that names the folder of a package under development.
var pathLine = regexp.MustCompile(`(?m)^[ \t]*path[ \t]*=.*$`)

// withAbsolutePaths returns a manifest with the paths of packages made absolute that are relative to a folder. The rest
// stays as it was written, in the words that Julia reads.
func withAbsolutePaths(manifest []byte, dir string) []byte {
	return pathLine.ReplaceAllFunc(manifest, func(line []byte) []byte {
		var entry struct{ Path string }
		if err := toml.Unmarshal(line, &entry); err != nil || entry.Path == "" || filepath.IsAbs(entry.Path) {
			return line
		}
		return fmt.Append(nil, "path = ", quoted(filepath.Join(dir, entry.Path)))
	})
}

// entry is the project itself as an entry of its manifest. In a table of its own, dependencies need not be in the manifest.
func (env *environment) entry(self *Package) []byte {
	table := ""
	if env.hasDepsTable {
		table = "deps."
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "\n[[%s%s]]\npath = %s\nuuid = \"%s\"\n\n    [%[1]s%[2]s.deps]\n", table, self.Name, quoted(self.Path), self.UUID)
	for _, name := range slices.Sorted(maps.Keys(env.direct)) {
		fmt.Fprintf(&text, "    %s = \"%s\"\n", name, env.direct[name])
	}
	return text.Bytes()
}

// quoted is a path as text in double quotes, the only ones that Julia 1.5 reads.
func quoted(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}

func writeOrRemove(path string, content []byte) error {
	if len(content) > 0 {
		return scratch.WriteFile(path, content, 0o600)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
