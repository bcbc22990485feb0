package project

// This file is what can be chosen about a project's image, and where that is written down.
//
// The table [chainbuild] of LocalPreferences.toml, beside the project's file, holds the choices of whoever works there:
//
//	[chainbuild]
//	packages = ["Revise"]      # in the image too, with what they need, even if under development
//	exclude = ["Plots"]        # not in the image, nor what needs it
//	development = false        # packages under development are in the image too, and the project itself if it is a package
//	interactive = true         # what an interactive session loads is in the image too
//	cpu_target = "native"      # the processor that new code is compiled for
//	layout = "thin"            # or "standalone"
//	optimize = 2               # 0 to 3
//	emit = "all"               # or "traced"
//	layers = true              # what is new is a layer on the image that there is, see layer.go
//	policies = ["rules.wasm"]  # what decides about statements and uploads, see docs/policy.md
//	budget = "30s"             # what the statements' code may cost, or "100MB"
//	keep = 2                   # valid images to keep, besides those that these lie on
//	stale_after = 200          # new statements that make an image stale
//	remote_cache = "grpcs://cache.example:443"    # and remote_upload, remote_trust, …: see docs/remote.md
//
// Names of files are relative to the project's folder.
// All of them have defaults. Unknown names are refused: a choice that is misspelt would quietly not be made.

import (
	"errors"
	"io/fs"
	"path/filepath"

	"chainbuild/internal/settings"
	"chainbuild/internal/tomlfile"
)

// settingsFile is the name of the file with the table [chainbuild], in the project's folder.
const settingsFile = "LocalPreferences.toml"

// settingsTable is the name of the table.
const settingsTable = "chainbuild"

// Settings are what can be chosen about a project's image.
type Settings struct {
	// Packages are in the image besides the default content, with what they need, even where that is under development.
	Packages []string `toml:"packages"`
	// Exclude are not in the image, and neither is what needs them.
	Exclude []string `toml:"exclude"`
	// Development says that packages under development are in the image, and the project itself if it is one.
	Development bool `toml:"development"`
	// Interactive says that the standard libraries that an interactive session loads are in the image.
	Interactive bool `toml:"interactive"`
	settings.Target
	// Layers says that an image may be a layer on one that was built before.
	Layers bool `toml:"layers"`
	// Policies are files of policies, in the order in which they are asked. Budget is what the code of the statements may cost.
	Policies []string        `toml:"policies"`
	Budget   settings.Budget `toml:"budget"`
	// Keep is how many valid images are kept, besides those that these lie on.
	Keep Keep `toml:"keep"`
	// StaleAfter is the number of statements recorded since the image was built from which it counts as stale. It is
	// used all the same. 0: never.
	StaleAfter StaleAfter `toml:"stale_after"`
	settings.Remote
}

// defaultSettings are those of a project without the table.
func defaultSettings() Settings {
	return Settings{Interactive: true, Target: settings.DefaultTarget(), Layers: true, Keep: 2, StaleAfter: 200}
}

// Keep is a number of images.
type Keep int

// Bounds are the lowest and the highest number.
func (Keep) Bounds() (least, most int) { return 1, 1000 }

// StaleAfter is a number of statements.
type StaleAfter int

// Bounds are the lowest and the highest number.
func (StaleAfter) Bounds() (least, most int) { return 0, 1 << 30 }

// RemoteSettings are what the project of the current folder, or of the next one above that has one, says about a remote cache; without a project, nothing.
func RemoteSettings() (settings.Remote, error) {
	dir, err := currentProject()
	if err != nil || dir == "" {
		return settings.Remote{}, err
	}
	s, _, err := readSettings(dir)
	return s.Remote, err
}

// readSettings returns the settings of the project in a folder, and the preferences of all packages, which are the
// other tables of the file. Without the file they are the defaults and none.
func readSettings(dir string) (Settings, map[string]any, error) {
	s := defaultSettings()
	file, err := tomlfile.Read(filepath.Join(dir, settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, nil
	}
	if err != nil {
		return s, nil, err
	}
	if err := file.Decode(settingsTable, &s); err != nil {
		return s, nil, err
	}
	s.Remote.Below(dir)
	for i, path := range s.Policies {
		if !filepath.IsAbs(path) {
			s.Policies[i] = filepath.Join(dir, path)
		}
	}
	delete(file.Values, settingsTable)
	return s, file.Values, nil
}
