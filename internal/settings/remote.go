package settings

// This file is what can be chosen about a remote cache. Nothing of it decides about an image.

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chainbuild/internal/words"
	"chainbuild/objcache/remote"
)

// Remote says which remote cache is used, and how. Its zero value means none.
type Remote struct {
	// Cache is where the server is; empty: there is none.
	Cache RemoteURL `toml:"remote_cache"`
	// Upload says whether what is compiled is stored there.
	Upload RemoteUpload `toml:"remote_upload"`
	// TokenFile and HeaderFile have what is sent with each call.
	TokenFile  File `toml:"remote_token_file"`
	HeaderFile File `toml:"remote_header_file"`
	// CAFile, CertFile and KeyFile are certificates: of the server's authority, and the client's own with its key.
	CAFile   File `toml:"remote_ca_file"`
	CertFile File `toml:"remote_cert_file"`
	KeyFile  File `toml:"remote_key_file"`
	// Sign has the key that signs what is stored, Trust the keys of which one must have signed what is used.
	Sign  File `toml:"remote_sign"`
	Trust File `toml:"remote_trust"`
	// Wait is how long the end of a build waits for what is not stored yet; 0: see remote.Options.
	Wait Wait `toml:"remote_wait"`
	// Exec says whether the server also compiles; Julia says how it gets the Julia to do so.
	Exec  RemoteExec  `toml:"remote_exec"`
	Julia RemoteJulia `toml:"remote_julia"`
	// Properties are further properties of machines that compile.
	Properties RemoteProperties `toml:"remote_properties"`
}

// Options are the settings as the cache takes them.
func (r *Remote) Options() remote.Options {
	return remote.Options{
		URL: string(r.Cache),
		Credentials: remote.Credentials{
			TokenFile: string(r.TokenFile), HeaderFile: string(r.HeaderFile),
			CAFile: string(r.CAFile), CertFile: string(r.CertFile), KeyFile: string(r.KeyFile),
		},
		Upload: remote.Upload(r.Upload), SignFile: string(r.Sign), TrustFile: string(r.Trust), Wait: time.Duration(r.Wait),
		Execute: r.Exec == ExecYes,
	}
}

// Below makes names of files that are relative ones of files below a folder.
func (r *Remote) Below(folder string) {
	for _, file := range []*File{&r.TokenFile, &r.HeaderFile, &r.CAFile, &r.CertFile, &r.KeyFile, &r.Sign, &r.Trust} {
		if *file != "" && !filepath.IsAbs(string(*file)) {
			*file = File(filepath.Join(folder, string(*file)))
		}
	}
}

// A RemoteURL is where a remote cache is; empty: there is none.
type RemoteURL string

// noRemote is the text for no remote cache, where another choice is to be undone.
const noRemote = "off"

// UnmarshalText takes the URL of a server, or off. One with a password in it is taken as it is, and refused when the cache is opened: who reads settings
// repeats what does not fit in an error.
func (u *RemoteURL) UnmarshalText(text []byte) error {
	*u = ""
	if len(text) == 0 || string(text) == noRemote {
		return nil
	}
	if strings.Contains(string(text), "@") {
		*u = RemoteURL(text)
		return nil
	}
	address, err := remote.ParseURL(string(text))
	if err == nil {
		*u = RemoteURL(address.String())
	}
	return err
}

func (u RemoteURL) MarshalText() ([]byte, error) { return []byte(u), nil }

// RemoteUpload says whether a remote cache is written to; empty: auto.
type RemoteUpload string

func (u *RemoteUpload) UnmarshalText(text []byte) error {
	return choose(u, text, RemoteUpload(remote.UploadAuto), RemoteUpload(remote.UploadYes), RemoteUpload(remote.UploadNo))
}

func (u RemoteUpload) MarshalText() ([]byte, error) { return []byte(u), nil }

// RemoteExec says whether a server compiles what no cache has; empty: no.
type RemoteExec string

const (
	ExecYes RemoteExec = "yes"
	ExecNo  RemoteExec = "no"
)

func (e *RemoteExec) UnmarshalText(text []byte) error {
	return choose(e, text, ExecYes, ExecNo)
}

func (e RemoteExec) MarshalText() ([]byte, error) { return []byte(e), nil }

// RemoteJulia says how machines that compile for others get the Julia; empty: by a property.
type RemoteJulia string

const (
	// JuliaProperty asks for machines that have it, by a property of theirs.
	JuliaProperty RemoteJulia = "property"
	// JuliaTree sends it along.
	JuliaTree RemoteJulia = "tree"
)

func (j *RemoteJulia) UnmarshalText(text []byte) error {
	return choose(j, text, JuliaProperty, JuliaTree)
}

func (j RemoteJulia) MarshalText() ([]byte, error) { return []byte(j), nil }

// RemoteProperties are properties of machines that compile for others, by name. An empty value stands for one that is not asked for.
type RemoteProperties map[string]string

// UnmarshalText takes NAME=VALUE, and several with commas in between. A comma of a value is written with a backslash before it.
func (p *RemoteProperties) UnmarshalText(text []byte) error {
	all := RemoteProperties{}
	for given := range splitProperties(string(text)) {
		name, value, ok := strings.Cut(given, "=")
		_, twice := all[name]
		switch {
		case !ok || name == "":
			return fmt.Errorf("%q is no property: write NAME=VALUE, and \\, for a comma within a value", given)
		case twice:
			return fmt.Errorf("the property %s is given twice: leave out one", name)
		case !utf8.ValidString(given) || strings.ContainsFunc(given, unicode.IsControl):
			return fmt.Errorf("the property %q has characters that cannot be printed: leave them out", given)
		}
		all[name] = value
	}
	*p = all
	return nil
}

// splitProperties yields properties as they were given, without space around them.
func splitProperties(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if strings.TrimSpace(text) == "" {
			return
		}
		rest, given := text, ""
		for {
			part, after, more := strings.Cut(rest, ",")
			if kept, ok := strings.CutSuffix(part, `\`); ok && more {
				given, rest = given+kept+",", after
				continue
			}
			if !yield(strings.TrimSpace(given+part)) || !more {
				return
			}
			given, rest = "", after
		}
	}
}

func (p RemoteProperties) MarshalText() ([]byte, error) {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		all = append(all, strings.ReplaceAll(name+"="+p[name], ",", `\,`))
	}
	return []byte(strings.Join(all, ",")), nil
}

// On are properties with these in place of those with the same names.
func (p RemoteProperties) On(properties map[string]string) map[string]string {
	all := maps.Clone(properties)
	maps.Copy(all, p)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// choose takes one of the choices.
func choose[T ~string](into *T, text []byte, choices ...T) error {
	if given := T(text); slices.Contains(choices, given) {
		*into = given
		return nil
	}
	var list []string
	for _, choice := range choices {
		list = append(list, string(choice))
	}
	return errors.New("use " + words.Or(list))
}

// A File is the name of a file; empty: there is none.
type File string

func (f *File) UnmarshalText(text []byte) error {
	*f = File(text)
	return nil
}

func (f File) MarshalText() ([]byte, error) { return []byte(f), nil }

// A Wait is a bound of time; 0: no choice, the default is taken.
type Wait time.Duration

// UnmarshalText takes a time above 0, as in 500ms, 30s, 2m.
func (w *Wait) UnmarshalText(text []byte) error {
	given, err := time.ParseDuration(string(text))
	if err != nil || given <= 0 {
		return fmt.Errorf("%q is no time to wait: write it as 500ms or 30s", text)
	}
	*w = Wait(given)
	return nil
}

func (w Wait) MarshalText() ([]byte, error) {
	if w == 0 {
		return nil, nil
	}
	return []byte(time.Duration(w).String()), nil
}
