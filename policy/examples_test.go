package policy

import (
	"slices"
	"testing"

	"chainbuild/internal/policytest"
	"chainbuild/policy/sdk"
)

// The example policies do as modules what their own tests say.
func TestExamples(t *testing.T) {
	skipShort(t)
	rules := open(t, policytest.Build(t, "chainbuild/examples/policies/rules", "rules.wasm"), Options{})
	answers, err := ask(t, rules, []sdk.Statement{
		{Source: "Tuple{typeof(Test.finish)}", Package: "Test", Packages: []string{"Test"}},
		{Source: "Tuple{typeof(Base.sum)}", Package: "Base"},
		{Source: "Tuple{typeof(Main.f)}", Package: "Main", Modules: []string{"Main"}},
	})
	if err != nil || len(answers) != 3 || answers[0].Reason != "a package for tests" || answers[1].Do != sdk.DoKeep || answers[2].Reason != "of Main" {
		t.Errorf("the rules answer %+v, %v", answers, err)
	}
	uploads, err := rules.Uploads(t.Context(), "1.10.8", []sdk.Upload{{Packages: []string{"SecretSauce"}}, {Names: []string{"sum"}}})
	if err != nil || uploads[0].Do != sdk.DoWithhold || uploads[1] != sdk.Allow() {
		t.Errorf("the rules answer %+v, %v", uploads, err)
	}

	siblings := open(t, policytest.Build(t, "chainbuild/examples/policies/siblings", "siblings.wasm"), Options{})
	if siblings.Answers(sdk.AboutUploads) {
		t.Error("the siblings want to be asked about uploads")
	}
	answers, err = ask(t, siblings, []sdk.Statement{{Source: "Tuple{typeof(Base.sum), Array{Int64, 1}}", Package: "Base"}})
	if err != nil || !slices.Equal(answers[0].Statements, []string{"Tuple{typeof(Base.sum), Array{Int64, 1}}", "Tuple{typeof(Base.sum), Array{Int32, 1}}"}) {
		t.Errorf("the siblings answer %+v, %v", answers, err)
	}
}
