package settings

// This file is how much of an image statements may take.

import (
	"fmt"
	"time"

	"chainbuild/internal/words"
)

// A Budget is what the code of a build's statements may cost: Seconds of a processor to compile, or Bytes of machine
// code with its debug information. Of both one is 0; if both are, there is
// no bound.
type Budget struct {
	Seconds float64
	Bytes   int64
}

// UnmarshalText takes a time above 0, as 30s or 2m, or a size, as 100MB; nothing for no bound.
func (b *Budget) UnmarshalText(text []byte) error {
	*b = Budget{}
	if len(text) == 0 {
		return nil
	}
	if took, err := time.ParseDuration(string(text)); err == nil && took > 0 {
		b.Seconds = took.Seconds()
		return nil
	}
	bytes, err := parseSize(string(text))
	if err != nil || bytes == 0 {
		return fmt.Errorf("%q is no budget: write a time as 30s, or a size as 100MB", text)
	}
	b.Bytes = bytes
	return nil
}

func (b Budget) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Budget) String() string {
	switch {
	case b.Seconds > 0:
		return time.Duration(b.Seconds * float64(time.Second)).String()
	case b.Bytes > 0:
		return words.Bytes(b.Bytes)
	}
	return ""
}

// IsNone says that there is no bound.
func (b Budget) IsNone() bool { return b == Budget{} }
