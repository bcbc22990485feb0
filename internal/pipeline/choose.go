package pipeline

// This file has policies and the budget decide about the statements, before any work. What they leave out is reported, each with the reason.
//
// Whoever has chosen already, as package project does, gives the outcome along. Then it is only reported, and goes into the image's note.

import (
	"context"
	"strings"

	"chainbuild/internal/choice"
	"chainbuild/internal/usage"
	"chainbuild/internal/words"
	"chainbuild/objcache/remote"
	"chainbuild/policy"
)

// policiesStage is the stage in which policies are asked.
const policiesStage = "policies"

// choose has the policies and the budget choose among the statements, as far as they have something to say yet.
func (p *plan) choose(ctx context.Context, progress *progress) error {
	if o := &p.options; len(o.Policies) == 0 && o.Budget.IsNone() && o.Choice == nil {
		return nil
	}
	if err := progress.stage(policiesStage, func() error { return p.askPolicies(ctx) }); err != nil {
		return err
	}
	progress.chosen(p.outcome)
	return nil
}

// askPolicies opens the policies and makes the choice, unless it is made.
func (p *plan) askPolicies(ctx context.Context) error {
	o := &p.options
	outcome := o.Choice
	var err error
	if outcome == nil || p.mayUpload() {
		if p.policies, err = policy.OpenAll(ctx, o.Policies, policy.Options{Cache: p.cache}); err != nil {
			return choice.Refused(ctx, err)
		}
	}
	if outcome == nil {
		outcome, err = choice.Choose(ctx, choice.Request{
			Candidates: p.inputs.statements, Policies: p.policies, Budget: o.Budget,
			Julia: p.julia.Version, Versions: o.Versions, Earlier: p.earlier(), Cache: p.cache,
		})
		if err != nil {
			return choice.Refused(ctx, err)
		}
		if len(outcome.Kept) == 0 && len(p.inputs.statements) > 0 {
			first := outcome.Dropped[0]
			return usage.Errorf("nothing is left to build, as the policies and the budget leave out all of %s, the first by %s (%s): see chainbuild policy test",
				words.Count(len(p.inputs.statements), "statement"), first.By, first.Reason)
		}
		p.inputs.statements, p.inputs.modules, p.inputs.named = nil, nil, nil
		for _, c := range outcome.Kept {
			p.inputs.add(c)
		}
	} else {
		p.inputs.credit(outcome)
	}
	for _, u := range outcome.Unreadable {
		p.inputs.refused = append(p.inputs.refused, Unresolved{File: u.File, Line: u.Line,
			Statement: u.Excerpt + " (" + u.Reason + ")", Reason: addedBy("not a precompile statement", u.AddedBy)})
	}
	p.outcome = outcome
	return nil
}

// mayUpload says whether something may be sent to a remote cache.
func (p *plan) mayUpload() bool {
	r := &p.options.Remote
	return r.Cache != "" && (remote.Upload(r.Upload) != remote.UploadNo || p.executes())
}

// credit notes which statements policies have added, where others have chosen.
func (in *inputs) credit(o *choice.Outcome) {
	added := map[string]string{}
	for _, c := range o.Kept {
		added[c.Source] = c.AddedBy
	}
	for i := range in.statements {
		in.statements[i].AddedBy = added[in.statements[i].Source]
	}
}

// addedBy is a reason for which a statement could not be used, with the policy that has added it.
func addedBy(reason, policy string) string {
	if policy == "" {
		return reason
	}
	return reason + ", added by " + policy
}

// earlier is what is known of the last build of this image, nil if nothing is.
func (p *plan) earlier() *choice.Earlier {
	if p.last == nil || p.last.Statements == nil {
		return nil
	}
	return &choice.Earlier{Image: p.inputs.output, Seconds: p.last.PerByte * float64(p.last.ObjectBytes), Statements: p.last.Statements}
}

// noteOf is what an image's note says of how its statements were chosen; nil: they were not.
func noteOf(o *choice.Outcome) map[string]string {
	if o == nil {
		return nil
	}
	note := map[string]string{}
	var policies []string
	for _, p := range o.Policies {
		policies = append(policies, p.Name+" "+p.Hash)
	}
	if policies != nil {
		note["policies"] = strings.Join(policies, ", ")
	}
	if o.Answers != "" {
		note["answers"] = o.Answers
	}
	if o.Estimates != nil {
		note["budget"] = o.Budget.String()
	}
	return note
}

// PolicyCounts say what policies and a budget have done.
type PolicyCounts struct {
	// Policies are those that were asked, Answers is a hash of what they have answered about statements.
	Policies []choice.Asked `json:"policies"`
	Answers  string         `json:"answers,omitempty"`
	// Dropped statements were left out, Added ones put in the place of others.
	Dropped int `json:"dropped"`
	Added   int `json:"added"`
	// Budget is the budget, Estimates are what the statements are likely to cost that it had room for.
	Budget    string            `json:"budget,omitempty"`
	Estimates *choice.Estimates `json:"estimates,omitempty"`
}
