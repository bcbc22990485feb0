package settings

import (
	"encoding"
	"maps"
	"strings"
	"testing"
)

func TestRemoteText(t *testing.T) {
	type text interface {
		encoding.TextUnmarshaler
		encoding.TextMarshaler
	}
	for _, test := range []struct {
		of     func() text
		values map[string]string // and how they are written
		others map[string]string // and what is said of them
	}{
		{func() text { return new(RemoteURL) }, map[string]string{"grpc://a:1/b/": "grpc://a:1/b", "off": "", "": ""}, map[string]string{"a": "grpc://HOST:PORT"}},
		{func() text { return new(RemoteUpload) }, map[string]string{"auto": "auto", "yes": "yes", "no": "no"}, map[string]string{"": "use auto, yes or no", "true": "use auto"}},
		{func() text { return new(RemoteExec) }, map[string]string{"yes": "yes", "no": "no"}, map[string]string{"": "use yes or no", "auto": "use yes or no"}},
		{func() text { return new(RemoteJulia) }, map[string]string{"property": "property", "tree": "tree"}, map[string]string{"": "use property or tree"}},
		{
			func() text { return new(RemoteProperties) },
			map[string]string{
				"Pool=a": "Pool=a", " b=1, a=x=y ": "a=x=y,b=1", "ISA=": "ISA=", "": "", "caps=a\\,b,Pool=c": "Pool=c,caps=a\\,b",
				"container-image=docker://h:5000/i@sha256:0": "container-image=docker://h:5000/i@sha256:0",
			},
			map[string]string{"Pool": "write NAME=VALUE", "=a": "write NAME=VALUE", "a=1,": "is no property", "a=1,a=2": "given twice", "a=\nb": "cannot be printed", "a=\xff": "cannot be printed"},
		},
		{func() text { return new(Wait) }, map[string]string{"500ms": "500ms", "2m": "2m0s"}, map[string]string{"": "no time to wait", "0": "no time", "-1s": "no time", "5": "no time"}},
		{func() text { return new(File) }, map[string]string{"a/b": "a/b"}, nil},
	} {
		for value, want := range test.values {
			setting := test.of()
			if err := setting.UnmarshalText([]byte(value)); err != nil {
				t.Errorf("a %T does not take %q: %v", setting, value, err)
			}
			if got, err := setting.MarshalText(); err != nil || string(got) != want {
				t.Errorf("a %T of %q is written as %q (%v)", setting, value, got, err)
			}
		}
		for value, says := range test.others {
			if err := test.of().UnmarshalText([]byte(value)); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("a %T of %q: %v, and not %q", test.of(), value, err, says)
			}
		}
	}
	properties := map[string]string{"ISA": "x86-64", "OSFamily": "linux"}
	on := RemoteProperties{"ISA": "", "OSFamily": "Linux", "Pool": "a"}.On(properties)
	if want := map[string]string{"OSFamily": "Linux", "Pool": "a"}; !maps.Equal(on, want) || len(properties) != 2 {
		t.Errorf("the properties are %v", on)
	}
	if on := RemoteProperties(nil).On(properties); !maps.Equal(on, properties) {
		t.Errorf("with none of its own they are %v", on)
	}
	r := Remote{Trust: "keys.pem", Sign: "/k"}
	if r.Below("/p"); r.Trust != "/p/keys.pem" || r.Sign != "/k" || r.CAFile != "" {
		t.Errorf("below a folder it is %+v", r)
	}
}
