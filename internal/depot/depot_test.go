package depot

import (
	"strings"
	"testing"
)

func TestFolder(t *testing.T) {
	for _, test := range []struct {
		depots, names []string
		want          string
	}{
		{nil, nil, ""},
		{[]string{""}, []string{"cache"}, ""},
		{[]string{"/d", "/e"}, nil, "/d/chainbuild"},
		{[]string{"/d"}, []string{"projects", "x"}, "/d/chainbuild/projects/x"},
	} {
		if got := Folder(test.depots, test.names...); got != test.want {
			t.Errorf("%v of %v is %q, not %q", test.names, test.depots, got, test.want)
		}
	}
}

func TestUserFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/c")
	if got, err := UserFolder("projects"); err != nil || got != "/c/chainbuild/projects" {
		t.Errorf("it is %q (%v)", got, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if got, err := UserFolder(); err == nil {
		t.Errorf("a user without a home has %q", got)
	}
}

func TestKnown(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	for value, want := range map[string]string{
		"": "/home/me/.julia", "/d": "/d", "/d:/e": "/d", "~": "/home/me", "~/d:": "/home/me/d", ":/e": "/home/me/.julia",
		"relative": "", "~other/d": "",
	} {
		t.Setenv("JULIA_DEPOT_PATH", value)
		if got := strings.Join(Known(), " "); got != want {
			t.Errorf("of %q the first is %q, not %q", value, got, want)
		}
	}
	t.Setenv("HOME", "")
	t.Setenv("JULIA_DEPOT_PATH", "")
	if got := Known(); got != nil {
		t.Errorf("without a home it is %q", got)
	}
}
