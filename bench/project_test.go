package bench

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chainbuild/julia"
)

// writeFiles writes files of a name and a content.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProjectFromSources(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"sources/Top/Project.toml":      "name = \"Top\"\nuuid = \"1\"\nversion = \"1.0.0\"\n[deps]\nUnder = \"2\"\nDates = \"3\"\n",
		"sources/Under.jl/Project.toml": "name = \"Under\"\nuuid = \"2\"\nversion = \"0.3.0\"\n[deps]\nTop = \"1\"\n", // a circle must not hang it
		"stdlib/Dates/Project.toml":     "name = \"Dates\"\nuuid = \"3\"\n",
		"sources/Lost/Project.toml":     "name = \"Lost\"\nuuid = \"4\"\n[deps]\nGone = \"5\"\n",
		"sources/Other/Project.toml":    "name = \"Another\"\nuuid = \"6\"\n",
		"sources/Broken/Project.toml":   "name = ",
		"project/kept":                  "",
	})
	in := &julia.Installation{StdlibDir: filepath.Join(dir, "stdlib")}
	sources, project := filepath.Join(dir, "sources"), filepath.Join(dir, "project")
	versions, err := projectFromSources(sources, in, []string{"Top"}, project)
	if err != nil {
		t.Fatal(err)
	}
	if len(versions) != 2 || versions["Top"] != "1.0.0" || versions["Under"] != "0.3.0" {
		t.Errorf("the versions are %v", versions)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(project, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := read("Project.toml"); got != "[deps]\nTop = \"1\"\n" {
		t.Errorf("Project.toml is\n%s", got)
	}
	want := `[[Dates]]
uuid = "3"

[[Top]]
deps = ["Dates", "Under"]
path = "` + sources + `/Top"
uuid = "1"
version = "1.0.0"

[[Under]]
deps = ["Top"]
path = "` + sources + `/Under.jl"
uuid = "2"
version = "0.3.0"

`
	if got := read("Manifest.toml"); got != want {
		t.Errorf("Manifest.toml is\n%s\nand not\n%s", got, want)
	}

	var cannot cannotRun
	if _, err := projectFromSources(sources, in, []string{"Lost"}, project); !errors.As(err, &cannot) || !strings.Contains(err.Error(), "Gone, which Lost needs") {
		t.Errorf("a package that lacks another: %v", err)
	}
	for _, name := range []string{"Other", "Broken"} {
		if _, err := projectFromSources(sources, in, []string{name}, project); err == nil || errors.As(err, &cannot) {
			t.Errorf("the package %s: %v", name, err)
		}
	}
}

// A package that is too new for the Julia is said to be, and not run until it fails somewhere.
func TestProjectFromSourcesForAnotherJulia(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"sources/Top/Project.toml": "name = \"Top\"\nuuid = \"1\"\n[deps]\nNew = \"2\"\n[compat]\njulia = \"1\"\n",
		"sources/New/Project.toml": "name = \"New\"\nuuid = \"2\"\nversion = \"1.3.4\"\n[compat]\njulia = \"1.12\"\n",
	})
	var cannot cannotRun
	for version, want := range map[string]string{"1.10.8": "the package New 1.3.4, which Top needs, is for Julia 1.12", "1.12.5": ""} {
		_, err := projectFromSources(filepath.Join(dir, "sources"), &julia.Installation{Version: version, StdlibDir: dir}, []string{"Top"}, dir)
		if want == "" && err != nil || want != "" && (!errors.As(err, &cannot) || err.Error() != want) {
			t.Errorf("with Julia %s: %v, and not %q", version, err, want)
		}
	}
}

// A Julia that has extensions loads those of packages from sources too, and does not need what only triggers them.
func TestProjectFromSourcesWithExtensions(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"sources/Top/Project.toml": `name = "Top"
uuid = "1"
[deps]
Both = "2"
[weakdeps]
Both = "2"
Far = "3"
[extensions]
TopBothExt = "Both"
TopFarExt = ["Both", "Far"]
`,
		"sources/Both/Project.toml": "name = \"Both\"\nuuid = \"2\"\n",
	})
	for version, want := range map[string]string{
		"1.8.5":  "[[Both]]\npath = \"DIR/Both\"\nuuid = \"2\"\n\n[[Top]]\ndeps = [\"Both\"]\npath = \"DIR/Top\"\nuuid = \"1\"\n\n",
		"1.10.8": "[[Top]]\npath = \"DIR/Top\"\nuuid = \"1\"\n\n[Top.weakdeps]\nBoth = '2'\nFar = '3'\n\n[Top.extensions]\nTopBothExt = 'Both'\nTopFarExt = ['Both', 'Far']\n\n",
	} {
		sources := filepath.Join(dir, "sources")
		if _, err := projectFromSources(sources, &julia.Installation{Version: version, StdlibDir: dir}, []string{"Top"}, dir); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "Manifest.toml"))
		if want := strings.ReplaceAll(want, "DIR", sources); err != nil || string(got) != want {
			t.Errorf("with Julia %s Manifest.toml is\n%s\nand not\n%s(%v)", version, got, want, err)
		}
	}
}

func TestProjectWithoutARegistry(t *testing.T) {
	b := &bencher{Options: Options{Julia: &julia.Installation{Version: "1.5.3", DepotPaths: []string{t.TempDir()}}}}
	w := &Workload{Packages: map[string]map[string]string{"1.5": {"A": "1.0.0"}}}
	var cannot cannotRun
	if _, err := b.makeProject(t.Context(), w, t.TempDir()); !errors.As(err, &cannot) || !strings.Contains(err.Error(), "registry") {
		t.Errorf("without a registry: %v", err)
	}
	w.Needs = []string{"CHAINBUILD_BENCH_NOT_SET"}
	if _, err := b.makeProject(t.Context(), w, t.TempDir()); !errors.As(err, &cannot) || !strings.Contains(err.Error(), "CHAINBUILD_BENCH_NOT_SET") {
		t.Errorf("without a variable that is needed: %v", err)
	}
}

func TestReasonIn(t *testing.T) {
	for text, want := range map[string]string{
		"warning\nERROR: it is gone\nStacktrace:\n [1] f": "it is gone",
		"one\ntwo\n": "two",
		"":           "",
	} {
		if got := reasonIn(text); got != want {
			t.Errorf("the reason in %q is %q, not %q", text, got, want)
		}
	}
}
