package remote

// Tests of what is refused, in one line and without a secret in it.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chainbuild/objcache/remote/remotetest"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"grpc://host:9092":            "grpc://host:9092",
		"grpcs://host:443/team/a/":    "grpcs://host:443/team/a",
		"http://host":                 "http://host",
		"https://host:8080/cache":     "https://host:8080/cache",
		"grpc://[::1]:9092":           "grpc://[::1]:9092",
		"http://host/blobs/is/a/path": "http://host/blobs/is/a/path",
	} {
		if a, err := ParseURL(text); err != nil || a.String() != want {
			t.Errorf("%q is %v (%v)", text, a, err)
		}
	}
	for text, says := range map[string]string{
		"":                        "is no address",
		"host:9092":               "grpc://HOST:PORT",
		"ftp://host:1":            "is no address",
		"grpc://:9092":            "is no address",
		"grpc://host":             "has no port: give one, as in grpc://host:9092",
		"grpc://u:hush@host:1":    "grpc://…@host:1 has a name or a password in its address",
		"http://u:hush@%zz":       "is no URL",
		"grpc://host:1/a?b=c":     "leave out what begins with ?",
		"grpc://host:1/a/blobs/b": `can be "blobs"`,
		"grpc://host:1/a//b":      "two slashes",
	} {
		if _, err := ParseURL(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, and not %q", text, err, says)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		write(t, path, text, mode)
		return path
	}
	c := remotetest.MakeCertificates(t)
	private, public := keys(t)
	const local, encrypted, away = "grpc://127.0.0.1:1", "grpcs://127.0.0.1:1", "grpc://cache.example:1"
	token := file("token", "hush\n", 0o600)
	for says, o := range map[string]Options{
		"is no address":                                   {URL: "x"},
		"cannot execute, as that needs gRPC":              {URL: "http://127.0.0.1:1", Execute: true},
		"leave out --remote-exec or --remote-trust":       {URL: local, Execute: true, TrustFile: public},
		"every user of the machine can read ":             {URL: local, Credentials: Credentials{TokenFile: file("open", "hush", 0o644)}},
		"another user could write it":                     {URL: local, Credentials: Credentials{TokenFile: file("shared", "hush", 0o620)}},
		"the token for the remote cache cannot be read: ": {URL: local, Credentials: Credentials{TokenFile: dir + "/nothing"}},
		"has no token":                                    {URL: local, Credentials: Credentials{TokenFile: file("empty", "\n", 0o600)}},
		"two has no token":                                {URL: local, Credentials: Credentials{TokenFile: file("two", "hush hush", 0o600)}},
		"headers:2 is no header":                          {URL: local, Credentials: Credentials{HeaderFile: file("headers", "a: b\nhush\n", 0o600)}},
		"binary:1 is no header":                           {URL: local, Credentials: Credentials{HeaderFile: file("binary", "a: \x01hush\n", 0o600)}},
		"for everybody on the way":                        {URL: away, Credentials: Credentials{TokenFile: token}},
		"is not encrypted":                                {URL: local, Credentials: Credentials{CAFile: c.CA}},
		"has no certificates in PEM":                      {URL: encrypted, Credentials: Credentials{CAFile: token}},
		"go together":                                     {URL: encrypted, Credentials: Credentials{CertFile: c.ClientCert}},
		"do not fit":                                      {URL: encrypted, Credentials: Credentials{CertFile: c.ClientCert, KeyFile: c.ServerKey}},
		"has no private key":                              {URL: local, SignFile: token},
		"number 1 is no public key":                       {URL: local, TrustFile: private},
		"must be signed":                                  {URL: local, TrustFile: public, Upload: UploadYes},
		"number 2 is no public key":                       {URL: local, TrustFile: file("more.pem", readText(t, public)+"and more\n", 0o644)},
	} {
		cache, err := Open(o)
		if err == nil {
			cache.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, and not %q", err, says)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHeaders(t *testing.T) {
	address, err := ParseURL("grpcs://host:1")
	if err != nil {
		t.Fatal(err)
	}
	check := func(c Credentials, want ...header) {
		t.Helper()
		s, err := c.read(address)
		if err != nil || !slices.Equal(s.headers, want) {
			t.Errorf("the headers are %q (%v), and should be %q", s.headers, err, want)
		}
	}
	check(Credentials{})
	t.Setenv(HeadersEnvironment, "# of the proxy\nX-Key:  a b \n\nAuthorization: Basic x\n")
	check(Credentials{}, header{"x-key", "a b"}, header{"authorization", "Basic x"})
	t.Setenv(TokenEnvironment, "abc\n")
	check(Credentials{}, header{"x-key", "a b"}, header{"authorization", "Bearer abc"})
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "def\n", 0o600)
	check(Credentials{TokenFile: path}, header{"x-key", "a b"}, header{"authorization", "Bearer def"})
}
