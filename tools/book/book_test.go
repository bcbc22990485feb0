package main

// Tests with small checkouts: what becomes of links, and that no book is made with one that leads nowhere.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkout writes files of a checkout, and a reference of one command, and returns both folders.
func checkout(t *testing.T, files map[string]string) (string, string) {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{
		"README.md":        "# Program\n\nSee [one](docs/one.md#a-part-of-it).\n",
		"docs/README.md":   "# Book\n\n## Start\n\n- [One](one.md): the first\n",
		"docs/one.md":      "# One\n\n## A part, of it\n\n```console\n$ run <it>\nsaid\n```\n",
		"reference/run.md": "# run\n\n| | |\n| --- | --- |\n| `--a` | b |\n",
	}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(dir, "reference")
}

func TestBook(t *testing.T) {
	dir, reference := checkout(t, map[string]string{
		"docs/one.md": "# One\n\n## A part, of it\n\n[tool](../tools/t.sh) [folder](../more) [page](../more/two.md) [start](../README.md) [net](https://example.org/)\n\n" +
			"![drawing](d.svg)\n\n```console\n$ run <it>\nsaid\n```\n",
		"docs/d.svg": "<svg/>", "tools/t.sh": "true", "more/two.md": "# Two\n", "more/x": "text",
	})
	out := filepath.Join(t.TempDir(), "book")
	// A page of the last book does not stay.
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "old.html"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, reference, out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "old.html")); err == nil {
		t.Error("a page of the last book is still there")
	}
	for name, wanted := range map[string][]string{
		"index.html": {`<a href="one.html#a-part-of-it">`, `<a href="run.html">run</a>`},
		"one.html": {`<h2 id="a-part-of-it">`, `href="files/tools-t.sh.txt"`, `href="more.html"`, `href="more-two.html"`, `href="index.html"`, `href="https://example.org/"`,
			`src="files/docs-d.svg"`, `</span><b>run &lt;it&gt;</b>`, `<span class="said">said</span>`, `<a rel="next" href="run.html">`},
		"more.html":            {`href="files/more-x.txt"`, `href="more-two.html"`},
		"files/docs-d.svg":     {"<svg/>"},
		"search-index.js":      {`"link":"one.html#a-part-of-it"`},
		"files/more-x.txt":     {"text"},
		"files/tools-t.sh.txt": {"true"},
	} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range wanted {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s does not have %s:\n%s", name, part, text)
			}
		}
	}
}

func TestNoBook(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"links to none.md, which is not there":                   {"docs/one.md": "# One\n\n[none](none.md)\n"},
		"no such heading":                                        {"docs/one.md": "# One\n"},
		"links to https://example.org/x.png, which is not there": {"docs/one.md": "# One\n\n## A part of it\n\n![net](https://example.org/x.png)\n"},
		"a chapter is written as":                                {"docs/README.md": "# Book\n\n## Start\n\n- [One](one.md)\n"},
		"would both be the page one.html":                        {"docs/README.md": "# Book\n\n## Start\n\n- [One](one.md): x\n- [Other](../one.md): x\n", "one.md": "# Other\n"},
	} {
		dir, reference := checkout(t, files)
		out := filepath.Join(t.TempDir(), "book")
		if err := run(dir, reference, out); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, and was to be: %s", err, name)
		}
		if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
			t.Errorf("%s: %v was left", name, left)
		}
	}
}
