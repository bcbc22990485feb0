package statements

import (
	"reflect"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for source, want := range map[string]struct {
		called  Path
		modules string
	}{
		`Tuple{typeof(Base.Iterators.zip), Array{Main.Shop.Item, 1}}`:                       {Path{"Base.Iterators", "zip"}, "Base.Iterators Main.Shop"},
		`Tuple{typeof(sum), Array{Float64, 1}}`:                                             {Path{"", "sum"}, ""},
		`Tuple{Type{Array}, Dates.Date}`:                                                    {Path{"", "Array"}, "Dates"},
		`Tuple{Type{Dates.Date}, Int64}`:                                                    {Path{"Dates", "Date"}, "Dates"},
		`Tuple{typeof(Base.:(+)), Int64, Int64}`:                                            {Path{"Base", "+"}, "Base"},
		`Tuple{getfield(Main, Symbol("#f#1")), Int64}`:                                      {Path{"Main", "#f#1"}, "Main"},
		`Tuple{Core.kwftype(typeof(A.B.f)), Any}`:                                           {Path{"A.B", "f"}, "A.B"},
		`Tuple{A.var"#f#12", Int64}`:                                                        {Path{"A", "#f#12"}, "A"},
		`Tuple{getfield(Getopt, Symbol("#parse##kw")), NamedTuple{(:Main,), Tuple{Int64}}}`: {Path{"Getopt", "#parse##kw"}, "Getopt"},
	} {
		file, err := Parse("test", strings.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		paths := file.Statements[0].Paths()
		var modules []string
		for _, path := range paths {
			if m := path.Module; m != "" && m != "Core" {
				modules = append(modules, m)
			}
		}
		if called := Called(paths); called != want.called || !reflect.DeepEqual(strings.Join(modules, " "), want.modules) {
			t.Errorf("%s calls %+v and names modules %q", source, called, modules)
		}
	}
}
