package bench

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestWorkloadsThatComeAlong(t *testing.T) {
	all, err := workloads()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range all {
		names = append(names, w.Name)
		source, err := w.source()
		if err != nil || strings.TrimSpace(source) == "" {
			t.Errorf("%s has the source %q, %v", w.Name, source, err)
		}
		if w.About == "" {
			t.Errorf("%s does not say what it is about", w.Name)
		}
		for minor, packages := range w.Packages {
			for name, version := range packages {
				if strings.Count(version, ".") != 2 || strings.Count(minor, ".") != 1 {
					t.Errorf("%s asks for version %q of %s for Julia %q", w.Name, version, name, minor)
				}
			}
			for name := range packages {
				if !strings.Contains(w.Load, name) {
					t.Errorf("%s needs %s, which %q does not load", w.Name, name, w.Load)
				}
			}
		}
	}
	for _, want := range []string{
		"OhMyREPL", "DataFrames", "Plots", "GLMakie", "CSV", "OrdinaryDiffEq", "CairoMakie", "JuMP", "stdlib", "Orbits", "Pkg status", "REPL completion",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no workload %s in %v", want, names)
		}
	}
	if len(all[0].Packages) != 0 {
		t.Errorf("the first workload, %s, needs packages", all[0].Name)
	}
}

func TestParseWorkload(t *testing.T) {
	files := fstest.MapFS{"walk.jl": {Data: []byte("println(1)\n")}}
	w, err := parseWorkload("walk.toml", []byte("name = \"walk\"\nload = \"using Dates\"\nscript = \"walk.jl\"\n[packages.\"1.5\"]\nA = \"1.2.3\"\n"), files)
	if err != nil {
		t.Fatal(err)
	}
	if source, err := w.source(); err != nil || source != "println(1)\n" {
		t.Errorf("the source is %q, %v", source, err)
	}
	if packages, err := packagesFor(w, "1.5.3"); err != nil || packages["A"] != "1.2.3" {
		t.Errorf("for Julia 1.5.3 the packages are %v, %v", packages, err)
	}
	if _, err := packagesFor(w, "1.10.8"); err == nil || !strings.Contains(err.Error(), "1.10") {
		t.Errorf("for Julia 1.10.8: %v", err)
	}
	const good = "name = \"a\"\nload = \"using Dates\"\nwork = \"1\"\n"
	for text, want := range map[string]string{
		good + "wrok = 1\n":                                "walk.toml:4: a workload has no field wrok",
		"name = 3":                                         "is no workload: walk.toml:1: name is 3: give a text in quotes",
		good + "\ncheck = \"1\"":                           "walk.toml:5: check is 1: give a list of names in quotes",
		good + "[packages.\"1.5\"]\nA = 1":                 "walk.toml:5: A is 1: give a text in quotes",
		good + "Needs = []":                                "walk.toml:4: a workload has no field Needs: use name, about, load,",
		"name = ":                                          "is no workload",
		"load = \"using Dates\"":                           "name is \"\"",
		"name = \"a/b\"\nload = \"x\"":                     "name is \"a/b\"",
		"name = \"a\"\nwork = \"1\"":                       "no line `load`",
		"name = \"a\"\nload = \"x\"":                       "either `work` or `script`",
		good + "script = \"walk.jl\"":                      "either `work` or `script`",
		"name = \"a\"\nload = \"x\"\nscript = \"gone.jl\"": "gone.jl cannot be read",
		good + "package = \"Gone\"":                        "Gone cannot be read",
	} {
		if _, err := parseWorkload("walk.toml", []byte(text), files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of\n%s\nit is said: %v, and not %q", text, err, want)
		}
	}
}

func TestSelect(t *testing.T) {
	selected, err := Select([]string{"ORBITS", "pkg status"})
	if err != nil || len(selected) != 2 || selected[0].Name != "Orbits" || selected[1].Name != "Pkg status" {
		t.Errorf("selected are %v, %v", selected, err)
	}
	for _, arguments := range [][]string{{"nothing"}, {"Orbits", "orbits"}, {"gone.toml"}} {
		if _, err := Select(arguments); err == nil {
			t.Errorf("%v can be selected", arguments)
		}
	}
}
