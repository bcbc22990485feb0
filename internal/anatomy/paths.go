package anatomy

// This file looks for what ties an image to the machine that it was built on: paths of its files, and its environment.
//
// A text that is a path as a whole counts, whatever it is called: a String that starts with "/", a Symbol that does. Inside of other
// texts, and of code as inference keeps it, a path counts if it starts in a folder that some such text starts in, or in one that most
// machines have. Then classify (pathclasses.go) says of what class each is, and whether it does any harm where the image is used.

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"chainbuild/sysimage"
)

// A Finding is a place of the machine that an image knows.
type Finding struct {
	Path  string
	Class Class
	// Holder is the type of the object that has it, Route how that is reached: empty for what is not in the heap.
	Holder, Route string
	Package       string
}

// An Audit is what was found.
type Audit struct {
	Findings []Finding
	// Unknown is why Julia's own paths cannot be told from others, empty if they can.
	Unknown string
}

// Ties are the findings that may do harm.
func (a *Audit) Ties() []Finding {
	return slices.DeleteFunc(slices.Clone(a.Findings), func(f Finding) bool { return f.Class.Harmless() })
}

// Paths lists what ties an image to a machine. Stock is the image of Julia itself that it was chained to in the end, nil if that is not
// known; it may be the image itself.
func Paths(image, stock *sysimage.Base) (*Audit, error) {
	heap, err := image.Objects()
	if err != nil {
		return nil, err
	}
	own := own(image, heap)
	known := map[string]bool{}
	if stock != nil {
		if known, err = pathsOf(stock); err != nil {
			return nil, err
		}
	}
	labels := newLabeller(own)
	environments, dicts := environments(own, labels)
	audit := &Audit{Findings: append(environments, fileFindings(image)...)}
	folders := startFolders(heap)
	for x := range sysimage.Object(heap.Len()) {
		paths := pathsIn(heap, x, folders)
		if len(paths) > 0 && own.isValueOf(x, dicts) {
			continue // the environment as a whole is a finding
		}
		for _, path := range paths {
			place := placeOf(own, labels, x)
			audit.Findings = append(audit.Findings, Finding{
				Path: path, Class: classify(path, place, known[path]), Holder: place.holder, Route: place.route, Package: place.pkg,
			})
		}
	}
	slices.SortStableFunc(audit.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Route, b.Route))
	})
	audit.Findings = slices.Compact(audit.Findings)
	return audit, nil
}

// pathsOf is the set of paths in an image's heap.
func pathsOf(image *sysimage.Base) (map[string]bool, error) {
	heap, err := image.Objects()
	if err != nil {
		return nil, err
	}
	set, folders := map[string]bool{}, startFolders(heap)
	for x := range sysimage.Object(heap.Len()) {
		for _, path := range pathsIn(heap, x, folders) {
			set[path] = true
		}
	}
	return set, nil
}

// usualFolders are folders that paths inside of texts start in.
var usualFolders = []string{
	"home", "root", "Users", "usr", "opt", "tmp", "var", "etc", "mnt", "srv", "media", "data", "scratch", "build", "cache", "nix", "run", "lib", "workspace",
}

// startFolders are the folders that paths start in.
func startFolders(heap *sysimage.Objects) map[string]bool {
	folders := map[string]bool{}
	for _, name := range usualFolders {
		folders[name] = true
	}
	for x := range sysimage.Object(heap.Len()) {
		if text, ok := textOf(heap, x); ok && isPath(text) {
			first, _, _ := strings.Cut(string(text[1:]), "/")
			folders[first] = true
		}
	}
	return folders
}

// textOf returns the bytes of a String, of a Symbol, or of data that is no object.
func textOf(heap *sysimage.Objects, x sysimage.Object) ([]byte, bool) {
	switch heap.Part(x) {
	case sysimage.PartSymbols:
		return heap.Bytes(x), true
	case sysimage.PartConstants:
		if heap.TypeName(x) == "" {
			return heap.Bytes(x), true
		}
	}
	return heap.Text(x)
}

const (
	maxPath = 4096 // PATH_MAX of Linux
	// minPathInText is the least length of a path inside of other text.
	minPathInText = 6
)

// isPath says that a text is an absolute path as a whole, of two names or more.
func isPath(text []byte) bool {
	if len(text) < 4 || len(text) > maxPath || text[0] != '/' || !isNameStart(text[1]) {
		return false
	}
	for _, c := range text {
		if c < ' ' || c == 0x7f || strings.IndexByte("\"`<>|*?;={}()[]$\\", c) >= 0 {
			return false
		}
	}
	rest := text[1:]
	cut := bytes.IndexByte(rest, '/')
	return cut > 0 && cut < len(rest)-1 && !bytes.Contains(text, []byte("//"))
}

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '~' || c == '@'
}

func isPathByte(c byte) bool { return isNameStart(c) || c == '/' || c == '-' || c == '+' || c >= 0x80 }

// pathsIn lists the paths of an object.
func pathsIn(heap *sysimage.Objects, x sysimage.Object, folders map[string]bool) []string {
	text, ok := textOf(heap, x)
	if !ok || bytes.IndexByte(text, '/') < 0 {
		return nil
	}
	if isPath(text) {
		if bytes.Contains(text, []byte(":/")) || bytes.HasSuffix(text, []byte(":")) {
			return listedPaths(string(text))
		}
		return []string{string(text)}
	}
	var list []string
	for at := 0; ; {
		next := bytes.IndexByte(text[at:], '/')
		if next < 0 {
			return list
		}
		start := at + next
		end := start
		for end < len(text) && isPathByte(text[end]) && text[end] < 0x80 {
			end++
		}
		at = max(end, start+1)
		if start > 0 && (isPathByte(text[start-1]) || text[start-1] == ':' && end > start+1 && text[start+1] == '/') {
			continue
		}
		path := strings.TrimRight(string(text[start:end]), ".")
		if first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); len(path) >= minPathInText && isPath([]byte(path)) && folders[first] {
			list = append(list, path)
		}
	}
}

// listedPaths takes a list of folders apart, as in PATH.
func listedPaths(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ":"), func(path string) bool { return !isPath([]byte(path)) })
}

// A place is where a path was found, as far as its class depends on it.
type place struct {
	pkg, module string
	thing       *Thing
	holder      string // type of the object
	label       string
	route       string
	unused      bool // nothing leads to the object
}

func placeOf(w *owners, labels *labeller, x sysimage.Object) place {
	h := w.holders[w.owner[x]]
	p := place{thing: w.thing(h), holder: w.heap.TypeName(x), label: labels.text(x), route: w.route(x), unused: h.pkg == groupUnused}
	if p.holder == "" {
		p.holder = p.label
	}
	if h.pkg >= 0 {
		p.pkg = w.image.Modules[w.packages[h.pkg]].Name
	}
	if h.module >= 0 {
		p.module = moduleName(w.image, h.module)
	}
	return p
}

// fileFindings are the paths that the file has outside its heap: the base and package images that it needs, and names in debug information.
func fileFindings(image *sysimage.Base) []Finding {
	var list []Finding
	for _, needed := range image.Layers[0].Needed() {
		if isPath([]byte(needed)) {
			list = append(list, Finding{Path: needed, Class: ClassBase, Holder: "needed library", Route: "dynamic section"})
		}
	}
	for _, p := range image.Packages {
		list = append(list, Finding{Path: p.Path, Class: ClassBase, Holder: "needed package image", Route: "startup code"})
	}
	for _, name := range []string{".debug_line", ".debug_str", ".debug_line_str"} {
		data, _, _ := image.Layers[0].Section(name)
		for _, text := range bytes.Split(data, []byte{0}) {
			if at := bytes.IndexByte(text, '/'); at >= 0 && isPath(text[at:]) && (at == 0 || text[at-1] < ' ') {
				list = append(list, Finding{Path: string(text[at:]), Class: ClassDebug, Holder: "debug information", Route: "section " + name})
			}
		}
	}
	return list
}
