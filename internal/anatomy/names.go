package anatomy

// This file names things.

import (
	"strings"

	"chainbuild/internal/words"
	"chainbuild/sysimage"
)

// thing describes a holder.
func (w *owners) thing(h holder) *Thing {
	t := &Thing{Kind: h.kind}
	switch h.kind {
	case ThingModule:
		t.Name = w.image.Modules[h.module].Name
	case ThingMethod:
		t.Name = w.methodName(h.object)
		t.File, _ = w.heap.Symbol(w.heap.Field(h.object, "file"))
		t.Line = int(w.heap.Number32(h.object, "line"))
	case ThingType:
		name, _ := w.heap.Symbol(w.heap.Field(h.object, "name"))
		t.Name = name
		if function, ok := strings.CutPrefix(name, "#"); ok && function != "" && !strings.Contains(function, "#") {
			t.Name = "typeof(" + function + ")"
		}
	case ThingTable:
		t.Name, _ = w.heap.Symbol(w.heap.Field(h.object, "name"))
	case ThingGlobal:
		t.Name = w.bindingName(h.object)
	default:
		t.Kind, t.Name = ThingOther, groupTitles[h.pkg]
	}
	return t
}

// Title is a thing's name for people.
func (t *Thing) Title() string {
	switch {
	case t.Kind == ThingRest:
		return words.Count(t.Count, "smaller thing")
	case t.isDocumentation():
		return "documentation (" + t.Name + ")"
	}
	return t.Name
}

// isDocumentation says that a thing is the variable that has the documentation of a module (META in base/docs/Docs.jl).
func (t *Thing) isDocumentation() bool {
	return t.Kind == ThingGlobal && strings.HasPrefix(t.Name, "##meta#")
}

// methodName is a method's name with the types of its arguments.
func (w *owners) methodName(method sysimage.Object) string {
	name, _ := w.heap.Symbol(w.heap.Field(method, "name"))
	signature := w.heap.Field(method, "sig")
	for range maxTypeDepth {
		if signature == sysimage.None || w.heap.TypeName(signature) != "UnionAll" {
			break
		}
		signature = w.heap.Field(signature, "body")
	}
	if signature == sysimage.None || w.heap.TypeName(signature) != "DataType" {
		return name
	}
	var arguments []string
	for i, t := range w.heap.Parameters(signature) {
		if i > 0 {
			arguments = append(arguments, "::"+w.heap.TypeString(t))
		}
	}
	return name + "(" + strings.Join(arguments, ", ") + ")"
}

func (w *owners) bindingName(x sysimage.Object) string {
	name := w.heap.Field(w.heap.Field(x, "globalref"), "name")
	if w.heap.Type(x) == sysimage.None {
		if first, end := w.heap.References(x); first < end {
			name = w.heap.Reference(first).To // of Julia 1.5: the first word
		}
	}
	text, _ := w.heap.Symbol(name)
	return text
}

// groupTitles say what counts for no package.
var groupTitles = map[int]string{
	groupNative:  "(held by native code)",
	groupRuntime: "(held by the runtime)",
	groupFile:    "(tables and names)",
}

func (r *reader) packageTitle(pkg int) string {
	if pkg < 0 {
		return groupTitles[pkg]
	}
	return r.image.Modules[r.owners.packages[pkg]].Name
}

func (r *reader) moduleTitle(module int) string {
	if module < 0 {
		return ""
	}
	return moduleName(r.image, module)
}
