package choice

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chainbuild/internal/anatomy"
	"chainbuild/internal/policytest"
	"chainbuild/internal/settings"
	"chainbuild/policy"
	"chainbuild/statements"
)

// candidates are those of a file, seen in as many sessions as their place says.
func candidates(t *testing.T, sources ...string) (all []Candidate) {
	t.Helper()
	file, err := statements.Parse("trace.jl", strings.NewReader(strings.Join(sources, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range file.Statements {
		all = append(all, Candidate{Statement: s, File: "trace.jl", Count: i + 1})
	}
	return all
}

// answering is a policy that always gives these answers.
func answering(t *testing.T, name string, answers ...string) *policy.Policy {
	t.Helper()
	path := policytest.Module{Answer: `{"answers":[` + strings.Join(answers, ",") + `]}`}.Write(t, name)
	p, err := policy.Open(t.Context(), path, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

const (
	f, g, h = "Tuple{typeof(A.f), Int64}", "Tuple{typeof(B.g), Int64}", "Tuple{typeof(Base.h), Int64}"
	keep    = `{"do":"keep"}`
)

func choose(t *testing.T, r Request) *Outcome {
	t.Helper()
	o, err := Choose(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Policies are asked one after the other, about what the ones before have left and added.
func TestPolicies(t *testing.T) {
	first := answering(t, "first.wasm", keep, `{"do":"drop","reason":"no"}`, `{"do":"replace","statements":["Tuple{typeof(Base.h), Int32}","`+h+`"]}`)
	second := answering(t, "second.wasm", keep, `{"do":"replace","statements":["Tuple{typeof(Base.i)}","`+f+`","nonsense","a\nb","  "]}`, keep)
	o := choose(t, Request{Candidates: candidates(t, f, g, h), Policies: []*policy.Policy{first, second}})
	if want := []string{f, "Tuple{typeof(Base.i)}", "Tuple{typeof(Base.h), Int32}"}; !slices.Equal(o.Sources(), want) {
		t.Errorf("what is kept is %q", o.Sources())
	}
	var dropped []string
	for _, d := range o.Dropped {
		dropped = append(dropped, fmt.Sprintf("%s:%d %s %s: %s", d.File, d.Line, d.Source, d.By, d.Reason))
	}
	if want := []string{"trace.jl:2 " + g + " first.wasm: no", "trace.jl:3 " + h + " second.wasm: others take its place"}; !slices.Equal(dropped, want) {
		t.Errorf("what is dropped is %q", dropped)
	}
	if c := o.Kept[1]; c.AddedBy != "second.wasm" || c.File != "trace.jl" || c.Line != 3 || o.Added() != 2 {
		t.Errorf("what was added is %+v", c)
	}
	if len(o.Unreadable) != 3 || o.Unreadable[0].Excerpt != "nonsense" || o.Unreadable[0].AddedBy != "second.wasm" || o.Unreadable[0].Line != 3 {
		t.Errorf("what is no statement is %+v", o.Unreadable)
	}
	if text := strings.Join(o.Summary(), "\n"); !strings.Contains(text, "left out 2 statements, 3 stay:") || !strings.Contains(text, "first.wasm has added 1 statement") {
		t.Errorf("the summary is %s", text)
	}
}

// The answers' hash is of all answers, of weights only where they decide.
func TestAnswersHash(t *testing.T) {
	hash := func(budget settings.Budget, answers ...string) string {
		return choose(t, Request{Candidates: candidates(t, f, g), Policies: []*policy.Policy{answering(t, "p.wasm", answers...)}, Budget: budget}).Answers
	}
	heavy, none := `{"do":"keep","weight":3}`, settings.Budget{}
	much := settings.Budget{Seconds: 1}
	if a := hash(none, keep, keep); len(a) != 16 || a != hash(none, keep, keep) || a != hash(none, keep, heavy) {
		t.Error("the same answers have another hash")
	}
	if a := hash(none, keep, keep); a == hash(none, keep, `{"do":"drop","reason":"x"}`) || hash(none, keep, `{"do":"drop","reason":"y"}`) == hash(none, keep, `{"do":"drop","reason":"x"}`) {
		t.Error("other answers have the same hash")
	}
	if hash(much, keep, keep) == hash(much, keep, heavy) {
		t.Error("a weight that decides has the same hash")
	}
	if o := choose(t, Request{Candidates: candidates(t, f)}); o.Answers != "" || !slices.Equal(o.Sources(), []string{f}) {
		t.Errorf("without policies the outcome is %+v", o)
	}
}

// A budget takes the heaviest: as a policy says, else those of the most sessions.
func TestBudget(t *testing.T) {
	r := Request{Candidates: candidates(t, f, g, h), Budget: settings.Budget{Bytes: 2*guess.Bytes + 1}}
	o := choose(t, r)
	if want := []string{g, h}; !slices.Equal(o.Sources(), want) || o.Dropped[0].By != ByBudget || o.Dropped[0].Reason != "beyond 20 kB" {
		t.Errorf("of three, it takes %q and drops %+v", o.Sources(), o.Dropped)
	}
	if !slices.Equal(o.Wanted, []string{f, g, h}) || !o.Estimates.Guessed || o.Estimates.Bytes != 2*guess.Bytes {
		t.Errorf("the outcome is %+v", o)
	}
	r.Policies = []*policy.Policy{answering(t, "p.wasm", `{"do":"keep","weight":9}`, `{"do":"keep","weight":0}`, `{"do":"replace","statements":["Tuple{typeof(Base.i)}"]}`)}
	if o := choose(t, r); !slices.Equal(o.Sources(), []string{f, "Tuple{typeof(Base.i)}"}) {
		t.Errorf("with weights, it takes %q", o.Sources())
	}
	r.Budget, r.Policies = settings.Budget{Seconds: guess.Seconds}, nil
	if o := choose(t, r); !slices.Equal(o.Sources(), []string{h}) {
		t.Errorf("of the time for one, it takes %q", o.Sources())
	}
}

// What an earlier build's image has of each package is divided among its statements.
func TestCosts(t *testing.T) {
	sizes := func(code, debug int64) (s anatomy.Sizes) {
		s[anatomy.Code], s[anatomy.Debug], s[anatomy.HeapObjects] = code, debug, 1_000_000
		return s
	}
	e := &Earlier{Seconds: 8, Statements: map[string]int{"A": 3, "A B": 2, "": 5}}
	has := &census{Ages: []string{"Core", "Base", "A", "B"}, Packages: map[string]anatomy.Sizes{
		"Base": sizes(1000, 500), "A": sizes(3000, 3000), "B": sizes(4000, 0), "(tables)": sizes(99, 99),
	}}
	c := e.divide(has, &census{Packages: map[string]anatomy.Sizes{"Base": sizes(900, 500)}}, false)
	for modules, want := range map[string]Cost{"": {8.0 / 8 / 5, 300}, "A": {8.0 * 3 / 8 / 3, 2000}, "A B": {8.0 * 4 / 8 / 2, 2000}, "C": {0.8, 1150}, "A C": {0.8, 1150}} {
		if cost := c.of(strings.Fields(modules)); cost != want || c.Guessed {
			t.Errorf("a statement of %q costs %+v, not %+v", modules, cost, want)
		}
	}
	if c := (&Earlier{}).divide(has, &census{}, false); !c.Guessed {
		t.Error("without statements, something is known")
	}
	if c, err := (&Earlier{Image: "/gone"}).costs(t.Context(), nil); err != nil || !c.Guessed {
		t.Errorf("of an image that is gone, the costs are %+v, %v", c, err)
	}
}

// Facts are what the statement's text says.
func TestFacts(t *testing.T) {
	all := candidates(t, "Tuple{typeof(Base.Iterators.zip), Array{DataFrames.DataFrame, 1}, Main.Shop.Item}", "Tuple{Type{Main.T}}", h)
	facts := factsOf(all[0].Statement)
	if facts.Function != "zip" || facts.Module != "Base.Iterators" || facts.Package != "DataFrames" ||
		!slices.Equal(facts.Packages, []string{"DataFrames"}) || !slices.Equal(facts.Modules, []string{"Base.Iterators", "DataFrames", "Main.Shop"}) {
		t.Errorf("the facts are %+v", facts)
	}
	if facts := factsOf(all[1].Statement); facts.Package != "Main" {
		t.Errorf("the facts are %+v", facts)
	}
	if facts := factsOf(all[2].Statement); facts.Package != "Base" || facts.Packages == nil {
		t.Errorf("the facts are %+v", facts)
	}
	r := Request{Versions: map[string]string{"A": "1.2.3"}}
	if s := r.facts(candidates(t, f), &Costs{Guessed: true}, true)[0]; s.Version != "1.2.3" || s.Count != 1 || s.Seconds != 0 {
		t.Errorf("the facts are %+v", s)
	}
}

// A policy that fails is an error, and nothing is chosen.
func TestPolicyFails(t *testing.T) {
	o, err := Choose(t.Context(), Request{Candidates: candidates(t, f, g), Policies: []*policy.Policy{answering(t, "p.wasm", keep)}})
	var of *policy.Error
	if o != nil || !errors.As(err, &of) {
		t.Errorf("the outcome is %+v, %v", o, err)
	}
}
