package main

// This file reads Markdown, and writes it as HTML: with links of the book, anchors as GitHub has them, and blocks of commands in which one sees what to type.

import (
	"bytes"
	"html"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	goldmarkhtml "github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

type renderer struct{ markdown goldmark.Markdown }

// A document is a page that was parsed.
type document struct {
	root  ast.Node
	title string
	parts []part
}

// A part of a page is what stands under one heading. The first one, under the title, has no anchor.
type part struct {
	level                int
	anchor, title, words string
}

func newRenderer() renderer {
	return renderer{goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(goldmarkhtml.WithNodeRenderers(util.Prioritized(blocks{}, 100))),
	)}
}

func (r renderer) parse(source []byte) document {
	context := parser.NewContext(parser.WithIDs(anchors{}))
	d := document{root: r.markdown.Parser().Parse(text.NewReader(source), parser.WithContext(context))}
	for node := d.root.FirstChild(); node != nil; node = node.NextSibling() {
		heading, ok := node.(*ast.Heading)
		switch {
		case ok && heading.Level == 1 && d.title == "":
			d.title = words(heading, source)
			d.parts = append(d.parts, part{level: 1, title: d.title})
		case ok:
			id, _ := heading.AttributeString("id")
			d.parts = append(d.parts, part{level: heading.Level, anchor: string(id.([]byte)), title: words(heading, source)})
		case len(d.parts) > 0:
			last := &d.parts[len(d.parts)-1]
			last.words = strings.TrimSpace(last.words + " " + words(node, source))
		}
	}
	return d
}

// html writes a page, with links as target says.
func (r renderer) html(p *page, target func(link string) (string, error)) ([]byte, error) {
	err := ast.Walk(p.parsed.root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var err error
		change := func(link *[]byte) {
			var to string
			to, err = target(string(*link))
			*link = []byte(to)
		}
		switch node := node.(type) {
		case *ast.Link:
			change(&node.Destination)
		case *ast.Image:
			change(&node.Destination)
		}
		return ast.WalkContinue, err
	})
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = r.markdown.Renderer().Render(&page, p.markdown, p.parsed.root)
	return page.Bytes(), err
}

// words are the text below a node, without its form.
func words(node ast.Node, source []byte) string {
	var all strings.Builder
	_ = ast.Walk(node, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		switch node := node.(type) {
		case *ast.Text:
			if entering {
				all.Write(node.Segment.Value(source))
				if node.SoftLineBreak() {
					all.WriteByte(' ')
				}
			}
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			if entering {
				all.Write(node.Lines().Value(source))
			}
		default:
			if !entering && node.Type() == ast.TypeBlock {
				all.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(all.String()), " ")
}

// anchors are made of headings as GitHub makes them.
type anchors struct{}

var noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

func (anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	return []byte(strings.ReplaceAll(strings.ToLower(noAnchor.ReplaceAllString(string(value), "")), " ", "-"))
}

func (anchors) Put([]byte) {}

// blocks writes blocks of code.
type blocks struct{}

func (b blocks) RegisterFuncs(register goldmarkhtml.NodeRendererFuncRegisterer) {
	register.Register(ast.KindFencedCodeBlock, b.write)
}

// A remark in a command begins behind two spaces, or with its line.
var remark = regexp.MustCompile(`(^|  )#.*$`)

func (blocks) write(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	language := string(node.(*ast.FencedCodeBlock).Language(source))
	w.WriteString(`<pre tabindex="0"><code>`)
	for line := range strings.Lines(string(node.Lines().Value(source))) {
		w.WriteString(codeLine(language, line))
	}
	w.WriteString("</code></pre>\n")
	return ast.WalkSkipChildren, nil
}

func codeLine(language, line string) string {
	switch language {
	case "console": // a prompt is not selected, so that commands can be copied
		for _, prompt := range []string{"$ ", "> ", ">"} {
			if command, ok := strings.CutPrefix(line, prompt); ok {
				return `<span class="prompt" aria-hidden="true">` + html.EscapeString(prompt) + `</span><b>` + html.EscapeString(strings.TrimSuffix(command, "\n")) + "</b>\n"
			}
		}
		return `<span class="said">` + html.EscapeString(strings.TrimSuffix(line, "\n")) + "</span>\n"
	case "sh", "julia", "dockerfile", "make", "yaml":
		line = strings.TrimSuffix(line, "\n")
		if place := remark.FindStringIndex(line); place != nil {
			return html.EscapeString(line[:place[0]]) + `<i>` + html.EscapeString(line[place[0]:]) + "</i>\n"
		}
		return html.EscapeString(line) + "\n"
	}
	return html.EscapeString(line)
}
