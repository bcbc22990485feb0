package bench

// This file finds the content of a measurement.

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// A Workload is a script, and the statements that it is to be made fast by.
type Workload struct {
	// Name is that of its folder.
	Name string
	// Script and Trace are absolute paths of workload.jl and trace.jl.
	Script, Trace string
	// Project is the folder if it is one of a package, else "".
	Project string
	// Packages are what the stock build loads: the package, if the folder is one's.
	Packages []string
}

var projectName = regexp.MustCompile(`(?m)^name *= *"(\w+)"`)

// ReadWorkload reads the folder of a workload: workload.jl, trace.jl and, if it is a package's, Project.toml.
func ReadWorkload(dir string) (Workload, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Workload{}, err
	}
	w := Workload{Name: filepath.Base(dir), Script: filepath.Join(dir, "workload.jl"), Trace: filepath.Join(dir, "trace.jl")}
	for _, path := range []string{w.Script, w.Trace} {
		if _, err := os.Stat(path); err != nil {
			return Workload{}, fmt.Errorf("%s is not the folder of a workload: %w", dir, err)
		}
	}
	project, err := os.ReadFile(filepath.Join(dir, "Project.toml"))
	if os.IsNotExist(err) {
		return w, nil
	} else if err != nil {
		return Workload{}, err
	}
	w.Project = dir
	if name := projectName.FindSubmatch(project); name != nil {
		w.Packages = []string{string(name[1])}
	}
	return w, nil
}
