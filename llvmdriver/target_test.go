package llvmdriver

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]Target{
		"":                   {CPU: "native", Option: "native"},
		"native":             {CPU: "native", Option: "native"},
		"haswell":            {CPU: "haswell", Option: "haswell"},
		"haswell,-avx2,+fma": {CPU: "haswell", Features: "-avx2,+fma", Option: "haswell,-avx2,+fma"},
		"haswell,fma":        {CPU: "haswell", Features: "+fma", Option: "haswell,fma"},
		"haswell,,fma,":      {CPU: "haswell", Features: "+fma", Option: "haswell,,fma,"},
		"generic":            {CPU: "x86-64", Features: "+cx16", Option: "generic"},
		"generic,-sse3":      {CPU: "x86-64", Features: "+cx16,-sse3", Option: "generic,-sse3"},
	} {
		want.OptLevel = 1
		if got, err := ParseTarget(text, 1); err != nil || got != want {
			t.Errorf("%q is %+v (%v), not %+v", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"generic;haswell":       "is no target",
		"base":                  "is no target",
		"haswell,clone_all":     "clone_all is about several targets",
		"haswell,-opt_size":     "opt_size is not supported",
		"haswell,base(0)":       "base(0) is about several targets",
		"haswell,min_size,+fma": "min_size is not supported",
		",+fma":                 "is no target",
		"has well":              "is no target",
		"haswell\n":             "is no target",
	} {
		if got, err := ParseTarget(text, 2); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "\"") {
			t.Errorf("%q is %+v (%v), and it should be said: %q", text, got, err, says)
		}
	}
}

func TestParseTargets(t *testing.T) {
	for text, option := range map[string]string{
		"haswell": "haswell", "": "native", "base": "",
		"generic;haswell":                    "generic;haswell,clone_all",
		"generic;haswell,clone_all;skx,fma,": "generic;haswell,clone_all;skx,+fma,clone_all",
		"generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)": "generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,clone_all",
	} {
		list, err := ParseTargets(text, 1)
		if got := TargetsOption(list); err != nil || got != option {
			t.Errorf("%q is %q (%v), not %q", text, got, err, option)
		}
		for _, target := range list {
			if target.OptLevel != 1 || target.OneOfSeveral {
				t.Errorf("%q has %+v", text, target)
			}
		}
	}
	for text, says := range map[string]string{
		"generic;haswell,base(1)":   "base(1) does not name one of the targets before it",
		"generic;haswell,base(one)": "base(one) does not name",
		"generic;haswell,base(-1)":  "base(-1) does not name",
		"generic;":                  "a target without a name",
		";haswell":                  "a target without a name",
		"generic;;haswell":          "a target without a name",
		"generic;base":              "\"base\" is no target",
		"generic; haswell":          "\" haswell\" is no target",
		"generic;haswell,min_size":  "min_size is not supported",
		"generic,clone_all":         "clone_all is about several targets",
	} {
		if got, err := ParseTargets(text, 2); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %+v (%v), and it should be said: %q", text, got, err, says)
		}
	}
}

// Which machine compiles decides about an object only where its own processor is asked for.
func TestDependsOnMachine(t *testing.T) {
	for target, want := range map[Target]bool{
		{CPU: "native", Option: "native"}: true, {CPU: "haswell", Option: "haswell"}: false, {CPU: "znver3", Option: "native", OneOfSeveral: true}: true,
		{CPU: "znver3", Option: "generic,+cx16", OneOfSeveral: true}: false,
	} {
		if target.dependsOnMachine() != want {
			t.Errorf("%+v: %v", target, !want)
		}
	}
}

func TestCanonicalOption(t *testing.T) {
	for option, want := range map[string]string{"generic": "generic", "haswell,fma,-avx2,": "haswell,+fma,-avx2", "native": "native"} {
		target, err := ParseTarget(option, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.canonicalOption(); got != want {
			t.Errorf("of %q it is %q, not %q", option, got, want)
		}
	}
}
