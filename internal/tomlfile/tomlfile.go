// Package tomlfile reads TOML files. Those of chainbuild's own are read strictly: a key that is not known, or a value of the
// wrong kind, is refused with its line and with what is allowed. A setting that is misspelt would quietly not be made.
package tomlfile

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"chainbuild/internal/words"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A Document is a TOML file that was read.
type Document struct {
	// File is what errors call it.
	File string
	// Values are its keys and tables: string, int64, float64, bool, []any, map[string]any, and times.
	Values map[string]any

	text  []byte
	lines map[string]int // by path, see pathOf; nil until one is asked for
}

// Read reads a file.
func Read(path string) (*Document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse reads a text. File is what errors call it.
func Parse(file string, text []byte) (*Document, error) {
	d := &Document{File: file, text: text}
	if err := toml.Unmarshal(text, &d.Values); err != nil {
		var place *toml.DecodeError
		if errors.As(err, &place) {
			line, _ := place.Position()
			return nil, fmt.Errorf("%s:%d cannot be read: %w: mend it", file, line, err)
		}
		return nil, fmt.Errorf("%s cannot be read: %w: mend it", file, err)
	}
	return d, nil
}

// linesOf returns the line of each table and of each key, but for those in inline tables, of a text that is TOML.
func linesOf(text []byte) map[string]int {
	lines := map[string]int{}
	var table []string
	var p unstable.Parser
	for p.Reset(text); p.NextExpression(); {
		expression := p.Expression()
		var keys []string
		line := 0
		for key := expression.Key(); key.Next(); {
			keys = append(keys, string(key.Node().Data))
			line = p.Shape(key.Node().Raw).Start.Line
		}
		switch expression.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = keys
		default:
			keys = append(slices.Clone(table), keys...)
		}
		// Of what stands more than once, such as a table of an array, the first line.
		if path := pathOf(keys); lines[path] == 0 {
			lines[path] = line
		}
	}
	return lines
}

// pathOf makes one text of the names of nested tables and of a key.
func pathOf(keys []string) string { return strings.Join(keys, "\x00") }

// line returns the line of a key. One in an inline table has the line of that, one that is not known 1.
func (d *Document) line(keys []string) int {
	if d.lines == nil {
		d.lines = linesOf(d.text)
	}
	for ; len(keys) > 0; keys = keys[:len(keys)-1] {
		if line := d.lines[pathOf(keys)]; line > 0 {
			return line
		}
	}
	return 1
}

// An UnknownKeyError is a key that a file must not have.
type UnknownKeyError struct {
	File string
	Line int
	Key  string
	// Known are the keys that are allowed.
	Known []string
}

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("%s:%d: there is no setting %q: use %s", e.File, e.Line, e.Key, words.Or(e.Known))
}

// Decode stores the named table, or the whole document for "", in the struct that into points to. A table that is not there
// leaves the struct as it is. The first value that does not fit, from the top of the file, is an error.
//
// The struct has a field with the tag toml:"KEY" for each key; embedded structs count as part of it. A field is one of
//
//	a type with Bounds         a number in these bounds
//	a type with UnmarshalText  a text that it takes
//	bool                       true or false
//	string, []string           a text, a list of texts
//	a map                      a table of any of these
func (d *Document) Decode(table string, into any) error {
	values, path := d.Values, []string{}
	if table != "" {
		value, there := d.Values[table]
		if !there {
			return nil
		}
		var ok bool
		path = append(path, table)
		if values, ok = value.(map[string]any); !ok {
			return fmt.Errorf("%s:%d: %s is not a table: write [%[3]s] on a line of its own and the settings below it", d.File, d.line(path), table)
		}
	}
	fields := map[string]reflect.Value{}
	known := fieldsOf(reflect.ValueOf(into).Elem(), fields)
	return d.each(path, values, func(path []string, value any) error {
		key := path[len(path)-1]
		field, ok := fields[key]
		if !ok {
			return &UnknownKeyError{d.File, d.line(path), key, known}
		}
		return d.decode(field, path, value)
	})
}

// each calls do for the values of a table in the order of the file, until it returns an error.
func (d *Document) each(table []string, values map[string]any, do func(path []string, value any) error) error {
	pathTo := func(key string) []string { return append(slices.Clone(table), key) }
	keys := slices.Sorted(maps.Keys(values))
	slices.SortStableFunc(keys, func(a, b string) int { return d.line(pathTo(a)) - d.line(pathTo(b)) })
	for _, key := range keys {
		if err := do(pathTo(key), values[key]); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf adds the fields of a struct by their keys, and returns the keys in their order.
func fieldsOf(structure reflect.Value, fields map[string]reflect.Value) (keys []string) {
	for i := range structure.NumField() {
		field := structure.Type().Field(i)
		if key := field.Tag.Get("toml"); key != "" {
			fields[key] = structure.Field(i)
			keys = append(keys, key)
		} else if field.Anonymous && field.Type.Kind() == reflect.Struct {
			keys = append(keys, fieldsOf(structure.Field(i), fields)...)
		}
	}
	return keys
}

// decode stores the value of a key.
func (d *Document) decode(field reflect.Value, path []string, value any) error {
	key := path[len(path)-1]
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s %w", d.File, d.line(path), key, fmt.Errorf(format, args...))
	}
	switch into := field.Addr().Interface().(type) {
	case interface{ Bounds() (least, most int) }:
		least, most := into.Bounds()
		number, ok := value.(int64)
		if !ok || number < int64(least) || number > int64(most) {
			return refuse("is %v: give a number from %d to %d", value, least, most)
		}
		field.SetInt(number)
	case encoding.TextUnmarshaler:
		text, ok := value.(string)
		if !ok {
			return refuse("is %v: give a text in quotes", value)
		}
		if err := into.UnmarshalText([]byte(text)); err != nil {
			return refuse("does not take %q: %w", text, err)
		}
	case *bool:
		truth, ok := value.(bool)
		if !ok {
			return refuse("is %v: give true or false", value)
		}
		*into = truth
	case *string:
		text, ok := value.(string)
		if !ok {
			return refuse("is %v: give a text in quotes", value)
		}
		*into = text
	case *[]string:
		elements, ok := value.([]any)
		texts := []string{}
		for _, element := range elements {
			text, isText := element.(string)
			ok = ok && isText
			texts = append(texts, text)
		}
		if !ok {
			return refuse(`is %v: give a list of names in quotes, as in ["DataFrames", "CSV"]`, value)
		}
		*into = texts
	default: // a map
		table, ok := value.(map[string]any)
		if !ok {
			return refuse("is %v: give a table", value)
		}
		field.Set(reflect.MakeMap(field.Type()))
		return d.each(path, table, func(path []string, value any) error {
			element := reflect.New(field.Type().Elem()).Elem()
			err := d.decode(element, path, value)
			field.SetMapIndex(reflect.ValueOf(path[len(path)-1]), element)
			return err
		})
	}
	return nil
}
