package anatomy

// This file says which objects of the heap are counted together: those of one type, and, where the type alone says little, those that
// are in one field. Data of an array counts with it.

import "chainbuild/sysimage"

// roles say what is in a field of an object.
var roles = map[string]string{
	"CodeInstance.inferred": "inferred code",
	"Method.source":         "lowered code",
	"DebugInfo.codelocs":    "line numbers",
	"DocStr.text":           "documentation",
}

// withRoles are the types of which roles are told apart.
var withRoles = []string{"String", "Vector{UInt8}"}

// A labeller numbers labels.
type labeller struct {
	w       *owners
	names   []string
	numbers map[string]int
	// types are the labels of types, by their numbers, one more than it is; 0 for those that are not known yet.
	types []int
	roles map[roleKey]int
}

// A roleKey is a label, and a place in objects of a type.
type roleKey struct {
	label int
	typ   sysimage.Object
	place uint32
}

func newLabeller(w *owners) *labeller {
	l := &labeller{w: w, numbers: map[string]int{}, types: make([]int, w.heap.Len()), roles: map[roleKey]int{}}
	for _, name := range withRoles {
		l.number(name) // they have the first numbers
	}
	return l
}

func (l *labeller) number(name string) int {
	n, ok := l.numbers[name]
	if !ok {
		n = len(l.names)
		l.numbers[name], l.names = n, append(l.names, name)
	}
	return n
}

// text is the label of an object.
func (l *labeller) text(x sysimage.Object) string { return l.names[l.of(x)] }

// of is the number of the label of an object.
func (l *labeller) of(x sysimage.Object) int {
	label := l.ofType(x)
	if label < 0 {
		// Data is what the object that leads to it is.
		via := l.w.via[x]
		if via < 0 {
			return l.number("data")
		}
		return l.of(l.w.heap.Holder(l.w.heap.Reference(int(via))))
	}
	if label < len(withRoles) && l.w.via[x] >= 0 {
		return l.role(label, l.w.heap.Reference(int(l.w.via[x])))
	}
	return label
}

// ofType is the number of the label of an object's type, -1 for data that is no object.
func (l *labeller) ofType(x sysimage.Object) int {
	typ := l.w.heap.Type(x)
	if typ == sysimage.None {
		if name := l.w.heap.TypeName(x); name != "" {
			return l.number(name)
		}
		return -1
	}
	if l.types[typ] == 0 {
		l.types[typ] = l.number(l.w.heap.TypeString(typ)) + 1
	}
	return l.types[typ] - 1
}

// role is the number of a label with what the field is that a reference lies in.
func (l *labeller) role(label int, r sysimage.Reference) int {
	heap := l.w.heap
	holder := heap.Holder(r)
	key := roleKey{label, heap.Type(holder), r.At - heap.Offset(holder)}
	n, ok := l.roles[key]
	if !ok {
		n = label
		if role := roles[heap.TypeName(holder)+heap.Place(holder, r.At)]; role != "" {
			n = l.number(l.names[label] + " (" + role + ")")
		}
		l.roles[key] = n
	}
	return n
}
