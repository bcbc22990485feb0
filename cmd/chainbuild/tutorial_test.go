package main

// This file runs the tutorial (docs/tutorial.md) as it stands on the page. Its blocks of kind `console` are one session of a shell: `$ ` begins a
// command and `> ` continues it; the other lines are what the command says. Of those, numbers are the reader's own: any number is as good. `…`
// stands for any text within a line, and a line of it alone for any lines, also none.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"chainbuild/internal/juliatest"
)

// A step is a command of the tutorial, and the lines that it is to say.
type step struct {
	command string
	says    []string
}

var consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// steps are those of a page.
func steps(page string) (list []step) {
	for _, block := range consoleBlock.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSuffix(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				list = append(list, step{command: command})
				continue
			}
			last := &list[len(list)-1]
			if more, ok := strings.CutPrefix(line, ">"); ok {
				last.command += "\n" + strings.TrimPrefix(more, " ")
			} else {
				last.says = append(last.says, line)
			}
		}
	}
	return list
}

var (
	number = regexp.MustCompile(`[0-9]+([.,][0-9]+)*`)
	spaces = regexp.MustCompile(`[ \t]+`)
)

// pattern is a regular expression for what a step is to say, numbers being `0`.
func (s step) pattern() *regexp.Regexp {
	var text strings.Builder
	for _, line := range s.says {
		if line == "…" {
			text.WriteString(`(?:.*\n)*?`)
			continue
		}
		text.WriteString(strings.ReplaceAll(regexp.QuoteMeta(withoutNumbers(line)), "…", ".*") + `\n`)
	}
	return regexp.MustCompile(`\A` + text.String() + `\z`)
}

// withoutNumbers makes the same of texts that differ in numbers and in how columns are padded.
func withoutNumbers(text string) string {
	return spaces.ReplaceAllString(number.ReplaceAllString(text, "0"), " ")
}

// onlyRegistry is a registry without packages. Pkg does not ask the network for one where one is there; the tutorial's packages come with Julia.
const onlyRegistry = `name = "Empty"
uuid = "c2b1e0a4-3c55-4f0e-8f6f-2a1f5d0c9a11"
repo = ""

[packages]
`

func TestTutorial(t *testing.T) {
	page, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	list := steps(string(page))
	if len(list) < 10 {
		t.Fatalf("the tutorial has %d commands", len(list))
	}
	julia := juliatest.Julia(t)
	home := t.TempDir()
	for _, dir := range []string{"bin", "tmp", ".julia/registries/Empty"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, ".julia/registries/Empty/Registry.toml"), []byte(onlyRegistry), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(julia, filepath.Join(home, "bin", "julia")); err != nil {
		t.Fatal(err)
	}
	// An end of a command is marked by a line that none of them says.
	const mark = "\x01"
	var script strings.Builder
	for _, s := range list {
		fmt.Fprintf(&script, "%s\nprintf '%s\\n'\n", s.command, mark)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script.String())
	cmd.Dir = home
	// Nothing of whoever runs the test, but for where the test's chainbuild is. CI: nothing goes on behind a build.
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + filepath.Join(home, "tmp"), "LANG=C.UTF-8", continuousIntegration + "=true",
		"PATH=" + filepath.Join(home, "bin") + string(os.PathListSeparator) + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the shell ended with %v", err)
	}
	said := strings.Split(strings.ReplaceAll(string(out), home, "~"), mark+"\n")
	for i, s := range list {
		if i >= len(said)-1 {
			t.Fatalf("the shell did not come to the end of\n%s\nIt said\n%s", s.command, said[len(said)-1])
		}
		t.Logf("$ %s\n%s", s.command, said[i])
		if pattern := s.pattern(); !pattern.MatchString(withoutNumbers(said[i])) {
			t.Errorf("the tutorial's command\n%s\nsaid\n%s\nand this was expected:\n%s", s.command, said[i], strings.Join(s.says, "\n"))
		}
	}
}
