package project

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write writes files below a folder: names and contents by turns.
func write(t *testing.T, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A is added and needs B and the standard library S; D is under development and needs E and A; U, added, needs D.
const projectText = `
name = "Mine"
uuid = "00000000-0000-0000-0000-0000000000FF"
[deps]
A = "00000000-0000-0000-0000-00000000000A"
D = "00000000-0000-0000-0000-00000000000D"
U = "00000000-0000-0000-0000-000000000010"
`

// entries are those of a manifest; %[1]s is what their names begin with.
const entries = `
[[%[1]sA]]
deps = ["B", "S"]
git-tree-sha1 = "aa"
uuid = "00000000-0000-0000-0000-00000000000a"
version = "1.0.0"
[[%[1]sB]]
git-tree-sha1 = "bb"
uuid = "00000000-0000-0000-0000-00000000000b"
version = "2.0.0"
[[%[1]sD]]
deps = ["E", "A"]
path = "dev/D"
uuid = "00000000-0000-0000-0000-00000000000d"
version = "0.1.0"
[[%[1]sE]]
git-tree-sha1 = "ee"
uuid = "00000000-0000-0000-0000-00000000000e"
version = "3.0.0"
[[%[1]sS]]
uuid = "00000000-0000-0000-0000-000000000005"
[[%[1]sU]]
git-tree-sha1 = "11"
uuid = "00000000-0000-0000-0000-000000000010"
version = "4.0.0"
[%[1]sU.deps]
D = "00000000-0000-0000-0000-00000000000d"
[[%[1]sUnneeded]]
git-tree-sha1 = "12"
uuid = "00000000-0000-0000-0000-000000000012"
version = "5.0.0"
`

// format2 begins a manifest of Julia 1.7 or later.
const format2 = "julia_version = \"1.9.0\"\nmanifest_format = \"2.0\"\n"

// describe is content in one line.
func describe(c *Content) string {
	var parts []string
	for _, p := range c.Packages {
		parts = append(parts, p.Name)
	}
	for _, out := range c.Out {
		parts = append(parts, "-"+out.Name+" ("+out.Why+")")
	}
	return strings.Join(parts, " ")
}

func TestContent(t *testing.T) {
	for name, manifest := range map[string]string{"format 1": fmt.Sprintf(entries, ""), "format 2": format2 + fmt.Sprintf(entries, "deps.")} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "Project.toml", projectText, "Manifest.toml", manifest)
			env, err := readEnvironment(dir)
			if err != nil {
				t.Fatal(err)
			}
			tests := []struct {
				settings Settings
				want     string
			}{
				{Settings{}, "A B E S -D (under development) -Mine (the project itself) -U (needs D)"},
				{Settings{Packages: []string{"D"}}, "A B D E S U -Mine (the project itself)"},
				{Settings{Packages: []string{"U"}}, "A B D E S U -Mine (the project itself)"},
				{Settings{Packages: []string{"Unneeded"}}, "A B E S Unneeded -D (under development) -Mine (the project itself) -U (needs D)"},
				{Settings{Exclude: []string{"B", "Absent"}}, "E S -A (needs B) -B (excluded) -D (under development) -Mine (the project itself) -U (needs D)"},
				{Settings{Packages: []string{"D"}, Exclude: []string{"D"}}, "A B E S -D (excluded) -Mine (the project itself) -U (needs D)"},
			}
			for _, test := range tests {
				content, err := env.content(&test.settings, "", nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := describe(content); got != test.want {
					t.Errorf("with %v the content is\n%s, not\n%s", test.settings, got, test.want)
				}
			}
			if _, err := env.content(&Settings{Packages: []string{"Absent"}}, "", nil); err == nil || !strings.Contains(err.Error(), "Absent") {
				t.Errorf("a package that is not there: %v", err)
			}
			if p := env.packages["00000000-0000-0000-0000-00000000000d"]; p.Path != filepath.Join(dir, "dev", "D") {
				t.Errorf("the path of D is %s", p.Path)
			}
		})
	}
}

func TestContentWithoutManifest(t *testing.T) {
	dir, stdlib := t.TempDir(), t.TempDir()
	write(t, dir, "Project.toml", "[deps]\nA = \"00000000-0000-0000-0000-00000000000a\"\n")
	env, err := readEnvironment(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.content(&Settings{}, stdlib, nil); err == nil || !strings.Contains(err.Error(), "pkg> resolve") {
		t.Errorf("a package that no manifest has: %v", err)
	}
	write(t, stdlib, "A/Project.toml", "")
	if content, err := env.content(&Settings{}, stdlib, nil); err != nil || describe(content) != "A" {
		t.Errorf("a standard library without a manifest: %v, %v", content, err)
	}
}

// What an interactive session loads is in the image by default. Without it, it is there only where the project has it itself.
func TestContentForInteractiveSessions(t *testing.T) {
	dir, stdlib := t.TempDir(), t.TempDir()
	write(t, dir, "Project.toml", "[deps]\nB = \"00000000-0000-0000-0000-00000000000b\"\n", "Manifest.toml", `
[[B]]
deps = ["E"]
uuid = "00000000-0000-0000-0000-00000000000b"
[[E]]
uuid = "00000000-0000-0000-0000-00000000000e"
`)
	write(t, stdlib, "F/Project.toml", "uuid = \"00000000-0000-0000-0000-00000000000f\"\n", "Bare/Project.toml", "name = \"Bare\"\n")
	env, err := readEnvironment(dir)
	if err != nil {
		t.Fatal(err)
	}
	interactive := []string{"E", "F"}
	for _, test := range []struct {
		settings Settings
		want     string
	}{
		{Settings{Interactive: true}, "B E F"},
		{Settings{}, "B E -F (interactive = false)"},
		{Settings{Interactive: true, Exclude: []string{"F"}}, "B E -F (excluded)"},
		{Settings{Exclude: []string{"E"}}, "-B (needs E) -E (excluded) -F (interactive = false)"},
	} {
		content, err := env.content(&test.settings, stdlib, interactive)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(content); got != test.want {
			t.Errorf("with %v the content is\n%s, not\n%s", test.settings, got, test.want)
		}
	}
	for _, name := range []string{"Bare", "Absent"} {
		if _, err := env.content(&Settings{Interactive: true}, stdlib, []string{name}); err == nil || !strings.Contains(err.Error(), name+"/Project.toml") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnvironmentRefuses(t *testing.T) {
	tests := []struct{ project, manifest, says string }{
		{"[deps]\nA = 1\n", "", "the dependency A has no UUID"},
		{"[deps\n", "", "Project.toml:1 cannot be read"},
		{"", "[[A]]\nversion = \"1\"\n", "an entry of A has no UUID"},
		{"", "[[A]]\nuuid = \"a\"\ndeps = [\"B\"]\n", `A needs "B", which 0 entries have`},
		{"", "x = [\n", "Manifest.toml:"},
	}
	for _, test := range tests {
		dir := t.TempDir()
		write(t, dir, "Project.toml", test.project, "Manifest.toml", test.manifest)
		if _, err := readEnvironment(dir); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q, %q: %v, which does not say %q", test.project, test.manifest, err, test.says)
		}
	}
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	if s, _, err := readSettings(dir); err != nil || s.CPU != "native" || s.Keep != 2 {
		t.Errorf("without a file the settings are %+v (%v)", s, err)
	}
	write(t, dir, settingsFile, "[chainbuild]\npackages = [\"A\"]\nexclude = []\ncpu_target = \"haswell\"\nlayout = \"standalone\"\noptimize = 3\nemit = \"traced\"\nkeep = 5\nstale_after = 0\n[Other]\nx = 1\n")
	s, preferences, err := readSettings(dir)
	if err != nil || s.Packages[0] != "A" || s.CPU != "haswell" || s.Layout.String() != "standalone" || s.OptLevel != 3 || s.Emit != "traced" || s.Keep != 5 || s.StaleAfter != 0 {
		t.Errorf("the settings are %+v (%v)", s, err)
	}
	if len(preferences) != 1 || preferences["Other"] == nil {
		t.Errorf("the preferences are %v", preferences)
	}
	for _, test := range []struct{ table, says string }{
		{"colour = 1", `no setting "colour"`}, {"keep = 0", "keep is 0"}, {`keep = "2"`, "keep is 2"}, {"optimize = 4", "from 0 to 3"},
		{`layout = "fat"`, "thin or standalone"}, {`packages = "A"`, "a list of names"}, {"exclude = [1]", "a list of names"},
		{`emit = "some"`, "emit does not take"}, {"cpu_target = 1", "a text in quotes"},
	} {
		write(t, dir, settingsFile, "[chainbuild]\n"+test.table+"\n")
		if _, _, err := readSettings(dir); err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), settingsFile) {
			t.Errorf("%s: %v, which does not say %q", test.table, err, test.says)
		}
	}
	// The line is said, whichever setting it is and whoever else has a table.
	write(t, dir, settingsFile, "[Other]\nkeep = 0\n[chainbuild]\nkeep = 1\nlayout = \"fat\"\n")
	if _, _, err := readSettings(dir); err == nil || err.Error() != filepath.Join(dir, settingsFile)+`:5: layout does not take "fat": use thin or standalone` {
		t.Errorf("of a layout that there is not it is said: %v", err)
	}
	write(t, dir, settingsFile, "chainbuild = 1\n")
	if _, _, err := readSettings(dir); err == nil {
		t.Error("a setting that is no table was accepted")
	}
}

func TestWithAbsolutePaths(t *testing.T) {
	const text = "[[A]]\npath = \"../A b\"\nuuid = \"x\"\n[[B]]\n  path = '/abs'\n[[C]]\nname = \"path = x\"\n"
	const want = "[[A]]\npath = \"/home/A b\"\nuuid = \"x\"\n[[B]]\n  path = '/abs'\n[[C]]\nname = \"path = x\"\n"
	if got := string(withAbsolutePaths([]byte(text), "/home/me")); got != want {
		t.Errorf("the manifest is\n%s, not\n%s", got, want)
	}
}
