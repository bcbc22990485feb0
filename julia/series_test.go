package julia

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSeries(t *testing.T) {
	tests := []struct{ version, want string }{
		{"1.5.0", "1.5"}, {"1.5.3", "1.5"}, {"1.5.4", "1.5"}, {"1.10.0", "1.10"}, {"1.10.8", "1.10"}, {"1.10.11", "1.10"},
		{"1.10.8+0.aarch64.linux.gnu", "1.10"}, {"1.5.4-pre.12", "1.5"}, {"1.10.5-DEV.3+1", "1.10"},
		{"1.10.0-rc1", "1.10"}, {"1.10.0-rc3.2+5", "1.10"},
		// Before the first release candidate.
		{"1.10.0-DEV", ""}, {"1.10.0-DEV.1407", ""}, {"1.10.0-alpha1", ""}, {"1.10.0-beta3", ""},
		// Of no supported series.
		{"1.4.2", ""}, {"1.6.7", ""}, {"1.50.0", ""}, {"1.9.4", ""}, {"1.1.0", ""}, {"11.10.0", ""}, {"2.5.0", ""}, {"0.7.0", ""},
		// No versions.
		{"", ""}, {"1.10", ""}, {"1.10.", ""}, {"v1.10.8", ""}, {"1.10.8 ", ""}, {"1.10.8-", ""}, {"1.5.3.1", ""}, {"1,5,3", ""}, {"banana", ""},
	}
	for _, test := range tests {
		in := Installation{Executable: "/opt/julia", Version: test.version}
		series, err := in.Series()
		switch {
		case test.want == "":
			if want := "/opt/julia is Julia " + test.version + ", which is not supported: name a release of Julia 1.5, 1.10 or 1.12 with --julia or CHAINBUILD_JULIA"; err == nil || err.Error() != want {
				t.Errorf("%q: the series is %+v, the error %v", test.version, series, err)
			}
		case err != nil || series.Name != test.want:
			t.Errorf("%q: the series is %+v, the error %v", test.version, series, err)
		}
	}
}

// Files below a folder, with slashes.
func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What is written for a series is what lies in the source folder, with one file of each choice.
func TestSourcesWrite(t *testing.T) {
	for _, series := range all {
		t.Run(series.Name, func(t *testing.T) {
			dir := t.TempDir()
			sources := series.Sources()
			if err := sources.Write(dir); err != nil {
				t.Fatal(err)
			}
			from := map[string]string{} // the source of each file
			for _, name := range filesBelow(t, "worker") {
				switch {
				case !strings.HasSuffix(name, ".jl") || strings.HasPrefix(name, "test/"):
				case strings.HasPrefix(name, "runtime/"):
					if file := strings.TrimPrefix(name, "runtime/"); slices.Contains(series.Runtime, file) {
						from["runtime/"+subject(file)] = name
					}
				case strings.HasPrefix(name, "compile/passes"):
					if name == "compile/"+series.Passes {
						from["compile/passes.jl"] = name
					}
				case strings.HasPrefix(name, "compile/roots"):
					if name == "compile/"+series.Roots {
						from["compile/roots.jl"] = name
					}
				default:
					from[name] = name
				}
			}
			written := filesBelow(t, dir)
			if len(written) != len(from) {
				t.Errorf("written were %q, of %q", written, from)
			}
			for _, name := range written {
				got, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				want, err := os.ReadFile(filepath.Join("worker", from[name]))
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != string(want) || sources.Read(name) != string(want) {
					t.Errorf("%s differs from its source %s", name, from[name])
				}
			}
			if err := sources.Write(filepath.Join(dir, "front.jl")); err == nil {
				t.Error("a folder that does not exist was written to")
			}
		})
	}
}

// Every subject has one file in each series, so what one file includes is there in every series.
func TestSeriesHaveTheSameSubjects(t *testing.T) {
	subjects := func(s *Series) (names []string) {
		for _, file := range append(slices.Clone(s.Runtime), s.Passes, s.Roots) {
			names = append(names, subject(file))
		}
		slices.Sort(names)
		return names
	}
	for _, series := range all[1:] {
		if got, want := subjects(series), subjects(all[0]); !slices.Equal(got, want) || len(slices.Compact(got)) != len(want) {
			t.Errorf("the subjects of %s are %q, those of %s %q", series.Name, got, all[0].Name, want)
		}
	}
}

// A key of objects depends on each file that a compile worker may run and on no other; a key of worker images on all.
func TestSourcesInKeys(t *testing.T) {
	for _, series := range all {
		plain := series.Sources()
		for i, file := range plain.files {
			changed := &Sources{slices.Clone(plain.files)}
			changed.files[i].text += "# changed\n"
			if changed.All() == plain.All() {
				t.Errorf("%s: %s is not in the whole", series.Name, file.name)
			}
			if compiles := strings.HasPrefix(file.name, "compile/"); compiles != (changed.Compiling() != plain.Compiling()) {
				t.Errorf("%s: %s compiles: %v, and that it does not agree with the key", series.Name, file.name, compiles)
			}
		}
		if !strings.Contains(plain.Compiling(), "function emit_object(") || strings.Contains(plain.Compiling(), "function begin_session(") {
			t.Errorf("%s: the code that compiles is not that of compile workers", series.Name)
		}
	}
	if all[0].Sources().Compiling() == all[1].Sources().Compiling() {
		t.Error("two series compile by the same code")
	}
}

// A compile worker runs what is in its folder, whose content is the key, and nothing else.
func TestCompileWorkerStaysInItsFolder(t *testing.T) {
	beside := regexp.MustCompile(`include\(\S+, joinpath\((?:Base\.)?@__DIR__, "(\w+\.jl)"\)\)`)
	for _, series := range all {
		included := 0
		for _, file := range series.Sources().files {
			if !strings.HasPrefix(file.name, "compile/") {
				continue
			}
			for line := range strings.Lines(file.text) {
				if !strings.Contains(line, "include") || strings.HasPrefix(line, "#") {
					continue
				}
				match := beside.FindStringSubmatch(line)
				if match == nil {
					t.Errorf("%s of %s includes something else than a file beside it: %s", file.name, series.Name, line)
					continue
				}
				series.Sources().Read("compile/" + match[1])
				included++
			}
		}
		// emit_main.jl, bitcode.jl, roots.jl, passes.jl; and what has the runtime write objects from Julia 1.10 on
		want := 5
		if series.Name == "1.5" {
			want = 4
		}
		if included != want {
			t.Errorf("%s: %d files are included, not %d", series.Name, included, want)
		}
	}
}
