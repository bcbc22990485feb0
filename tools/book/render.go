package main

// This file makes pages: the text of each in the frame that all have (page.html), with the list of chapters, and what can be searched.

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"os"
	"path/filepath"
)

//go:embed page.html book.css search.js
var frame embed.FS

var pageTemplate = template.Must(template.ParseFS(frame, "page.html"))

// view is what the frame shows.
type view struct {
	*page
	Sections       []section
	Landing        bool
	Body           template.HTML
	Headings       []heading // of the page
	Previous, Next *chapter
}

type heading struct{ Anchor, Title string }

// render makes all pages, also those that only links lead to, which are found meanwhile.
func (b *book) render() error {
	for i := 0; i < len(b.pages); i++ {
		p := b.pages[i]
		body, err := b.renderer.html(p, func(link string) (string, error) { return b.target(p, link) })
		if err != nil {
			return err
		}
		v := view{page: p, Sections: b.sections, Landing: p.source == landing, Body: template.HTML(body)}
		for _, part := range p.parsed.parts {
			if part.level == 2 {
				v.Headings = append(v.Headings, heading{part.anchor, part.title})
			}
		}
		v.Previous, v.Next = b.neighbours(p)
		var whole bytes.Buffer
		if err := pageTemplate.Execute(&whole, v); err != nil {
			return err
		}
		p.html = whole.Bytes()
	}
	for _, name := range []string{"book.css", "search.js"} {
		data, err := frame.ReadFile(name)
		if err != nil {
			return err
		}
		b.files[name] = data
	}
	index, err := b.index()
	b.files["search-index.js"] = index
	return err
}

// neighbours are the chapters before and after a page's.
func (b *book) neighbours(p *page) (before, after *chapter) {
	var last *chapter
	for _, s := range b.sections {
		for i := range s.Chapters {
			c := &s.Chapters[i]
			if c.Page == p {
				before = last
			}
			if last != nil && last.Page == p {
				after = c
			}
			last = c
		}
	}
	return before, after
}

// index is a script with the words of each part of each page, for search.js.
func (b *book) index() ([]byte, error) {
	type entry struct {
		Link  string `json:"link"`
		Title string `json:"title"`
		Part  string `json:"part,omitempty"`
		Words string `json:"words"`
	}
	var list []entry
	for _, p := range b.pages {
		for _, part := range p.parsed.parts {
			e := entry{Link: p.Name, Title: p.Title, Words: part.words}
			if part.anchor != "" {
				e.Link, e.Part = p.Name+"#"+part.anchor, part.title
			}
			list = append(list, e)
		}
	}
	data, err := json.Marshal(list)
	return append([]byte("searchIn("), append(data, ")\n"...)...), err
}

// write writes the book into a folder.
func (b *book) write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o755); err != nil {
		return err
	}
	for name, data := range b.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	for _, p := range b.pages {
		if err := os.WriteFile(filepath.Join(dir, p.Name), p.html, 0o644); err != nil {
			return err
		}
	}
	return nil
}
