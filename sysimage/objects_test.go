package sysimage

// Tests of reading heaps as graphs. The helpers also serve the tests of package anatomy, by the exported functions at the end.

import (
	"errors"
	"slices"
	"testing"

	"chainbuild/elfpatch"
)

// A testField is a field of a type: as many bytes, and whether it is a reference.
type testField struct {
	name    string
	size    int
	pointer bool
}

func pointers(names ...string) (list []testField) {
	for _, name := range names {
		list = append(list, testField{name, 8, true})
	}
	return list
}

// raw appends constants without a tag, and returns a reference to them.
func (h *testHeap) raw(data []byte) uint64 {
	h.constants = append(h.constants, make([]byte, -len(h.constants)&7)...)
	at := len(h.constants)
	h.constants = append(h.constants, data...)
	h.constants = append(h.constants, make([]byte, -len(h.constants)&7)...)
	return h.ref(refConst, uint64(at/8))
}

// str makes a String. Where objects lie among the constants, it does.
func (h *testHeap) str(text string) uint64 {
	content := append(le.AppendUint64(nil, uint64(len(text))), text...)
	content = append(append(content, 0), make([]byte, 7-len(text)&7)...)
	if h.form.objectsInConstants {
		h.raw([]byte{10 << 4}) // jl_string_tag
		return h.raw(content)
	}
	x := h.object(uint64(h.coreType("String")), len(content)/8)
	copy(h.objects[x:], content)
	return uint64(x)
}

// coreType is the type with a name of Core. It is made when it is first asked for.
func (h *testHeap) coreType(name string, fields ...testField) uint32 {
	if t, ok := h.named[name]; ok {
		return t
	}
	t := h.typeObject(name)
	h.describe(t, "Core", fields...)
	h.named[name] = t
	return t
}

// describe gives a type a module and a layout, in the form that the version's jl_datatype_layout_t has.
func (h *testHeap) describe(typ uint32, module string, fields ...testField) {
	typename := uint32(le.Uint64(h.objects[typ:]))
	h.setRef(typename+typeNameModule, uint64(h.modules[module]), false)
	var names []uint64
	var layout []byte
	if h.typeAt.counted > 0 {
		layout = le.AppendUint32(layout, 8)
	}
	for _, n := range []uint32{uint32(len(fields)), 0, ^uint32(0)} {
		layout = le.AppendUint32(layout, n)
	}
	layout = append(layout, 8, 0, 0, 0)
	offset := 0
	for _, f := range fields {
		names = append(names, h.symbol(f.name))
		size := byte(f.size) << 1
		if f.pointer {
			size |= 1
		}
		layout = append(layout, size, byte(offset))
		offset += f.size
	}
	h.setRef(typ+h.typeAt.layout, h.raw(layout), false)
	h.setRef(typename+h.typeAt.names, uint64(h.svec(names...)), false)
}

// describeTypes gives the types that the runtime knows their layouts, as far as they are read.
func (h *testHeap) describeTypes() {
	h.module("Core", "")
	for root, fields := range map[int][]testField{
		h.root.dataType: pointers("name", "super", "parameters"), h.root.simpleVector: nil, h.root.module: nil,
		h.root.method:         append(pointers("name", "module", "file"), testField{"line", 4, false}, testField{"", 4, false}, testField{"primary_world", 8, false}, testField{"sig", 8, true}),
		h.root.methodInstance: pointers("def", "specTypes"), h.root.codeInstance: pointers("def", "next", "inferred"),
	} {
		h.describe(uint32(h.roots[root]), "Core", fields...)
	}
	h.describe(h.typeName, "Core", pointers("name", "module")...)
	if h.root.array > 0 {
		h.describe(uint32(h.roots[h.root.array]), "Core")
	}
}

// dataType makes a type of a module with parameters.
func (h *testHeap) dataType(name, module string, parameters ...uint64) uint32 {
	t := h.typeObject(name)
	h.setRef(uint32(le.Uint64(h.objects[t:]))+typeNameModule, uint64(h.modules[module]), false)
	if len(parameters) > 0 {
		h.setRef(t+typeParameters, uint64(h.svec(parameters...)), false)
	}
	return t
}

// global has a variable of a module hold a value. In Julia 1.5 the module must have been made with its name.
func (h *testHeap) global(module, name string, value uint64) {
	if at, ok := h.bindings[module+"."+name]; ok {
		h.setRef(at+8, value, false)
		return
	}
	globalref := h.object(uint64(h.coreType("GlobalRef", pointers("mod", "name")...)), 2)
	h.setRef(globalref, uint64(h.modules[module]), false)
	h.setRef(globalref+8, h.symbol(name), false)
	binding := h.object(uint64(h.coreType("Binding", pointers("globalref", "value")...)), 2)
	h.setRef(binding, uint64(globalref), false)
	h.setRef(binding+8, value, false)
}

// method makes a method that was defined in a world, with a specialisation for a type and a code instance that has functions.
func (h *testHeap) methodOf(name, module, file string, line int, world uint64) uint32 {
	m := h.object(h.roots[h.root.method], 8)
	for place, ref := range []uint64{h.symbol(name), uint64(h.modules[module]), h.symbol(file)} {
		h.setRef(m+8*uint32(place), ref, false)
	}
	h.set(m+24, uint64(line))
	h.set(m+32, world)
	return m
}

func (h *testHeap) instanceOf(method uint32, specTypes uint64) uint32 {
	instance := h.object(h.roots[h.root.methodInstance], 4)
	h.setRef(instance, uint64(method), false)
	h.setRef(instance+8, specTypes, false)
	return instance
}

func (h *testHeap) codeOf(instance uint32) uint32 {
	c := h.object(h.roots[h.root.codeInstance], h.layout.code.size/8)
	h.setRef(c, uint64(instance), false)
	return c
}

// read opens the image and reads its objects.
func readObjects(t testing.TB, m *testImage) (*Base, *Objects) {
	t.Helper()
	im, err := elfpatch.Parse("base.so", m.file())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(im)
	if err != nil {
		t.Fatal(err)
	}
	o, err := b.Objects()
	if err != nil {
		t.Fatal(err)
	}
	return b, o
}

// UseObjects reads all that there is of an image's objects.
func UseObjects(b *Base) {
	o, err := b.Objects()
	if err != nil {
		return
	}
	for x := range Object(o.Len()) {
		if o.Size(x) < 0 || o.RelocSize(x) < 0 {
			panic("an object of negative size")
		}
		o.Bytes(x)
		o.Text(x)
		o.TypeString(x)
		o.TypeName(x)
		o.Field(x, "name")
		o.Number(x, "def")
		o.Number32(x, "def")
		first, end := o.References(x)
		for i := first; i < end; i++ {
			r := o.Reference(i)
			if o.Holder(r) != x {
				panic("a reference of another object")
			}
			o.Place(x, r.At)
		}
	}
	for range o.Cells() {
	}
	for range o.Roots() {
	}
}

// Objects follow each other without a gap, and so do constants and symbols.
func TestObjectsAddUp(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		m := newTestBase(l)
		m.heap.describeTypes()
		m.heap.global("Points", "z", m.heap.str("text"))
		b, o := readObjects(t, m)
		UseObjects(b)
		sums, relocs := [3]int64{}, int64(0)
		for x := range Object(o.Len()) {
			sums[o.Part(x)] += o.Size(x)
			relocs += o.RelocSize(x)
		}
		h := b.heap
		first := int64(o.begin(0))
		if sums[PartObjects] != int64(h.objects.size)-first || sums[PartSymbols] != int64(h.symbols.size) {
			t.Errorf("objects of %d bytes from %d on, symbols of %d, where the heap has %d and %d", sums[PartObjects], first, sums[PartSymbols], h.objects.size, h.symbols.size)
		}
		if before := int64(h.constants.size) - sums[PartConstants]; before < 0 || before > 8 {
			t.Errorf("constants of %d bytes, where the heap has %d", sums[PartConstants], h.constants.size)
		}
		lists := int64(h.types.size + h.references.size + h.owners.size + h.memories.size)
		if relocs != lists {
			t.Errorf("relocations of %d bytes, where the lists have %d", relocs, lists)
		}
	})
}

func TestObjectsAreWhatTheHeapHas(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		m := newTestBase(l)
		h := m.heap
		h.describeTypes()
		pair := h.coreType("Pair", append(pointers("first"), testField{"second", 8, false}, testField{"third", 8, true})...)
		text := h.str("some text")
		x := h.object(uint64(pair), 3)
		h.setRef(x, text, false)
		h.set(x+8, 42)
		list := h.svec(uint64(x), text)
		h.setRef(x+16, uint64(list), false)
		_, o := readObjects(t, m)

		object := o.Find(x)
		if name := o.TypeName(object); name != "Pair" || o.Offset(object) != x || !o.IsCore(o.Type(object)) {
			t.Errorf("the object at %d is a %s at %d", x, name, o.Offset(object))
		}
		if got, ok := o.Text(o.Field(object, "first")); !ok || string(got) != "some text" || o.TypeName(o.Field(object, "first")) != "String" {
			t.Errorf("its first field is %q, a %s", got, o.TypeName(o.Field(object, "first")))
		}
		if got := o.Number(object, "second"); got != 42 {
			t.Errorf("its second field is %d", got)
		}
		if o.Field(object, "second") != None {
			t.Errorf("its second field, a number, leads to %d", o.Field(object, "second"))
		}
		if o.Field(object, "fourth") != None || o.Number(object, "fourth") != 0 || o.Field(None, "first") != None {
			t.Error("it has fields that it has not")
		}
		var places []string
		first, end := o.References(object)
		for i := first; i < end; i++ {
			places = append(places, o.Place(object, o.Reference(i).At))
		}
		if !slices.Equal(places, []string{".first", ".third"}) {
			t.Errorf("it has references at %q", places)
		}
		svec := o.Field(object, "third")
		places = nil
		first, end = o.References(svec)
		for i := first; i < end; i++ {
			places = append(places, o.Place(svec, o.Reference(i).At))
		}
		if !slices.Equal(places, []string{"[1]", "[2]"}) || o.Reference(first).To != object {
			t.Errorf("the list has references at %q", places)
		}
	})
}

// An overlay has its base's constants among its objects.
func TestObjectsOfOverlays(t *testing.T) {
	for _, l := range []*testLayout{test1_10, test1_12} {
		t.Run(l.julia, func(t *testing.T) {
			m := newTestBase(l)
			h := m.heap
			h.describeTypes()
			before := h.object(h.roots[h.root.method], 2)
			empty := h.object(h.roots[h.root.method], 0)
			start := uint32(len(h.objects))
			h.objects = append(h.objects, make([]byte, -len(h.objects)&15+8)...)
			h.objects = le.AppendUint64(h.objects, 10<<4) // jl_string_tag
			text := uint32(len(h.objects))
			h.objects = append(le.AppendUint64(h.objects, 5), "/ab/c\x00\x00\x00"...)
			layout := uint64(len(h.objects)) // of a type with a field
			h.objects = append(h.objects, 8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8<<1|1, 0, 0, 0)
			end := uint32(len(h.objects))
			list := h.svec(uint64(text), h.str("new"), uint64(empty))
			typ := h.dataType("Held", "Points")
			h.setRef(typ+h.typeAt.layout, layout, false)
			h.setRef(uint32(le.Uint64(h.objects[typ:]))+h.typeAt.names, uint64(h.svec(h.symbol("text"))), false)
			held := h.object(uint64(typ), 1)
			h.setRef(held, uint64(text), false)
			im, err := elfpatch.Parse("overlay.so", m.file())
			if err != nil {
				t.Fatal(err)
			}
			b, err := Open(im)
			if err != nil {
				t.Fatal(err)
			}
			b.Note = &Note{Constants: [][2]uint32{{start, end}}}
			o, err := b.Objects()
			if err != nil {
				t.Fatal(err)
			}
			UseObjects(b)
			elements := o.elements(o.Find(list))
			for i, want := range []string{"/ab/c", "new"} {
				x := elements[i]
				if got, ok := o.Text(x); !ok || string(got) != want || o.Part(x) != PartConstants || o.TypeName(x) != "String" {
					t.Errorf("element %d is %q, a %s in part %d", i, got, o.TypeName(x), o.Part(x))
				}
			}
			if o.Field(o.Find(held), "text") != elements[0] {
				t.Error("a field that a layout among the objects tells of is not found")
			}
			if size := o.Size(elements[0]); size != 24 {
				t.Errorf("the constant has %d bytes with its tag, and not 24", size)
			}
			if x := elements[2]; x != o.Find(empty) || o.Offset(x) != empty || o.Part(x) != PartObjects || o.Size(x) != 8 {
				t.Errorf("the object without fields before the constants is object %d at %d in part %d with %d bytes", x, o.Offset(x), o.Part(x), o.Size(x))
			}
			// Objects may end within a word.
			b.Note.Constants = [][2]uint32{{start + 4, end}}
			if o, err = b.Objects(); err != nil {
				t.Fatal(err)
			}
			if x := o.Find(empty); o.Size(x) != 8+4 {
				t.Errorf("the object before the constants has %d bytes up to them with its tag, and not 12", o.Size(x))
			}
			if x := o.Find(before); o.Offset(x) != before || o.Size(x) != int64(empty-before) {
				t.Errorf("the object before it is at %d with %d bytes", o.Offset(x), o.Size(x))
			}
			b.Note.Constants = [][2]uint32{{start, 1 << 30}}
			if _, err := b.Objects(); !errors.Is(err, ErrDamaged) {
				t.Errorf("with constants beyond its heap the error is %v", err)
			}
		})
	}
}

func TestTypeString(t *testing.T) {
	eachLayout(t, func(t *testing.T, l *testLayout) {
		m := newTestBase(l)
		h := m.heap
		h.describeTypes()
		integer, array := h.dataType("Int64", "Core"), "Array"
		number := func(n uint64) uint64 { return h.ref(refTag, l.max.tag+1-(2*1024+256)+512+n) }
		types := map[string]uint64{
			"Int64":               uint64(integer),
			"Vector{Int64}":       uint64(h.dataType(array, "Core", uint64(integer), number(1))),
			"Matrix{Int64}":       uint64(h.dataType(array, "Core", uint64(integer), number(2))),
			"Array{Int64, 3}":     uint64(h.dataType(array, "Core", uint64(integer), number(3))),
			"Tuple{Int64, Int64}": uint64(h.dataType("Tuple", "Core", uint64(integer), uint64(integer))),
			"Tuple{}":             uint64(h.dataType("Tuple", "Core")),
			"typeof(f)":           uint64(h.dataType("#f", "Points")),
			"#f#3":                uint64(h.dataType("#f#3", "Points")),
			"Val{:x}":             uint64(h.dataType("Val", "Base", h.symbol("x"))),
		}
		loop := h.dataType("Loop", "Points")
		h.setRef(loop+typeParameters, uint64(h.svec(uint64(loop), uint64(loop))), false)
		_, o := readObjects(t, m)
		for want, offset := range types {
			if got := o.TypeString(o.Find(uint32(offset))); got != want {
				t.Errorf("a type is written %s, not %s", got, want)
			}
		}
		if got := o.TypeString(o.Find(loop)); len(got) > 4*maxTypeLength {
			t.Errorf("a type that is its own parameter is written with %d bytes", len(got))
		}
	})
}

// Series are the versions that tests have images of.
func Series() (list []string) {
	for _, l := range testLayouts {
		list = append(list, l.julia)
	}
	return list
}

// FixtureFile makes the file of an image with a known owner of each object, for the tests of package anatomy. Base is older than
// Points, which is older than Lines.
//
//	Base.f(::Points.P)   is specialised for Points, and has function 2
//	Points.g()           has functions 0 and 1
//	Base.shared          and Points.shared hold one String; Points.mine and Lines.mine hold another
//	Points.config        holds a list with the path /data/points/config.ini
//	cell 0               is filled with a list that nothing else leads to
func FixtureFile(series string) []byte {
	i := slices.IndexFunc(testLayouts, func(l *testLayout) bool { return l.julia == series })
	l := testLayouts[i]
	h := newTestHeap(l)
	h.module("Base", "Main", "shared")
	h.module("Points", "", "shared", "mine", "config")
	h.module("Lines", "", "mine")
	h.describeTypes()
	p := h.dataType("P", "Points")
	f, g, line := h.methodOf("f", "Base", "base.jl", 7, 1), h.methodOf("g", "Points", "/home/me/Points/src/Points.jl", 11, 20), h.methodOf("h", "Lines", "lines.jl", 1, 30)
	h.setRef(f+40, uint64(h.dataType("Tuple", "Core", uint64(h.dataType("#f", "Base")), uint64(h.dataType("Any", "Core")))), false)
	special := h.codeOf(h.instanceOf(f, uint64(h.dataType("Tuple", "Core", uint64(h.dataType("#f", "Base")), uint64(p)))))
	plain := h.codeOf(h.instanceOf(g, uint64(h.dataType("Tuple", "Core"))))
	h.codeOf(h.instanceOf(line, uint64(h.dataType("Tuple", "Core"))))
	h.setRef(special+h.layout.code.invoke, h.ref(refFunction, conventionBoxed), false)
	for name, owners := range map[string][]string{"shared": {"Base", "Points"}, "mine": {"Points", "Lines"}} {
		text := h.str("a text that is held by " + name)
		for _, module := range owners {
			h.global(module, name, text)
		}
	}
	h.global("Points", "config", uint64(h.svec(h.str("/data/points/config.ini"), h.str("see /usr/local/points.so, or https://points/x/y"))))
	h.functions = []uint64{h.record(plain, true), h.record(plain, false), h.record(special, false)}
	h.globals = []uint64{uint64(h.svec(h.str("only native code has this")))}
	m := &testImage{testLayout: l, heap: h, needed: l.library, functions: 3, targets: 1, header: [4]uint32{shardVersion, 1, 3, 1}}
	m.shards = []testShard{{functions: []int{0, 1, 2}, code: [][]uint64{{testCodeAt(0, 0), testCodeAt(1, 0), testCodeAt(2, 0)}}, cells: map[int]uint64{0: testCells}}}
	return m.file()
}
