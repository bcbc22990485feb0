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
		"generic;haswell":       "names several targets",
		"haswell,clone_all":     "clone_all is about images with several targets",
		"haswell,-opt_size":     "opt_size is about images",
		"haswell,base(0)":       "base(0) is about images",
		"haswell,min_size,+fma": "min_size is about images",
		",+fma":                 "is no target",
		"has well":              "is no target",
		"haswell\n":             "is no target",
	} {
		if got, err := ParseTarget(text, 2); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "\"") {
			t.Errorf("%q is %+v (%v), and it should be said: %q", text, got, err, says)
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
