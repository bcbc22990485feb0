package main

// This file holds the made pages to what there is: each link leads to a page or a file of the book, and to an anchor that the page has. Nothing that a
// browser loads by itself is on the network.

import (
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"
)

var (
	idOf      = regexp.MustCompile(`\sid="([^"]*)"`)
	linkOf    = regexp.MustCompile(`<a\s[^>]*?href="([^"]*)"`)
	loadedOf  = regexp.MustCompile(`<(?:img|script)\s[^>]*?src="([^"]*)"|<link\s[^>]*?href="([^"]*)"`)
	externals = regexp.MustCompile(`^(https?|mailto):`)
)

func (b *book) check() error {
	ids := map[string]map[string]bool{}
	for _, p := range b.pages {
		ids[p.Name] = map[string]bool{}
		for _, match := range idOf.FindAllSubmatch(p.html, -1) {
			ids[p.Name][string(match[1])] = true
		}
	}
	var wrong []error
	for _, p := range b.pages {
		there := func(link string) {
			name, anchor, _ := strings.Cut(html.UnescapeString(link), "#")
			if name == "" {
				name = p.Name
			}
			if page := ids[name]; page == nil && b.files[name] == nil {
				wrong = append(wrong, fmt.Errorf("the page of %s links to %s, which is not there", p.source, link))
			} else if anchor != "" && !page[anchor] {
				wrong = append(wrong, fmt.Errorf("the page of %s links to %s, and that page has no such heading", p.source, link))
			}
		}
		for _, match := range linkOf.FindAllSubmatch(p.html, -1) {
			if link := string(match[1]); !externals.MatchString(link) {
				there(link)
			}
		}
		for _, match := range loadedOf.FindAllSubmatch(p.html, -1) {
			there(string(match[1]) + string(match[2]))
		}
	}
	return errors.Join(wrong...)
}
