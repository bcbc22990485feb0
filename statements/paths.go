package statements

// This file says what a statement names, for those who decide by that.

import "strings"

// A Path is a name that stands in a statement.
type Path struct {
	// Module is the module that it is named with, with dots; empty for a name without one.
	Module string
	// Name is the name as Julia has it: `+` for Base.:(+), `#f#1` for var"#f#1" and for Symbol("#f#1").
	Name string
}

// Paths are the names in the source, in the order of the text. Functions that only the grammar knows, such as typeof, are not among them, nor are names
// of symbols.
func (s Statement) Paths() []Path {
	var paths []Path
	p := &parser{src: []byte(s.Source), names: map[string]string{}, paths: &paths}
	if !p.statement() {
		return nil
	}
	return paths
}

// syntaxNames are names that say what is made of another one.
var syntaxNames = map[string]bool{"Tuple": true, "typeof": true, "Type": true, "getfield": true, "Symbol": true}

// Called returns the name of what the statement calls: that of a function, or of a type whose constructor or instances are called.
func Called(paths []Path) Path {
	for _, path := range paths {
		if !(path.Module == "" && syntaxNames[path.Name]) && path != (Path{"Core", "Typeof"}) && path != (Path{"Core", "kwftype"}) {
			return path
		}
	}
	return Path{}
}

// notePath notes a name.
func (p *parser) notePath(module, name []byte) {
	if p.paths != nil {
		*p.paths = append(*p.paths, Path{string(module), plainName(string(name))})
	}
}

// notedPaths is how many names were noted.
func (p *parser) notedPaths() int {
	if p.paths == nil {
		return 0
	}
	return len(*p.paths)
}

// forgetPaths forgets all names but the first ones.
func (p *parser) forgetPaths(but int) {
	if p.paths != nil {
		*p.paths = (*p.paths)[:but]
	}
}

// plainName takes off what the grammar puts around a name.
func plainName(name string) string {
	for _, around := range [][2]string{{`:(`, `)`}, {`var"`, `"`}, {`:var"`, `"`}} {
		if inner, ok := strings.CutPrefix(name, around[0]); ok && strings.HasSuffix(inner, around[1]) {
			return strings.TrimSuffix(inner, around[1])
		}
	}
	if inner, ok := strings.CutPrefix(name, `Symbol("`); ok {
		inner, _, _ = strings.Cut(strings.TrimSuffix(inner, `")`), `", "`)
		return inner
	}
	return strings.TrimPrefix(name, ":")
}
