package tomlfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An answer is a type of texts.
type answer bool

func (a *answer) UnmarshalText(text []byte) error {
	*a = string(text) == "yes"
	if !*a && string(text) != "no" {
		return errors.New("use yes or no")
	}
	return nil
}

// A level is a type of numbers.
type level int

func (level) Bounds() (least, most int) { return 1, 3 }

type Inner struct {
	Answer answer `toml:"answer"`
	Level  level  `toml:"level"`
}

type choices struct {
	Inner
	Name     string                       `toml:"name"`
	Names    []string                     `toml:"names"`
	Versions map[string]map[string]string `toml:"versions"`
	hidden   string
}

func TestDecode(t *testing.T) {
	d, err := Parse("x.toml", []byte("[other]\nkeep = 1\n[mine]\nanswer = \"yes\"\nlevel = 3\nname = 'n'\nnames = [\"a\", \"b\"]\nversions.\"1.5\" = { A = \"1.0\" }\n"))
	if err != nil {
		t.Fatal(err)
	}
	into := choices{hidden: "stays"}
	if err := d.Decode("mine", &into); err != nil {
		t.Fatal(err)
	}
	if !bool(into.Answer) || into.Level != 3 || into.Name != "n" || !slices.Equal(into.Names, []string{"a", "b"}) || into.Versions["1.5"]["A"] != "1.0" || into.hidden != "stays" {
		t.Errorf("it was read as %+v", into)
	}
	if err := d.Decode("absent", &into); err != nil || into.Name != "n" {
		t.Errorf("a table that is not there: %v, %+v", err, into)
	}
	if d, err = Parse("x.toml", []byte("name = \"top\"\n[versions.\"1.5\"]\n")); err == nil {
		err = d.Decode("", &into)
	}
	if err != nil || into.Name != "top" || into.Versions["1.5"] == nil || into.Level != 3 {
		t.Errorf("the whole document was read as %+v (%v)", into, err)
	}
}

// What does not fit is refused with the line and with what is allowed, whichever way it is written.
func TestDecodeRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"[mine]\n\nlevel = 0":                               `x.toml:3: level is 0: give a number from 1 to 3`,
		"[mine]\nlevel = \"2\"":                             `x.toml:2: level is 2: give a number from 1 to 3`,
		"[mine]\nlevel = 2.0":                               `x.toml:2: level is 2: give a number from 1 to 3`,
		"[mine]\nanswer = \"maybe\"":                        `x.toml:2: answer does not take "maybe": use yes or no`,
		"[mine]\nanswer = true":                             `x.toml:2: answer is true: give a text in quotes`,
		"[mine]\nname = 1":                                  `x.toml:2: name is 1: give a text in quotes`,
		"[mine]\nnames = \"a\"":                             `x.toml:2: names is a: give a list of names in quotes`,
		"[mine]\nnames = [\"a\", 1]":                        `x.toml:2: names is [a 1]: give a list of names in quotes`,
		"[mine]\nversions = 1":                              `x.toml:2: versions is 1: give a table`,
		"[mine.versions.\"1.5\"]\n# A\nA = 1":               `x.toml:3: A is 1: give a text in quotes`,
		"[mine]\nversions.\"1.5\".A = 1":                    `x.toml:2: A is 1: give a text in quotes`,
		"[mine]\nname = \"\"\nNames = []":                   `x.toml:3: there is no setting "Names": use answer, level, name, names or versions`,
		"[mine]\nhidden = \"\"":                             `x.toml:2: there is no setting "hidden"`,
		"[mine.deeper]\nx = 1":                              `x.toml:1: there is no setting "deeper"`,
		"mine.level = 9":                                    `x.toml:1: level is 9`,
		"\nmine = { name = \"a\", level = 9 }":              `x.toml:2: level is 9`,
		"mine = 1":                                          `x.toml:1: mine is not a table: write [mine] on a line of its own`,
		"\n[[mine]]\n[[mine]]":                              `x.toml:2: mine is not a table`,
		"[mine]\nz = 1\na = 1":                              `x.toml:2: there is no setting "z"`,
		"[mine]\nname = '''\n'''\nlevel = 7\nanswer = \"\"": `x.toml:4: level is 7`,
		"[mine]\nname = \"":                                 `x.toml:2 cannot be read: `,
		"[mine]\nname = 1\nname = 2":                        `x.toml:3 cannot be read: `,
	} {
		d, err := Parse("x.toml", []byte(text))
		if err == nil {
			err = d.Decode("mine", &choices{})
		}
		if err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("of\n%s\nit is said: %v, and not %s", text, err, says)
		}
	}
	d, err := Parse("x.toml", []byte("one = 1"))
	if err != nil {
		t.Fatal(err)
	}
	var unknown *UnknownKeyError
	if err := d.Decode("", &struct {
		Two string `toml:"two"`
	}{}); !errors.As(err, &unknown) || unknown.Key != "one" || !strings.HasSuffix(err.Error(), "use two") {
		t.Errorf("a key that is not known: %v", err)
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.toml")
	if _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("a = [1, 2]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if d, err := Read(path); err != nil || d.File != path || len(d.Values["a"].([]any)) != 2 {
		t.Errorf("the document is %+v (%v)", d, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("[mine]\nlevel = 2\nanswer = \"no\"\nversions.\"1.5\" = { A = \"1.0\" }\n[[mine]]\n[[mine.x]]\n")
	f.Add("mine = { name = 'a', names = [], level = 1 }\nx.y.'z' = 1979-05-27T07:32:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse("x.toml", []byte(text))
		if err != nil {
			return
		}
		var into choices
		if err := d.Decode("mine", &into); err == nil && into.Level > 3 {
			t.Errorf("a level of %d was accepted", into.Level)
		}
	})
}
