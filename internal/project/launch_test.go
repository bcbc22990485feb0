package project

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestJuliaArguments(t *testing.T) {
	for line, want := range map[string]string{
		"":                                    "",
		"script.jl --project=x":               "",
		"-- --project=x":                      "",
		"--project":                           "project=",
		"--project=x -i":                      "interactive= project=x",
		"--project x.jl --sysimage=y":         "project=",
		"-e --project=x":                      "eval=--project=x",
		"-L a.jl -e 1 --project=x b.jl -Jy":   "eval=1 load=a.jl project=x",
		"-iqJ y":                              "interactive= quiet= sysimage=y",
		"-Jy -C native -O3":                   "cpu-target=native optimize=3 sysimage=y",
		"-O --sysimage y -t 4":                "optimize= sysimage=y threads=4",
		"--startup-file no --trace-compile=x": "startup-file=no trace-compile=x",
		"--project=a --project=b":             "project=b",
		"-e":                                  "eval=",
		"-Z --project=x":                      "project=x",
	} {
		given := juliaArguments(strings.Fields(line))
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(given)) {
			parts = append(parts, name+"="+given[name])
		}
		if got := strings.Join(parts, " "); got != want {
			t.Errorf("of %q was read %q, not %q", line, got, want)
		}
	}
	if got := ProjectArgument([]string{"--project"}); got != "@." {
		t.Errorf("--project alone is %q", got)
	}
}

func TestLaunch(t *testing.T) {
	p := open(t, isolate(t), nil)
	t.Setenv(programVariable, "")
	l := p.Launch([]string{"work.jl", "-J", "x"}, true, "/bin/chainbuild")
	want := []string{"julia", "--project=" + p.Dir, "--trace-compile=" + l.Session, "work.jl", "-J", "x"}
	if !slices.Equal(l.Arguments, want) || l.Notice == "" || l.Image != "" {
		t.Errorf("without an image it is %+v", l)
	}
	if !slices.Contains(l.Environment, "CHAINBUILD=/bin/chainbuild") {
		t.Error("Julia is not told where chainbuild is")
	}
	im := addImage(t, p, time.Now(), "a")
	l = p.Launch(nil, true, "")
	want = []string{"julia", "--sysimage=" + im.File, "--project=" + p.Dir, "--trace-compile=" + l.Session}
	if !slices.Equal(l.Arguments, want) || l.Notice != "" {
		t.Errorf("with an image it is %+v", l)
	}
	if used, err := p.inUse(); err != nil || !used[im.ID] {
		t.Errorf("the image is not in use: %v (%v)", used, err)
	}
	// What is given is not given twice.
	l = p.Launch([]string{"-J", "own.so", "--trace-compile=t.jl", "--project=q"}, true, "")
	if want = []string{"julia", "-J", "own.so", "--trace-compile=t.jl", "--project=q"}; !slices.Equal(l.Arguments, want) || l.Notice != "" || l.Session != "" {
		t.Errorf("with own arguments it is %+v", l)
	}
	if l = p.Launch([]string{"-v"}, true, ""); l.Session != "" {
		t.Error("what only asks for the version is recorded")
	}
	// Counters are in no image's code.
	for option, leaves := range map[string]bool{
		"--code-coverage": true, "--code-coverage=user": true, "--track-allocation=all": true, "--code-coverage=none": false,
	} {
		l = p.Launch([]string{option}, true, "")
		if (l.Image == "") != leaves || (l.Notice != "") != leaves || l.Session == "" {
			t.Errorf("with %s it is %+v", option, l)
		}
	}
	if l = p.Launch([]string{"--code-coverage", "-J", "own.so"}, true, ""); l.Notice != "" {
		t.Errorf("of an own image it says %q", l.Notice)
	}
	if l = p.Launch(nil, false, ""); l.Session != "" || l.Image != im.File || l.Notice != "" || strings.Contains(fmt.Sprint(l.Arguments), "trace") {
		t.Errorf("without recording it is %+v", l)
	}
	for range crowd {
		writeSession(t, p, true, "")
		if l.Crowded {
			t.Error("few sessions are a crowd")
		}
	}
	if l = p.Launch(nil, true, ""); !l.Crowded {
		t.Error("many sessions are no crowd")
	}
	p.implicit = true
	if l = p.Launch(nil, true, ""); strings.Contains(fmt.Sprint(l.Arguments), "--project") {
		t.Errorf("a project that Julia chooses itself is named: %v", l.Arguments)
	}
}

func TestLauncher(t *testing.T) {
	dir := t.TempDir()
	l := Launcher{Path: filepath.Join(dir, "bin", "jl"), Program: "/it's here/chainbuild", Julia: "/opt/julia"}
	for range 2 {
		if err := l.Install(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(l.Path)
	if err != nil || !strings.HasSuffix(string(text), `exec '/it'\''s here/chainbuild' run --like-julia --julia='/opt/julia' -- "$@"`+"\n") {
		t.Errorf("the launcher is %s (%v)", text, err)
	}
	if info, err := os.Stat(l.Path); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("the launcher has the mode %v (%v)", info.Mode(), err)
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	write(t, "/", l.Path, "#!/bin/sh\n")
	if err := l.Install(); err == nil {
		t.Error("a file that is no launcher was replaced")
	}
	if err := l.Remove(); err == nil {
		t.Error("a file that is no launcher was removed")
	}
	if err := (Launcher{Path: filepath.Join(dir, "julia")}).Install(); err == nil {
		t.Error("a launcher may be called julia")
	}
}
