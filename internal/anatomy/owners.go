package anatomy

// This file says whom each object of a heap belongs to.
//
//  1. A method, its specialisations and their code instances belong to the method, a type to its name, a global variable to its
//     binding, a table of methods and a module to themselves. Those are the things of a module.
//  2. A thing counts for the package of its module. A specialisation counts for the youngest package among that of its method and
//     those of its argument types, since without that one it would not be there. So does a type with parameters.
//  3. Any other object counts for the first thing that leads to it: packages are asked from the oldest to the youngest, and in each
//     what is fewest references away from its things comes first. So what several packages share counts for the oldest of them.
//  4. What no thing leads to counts for no package: what only native code refers to, and what only the runtime knows.
//
// A package is older than another if its first method is: Julia loads a package after those that it uses.

import (
	"cmp"
	"slices"
	"strings"

	"chainbuild/sysimage"
)

// A holder is a thing, as far as it counts for a package.
type holder struct {
	pkg    int // by age, or one of the groups below
	module int // index into sysimage.Base.Modules, -1 for none
	kind   ThingKind
	object sysimage.Object // method, type name, binding, table or module
}

// Groups of what counts for no package, by holder.pkg.
const (
	groupNative  = -1 // what only native code refers to
	groupRuntime = -2 // what only the runtime knows
	groupFile    = -3 // what the file has besides heap and code
)

// owners know whom objects belong to.
type owners struct {
	image *sysimage.Base
	heap  *sysimage.Objects
	// packages are indices of top-level modules, the oldest first; age is where each module's package is in it.
	packages []int
	age      []int
	modules  map[sysimage.Object]int
	holders  []holder
	numbers  map[holder]int32
	// owner is an index into holders of each object, -1 for none yet.
	owner []int32
	// via is the reference by which the walk came to each object, -1 for things.
	via []int32
	// typeAge remembers ages of types.
	typeAge map[sysimage.Object]int
	// kinds are those of objects by the numbers of their types.
	kinds []objectKind
}

// An objectKind is what an object is to the rule.
type objectKind uint8

const (
	unknown objectKind = iota
	plain
	moduleObject
	methodObject
	instanceObject
	codeObject
	entryObject
	typeObject
	typeNameObject
	bindingObject
	tableObject
)

var kindNames = map[string]objectKind{
	"Module": moduleObject, "Method": methodObject, "MethodInstance": instanceObject, "CodeInstance": codeObject,
	"TypeMapEntry": entryObject, "DataType": typeObject, "TypeName": typeNameObject, "Binding": bindingObject, "MethodTable": tableObject,
}

// own walks the heap.
func own(image *sysimage.Base, heap *sysimage.Objects) *owners {
	w := &owners{
		image: image, heap: heap, modules: map[sysimage.Object]int{}, numbers: map[holder]int32{},
		owner: make([]int32, heap.Len()), via: make([]int32, heap.Len()),
		typeAge: map[sysimage.Object]int{}, kinds: make([]objectKind, heap.Len()),
	}
	for i := range w.owner {
		w.owner[i], w.via[i] = -1, -1
	}
	for i, m := range image.Modules {
		w.modules[heap.Find(m.Offset)] = i
	}
	w.findAges()
	things := make([][]sysimage.Object, len(w.packages))
	for x := range heap.All(sysimage.PartObjects) {
		if h, ok := w.holderOf(x); ok {
			w.owner[x] = w.number(h)
			things[h.pkg] = append(things[h.pkg], x)
		}
	}
	for _, queue := range things {
		w.walk(queue)
	}
	w.walkFrom(holder{pkg: groupNative, module: -1}, slices.Collect(heap.Cells()))
	w.walkFrom(holder{pkg: groupRuntime, module: -1}, slices.Collect(heap.Roots()))
	rest := w.number(holder{pkg: groupRuntime, module: -1})
	for x, owner := range w.owner {
		if owner < 0 {
			w.owner[x] = rest
		}
	}
	return w
}

// number numbers a holder.
func (w *owners) number(h holder) int32 {
	n, ok := w.numbers[h]
	if !ok {
		n = int32(len(w.holders))
		w.numbers[h], w.holders = n, append(w.holders, h)
	}
	return n
}

// walk gives what objects lead to, and what that leads to, the same owner, if it has none.
func (w *owners) walk(queue []sysimage.Object) {
	for len(queue) > 0 {
		x := queue[0]
		queue = queue[1:]
		first, end := w.heap.References(x)
		for i := first; i < end; i++ {
			if to := w.heap.Reference(i).To; w.owner[to] < 0 {
				w.owner[to], w.via[to] = w.owner[x], int32(i)
				queue = append(queue, to)
			}
		}
	}
}

// walkFrom is walk for objects that have no owner.
func (w *owners) walkFrom(h holder, start []sysimage.Object) {
	number := w.number(h)
	var queue []sysimage.Object
	for _, x := range start {
		if w.owner[x] < 0 {
			w.owner[x] = number
			queue = append(queue, x)
		}
	}
	w.walk(queue)
}

// kind says what an object is.
func (w *owners) kind(x sysimage.Object) objectKind {
	typ := w.heap.Type(x)
	if typ == sysimage.None {
		if w.heap.Part(x) == sysimage.PartObjects {
			return bindingObject // of Julia 1.5
		}
		return plain
	}
	if w.kinds[typ] == unknown {
		w.kinds[typ] = plain
		if kind, ok := kindNames[w.heap.TypeName(x)]; ok && w.heap.IsCore(typ) {
			w.kinds[typ] = kind
		}
	}
	return w.kinds[typ]
}

// holderOf says which thing an object is, or is a part of. ok is false for one that is none.
func (w *owners) holderOf(x sysimage.Object) (h holder, ok bool) {
	switch w.kind(x) {
	case moduleObject:
		if m, ok := w.modules[x]; ok {
			return holder{w.age[m], m, ThingModule, x}, true
		}
	case methodObject:
		return w.methodHolder(x)
	case instanceObject:
		return w.instanceHolder(x)
	case codeObject:
		return w.codeHolder(x)
	case entryObject:
		return w.definitionHolder(w.heap.Field(x, "func"))
	case typeNameObject:
		return w.typeNameHolder(x)
	case typeObject:
		if h, ok = w.typeNameHolder(w.heap.Field(x, "name")); ok {
			h.pkg = max(h.pkg, w.ageOfType(x, 0))
		}
		return h, ok
	case tableObject:
		if m, ok := w.modules[w.heap.Field(x, "module")]; ok {
			return holder{w.age[m], m, ThingTable, x}, true
		}
	case bindingObject:
		if m, ok := w.modules[w.bindingModule(x)]; ok {
			return holder{w.age[m], m, ThingGlobal, x}, true
		}
	}
	return holder{}, false
}

func (w *owners) methodHolder(x sysimage.Object) (holder, bool) {
	m, ok := w.modules[w.heap.Field(x, "module")]
	if !ok {
		return holder{}, false
	}
	return holder{w.age[m], m, ThingMethod, x}, true
}

// instanceHolder is the holder of a method instance: one of the method, or of the module for code at top level.
func (w *owners) instanceHolder(x sysimage.Object) (holder, bool) {
	h, ok := w.definitionHolder(w.heap.Field(x, "def"))
	if ok {
		h.pkg = max(h.pkg, w.ageOfType(w.heap.Field(x, "specTypes"), 0))
	}
	return h, ok
}

// definitionHolder is the holder of a method, a method instance, a code instance or a module.
func (w *owners) definitionHolder(x sysimage.Object) (holder, bool) {
	if x == sysimage.None {
		return holder{}, false
	}
	switch w.kind(x) {
	case methodObject:
		return w.methodHolder(x)
	case instanceObject:
		if def := w.heap.Field(x, "def"); def == sysimage.None || w.kind(def) == instanceObject {
			return holder{}, false
		}
		return w.instanceHolder(x)
	case codeObject:
		return w.codeHolder(x)
	case moduleObject:
		m, ok := w.modules[x]
		if !ok {
			return holder{}, false
		}
		return holder{w.age[m], m, ThingModule, x}, true
	}
	return holder{}, false
}

func (w *owners) codeHolder(x sysimage.Object) (holder, bool) {
	instance := w.heap.Field(x, "def")
	if instance != sysimage.None && w.kind(instance) == plain {
		instance = w.heap.Field(instance, "def") // an ABIOverride of Julia 1.12
	}
	if instance == sysimage.None || w.kind(instance) != instanceObject {
		return holder{}, false
	}
	return w.definitionHolder(instance)
}

func (w *owners) typeNameHolder(x sysimage.Object) (holder, bool) {
	if x == sysimage.None {
		return holder{}, false
	}
	m, ok := w.modules[w.heap.Field(x, "module")]
	if !ok {
		return holder{}, false
	}
	return holder{w.age[m], m, ThingType, x}, true
}

// bindingModule is the module that a binding belongs to. In Julia 1.5 it lies behind the module.
func (w *owners) bindingModule(x sysimage.Object) sysimage.Object {
	if w.heap.Type(x) != sysimage.None {
		return w.heap.Field(w.heap.Field(x, "globalref"), "mod")
	}
	offset := w.heap.Offset(x)
	i, _ := slices.BinarySearchFunc(w.image.Modules, offset, func(m sysimage.Module, at uint32) int { return cmp.Compare(m.Offset, at) })
	if i == 0 {
		return sysimage.None
	}
	return w.heap.Find(w.image.Modules[i-1].Offset)
}

// moduleName is a module's name with those that it is inside of.
func moduleName(image *sysimage.Base, module int) string {
	var names []string
	top := image.TopLevel(module)
	for range image.Modules {
		names = append(names, image.Modules[module].Name)
		if module == top {
			break
		}
		module = image.Modules[module].Parent
	}
	slices.Reverse(names)
	return strings.Join(names, ".")
}
