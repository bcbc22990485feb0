package anatomy

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/elfpatch"
	"chainbuild/internal/juliatest"
	"chainbuild/sysimage"
)

// pieces are a small tree.
func pieces() *Anatomy {
	module := &Module{Name: "P", Things: []*Thing{
		{Kind: ThingMethod, Name: "f(::Int64)", Sizes: Sizes{100, 10, 5}, Functions: 2}, {Kind: ThingMethod, Name: "#f#12(::Any)", Sizes: Sizes{50}},
		{Kind: ThingType, Name: "T", Sizes: Sizes{0, 0, 20}}, {Kind: ThingGlobal, Name: "small", Sizes: Sizes{0, 0, 2, 1}},
	}, Types: []*Type{{Name: "DataType", Count: 3, Bytes: 28}}}
	p := &Package{Name: "P", Modules: []*Module{module}}
	for _, t := range module.Things {
		module.Sizes.add(t.Sizes)
	}
	p.Sizes = module.Sizes
	return &Anatomy{Bytes: module.Sizes.Total(), Sizes: module.Sizes, Packages: []*Package{p}}
}

func TestCompare(t *testing.T) {
	old, new := pieces(), pieces()
	things := new.Packages[0].Modules[0].Things
	things[0].Sizes[Code] += 11
	things[1].Name = "#f#99(::Any)" // a number that Julia gave
	things[2].Name = "U"
	new.Packages[0].Sizes[Code] += 11
	d := Compare(old, new)
	if len(d.Packages) != 1 || d.Packages[0].By() != 11 || d.Packages[0].Name != "" {
		t.Errorf("packages: %+v", d.Packages)
	}
	var got []string
	for _, c := range d.Things {
		got = append(got, c.Name)
	}
	if !slices.Equal(got, []string{"T", "U", "f(::Int64)"}) || d.Things[0].By() != -20 || d.Things[1].By() != 20 || d.Things[2].By() != 11 {
		t.Errorf("things: %+v", d.Things)
	}
	if d := Compare(old, pieces()); len(d.Packages)+len(d.Things) != 0 {
		t.Errorf("the same image differs from itself by %+v", d)
	}
}

func TestBeyond(t *testing.T) {
	image := pieces()
	image.Beyond(pieces(), true)
	if image.New.Total() != 0 || image.Packages[0].Modules[0].Things[0].New.Total() != 0 {
		t.Errorf("an image has %v beyond itself", image.New)
	}
	// The base's code is not in a thin image's file.
	image.Beyond(pieces(), false)
	if p := image.Packages[0]; p.New[Code] != 150 || p.New[Debug] != 10 || p.New.Heap() != 0 {
		t.Errorf("a thin image has %v beyond its base", p.New)
	}
}

func TestFold(t *testing.T) {
	a := pieces()
	before := a.Packages[0].Modules[0].Sizes
	a.Fold(2)
	things := a.Packages[0].Modules[0].Things
	if len(things) != 3 || things[2].Kind != ThingRest || things[2].Count != 2 || things[2].Title() != "2 smaller things" || things[2].Sizes[HeapObjects] != 22 {
		t.Errorf("two are kept of %+v", things)
	}
	var sum Sizes
	for _, t := range things {
		sum.add(t.Sizes)
	}
	if sum != before {
		t.Errorf("they take %v, not %v", sum, before)
	}
}

func TestIsPath(t *testing.T) {
	for text, want := range map[string]bool{
		"/home/me": true, "/usr/lib/x y/z": true, "/a/b.so.1": true, "/opt/ä/b": true,
		"": false, "/": false, "/usr": false, "home/me": false, "//host/x": false, "/a//b": false, "/usr/": false, "/[^/]+/x": false, "/a/b\n/c": false, "/ /x": false,
	} {
		if got := isPath([]byte(text)); got != want {
			t.Errorf("%q is a path: %v", text, got)
		}
	}
	if got := listedPaths("/usr/bin:/bin:/opt/x/bin:"); !slices.Equal(got, []string{"/usr/bin", "/opt/x/bin"}) {
		t.Errorf("the list has %q", got)
	}
}

func TestClassify(t *testing.T) {
	variable := func(module, name string) place {
		return place{pkg: strings.Split(module, ".")[0], module: module, thing: &Thing{Kind: ThingGlobal, Name: name}, holder: "String", label: "String"}
	}
	for _, test := range []struct {
		path  string
		place place
		known bool
		want  Class
	}{
		{"/home/me/x.csv", variable("P", "X"), false, ClassPath},
		{"/home/me/x.csv", variable("P", "X"), true, ClassJulia},
		{"/opt/julia/share/julia/stdlib/v1.10/Dates/src/Dates.jl", variable("P", "X"), false, ClassJulia},
		{"/root/.julia/artifacts/0123456789abcdef0123456789abcdef01234567/lib/x.so", variable("X_jll", "other"), false, ClassArtifact},
		{"/root/.julia/artifacts/0123456789abcdef0123456789abcdef01234567/lib/x.so", variable("X_jll", "libx_path"), false, ClassInitialised},
		{"/depot/packages/Plots/aB3dE/deps/x.toml", variable("P", "X"), false, ClassDepot},
		{"/usr/lib/libz.so.1.2", variable("P", "X"), false, ClassLibrary},
		{"/dev/null", variable("P", "X"), false, ClassSystem},
		{"/home/me/x", variable("P", "##meta#42"), false, ClassDocumentation},
		{"/home/me/x.jl", place{thing: &Thing{Kind: ThingMethod}, holder: "Symbol", label: "Symbol"}, false, ClassSource},
		{"/home/me/x.jl", place{thing: &Thing{Kind: ThingMethod}, holder: "String", label: "String (inferred code)"}, false, ClassSource},
		{"/home/me/x.jl", variable("Base", "pkgorigins"), false, ClassOrigin},
		{"/home/me/.julia", variable("Base", "DEPOT_PATH"), false, ClassInitialised},
		{"/home/me/.julia/x", variable("Mine", "DEPOT_PATH"), false, ClassDepot},
	} {
		if got := classify(test.path, test.place, test.known); got != test.want {
			t.Errorf("%s in %s.%s is of class %s, not %s", test.path, test.place.module, test.place.thing.Name, got, test.want)
		}
	}
	for _, class := range Classes() {
		if class.Why() == "" {
			t.Errorf("class %s is not explained", class)
		}
	}
}

// smallLibrary is a shared object with two functions and debug information.
func smallLibrary(t testing.TB) *elfpatch.Image {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: no gcc; tools/test-tools.sh installs one")
	}
	path := filepath.Join(t.TempDir(), "small.so")
	cmd := exec.Command("gcc", "-x", "c", "-", "-g", "-gdwarf-4", "-O1", "-shared", "-fPIC", "-o", path)
	cmd.Stdin = strings.NewReader("int first(int x) { for (int i = 0; i < x; i++) { int y = x * i; x += y; } return x; }\nint second(int x) { return x + 1; }\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	im, err := elfpatch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// librarySections are those that debugShares divides.
func librarySections(im *elfpatch.Image) (sum int64) {
	for _, s := range im.Sections {
		if strings.HasPrefix(s.Name, ".debug_") || s.Name == ".symtab" || s.Name == ".strtab" {
			sum += int64(s.Size)
		}
	}
	return sum
}

func mapLibrary(t testing.TB, im *elfpatch.Image) codeMap {
	m := codeMap{starts: []uint64{0}, functions: []int32{-1}}
	for i, name := range []string{"first", "second"} {
		s, ok := im.Lookup(name)
		if !ok {
			t.Fatalf("the library has no %s", name)
		}
		m.starts, m.functions = append(m.starts, s.Value), append(m.functions, int32(i))
	}
	return m
}

func TestDebugShares(t *testing.T) {
	im := smallLibrary(t)
	s := debugShares(im, mapLibrary(t, im), 2)
	if s.total() != librarySections(im) {
		t.Errorf("parts of %d bytes, sections of %d", s.total(), librarySections(im))
	}
	// Each has a symbol, a name, and an entry with its parameter. One comes first in its unit and has the lines.
	if low, high := min(s.functions[0], s.functions[1]), max(s.functions[0], s.functions[1]); low < symbolSize+50 || high < low+100 {
		t.Errorf("the functions have %d bytes", s.functions)
	}
}

func FuzzDebugShares(f *testing.F) {
	im := smallLibrary(f)
	m := mapLibrary(f, im)
	f.Add([]byte{})
	f.Add([]byte("h\xda\xda\xda\xda\xda\xda\x00")) // package dwarf goes on without end
	for at := range 200 {
		f.Add([]byte{byte(at), 0, byte(at % 8), byte(at * 7)})
	}
	var sections []elf.SectionIndex
	for i, s := range im.Sections {
		if strings.HasPrefix(s.Name, ".debug_") || s.Name == ".symtab" {
			sections = append(sections, elf.SectionIndex(i))
		}
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		spoiled := &elfpatch.Image{Path: "spoiled.so", Data: slices.Clone(im.Data), Sections: im.Sections}
		for ; len(edits) >= 4; edits = edits[4:] {
			s := im.Sections[sections[int(edits[2])%len(sections)]]
			spoiled.Data[s.Offset+(uint64(edits[0])|uint64(edits[1])<<8)%s.Size] = edits[3]
		}
		if s := debugShares(spoiled, m, 2); s.total() != librarySections(im) {
			t.Errorf("parts of %d bytes, sections of %d", s.total(), librarySections(im))
		}
	})
}

// Julia's own image is taken apart, and things that each has are where they are expected.
func TestReadJulia(t *testing.T) {
	juliatest.Each(t, func(t *testing.T, julia string) {
		out, err := exec.Command(julia, "--startup-file=no", "-e", "print(unsafe_string(Base.JLOptions().image_file))").Output()
		if err != nil {
			t.Fatal(err)
		}
		image, err := sysimage.OpenFile(string(out))
		if err != nil {
			t.Fatal(err)
		}
		defer image.Close()
		a, err := Read(image)
		if err != nil {
			t.Fatal(err)
		}
		if a.Sizes.Total() != a.Bytes || a.Bytes != int64(len(image.Layers[0].Data)) {
			t.Errorf("parts of %d bytes of a file of %d", a.Sizes.Total(), len(image.Layers[0].Data))
		}
		byName := map[string]*Package{}
		for _, p := range a.Packages {
			byName[p.Name] = p
		}
		base := byName["Base"]
		if base == nil || base.Sizes[Code] < 1<<20 || base.Sizes.Heap() < 20<<20 {
			t.Fatalf("Base has %+v", base)
		}
		// Next to nothing belongs to nobody.
		for name, most := range map[string]int64{groupTitles[groupNative]: a.Bytes / 1000, groupTitles[groupRuntime]: a.Bytes / 100} {
			if p := byName[name]; p != nil && p.Sizes.Total() > most {
				t.Errorf("%s has %d bytes of %d", name, p.Sizes.Total(), a.Bytes)
			}
		}
		for _, want := range []struct {
			kind ThingKind
			name string
		}{{ThingMethod, "show(::IO, ::Bool)"}, {ThingType, "Dict"}, {ThingType, "typeof(println)"}, {ThingGlobal, "DEPOT_PATH"}, {ThingModule, "Base"}} {
			if !hasThing(base, want.kind, want.name) {
				t.Errorf("Base has no %s %s", want.kind, want.name)
			}
		}
	})
}

func hasThing(p *Package, kind ThingKind, name string) bool {
	for _, m := range p.Modules {
		for _, t := range m.Things {
			if t.Kind == kind && t.Name == name {
				return true
			}
		}
	}
	return false
}
