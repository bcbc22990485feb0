package objcache

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func sample() *Hash {
	h := NewHash("partition")
	h.AddString("julia", "1.5.3")
	h.Add("bitcode", []byte("BC\xc0\xde\x00"))
	return h
}

// The layout in key.go, written out.
func TestKeyIsDocumentedHash(t *testing.T) {
	julia, bitcode := sha256.Sum256([]byte("1.5.3")), sha256.Sum256([]byte("BC\xc0\xde\x00"))
	described := "chainbuild cache 1\n" +
		"\x09\x00\x00\x00\x00\x00\x00\x00partition" +
		"\x05\x00\x00\x00\x00\x00\x00\x00julia" + string(julia[:]) +
		"\x07\x00\x00\x00\x00\x00\x00\x00bitcode" + string(bitcode[:])
	if got, want := sample().Key(), Key(sha256.Sum256([]byte(described))); got != want {
		t.Errorf("the key is %v, not %v", got, want)
	}
}

func TestKeysDiffer(t *testing.T) {
	seen := map[Key]string{}
	for name, inputs := range map[string][]string{
		"subject":           {"a"},
		"other subject":     {"b"},
		"empty input":       {"a", "x", ""},
		"input":             {"a", "x", "y"},
		"cut elsewhere":     {"a", "xy", ""},
		"two inputs":        {"a", "x", "y", "z", "u"},
		"in another order":  {"a", "z", "u", "x", "y"},
		"values exchanged":  {"a", "x", "u", "z", "y"},
		"name in the value": {"a", "x", "yzu"},
	} {
		h := NewHash(inputs[0])
		for i := 1; i < len(inputs); i += 2 {
			h.AddString(inputs[i], inputs[i+1])
		}
		if other, ok := seen[h.Key()]; ok {
			t.Errorf("%q and %q have the same key", name, other)
		}
		seen[h.Key()] = name
	}
}

func TestKeyGrows(t *testing.T) {
	h := NewHash("partition")
	first := h.Key()
	if h.Key() != first {
		t.Error("asking for the key changes it")
	}
	h.AddString("x", "")
	if h.Key() == first {
		t.Error("an input does not change the key")
	}
}

func TestInputs(t *testing.T) {
	h := sample()
	h.AddString("long", strings.Repeat("x", maxText+1))
	inputs := h.Inputs()
	var shown []string
	for _, i := range inputs {
		shown = append(shown, i.Name+"="+i.value())
	}
	bitcode, long := sha256.Sum256([]byte("BC\xc0\xde\x00")), sha256.Sum256([]byte(strings.Repeat("x", maxText+1)))
	want := []string{`julia="1.5.3"`, fmt.Sprintf("bitcode=sha256:%x", bitcode[:6]), fmt.Sprintf("long=sha256:%x", long[:6])}
	if !reflect.DeepEqual(shown, want) {
		t.Errorf("the inputs are shown as %q, not %q", shown, want)
	}
	inputs[0].Name = "changed"
	if h.Inputs()[0].Name != "julia" {
		t.Error("the list is not a copy")
	}
	text, err := json.Marshal(h.Inputs())
	if err != nil {
		t.Fatal(err)
	}
	var back []Input
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, h.Inputs()) {
		t.Errorf("through JSON the inputs become %v (%v)", back, err)
	}
}

func TestChanges(t *testing.T) {
	before := NewHash("partition")
	before.AddString("julia", "1.5.2")
	before.Add("bitcode", []byte{0xc0})
	before.AddString("flags", "")
	after := sample()
	after.AddString("level", "2")
	var phrases []string
	for _, c := range Changes(before.Inputs(), after.Inputs()) {
		phrases = append(phrases, c.String())
	}
	got := strings.Join(phrases, "\n")
	if !strings.HasPrefix(got, `julia was "1.5.2" and is "1.5.3"`+"\nbitcode was sha256:") ||
		!strings.HasSuffix(got, "\n"+`level is new: "2"`+"\n"+`flags is gone: it was ""`) || len(phrases) != 4 {
		t.Errorf("the changes are\n%s", got)
	}
	if c := Changes(after.Inputs(), after.Inputs()); c != nil {
		t.Errorf("a key differs from itself: %v", c)
	}
}

func TestKeyText(t *testing.T) {
	for _, text := range []string{"", "00", strings.Repeat("0", 63) + "g", strings.Repeat("A", 64), strings.Repeat("0", 66)} {
		if err := new(Key).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as a key", text)
		}
	}
}
