package main

// This file is the command for people who write policies.

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"chainbuild/internal/choice"
	"chainbuild/internal/depot"
	"chainbuild/internal/project"
	"chainbuild/internal/settings"
	"chainbuild/internal/usage"
	"chainbuild/julia"
	"chainbuild/objcache"
	"chainbuild/policy"
	"chainbuild/policy/sdk"
	"chainbuild/statements"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newPolicyCommand(stdout *os.File) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Try policies",
		Long: `Try policies: WebAssembly modules that decide which statements a build takes, and what
may leave for a shared cache. Builds take them with --policy.`,
		Example: `  chainbuild policy test rules.wasm --statements trace.jl`,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyTest(stdout))
	return cmd
}

func newPolicyTest(stdout *os.File) *cobra.Command {
	var files []string
	var executable string
	var budget settings.Budget
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test FILE.wasm…",
		Short: "Show what policies would do with statements",
		Long: `Show what policies would do with the statements of files: which stay, which are left
out and why, and which are added. Several policies are asked in their order, as by a
build. Nothing is built. What is known of packages' versions is that of the project of
the current folder.`,
		Args: fileArguments,
	}
	section(cmd, inSection, func(flags *pflag.FlagSet) {
		flags.StringArrayVarP(&files, "statements", "s", nil, "`FILE` of precompile statements; may be given several times")
		flags.TextVar(&budget, "budget", settings.Budget{}, "`HOW` much the statements may cost, as for builds")
		addJuliaFlag(flags, &executable)
	})
	section(cmd, saidSection, func(flags *pflag.FlagSet) { addJSONFlag(flags, &asJSON, "one JSON object") })
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"wasm"}, cobra.ShellCompDirectiveFilterFileExt
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := testPolicies(cmd.Context(), args, files, executable, budget)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(stdout, t)
		}
		return t.print(stdout)
	}
	return cmd
}

// A policyTest is what policies would do.
type policyTest struct {
	Policies []testedPolicy   `json:"policies"`
	Kept     []keptStatement  `json:"kept"`
	Dropped  []choice.Dropped `json:"dropped"`
	// Unreadable are what policies would put in the place of statements and is none.
	Unreadable []unreadable      `json:"unreadable"`
	Answers    string            `json:"answers,omitempty"`
	Budget     string            `json:"budget,omitempty"`
	Estimates  *choice.Estimates `json:"estimates,omitempty"`

	outcome *choice.Outcome
}

type testedPolicy struct {
	choice.Asked
	Statements bool `json:"about_statements"`
	Uploads    bool `json:"about_uploads"`
	Costs      bool `json:"with_costs"`
}

type keptStatement struct {
	Source  string  `json:"statement"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	AddedBy string  `json:"added_by,omitempty"`
	Weight  float64 `json:"weight"`
}

type unreadable struct {
	Text   string `json:"text"`
	Reason string `json:"reason"`
	By     string `json:"by"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// testPolicies asks policies about the statements of files.
func testPolicies(ctx context.Context, paths, files []string, executable string, budget settings.Budget) (*policyTest, error) {
	if len(files) == 0 {
		return nil, usage.Errorf("there is nothing to ask about: name a file of statements with --statements")
	}
	candidates, err := readCandidates(files)
	if err != nil {
		return nil, usage.Wrap(err)
	}
	// Without a cache the policy is compiled, without a Julia its version is not known.
	cache, _ := objcache.Open(objcache.DefaultDir(depot.Known()), objcache.Options{})
	defer cache.Close()
	request := choice.Request{Candidates: candidates, Budget: budget, Cache: cache, Versions: project.Versions("")}
	if in, err := julia.Find(ctx, executable); err == nil {
		request.Julia = in.Version
	} else if executable != "" {
		return nil, err
	}
	t := &policyTest{Policies: []testedPolicy{}, Kept: []keptStatement{}, Dropped: []choice.Dropped{}, Unreadable: []unreadable{}}
	if request.Policies, err = policy.OpenAll(ctx, paths, policy.Options{Cache: cache}); err != nil {
		return nil, choice.Refused(ctx, err)
	}
	defer policy.CloseAll(request.Policies)
	for _, p := range request.Policies {
		t.Policies = append(t.Policies, testedPolicy{choice.Asked{Name: p.Name, Hash: p.Hash}, p.Answers(sdk.AboutStatements), p.Answers(sdk.AboutUploads), p.Answers(sdk.WithCosts)})
	}
	o, err := choice.Choose(ctx, request)
	if err != nil {
		return nil, choice.Refused(ctx, err)
	}
	for _, c := range o.Kept {
		t.Kept = append(t.Kept, keptStatement{c.Source, c.File, c.Line, c.AddedBy, c.Weight()})
	}
	for _, u := range o.Unreadable {
		t.Unreadable = append(t.Unreadable, unreadable{u.Excerpt, u.Reason, u.AddedBy, u.File, u.Line})
	}
	t.Dropped = append(t.Dropped, o.Dropped...)
	t.Answers, t.Budget, t.Estimates, t.outcome = o.Answers, o.Budget.String(), o.Estimates, o
	return t, nil
}

// readCandidates reads the statements of files.
func readCandidates(files []string) (all []choice.Candidate, err error) {
	seen := map[string]bool{}
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		parsed, err := statements.Parse(path, file)
		file.Close()
		if err != nil {
			return nil, err
		}
		for _, s := range parsed.Statements {
			if !seen[s.Source] {
				seen[s.Source] = true
				all = append(all, choice.Candidate{Statement: s, File: path})
			}
		}
	}
	return all, nil
}

func (t *policyTest) print(w io.Writer) error {
	for _, p := range t.Policies {
		var about []string
		if p.Statements {
			about = append(about, "statements")
		}
		if p.Uploads {
			about = append(about, "uploads")
		}
		text := fmt.Sprintf("%s decides about %s", p.Name, strings.Join(about, " and "))
		if p.Costs {
			text += ", and looks at what statements cost"
		}
		fmt.Fprintln(w, text)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range t.Kept {
		if k.AddedBy == "" {
			fmt.Fprintf(table, "keep\t\t%s\n", k.Source)
		} else {
			fmt.Fprintf(table, "add\t%s\t%s\n", k.AddedBy, k.Source)
		}
	}
	for _, d := range t.Dropped {
		fmt.Fprintf(table, "drop\t%s: %s\t%s\n", d.By, d.Reason, d.Source)
	}
	for _, u := range t.Unreadable {
		fmt.Fprintf(table, "cannot add\t%s: %s\t%s\n", u.By, u.Reason, u.Text)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if lines := t.outcome.Summary(); lines != nil {
		fmt.Fprintln(w)
		fmt.Fprintln(w, strings.Join(lines, "\n"))
	}
	return nil
}
