package objcache

// This file is keys: hashes of all that determines what is stored under them.
//
// A key is the SHA-256 of
//
//	"chainbuild cache 1\n"    the number is that of the entries' format, so that no two formats share a key
//	for the subject, then for each input in the order in which they were added:
//	  8 bytes    length of the name in bytes, little endian
//	  …          name (for the subject: its text)
//	  32 bytes   SHA-256 of the content (not for the subject)
//
// Lengths and sums have fixed sizes, so two different lists of inputs never are the same bytes. As contents are hashed on
// their own, a list of names and sums tells why two keys differ: Changes.

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A Key names an entry. It is a SHA-256; in text, and in JSON, 64 lower-case hexadecimal digits.
type Key [sha256.Size]byte

func (k Key) String() string { return hex.EncodeToString(k[:]) }

// MarshalText returns the hexadecimal digits.
func (k Key) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText is the inverse of MarshalText.
func (k *Key) UnmarshalText(text []byte) error {
	parsed, ok := parseKey(string(text))
	if !ok {
		return fmt.Errorf("%.80q is not a key of the cache: 64 lower-case hexadecimal digits are", text)
	}
	*k = parsed
	return nil
}

func parseKey(text string) (key Key, ok bool) {
	if len(text) != hex.EncodedLen(len(key)) {
		return key, false
	}
	if _, err := hex.Decode(key[:], []byte(text)); err != nil {
		return key, false
	}
	return key, key.String() == text
}

// A Hash makes a key from named inputs. It is for one goroutine at a time.
type Hash struct {
	hash   hash.Hash
	inputs []Input
}

// NewHash starts a key. The subject says what the key is for ("partition", "worker image"): keys of different subjects
// differ even if the inputs are the same.
func NewHash(subject string) *Hash {
	h := &Hash{hash: sha256.New()}
	fmt.Fprintf(h.hash, "chainbuild cache %d\n", formatVersion)
	h.addName(subject)
	return h
}

// Add adds an input. Names should differ within a key: they are what Changes tells inputs by.
func (h *Hash) Add(name string, content []byte) {
	input := Input{Name: name, Sum: sha256.Sum256(content)}
	if isShortText(content) {
		input.Text = string(content)
	}
	h.add(input)
}

// AddString is Add for text.
func (h *Hash) AddString(name, content string) { h.Add(name, []byte(content)) }

func (h *Hash) add(input Input) {
	h.addName(input.Name)
	h.hash.Write(input.Sum[:])
	h.inputs = append(h.inputs, input)
}

func (h *Hash) addName(name string) {
	h.hash.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(name))))
	io.WriteString(h.hash, name)
}

// Key returns the key of the subject and the inputs so far.
func (h *Hash) Key() Key { return Key(h.hash.Sum(nil)) }

// Inputs returns the inputs so far, in the order in which they were added.
func (h *Hash) Inputs() []Input { return slices.Clone(h.inputs) }

// An Input is one of the things that a key was made of.
type Input struct {
	Name string `json:"name"`
	// Sum is the SHA-256 of the content.
	Sum Key `json:"sha256"`
	// Text is the content where that is text of one line and at most maxText bytes, and was not added as a file; else empty.
	Text string `json:"text,omitempty"`
}

// maxText is the longest text, in bytes, that is kept to be shown: a list of processor features is about that long.
const maxText = 200

func isShortText(content []byte) bool {
	if len(content) > maxText || !utf8.Valid(content) {
		return false
	}
	for _, r := range string(content) {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// value returns the content as far as it can be shown.
func (i *Input) value() string {
	if i.Text != "" || i.Sum == sha256.Sum256(nil) {
		return fmt.Sprintf("%q", i.Text)
	}
	return fmt.Sprintf("sha256:%x", i.Sum[:6])
}

// A Change is an input in which two keys differ. Before is nil for one that is new, After for one that is gone.
type Change struct {
	Name          string
	Before, After *Input
}

// String returns a phrase: `optimisation level was "2" and is "3"`.
func (c Change) String() string {
	switch {
	case c.Before == nil:
		return fmt.Sprintf("%s is new: %s", c.Name, c.After.value())
	case c.After == nil:
		return fmt.Sprintf("%s is gone: it was %s", c.Name, c.Before.value())
	default:
		return fmt.Sprintf("%s was %s and is %s", c.Name, c.Before.value(), c.After.value())
	}
}

// Changes returns in which inputs two keys differ: those that are changed or new in the order of after, then those that
// are gone in the order of before. For keys of the same subject whose inputs were added in the same order, none means
// that the keys are equal.
func Changes(before, after []Input) []Change {
	find := func(in []Input, name string) *Input {
		if i := slices.IndexFunc(in, func(input Input) bool { return input.Name == name }); i >= 0 {
			return &in[i]
		}
		return nil
	}
	var changes []Change
	for i := range after {
		if old := find(before, after[i].Name); old == nil || old.Sum != after[i].Sum {
			changes = append(changes, Change{after[i].Name, old, &after[i]})
		}
	}
	for i := range before {
		if find(after, before[i].Name) == nil {
			changes = append(changes, Change{before[i].Name, &before[i], nil})
		}
	}
	return changes
}
