package project

// This file is what can be chosen about a project's image, and where that is written down.
//
// The table [chainbuild] of LocalPreferences.toml, beside the project's file, holds the choices of whoever works there:
//
//	[chainbuild]
//	packages = ["Revise"]      # in the image too, with what they need, even if under development
//	exclude = ["Plots"]        # not in the image, nor what needs it
//	cpu_target = "native"      # the processor that new code is compiled for
//	layout = "thin"            # or "standalone"
//	optimize = 2               # 0 to 3
//	emit = "all"               # or "traced"
//	keep = 2                   # valid images to keep
//	stale_after = 200          # new statements that make an image stale
//
// All of them have defaults. Unknown names are refused: a choice that is misspelt would quietly not be made.

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"chainbuild/elfpatch"
	"chainbuild/internal/pipeline"

	"github.com/pelletier/go-toml/v2"
)

// SettingsFile is the name of the file with the table [chainbuild], in the project's folder.
const SettingsFile = "LocalPreferences.toml"

// settingsTable is the name of the table.
const settingsTable = "chainbuild"

// Settings are what can be chosen about a project's image.
type Settings struct {
	// Packages are in the image besides the default content, with what they need, even where that is under development.
	Packages []string
	// Exclude are not in the image, and neither is what needs them.
	Exclude []string
	// CPUTarget, Layout, OptLevel and Emit are as in pipeline.Options.
	CPUTarget string
	Layout    elfpatch.Layout
	OptLevel  int
	Emit      string
	// Keep is how many valid images are kept, at least 1.
	Keep int
	// StaleAfter is the number of statements recorded since the image was built from which it counts as stale. It is
	// used all the same. 0: never.
	StaleAfter int
}

// DefaultSettings are those of a project without the table.
func DefaultSettings() Settings {
	return Settings{CPUTarget: "native", Layout: elfpatch.Thin, OptLevel: 2, Emit: pipeline.EmitAll, Keep: 2, StaleAfter: 200}
}

// layoutNames are the layouts as settings name them.
var layoutNames = map[string]elfpatch.Layout{"thin": elfpatch.Thin, "standalone": elfpatch.Standalone}

func layoutName(layout elfpatch.Layout) string {
	for name, l := range layoutNames {
		if l == layout {
			return name
		}
	}
	return fmt.Sprint(layout)
}

// readSettings returns the settings of the project in a folder, and the preferences of all packages, which are the
// other tables of the file. Without the file they are the defaults and none.
func readSettings(dir string) (Settings, map[string]any, error) {
	s := DefaultSettings()
	path := filepath.Join(dir, SettingsFile)
	tables, err := readTOML(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, nil
	}
	if err != nil {
		return s, nil, err
	}
	table, there := tables[settingsTable]
	delete(tables, settingsTable)
	if !there {
		return s, tables, nil
	}
	choices, ok := table.(map[string]any)
	if !ok {
		return s, nil, fmt.Errorf("%s: %s is not a table: write [%[2]s] on a line of its own and the settings below it", path, settingsTable)
	}
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		if err := s.set(name, choices[name]); err != nil {
			return s, nil, fmt.Errorf("%s, table [%s]: %w", path, settingsTable, err)
		}
	}
	return s, tables, nil
}

// set makes a choice as the table names it.
func (s *Settings) set(name string, value any) error {
	switch name {
	case "packages":
		return setNames(&s.Packages, name, value)
	case "exclude":
		return setNames(&s.Exclude, name, value)
	case "cpu_target":
		return setText(&s.CPUTarget, name, value)
	case "layout":
		text := ""
		if err := setText(&text, name, value); err != nil {
			return err
		}
		layout, ok := layoutNames[text]
		if !ok {
			return fmt.Errorf("%s does not take %q: use thin or standalone", name, text)
		}
		s.Layout = layout
		return nil
	case "emit":
		if err := setText(&s.Emit, name, value); err != nil {
			return err
		}
		if s.Emit != pipeline.EmitAll && s.Emit != pipeline.EmitTraced {
			return fmt.Errorf("%s does not take %q: use %s or %s", name, s.Emit, pipeline.EmitAll, pipeline.EmitTraced)
		}
		return nil
	case "optimize":
		return setNumber(&s.OptLevel, name, value, 0, 3)
	case "keep":
		return setNumber(&s.Keep, name, value, 1, 1000)
	case "stale_after":
		return setNumber(&s.StaleAfter, name, value, 0, 1<<30)
	}
	return fmt.Errorf("there is no setting %q: use packages, exclude, cpu_target, layout, optimize, emit, keep or stale_after", name)
}

func setText(into *string, name string, value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("%s is %v: give a text in quotes", name, value)
	}
	*into = text
	return nil
}

func setNumber(into *int, name string, value any, least, most int64) error {
	number, ok := value.(int64)
	if !ok || number < least || number > most {
		return fmt.Errorf("%s is %v: give a number from %d to %d", name, value, least, most)
	}
	*into = int(number)
	return nil
}

func setNames(into *[]string, name string, value any) error {
	list, ok := value.([]any)
	*into = nil
	for _, element := range list {
		text, isText := element.(string)
		ok = ok && isText
		*into = append(*into, text)
	}
	if !ok {
		return fmt.Errorf(`%s is %v: give a list of names, as in ["DataFrames", "CSV"]`, name, value)
	}
	return nil
}

// readTOML reads a file of tables.
func readTOML(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var tables map[string]any
	if err := toml.Unmarshal(text, &tables); err != nil {
		var place *toml.DecodeError
		if errors.As(err, &place) {
			line, _ := place.Position()
			return nil, fmt.Errorf("%s:%d cannot be read: %w: mend it", path, line, err)
		}
		return nil, fmt.Errorf("%s cannot be read: %w: mend it", path, err)
	}
	return tables, nil
}
