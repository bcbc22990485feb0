package main

// This file finds what belongs to the book: the chapters, the reference, and whatever else of the checkout they link to. All pages are in one
// folder, so a link is the name of a file.

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	contents = "docs/README.md" // the list of chapters
	landing  = "README.md"
)

// A book is a set of pages, and of files that they show or link to. Sources are named by their paths in the checkout, those of the
// reference as reference/NAME.
type book struct {
	checkout, reference string
	sections            []section
	pages               []*page
	bySource            map[string]*page
	files               map[string][]byte // by their names in the book
	renderer            renderer
}

// A section of the list of chapters.
type section struct {
	Title    string
	Chapters []chapter
}

type chapter struct {
	Title, About string
	Page         *page
}

// A page is made of one source.
type page struct {
	Name     string // of the file in the book
	Title    string
	source   string
	markdown []byte
	parsed   document
	html     []byte
}

// load finds the pages of the book and parses them.
func load(checkout, reference string) (*book, error) {
	b := &book{checkout: checkout, reference: reference, bySource: map[string]*page{}, files: map[string][]byte{}, renderer: newRenderer()}
	if _, err := b.page(landing); err != nil {
		return nil, err
	}
	list, err := b.page(contents)
	if err != nil {
		return nil, err
	}
	if err := b.chapters(string(list.markdown)); err != nil {
		return nil, err
	}
	return b, b.commands()
}

var (
	sectionLine = regexp.MustCompile(`^## (.*)$`)
	chapterLine = regexp.MustCompile(`^- \[(.*)\]\((.*)\): (.*)$`)
)

// chapters reads the list of chapters: lines `## SECTION` and `- [TITLE](FILE): ABOUT`.
func (b *book) chapters(list string) error {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if match := sectionLine.FindStringSubmatch(line); match != nil {
			b.sections = append(b.sections, section{Title: match[1]})
		} else if match := chapterLine.FindStringSubmatch(line); match != nil {
			if len(b.sections) == 0 {
				return fmt.Errorf("%s: the chapter %s is in no section", contents, match[1])
			}
			p, err := b.page(path.Join(path.Dir(contents), match[2]))
			if err != nil {
				return err
			}
			last := &b.sections[len(b.sections)-1]
			last.Chapters = append(last.Chapters, chapter{match[1], match[3], p})
		} else if strings.HasPrefix(line, "- ") {
			return fmt.Errorf("%s: a chapter is written as - [TITLE](FILE): ABOUT, and this is not: %s", contents, line)
		}
	}
	if len(b.sections) == 0 {
		return fmt.Errorf("%s lists no chapters", contents)
	}
	return nil
}

// commands adds the reference as a section: the program and its commands; those below them are linked to from theirs.
func (b *book) commands() error {
	names, err := filepath.Glob(filepath.Join(b.reference, "*.md"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no pages of commands: `chainbuild man --markdown` writes them", b.reference)
	}
	slices.Sort(names)
	var list []chapter
	for _, name := range names {
		p, err := b.page("reference/" + filepath.Base(name))
		if err != nil {
			return err
		}
		if strings.Count(p.Title, " ") <= 1 {
			list = append(list, chapter{Title: p.Title, Page: p})
		}
	}
	slices.SortFunc(list, func(one, other chapter) int { return strings.Compare(one.Title, other.Title) })
	b.sections = append(b.sections, section{"Commands", list})
	return nil
}

// page is that of a source, which is read and parsed when it is first asked for.
func (b *book) page(source string) (*page, error) {
	if p := b.bySource[source]; p != nil {
		return p, nil
	}
	file := filepath.Join(b.checkout, source)
	if name, ok := strings.CutPrefix(source, "reference/"); ok {
		file = filepath.Join(b.reference, name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return b.add(source, text)
}

func (b *book) add(source string, text []byte) (*page, error) {
	p := &page{Name: pageName(source), source: source, markdown: text, parsed: b.renderer.parse(text)}
	if p.Title = p.parsed.title; p.Title == "" {
		p.Title = source // tables that a program has written have no heading
	}
	for _, other := range b.pages {
		if other.Name == p.Name {
			return nil, fmt.Errorf("%s and %s would both be the page %s", source, other.source, p.Name)
		}
	}
	b.bySource[source] = p
	b.pages = append(b.pages, p)
	return p, nil
}

func pageName(source string) string {
	switch source {
	case landing:
		return "index.html"
	case contents:
		return "contents.html"
	}
	source = strings.TrimPrefix(strings.TrimPrefix(source, "docs/"), "reference/")
	return strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(source, ".md"), "/", "-")) + ".html"
}

// target is what a link of a page leads to within the book. What is linked to and is not there yet is added to the book.
func (b *book) target(p *page, link string) (string, error) {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") || strings.HasPrefix(link, "#") {
		return link, nil
	}
	name, anchor, found := strings.Cut(link, "#")
	source := path.Join(path.Dir(p.source), name)
	if found {
		anchor = "#" + anchor
	}
	linked := b.bySource[source]
	if linked == nil && strings.HasPrefix(source, "reference/") {
		return "", fmt.Errorf("%s links to %s, which is not there", p.source, link)
	}
	if linked == nil {
		info, err := os.Stat(filepath.Join(b.checkout, source))
		switch {
		case err != nil:
			return "", fmt.Errorf("%s links to %s, which is not there", p.source, link)
		case info.IsDir():
			linked, err = b.folder(source)
		case path.Ext(source) == ".md":
			linked, err = b.page(source)
		default:
			return b.file(source)
		}
		if err != nil {
			return "", err
		}
	}
	return linked.Name + anchor, nil
}

// folder is a page that lists the files of a folder.
func (b *book) folder(source string) (*page, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# %s\n\n", source)
	// The links of a page count from its source's folder, which is the one above.
	err := fs.WalkDir(os.DirFS(filepath.Join(b.checkout, source)), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			fmt.Fprintf(&text, "- [`%s`](%s)\n", name, path.Join(path.Base(source), name))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return b.add(source, text.Bytes())
}

// file has a file that is no page in the book. All but drawings become text, so that a browser shows them.
func (b *book) file(source string) (string, error) {
	data, err := os.ReadFile(filepath.Join(b.checkout, source))
	name := "files/" + strings.ReplaceAll(source, "/", "-")
	if path.Ext(source) != ".svg" {
		name = strings.TrimSuffix(name, ".txt") + ".txt"
	}
	b.files[name] = data
	return name, err
}
