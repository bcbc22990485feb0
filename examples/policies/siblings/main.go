// Siblings is a policy that has methods compiled for other number types too. A statement about Float64 alone stands for the same about Float32 and
// Float16, and one about Int64 for Int32. A program that was recorded with one type then starts as fast with another.
package main

import (
	"strings"

	"chainbuild/policy/sdk"
)

// siblings are the types that take the place of one in all of a statement, one after the other.
var siblings = []struct {
	of    string
	types []string
}{
	{"Float64", []string{"Float32", "Float16"}},
	{"Int64", []string{"Int32"}},
}

// Statements of these packages are about numbers. Those of others mostly are about one type, and cost what nobody gains.
var packages = map[string]bool{"Base": true, "LinearAlgebra": true, "Statistics": true, "SparseArrays": true, "StaticArrays": true}

func decide(s *sdk.Statement) sdk.Answer {
	if !packages[s.Package] || s.AddedBy != "" {
		return sdk.Keep()
	}
	all := []string{s.Source}
	for _, number := range siblings {
		if !names(s.Source, number.of) {
			continue
		}
		for _, other := range number.types {
			// A mixture of both would be another method.
			if !names(s.Source, other) {
				all = append(all, replace(s.Source, number.of, other))
			}
		}
		break
	}
	if len(all) == 1 {
		return sdk.Keep()
	}
	return sdk.Replace(all...)
}

// names says whether a type stands in a statement.
func names(source, name string) bool { return replace(source, name, "") != source }

// replace replaces a type in a statement, but not what is only a part of a longer name.
func replace(source, old, with string) string {
	var out strings.Builder
	for {
		at := strings.Index(source, old)
		if at < 0 {
			out.WriteString(source)
			return out.String()
		}
		before, after := source[:at], source[at+len(old):]
		out.WriteString(before)
		if continues(before, true) || continues(after, false) {
			out.WriteString(old)
		} else {
			out.WriteString(with)
		}
		source = after
	}
}

// continues says whether the end, or the beginning, of a text belongs to a name.
func continues(text string, end bool) bool {
	if text == "" {
		return false
	}
	c := text[0]
	if end {
		c = text[len(text)-1]
	}
	return c == '_' || c == '!' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || end && (c == '.' || c == ':' || c == '"')
}

func init() { sdk.Statements(sdk.Each(decide)) }

func main() {}
