package project

// This file decides which of the recorded statements an image is built from: those that fit its packages, that the policies leave, and that
// the budget has room for.

import (
	"context"
	"errors"
	"slices"

	"chainbuild/internal/choice"
	"chainbuild/internal/pipeline"
	"chainbuild/policy"
	"chainbuild/statements"
)

// A chosen is what an image is built from.
type chosen struct {
	// sources are the statements, sorted.
	sources []string
	// outcome says how they were chosen; nil: there are neither policies nor a budget.
	outcome *choice.Outcome
}

// withoutPolicies is all that fits.
func withoutPolicies(sources []string) *chosen {
	if len(sources) == 0 {
		sources = []string{seedStatement}
	}
	return &chosen{sources: sources}
}

// choose decides. The error is a *usage.Error if it is one of a policy.
func (p *Project) choose(ctx context.Context, record Record, o *pipeline.Options) (*chosen, error) {
	fitting := p.fitting(record)
	if len(p.Settings.Policies) == 0 && p.Settings.Budget.IsNone() {
		return withoutPolicies(fitting), nil
	}
	cache, err := pipeline.OpenCache(o, p.Julia, func(error) {}) // the build warns of what is wrong with it
	if err != nil {
		cache = nil
	}
	defer cache.Close()
	request := choice.Request{Budget: p.Settings.Budget, Julia: p.Julia.Version, Versions: map[string]string{}, Cache: cache}
	if request.Policies, err = policy.OpenAll(ctx, p.Settings.Policies, policy.Options{Cache: cache}); err != nil {
		return nil, choice.Refused(ctx, err)
	}
	defer policy.CloseAll(request.Policies)
	for _, pkg := range p.Content.Packages {
		request.Versions[pkg.Name] = pkg.Version
	}
	for _, source := range fitting {
		r := record[source]
		request.Candidates = append(request.Candidates, choice.Candidate{
			Statement: statements.Statement{Source: source, Modules: r.Modules}, Count: r.Count, First: r.First, Last: r.Last,
		})
	}
	request.Earlier = p.earlier()
	outcome, err := choice.Choose(ctx, request)
	if err != nil {
		return nil, choice.Refused(ctx, err)
	}
	c := withoutPolicies(outcome.Sources())
	slices.Sort(c.sources)
	c.outcome = outcome
	return c, nil
}

// isOfPolicy says whether an error is that of a policy.
func isOfPolicy(err error) bool {
	var of *policy.Error
	return errors.As(err, &of)
}

// earlier is what the newest image tells of the cost of statements, nil if there is none.
func (p *Project) earlier() *choice.Earlier {
	c, err := p.Cost()
	if err != nil {
		return nil
	}
	e := &choice.Earlier{Image: c.Image.File, Seconds: c.Seconds(), Statements: map[string]int{}}
	useless := map[string]bool{}
	for _, source := range c.Image.Unresolved {
		useless[source] = true
	}
	for source := range c.Sources {
		if !useless[source] {
			e.Statements[choice.ModulesKey(modulesOf(source))]++
		}
	}
	return e
}

// id names an image of these statements in one piece. With a budget it does not depend on what the budget has room for: that rests on estimates from the
// image that there is, and would not come to rest.
func (c *chosen) id(p *Project) string {
	if c.outcome == nil {
		return imageID(p.Key, c.sources)
	}
	wanted := append(slices.Sorted(slices.Values(c.outcome.Wanted)), c.outcome.Answers)
	return imageID(p.Key, wanted)
}

// Versions are the versions of the packages of a project that is named as julia's --project takes it, as far as they are known without a Julia; nil if the
// project is a shared environment, or cannot be read.
func Versions(name string) map[string]string {
	var dir string
	var err error
	switch {
	case name == "" || name == "@" || name == "@.":
		dir, err = currentProject()
	case name[0] != '@':
		dir, err = namedProject(name)
	}
	if err != nil || dir == "" {
		return nil
	}
	env, err := readEnvironment(dir)
	if err != nil {
		return nil
	}
	versions := map[string]string{}
	for _, pkg := range env.packages {
		versions[pkg.Name] = pkg.Version
	}
	return versions
}
