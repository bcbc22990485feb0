// Package choice decides which statements a build takes: it asks the policies, one after the other, and keeps what is left within a budget.
//
//	candidates ── policy 1 ──► kept, and those put in the place of others ── policy 2 ──► … ── budget ──► what is built
//	                  └──► dropped, each with who dropped it and why
//
// It is done before any work, and with the same candidates it comes out the same.
package choice

// This file is a choice from its request to its outcome.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/objcache"
	"chainbuild/policy"
	"chainbuild/policy/sdk"
	"chainbuild/statements"
)

// A Candidate is a statement that a build may take.
type Candidate struct {
	statements.Statement
	// File is where it is from, at its Line; empty for one of a project's record.
	File string
	// Count, First and Last say in how many sessions it was compiled, and the days of the first and the last of them, YYYY-MM-DD; zero where that is not known.
	Count       int
	First, Last string
	// AddedBy is the policy that has put it in another one's place, which was at this File and Line; empty: it was recorded.
	AddedBy string

	weight *float64 // by a policy; nil: none has said
}

// A Request says what is chosen from, and by what.
type Request struct {
	Candidates []Candidate
	Policies   []*policy.Policy
	Budget     settings.Budget
	// Julia is the version of Julia, and Versions are those of packages, as far as they are known.
	Julia    string
	Versions map[string]string
	// Earlier is what is known of an earlier build; nil: there was none. Cache keeps what was found out about its image.
	Earlier *Earlier
	Cache   *objcache.Cache
}

// An Outcome is what was chosen.
type Outcome struct {
	// Kept are what is built: the candidates in their order, those in the place of one where it was.
	Kept []Candidate
	// Dropped are not built.
	Dropped []Dropped
	// Unreadable are what policies have put in the place of statements and is none.
	Unreadable []Unreadable
	// Policies are those that were asked.
	Policies []Asked
	// Answers is a hash of all that was answered: the first 16 hexadecimal digits of a SHA-256. It is empty if no policy was asked.
	Answers string
	// Wanted are the sources of what was left before the budget was kept.
	Wanted []string
	// Budget is what was to be kept, and Estimates say what the statements cost that it has room for; nil: there was no budget.
	Budget    settings.Budget
	Estimates *Estimates
}

// A Dropped is a statement that is not built.
type Dropped struct {
	Source string `json:"statement"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	// By is the name of the policy, or ByBudget, and Reason why.
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// ByBudget is who drops what is too much.
const ByBudget = "budget"

// An Unreadable is a text that a policy has put in the place of a statement, and that is none.
type Unreadable struct {
	Candidate
	Reason, Excerpt string
}

// Asked is a policy that was asked.
type Asked struct {
	Name string `json:"name"`
	Hash string `json:"sha256"`
}

// Added is how many statements policies have added.
func (o *Outcome) Added() int {
	added := 0
	for _, c := range o.Kept {
		if c.AddedBy != "" {
			added++
		}
	}
	return added
}

// Sources are those of the statements that are kept.
func (o *Outcome) Sources() []string {
	sources := make([]string, len(o.Kept))
	for i, c := range o.Kept {
		sources[i] = c.Source
	}
	return sources
}

// Choose asks the policies about the candidates, and keeps within the budget. The error is that of a policy, or the cause of ctx's end.
func Choose(ctx context.Context, r Request) (*Outcome, error) {
	o := &Outcome{Kept: r.Candidates}
	asked := slices.DeleteFunc(slices.Clone(r.Policies), func(p *policy.Policy) bool { return !p.Answers(sdk.AboutStatements) })
	for _, p := range r.Policies {
		o.Policies = append(o.Policies, Asked{p.Name, p.Hash})
	}
	costs := &Costs{Guessed: true}
	if !r.Budget.IsNone() || slices.ContainsFunc(asked, func(p *policy.Policy) bool { return p.Answers(sdk.WithCosts) }) {
		var err error
		if costs, err = r.Earlier.costs(ctx, r.Cache); err != nil {
			return nil, err
		}
	}
	head := sdk.StatementBatch{Julia: r.Julia}
	for _, c := range r.Candidates {
		head.Newest = max(head.Newest, c.Last)
	}
	answers := sha256.New()
	for _, p := range asked {
		given, err := p.Statements(ctx, head, r.facts(o.Kept, costs, p.Answers(sdk.WithCosts)))
		if err != nil {
			return nil, err
		}
		for _, a := range given {
			if r.Budget.IsNone() {
				a.Weight = nil // it decides nothing
			}
			text, err := json.Marshal(a)
			if err != nil {
				return nil, err
			}
			answers.Write(append(text, '\n'))
		}
		if err := o.apply(p, given); err != nil {
			return nil, err
		}
	}
	if len(asked) > 0 {
		o.Answers = fmt.Sprintf("%x", answers.Sum(nil)[:8])
	}
	o.Wanted = o.Sources()
	if !r.Budget.IsNone() {
		o.Budget = r.Budget
		o.keepWithin(costs)
	}
	return o, nil
}

// Refused is the error of a policy as one of the request, unless ctx has ended: then it is the cause of that.
func Refused(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return usage.Wrap(err)
}

// facts are what a policy is told of the candidates.
func (r *Request) facts(list []Candidate, costs *Costs, withCosts bool) []sdk.Statement {
	facts := make([]sdk.Statement, len(list))
	for i, c := range list {
		s := factsOf(c.Statement)
		s.Version = r.Versions[s.Package]
		s.Count, s.FirstSeen, s.LastSeen, s.AddedBy = c.Count, c.First, c.Last, c.AddedBy
		if withCosts && !costs.Guessed {
			cost := costs.of(c.Modules)
			s.Seconds, s.Bytes = cost.Seconds, cost.Bytes
		}
		facts[i] = s
	}
	return facts
}

// factsOf is what a statement says of itself.
func factsOf(s statements.Statement) sdk.Statement {
	paths := s.Paths()
	called := statements.Called(paths)
	facts := sdk.Statement{Source: s.Source, Function: called.Name, Module: called.Module, Packages: append([]string{}, s.Modules...), Modules: []string{}}
	main := false
	for _, path := range paths {
		if path.Module != "" && !slices.Contains(facts.Modules, path.Module) {
			facts.Modules = append(facts.Modules, path.Module)
		}
		main = main || path.Module == "Main" || strings.HasPrefix(path.Module, "Main.")
	}
	switch {
	case len(s.Modules) > 0:
		facts.Package = s.Modules[0]
	case main:
		facts.Package = "Main"
	default:
		facts.Package = "Base"
	}
	return facts
}

// apply does what a policy has answered about the kept statements.
func (o *Outcome) apply(p *policy.Policy, answers []sdk.Answer) error {
	stay := map[string]bool{} // sources that are kept in their own place
	for i, a := range answers {
		if source := o.Kept[i].Source; a.Do == sdk.DoKeep || a.Do == sdk.DoReplace && slices.Contains(a.Statements, source) {
			stay[source] = true
		}
	}
	var kept []Candidate
	added := map[string]bool{}
	for i, a := range answers {
		c := o.Kept[i]
		if a.Weight != nil {
			c.weight = a.Weight
		}
		if stay[c.Source] {
			kept = append(kept, c)
		} else {
			reason := a.Reason
			if a.Do == sdk.DoReplace {
				reason = cmp.Or(reason, "others take its place")
			}
			o.Dropped = append(o.Dropped, Dropped{c.Source, c.File, c.Line, p.Name, reason})
		}
		for _, text := range a.Statements {
			fresh, refused, err := c.instead(p, text)
			if err != nil {
				return err
			}
			if refused != nil {
				o.Unreadable = append(o.Unreadable, *refused)
			} else if !stay[fresh.Source] && !added[fresh.Source] {
				added[fresh.Source] = true
				kept = append(kept, fresh)
			}
		}
	}
	o.Kept = kept
	return nil
}

// instead is the candidate that a policy has put in the place of c. It is read as a line of a file is; one that is no statement is refused.
func (c Candidate) instead(p *policy.Policy, text string) (fresh Candidate, refused *Unreadable, err error) {
	at := Candidate{Statement: statements.Statement{Line: c.Line}, File: c.File, AddedBy: p.Name, weight: c.weight}
	if c.weight == nil {
		weight := c.Weight()
		at.weight = &weight
	}
	if strings.ContainsAny(text, "\n\r") {
		return at, &Unreadable{at, "it is more than a line", strings.Fields(text + " x")[0] + " …"}, nil
	}
	file, err := statements.Parse(p.Name, strings.NewReader(text))
	var lines *statements.RefusedError
	switch {
	case errors.As(err, &lines):
		return at, &Unreadable{at, lines.Refusals[0].Reason, lines.Refusals[0].Excerpt}, nil
	case err != nil: // nothing but blanks or a comment
		return at, &Unreadable{at, "there is no statement", text}, nil
	}
	at.Source, at.Modules = file.Statements[0].Source, file.Statements[0].Modules
	return at, nil, nil
}

// Weight is what the candidate counts for in a budget: as a policy has said, else its Count.
func (c Candidate) Weight() float64 {
	if c.weight != nil {
		return *c.weight
	}
	return float64(max(c.Count, 1))
}
