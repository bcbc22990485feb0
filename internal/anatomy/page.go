package anatomy

// This file writes the page: HTML, style, script and data in one file.

import (
	"embed"
	"encoding/json"
	"html/template"
	"io"
)

//go:embed page
var pageFiles embed.FS

// A PageImage is what the page says of the image as a whole.
type PageImage struct {
	Name    string   `json:"name"`
	Path    string   `json:"path"`
	Layout  string   `json:"layout"`
	Format  string   `json:"format"`
	Bases   []string `json:"bases"`
	Targets []string `json:"targets"`
}

// WritePage writes the page.
func (a *Anatomy) WritePage(w io.Writer, image PageImage) error {
	files := map[string]string{}
	for _, name := range []string{"page.html", "page.css", "treemap.js", "page.js"} {
		text, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			return err
		}
		files[name] = string(text)
	}
	data, err := json.Marshal(a.pageData(image))
	if err != nil {
		return err
	}
	page, err := template.New("page").Parse(files["page.html"])
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{
		"Title": image.Name, "Style": template.CSS(files["page.css"]),
		"Script": template.JS(files["treemap.js"] + files["page.js"]), "Data": template.JS(data),
	})
}

// pageData is the tree as page.js describes it.
func (a *Anatomy) pageData(image PageImage) map[string]any {
	files, fileNumbers := []string{}, map[string]int{}
	number := func(file string) int {
		if file == "" {
			return -1
		}
		n, ok := fileNumbers[file]
		if !ok {
			n = len(files)
			files, fileNumbers[file] = append(files, file), n
		}
		return n
	}
	packages := []any{}
	for _, p := range a.Packages {
		modules := []any{}
		for _, m := range p.Modules {
			things, types := []any{}, []any{}
			for _, t := range m.Things {
				things = append(things, []any{t.Kind, t.Title(), number(t.File), t.Line, t.Functions, t.Sizes, t.New})
			}
			for _, t := range m.Types {
				types = append(types, []any{t.Name, t.Count, t.Bytes})
			}
			modules = append(modules, []any{m.Name, m.Sizes, m.New, things, types})
		}
		packages = append(packages, []any{p.Name, p.Sizes, p.New, modules})
	}
	return map[string]any{"image": image, "kinds": KindNames, "sizes": a.Sizes, "new": a.New, "files": files, "packages": packages}
}
