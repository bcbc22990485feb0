package sysimage

// This file writes types as Julia does.

import (
	"fmt"
	"strings"
)

// How deep and how long a type is written.
const (
	maxTypeDepth  = 6
	maxTypeLength = 240
)

// TypeString writes a type.
func (o *Objects) TypeString(x Object) string {
	w := typeWriter{o: o}
	w.write(x, 0)
	return w.text.String()
}

type typeWriter struct {
	o    *Objects
	text strings.Builder
}

// write writes a type, or another value that is a parameter of one.
func (w *typeWriter) write(x Object, depth int) {
	if x == None {
		w.text.WriteByte('_')
		return
	}
	if depth > maxTypeDepth || w.text.Len() > maxTypeLength {
		w.text.WriteString("…")
		return
	}
	o := w.o
	switch o.TypeName(x) {
	case "DataType":
		w.dataType(x, depth)
	case "UnionAll":
		w.write(o.Field(x, "body"), depth)
	case "Union":
		w.text.WriteString("Union")
		w.list(o.unionMembers(x), depth)
	case "TypeofVararg":
		w.text.WriteString("Vararg")
		w.list([]Object{o.Field(x, "T")}, depth)
	case "TypeofBottom":
		w.text.WriteString("Union{}")
	case "TypeVar":
		name, _ := o.Symbol(o.Field(x, "name"))
		w.text.WriteString(name)
	case "Symbol":
		name, _ := o.Symbol(x)
		w.text.WriteString(":" + name)
	case "Module":
		name, _ := o.Symbol(o.follow(x, 0))
		w.text.WriteString(name)
	case "Bool":
		w.text.WriteString(map[byte]string{0: "false", 1: "true"}[o.firstByte(x)])
	case "Int64":
		if data := o.Bytes(x); len(data) >= 8 {
			fmt.Fprint(&w.text, int64(le.Uint64(data)))
		}
	default:
		w.text.WriteByte('_')
	}
}

func (o *Objects) firstByte(x Object) byte {
	if data := o.Bytes(x); len(data) > 0 {
		return data[0]
	}
	return 0
}

// dataType writes a DataType, some by the names that Julia has for them with all parameters.
func (w *typeWriter) dataType(x Object, depth int) {
	o := w.o
	name, _ := o.Symbol(o.follow(o.follow(x, 0), 0))
	words := o.elementWords(o.follow(x, typeParameters))
	if function, ok := strings.CutPrefix(name, "#"); ok && len(words) == 0 && function != "" && !strings.Contains(function, "#") {
		w.text.WriteString("typeof(" + function + ")")
		return
	}
	if len(words) == 0 {
		w.text.WriteString(name)
		if name == "Tuple" {
			w.text.WriteString("{}")
		}
		return
	}
	if dimensions, ok := o.smallInt(words[len(words)-1]); ok && name == "Array" && len(words) == 2 && (dimensions == 1 || dimensions == 2) {
		name, words = [...]string{"Vector", "Matrix"}[dimensions-1], words[:1]
	} else if name == "GenericMemory" && len(words) == 3 {
		name, words = "Memory", words[1:2]
	}
	w.text.WriteString(name + "{")
	for i, ref := range words {
		if i > 0 {
			w.text.WriteString(", ")
		}
		if n, ok := o.smallInt(ref); ok {
			fmt.Fprint(&w.text, n)
		} else {
			w.write(o.at(ref), depth+1)
		}
	}
	w.text.WriteString("}")
}

func (w *typeWriter) list(types []Object, depth int) {
	w.text.WriteString("{")
	for i, t := range types {
		if i > 0 {
			w.text.WriteString(", ")
		}
		w.write(t, depth+1)
	}
	w.text.WriteString("}")
}

// smallInts is how many small numbers of Int64, from -smallInts/2 on, the loader makes (NBOX_C in src/julia_internal.h).
const smallInts = 1024

// smallInt says which number of type Int64 a reference stands for, if it is one that the loader makes.
func (o *Objects) smallInt(ref uint64) (int64, bool) {
	kind, n := o.h.split(ref)
	first := o.h.max.tag + 1 - (2*smallInts + 256) // those of Int32 and of UInt8 follow
	if kind != refTag || n < first || n >= first+smallInts {
		return 0, false
	}
	return int64(n-first) - smallInts/2, true
}

// unionMembers are the types of a Union.
func (o *Objects) unionMembers(x Object) []Object {
	var list []Object
	for range 100 {
		list = append(list, o.Field(x, "a"))
		if x = o.Field(x, "b"); x == None || o.TypeName(x) != "Union" {
			break
		}
	}
	return append(list, x)
}
