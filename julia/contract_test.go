package julia

// These tests hold each series to worker/runtime/contract.jl.

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// defined are the names that a file of the workers defines at the top level, with the text of their parameters, or "const".
func defined(t *testing.T, file, text string) map[string]string {
	t.Helper()
	names := map[string]string{}
	for line := range strings.Lines(text) {
		name, parameters := definition(strings.TrimSpace(line), line)
		if name == "" {
			continue
		}
		if _, twice := names[name]; twice {
			t.Errorf("%s defines %s twice", file, name)
		}
		names[name] = parameters
	}
	return names
}

var (
	constant = regexp.MustCompile(`^const (\w+) =`)
	// A function's name and what follows the opening parenthesis, in either of the forms that Julia has.
	opening = regexp.MustCompile(`^(function )?([A-Za-z_]\w*!?)\((.*)$`)
)

// definition is the name that a line at the top level defines, with its parameters, or two empty strings. Untrimmed lines of code
// inside of something are indented.
func definition(line, untrimmed string) (name, parameters string) {
	if strings.HasPrefix(untrimmed, " ") {
		return "", ""
	}
	if match := constant.FindStringSubmatch(line); match != nil {
		return match[1], "const"
	}
	match := opening.FindStringSubmatch(line)
	if match == nil {
		return "", ""
	}
	open := 1
	for i, c := range match[3] {
		switch c {
		case '(':
			open++
		case ')':
			open--
		}
		if open == 0 {
			if match[1] == "" && !strings.HasPrefix(strings.TrimSpace(match[3][i+1:]), "=") {
				return "", "" // a call
			}
			return match[2], match[3][:i]
		}
	}
	return "", ""
}

func TestDefinition(t *testing.T) {
	for line, want := range map[string][2]string{
		"begin_session() = Base.__init__()":                       {"begin_session", ""},
		"function infer(@nospecialize(instance), world::UInt)":    {"infer", "@nospecialize(instance), world::UInt"},
		"is_compileable(@nospecialize(type), method::Method) =":   {"is_compileable", "@nospecialize(type), method::Method"},
		"methods_in!(methods::Vector{Any}) = f(g(), 1)":           {"methods_in!", "methods::Vector{Any}"},
		"const BASE_WORLD = UInt[0]":                              {"BASE_WORLD", "const"},
		"Base.include(@__MODULE__, joinpath(@__DIR__, \"a.jl\"))": {},
		"note(1)":                    {},
		"    inner(x) = 1":           {},
		"function begin_session end": {},
		"# f(x) = 1":                 {},
		"get_field = get_field_of":   {},
		"\"Whether f(x) = 1\"":       {},
	} {
		if name, parameters := definition(strings.TrimSpace(line), line); name != want[0] || parameters != want[1] {
			t.Errorf("%q defines %q with %q", line, name, parameters)
		}
	}
}

// contract are the functions that the contract names, with the text of their parameters.
func contract(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("worker", "runtime", "contract.jl"))
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]string{}
	lines := slices.Collect(strings.Lines(string(text)))
	for i, line := range lines {
		name, found := strings.CutPrefix(line, "function ")
		if !found {
			if strings.HasPrefix(line, `"""`) && strings.HasPrefix(lines[i+1], "    ") {
				signature := strings.TrimSpace(lines[i+1])
				name, parameters := definition("function "+signature, signature)
				functions[name] = parameters
			}
			continue
		}
		name = strings.TrimSuffix(name, " end\n")
		if _, ok := functions[name]; !ok {
			t.Errorf("contract.jl:%d: %s has no signature", i+1, name)
		}
	}
	if declared := strings.Count(string(text), "\nfunction "); declared != len(functions) || declared < 25 {
		t.Errorf("the contract has %d signatures and declares %d functions", len(functions), declared)
	}
	return functions
}

// differs says whether a file is one of several for different series.
func differs(name string) bool {
	return strings.HasPrefix(name, "runtime/") || name == "compile/passes.jl"
}

// Each series defines every function of the contract, once and with the parameters that are written there, and the workers use it.
// What else such a file defines is its own: so each file can be combined with those of other series for other subjects.
func TestSeriesKeepTheContract(t *testing.T) {
	functions := contract(t)
	for _, series := range all {
		t.Run(series.Name, func(t *testing.T) {
			files := series.Sources().files
			where := map[string]string{} // the file that defines a name
			for _, file := range files {
				front := !strings.HasPrefix(file.name, "compile/")
				for name, parameters := range defined(t, file.name, file.text) {
					promised, inContract := functions[name]
					other, again := where[name]
					switch {
					case again && front == !strings.HasPrefix(other, "compile/"):
						t.Errorf("%s and %s define %s", other, file.name, name)
					case differs(file.name) && inContract && parameters != promised:
						t.Errorf("%s: %s(%s) is %s(%s) in the contract", file.name, name, parameters, name, promised)
					case !differs(file.name) && inContract:
						t.Errorf("%s defines %s, which is in the contract", file.name, name)
					}
					where[name] = file.name
				}
			}
			for _, name := range slices.Sorted(maps.Keys(functions)) {
				if !differs(where[name]) {
					t.Errorf("%s is not defined", name)
				}
			}
			for name, file := range where {
				if !differs(file) {
					continue
				}
				_, inContract := functions[name]
				word := regexp.MustCompile(`(?m)(?:^|[^\w!])` + regexp.QuoteMeta(name) + `(?:[^\w!]|$)`)
				used := false
				for _, other := range files {
					if other.name == file || !word.MatchString(other.text) {
						continue
					}
					used = true
					if !inContract && strings.HasPrefix(file, "compile/") == strings.HasPrefix(other.name, "compile/") {
						t.Errorf("%s uses %s, which is %s's own", other.name, name, file)
					}
				}
				if inContract && !used {
					t.Errorf("nothing outside of %s uses %s", file, name)
				}
			}
		})
	}
}
