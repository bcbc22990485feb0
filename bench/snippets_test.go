package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/internal/usage"
	"chainbuild/julia"
)

// snippetTail is how the community's snippets end.
const snippetTail = `
__t3 = time()

__t_using = __t2 - __t1
__t_total = __t3 - __t1
println(stdout, "$__t_using, $__t_total seconds")
`

func TestParseTask(t *testing.T) {
	for _, c := range []struct{ name, text, about, load, work string }{
		{"as published", "# Task: Draw it\n# Package: A\n\n__t1 = time()\n\nusing A\nusing B: b\n\n__t2 = time()\n\nfor i in 1:2\n\n    b(i)\nend\n" + snippetTail,
			"Draw it", "using A\nusing B: b\n", "for i in 1:2\n\n    b(i)\nend\n"},
		{"of Base alone", "__t1 = time()\n__t2 = time()\nsum(1:3)\n" + snippetTail, "", "", "sum(1:3)\n"},
		{"with a setting before", "ENV[\"A\"] = 1\r\n__t1 = time()\r\nusing A\r\n__t2 = time()\r\n1\r\n" + snippetTail, "", "ENV[\"A\"] = 1\nusing A\n", "1\n"},
		{"without times", "# Task: Add\nusing A\n# and\nimport B\n\nA.f() # a\nusing C\n", "Add", "using A\n# and\nimport B\n", "A.f() # a\nusing C\n"},
	} {
		about, load, work, err := parseTask(c.text)
		if err != nil || about != c.about || load != c.load || work != c.work {
			t.Errorf("%s: about %q, load %q, work %q, %v", c.name, about, load, work, err)
		}
	}
	for text, want := range map[string]string{
		"__t1 = time()\nusing A\n1\n":                                   "up to __t1",
		"__t1 = time()\nusing A\n__t3 = time()\n":                       "task.jl:3 takes the time __t3",
		"__t1 = time()\n__t2 = time()\n1\n" + snippetTail + "cleanup()": "task.jl:10 would not be run",
		"using A\n": "does nothing but load",
		"":          "does nothing but load",
	} {
		if _, _, _, err := parseTask(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of\n%s\nit is said: %v, and not %q", text, err, want)
		}
	}
}

func TestPublishedTime(t *testing.T) {
	for text, want := range map[string]float64{
		"# Task: Draw\n# Sample timings: install in 18.5s, run in 0.758s\n": 0.758, "# Sample timings: run in 3s\n": 3, "# Sample timings: unknown\n": 0, "run in 3s\n": 0, "": 0,
	} {
		if got := publishedTime(text); got != want {
			t.Errorf("of %q it took %v s where it was published, not %v", text, got, want)
		}
	}
}

func TestSnippets(t *testing.T) {
	dir := t.TempDir()
	const task = "__t1 = time()\nusing Top\n__t2 = time()\nTop.f()\n" + snippetTail
	writeFiles(t, dir, map[string]string{
		"tasks/T/Top/First-Plot/task.jl":       "# Task: First Plot\n" + task,
		"tasks/T/Top/First-Plot/Project.toml":  "[deps]\nTop = \"1\"\n[compat]\nTop = \">=1.0\"\njulia = \"1.1.0\"\n",
		"tasks/T/Top/Second-Plot/task.jl":      task,
		"tasks/T/Top/Second-Plot/Project.toml": "[deps]\nTop = \"7\"\n",
		"tasks/N/New/Thing/task.jl":            task,
		"tasks/N/New/Thing/Project.toml":       "[deps]\nTop = \"1\"\n[compat]\njulia = \"1.10, 1.12\"\n",
		"tasks/N/No/Project/task.jl":           task,
		"tasks/O/Odd/Project/task.jl":          task,
		"tasks/O/Odd/Project/Project.toml":     "deps = ",
		"tasks/O/Odd/Times/task.jl":            "__t2 = time()\n",
		"tasks/G/Gone/Work/task.jl":            task,
		"tasks/G/Gone/Work/Project.toml":       "[deps]\nGone = \"9\"\n",
		"tasks/D/Dates/Year/task.jl":           task,
		"tasks/D/Dates/Year/Project.toml":      "[deps]\nDates = \"3\"\n",
		"tasks/.git/A/B/task.jl":               task,
		"sources/Top/Project.toml":             "name = \"Top\"\nuuid = \"1\"\nversion = \"1.0.0\"\n[deps]\nDates = \"3\"\n",
		"stdlib/Dates/Project.toml":            "name = \"Dates\"\nuuid = \"3\"\n",
	})
	tasks := filepath.Join(dir, "tasks")
	all, err := Snippets(tasks, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What becomes of each: versions of packages, or why it is not run.
	want := map[string]string{
		"Dates Year": "", "Gone Work": "the package Gone, which the workload needs, is not in the folder", "New Thing": "for Julia 1.10, 1.12", "No Project": "its Project.toml cannot be read",
		"Odd Project": "its Project.toml is no project", "Odd Times": "task.jl:1 takes the time __t2", "Top First-Plot": "1.0.0", "Top Second-Plot": "its package Top has the UUID 7",
	}
	b := &bencher{Options: Options{Packages: filepath.Join(dir, "sources"), Julia: &julia.Installation{Version: "1.5.3", StdlibDir: filepath.Join(dir, "stdlib")}}}
	if len(all) != len(want) {
		t.Errorf("there are %d snippets and not %d", len(all), len(want))
	}
	for _, w := range all {
		versions, err := b.makeProject(t.Context(), w, t.TempDir())
		var cannot cannotRun
		said, known := want[w.Name]
		if !known || err != nil && (!errors.As(err, &cannot) || said == "" || !strings.Contains(err.Error(), said)) || err == nil && versions["Top"] != said {
			t.Errorf("%s: %v, %v, and not %q", w.Name, versions, err, said)
		}
	}
	if w := all[slices.IndexFunc(all, func(w *Workload) bool { return w.Name == "Top First-Plot" })]; w.About != "First Plot" || !slices.Equal(w.snippet.packages(b.Julia), []string{"Top"}) {
		t.Errorf("%s is about %q and has the packages %v", w.Name, w.About, w.snippet.packages(b.Julia))
	}

	for argument, number := range map[string]int{"top": 2, "TOP first-plot": 1, "Year": 1, filepath.Join(tasks, "N", "New", "Thing"): 1} {
		if selected, err := Snippets(tasks, []string{argument, argument}); err != nil || len(selected) != number {
			t.Errorf("%q selects %d, %v", argument, len(selected), err)
		}
	}
	// A folder that is a snippet itself.
	if one, err := Snippets(filepath.Join(tasks, "D", "Dates", "Year"), nil); err != nil || len(one) != 1 || one[0].Name != "Year" {
		t.Errorf("the folder of a snippet: %v, %v", one, err)
	}
}

// A folder may be named by a link to it.
func TestSnippetsBehindALink(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"tasks/T/Top/Plot/task.jl": "__t1 = time()\nusing Top\n__t2 = time()\nTop.f()\n" + snippetTail, "tasks/T/Top/Plot/Project.toml": "[deps]\nTop = \"1\"\n",
	})
	if err := os.Symlink(filepath.Join(dir, "tasks"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if all, err := readSnippets(filepath.Join(dir, "link")); err != nil || len(all) != 1 {
		t.Errorf("there are %d snippets (%v)", len(all), err)
	}
}

func TestSnippetsRefuse(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"empty/readme": "", "file": "", "task.jl": "1\n",
		"twice/a/P/T/task.jl": "1\n", "twice/b/P/T/task.jl": "1\n",
		"good/P/T/task.jl": "1\n",
	})
	for _, c := range []struct {
		folder, want string
		arguments    []string
	}{
		{"gone", "is no folder", nil}, {"file", "is no folder", nil}, {"task.jl", "is no folder", nil}, {"empty", "has no snippets", nil},
		{"twice", "have the same name, \"P T\"", nil}, {"good", "there is no snippet \"Q\"", []string{"P", "Q"}},
	} {
		_, err := Snippets(filepath.Join(dir, c.folder), c.arguments)
		var wrong *usage.Error
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %v: %v, and not %q", c.folder, c.arguments, err, c.want)
		}
	}
}

// Without a folder of packages, standard libraries are there, and the rest needs a registry.
func TestSnippetWithoutPackages(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"stdlib/Dates/Project.toml": "name = \"Dates\"\nuuid = \"3\"\n"})
	b := &bencher{Options: Options{Julia: &julia.Installation{Version: "1.5.3", StdlibDir: filepath.Join(dir, "stdlib"), DepotPaths: []string{dir}}}}
	w := &Workload{snippet: &snippet{dir: dir, deps: map[string]string{"Dates": "3"}}}
	project := t.TempDir()
	if _, err := b.makeProject(t.Context(), w, project); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(project, "Project.toml")); err != nil || string(text) != "[deps]\nDates = \"3\"\n" {
		t.Errorf("the project is %q, %v", text, err)
	}
	w.snippet.deps["Top"] = "1"
	var cannot cannotRun
	if _, err := b.makeProject(t.Context(), w, project); !errors.As(err, &cannot) || !strings.Contains(err.Error(), "registry") {
		t.Errorf("without a registry: %v", err)
	}
}

func TestLeastVersion(t *testing.T) {
	for compat, want := range map[string]string{
		"1.1.0": "[1 1 0]", "1.10, 1.6": "[1 6 0]", ">=1.3.6": "[1 3 6]", "^1.12": "[1 12 0]", "~1.6.2": "[1 6 2]", "1.2 - 1.5": "[1 2 0]", "≥ 1.4": "[1 4 0]", "= 1.5.3": "[1 5 3]",
		"": "none", "< 1.5": "none", "1.6, <1.2": "none",
	} {
		got, ok := leastVersion(compat)
		said := "none"
		if ok {
			said = fmt.Sprint(got)
		}
		if said != want {
			t.Errorf("the least of %q is %s, not %s", compat, said, want)
		}
	}
	if got := fmt.Sprint(versionNumbers("1.13.0-DEV.5")); got != "[1 13 0]" {
		t.Errorf("the numbers of a version under development are %s", got)
	}
}
